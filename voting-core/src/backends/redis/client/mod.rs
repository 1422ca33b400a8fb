//! The way to Redis: addresses, single servers, a cluster with its slots, and what they have in common.

pub(super) mod address;
mod cluster;
pub(super) mod connection;
pub(super) mod node;
pub(super) mod server;
mod slots;
