//! What kind of failure it was, as far as Redis says so.

use ::redis::{ErrorKind as Kind, RedisError, ServerErrorKind};

use crate::error::ErrorKind;

/// The kind of an error of Redis or of the way to it.
pub(crate) fn kind_of(error: &RedisError) -> ErrorKind {
    if error.is_timeout() {
        return ErrorKind::TimedOut;
    }
    if error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() {
        return ErrorKind::Unreachable;
    }
    match error.kind() {
        Kind::AuthenticationFailed => ErrorKind::Unauthenticated,
        Kind::Server(ServerErrorKind::NoPerm) => ErrorKind::Forbidden,
        Kind::Server(ServerErrorKind::ReadOnly) => ErrorKind::ReadOnly,
        Kind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::TryAgain,
        ) => ErrorKind::Unreachable,
        _ => match error.code() {
            Some("OOM") => ErrorKind::Full,
            Some("NOAUTH" | "WRONGPASS") => ErrorKind::Unauthenticated,
            // The server cannot write its log: its disk is full, or fails.
            Some("MISCONF") => ErrorKind::NotDurable,
            _ => ErrorKind::Other,
        },
    }
}
