//! Why services do not start.

use std::{io, net::SocketAddr};

use crate::{secrets::SecretError, stores::StoreSettings};

/// Why services do not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The settings do not say where a store is.
    #[error(transparent)]
    Store(#[from] StoreSettings),
    /// The address cannot be listened on.
    #[error("cannot serve {what} on {address}")]
    Listen {
        /// What was to be served.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Sockets were handed over, and not this one.
    #[error(
        "sockets were handed over, but not exactly one named {0}; \
         its name is FileDescriptorName in a systemd socket"
    )]
    NotHandedOver(&'static str),
    /// A socket that was handed over cannot be served on.
    #[error("cannot serve on the socket {0} that was handed over")]
    HandedOver(&'static str, #[source] io::Error),
    /// The system gives no signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}
