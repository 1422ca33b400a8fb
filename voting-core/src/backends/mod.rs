//! The back ends that are built in, each behind a feature of its name, and what they share.

#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod certificate;
#[cfg(any(feature = "memory", feature = "redis", feature = "sqlite"))]
mod clock;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod embedded;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod endpoint;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "private-files")]
pub mod private_files;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stored_audit;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stored_event;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stored_json;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stored_webhook;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod tls;

use std::error::Error;

use crate::error::ErrorKind;

/// The version that programs tell the servers with each connection, so that those of an earlier version can be told from
/// them. Programs before version 0.2 tell none.
#[cfg(any(feature = "postgres", feature = "redis"))]
const PROGRAM_VERSION: &str = "0.2";

/// The kind of an error that one of the back ends has made, and which one.
pub(crate) fn kind_of(error: &(dyn Error + 'static)) -> Option<(ErrorKind, &'static str)> {
    #[cfg(feature = "redis")]
    if let Some(error) = error.downcast_ref::<::redis::RedisError>() {
        return Some((redis::kind_of(error), "redis"));
    }
    #[cfg(feature = "redis")]
    if let Some(kind) = redis::kind_of_flaw(error) {
        return Some((kind, "redis"));
    }
    #[cfg(feature = "postgres")]
    if let Some(kind) = postgres::kind_of(error) {
        return Some((kind, "postgres"));
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.downcast_ref::<rusqlite::Error>() {
        return Some((sqlite::kind_of(error), "sqlite"));
    }
    let _ = error;
    None
}
