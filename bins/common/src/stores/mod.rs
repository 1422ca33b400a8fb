//! The stores that the settings name, if the program is built with them.

#[cfg(any(feature = "postgres", feature = "redis"))]
mod authorities;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::{io, path::PathBuf};

use voting_core::error::BoxError;

use crate::secrets::SecretError;

/// Why there is no store to use.
#[derive(Debug, thiserror::Error)]
pub enum StoreSettings {
    /// The address is not set, or is set in two ways.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The address cannot be read.
    #[error("redis.url is not a valid Redis URL")]
    Redis(#[source] BoxError),
    /// The address cannot be read.
    #[error("postgres.url is not a valid Postgres URL")]
    Postgres(#[source] BoxError),
    /// The file of the authorities cannot be read.
    #[error("cannot read {}", .0.display())]
    CaFile(PathBuf, #[source] io::Error),
    /// The file contains no certificate authorities.
    #[error("{} holds no certificate authorities", .0.display())]
    NoAuthorities(PathBuf, #[source] BoxError),
}
