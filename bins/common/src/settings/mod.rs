//! The settings: defaults in the code, then a file, then the environment, then flags.

pub(crate) mod bounds;
pub(crate) mod cli;
pub(crate) mod config;
pub(crate) mod configured;
pub(crate) mod course;
pub(crate) mod credentials;
pub(crate) mod entry_keys;
pub(crate) mod host_logins;
pub(crate) mod layers;
pub(crate) mod listen;
pub(crate) mod lists;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod logins;
pub(crate) mod polls;
pub(crate) mod provenance;
mod provider;
#[cfg(test)]
mod reference;
pub(crate) mod requirements;
pub(crate) mod service;
mod stored_polls;
pub(crate) mod theme;
pub(crate) mod typed;
pub(crate) mod webhook_host;
pub(crate) mod webhooks;
