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
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stored_json;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod tls;
