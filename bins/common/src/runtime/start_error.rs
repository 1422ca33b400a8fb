//! Why services do not start.

use std::{io, net::SocketAddr};

use crate::{
    secrets::SecretError,
    settings::{host_logins::HostLoginError, logins::LoginError, theme::ThemeError},
    stores::StoreSettings,
};

/// Why services do not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The settings do not say where a store is.
    #[error(transparent)]
    Store(#[from] StoreSettings),
    /// The settings of logins do not fit together.
    #[error(transparent)]
    Logins(#[from] LoginError),
    /// The settings of the host's sign-in do not fit together.
    #[error(transparent)]
    HostLogins(#[from] HostLoginError),
    /// The theme of the pages is not valid.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The address cannot be listened on.
    #[error("cannot serve {what} on {address}")]
    Listen {
        /// The service that was to listen.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// Sockets were passed on, but not this one.
    #[error(
        "sockets were handed over, but not exactly one named {0}; \
         its name is FileDescriptorName in a systemd socket"
    )]
    NotHandedOver(&'static str),
    /// The process cannot serve on the socket that was passed on.
    #[error("cannot serve on the socket {0} that was handed over")]
    HandedOver(&'static str, #[source] io::Error),
    /// The system does not report signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The system gives no thread for each core.
    #[error("cannot start a thread for each core")]
    Threads(#[source] io::Error),
}
