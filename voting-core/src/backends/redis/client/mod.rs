//! Connections to Redis: addresses, single servers, and a cluster with its slots.

pub(super) mod address;
mod cluster;
pub(super) mod connection;
pub(super) mod node;
pub(super) mod server;
mod slots;
pub(super) mod target;
