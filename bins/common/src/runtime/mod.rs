//! Runs services: from the command line to the exit code.

pub(crate) mod capacity;
pub(crate) mod cores;
pub(crate) mod healthcheck;
pub(crate) mod journal;
pub(crate) mod listener;
pub(crate) mod logging;
pub(crate) mod program;
pub(crate) mod services;
pub(crate) mod site;
pub(crate) mod start_error;
pub(crate) mod supervisor;
pub(crate) mod traces;
