//! What kind of failure it was, as far as Postgres says so.

use std::error::Error;

use ::postgres::error::SqlState;

use crate::{
    backends::endpoint::Endpoint,
    error::{ErrorKind, StoreError, causes, in_one_line},
};

/// Why there was no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot connect: {reason}")]
pub(super) struct CannotConnect {
    reason: String,
    failure: Option<Failure>,
}

impl CannotConnect {
    pub(super) fn by(error: &::postgres::Error) -> Self {
        if is_refused_for_writes(error) {
            return Self::read_only();
        }
        Self {
            reason: in_one_line(error),
            failure: Failure::by(error),
        }
    }

    /// A server answers, and takes no writes.
    pub(super) fn read_only() -> Self {
        Self {
            reason: TAKES_NO_WRITES.to_owned(),
            failure: Some(Failure::ReadOnly),
        }
    }

    /// None of the servers of an address can be used.
    pub(super) fn of_each(failures: &[(&Endpoint, Self)]) -> Self {
        if let [(_, only)] = failures {
            return only.clone();
        }
        // A standby is no fault while there is a primary to be asked, which then has one.
        let is_standby = |(_, of): &(_, Self)| of.failure == Some(Failure::ReadOnly);
        let failure = match failures.iter().all(is_standby) {
            true => Some(Failure::ReadOnly),
            false => failures
                .iter()
                .filter(|of| !is_standby(of))
                .find_map(|(_, of)| of.failure),
        };
        let reasons = failures.iter();
        let reasons: Vec<_> = reasons
            .map(|(endpoint, of)| format!("{endpoint}: {}", of.reason))
            .collect();
        Self {
            reason: reasons.join("; "),
            failure,
        }
    }

    pub(super) fn into_error(self) -> StoreError {
        StoreError::unavailable(self)
    }
}

/// The reason for an error of a standby, or of a read-only server or login.
const TAKES_NO_WRITES: &str =
    "it takes no writes: it is a standby, or default_transaction_read_only is on";

/// Whether the client has left a server that is not as `target_session_attrs=read-write` asks. A refusal of the system has
/// a number, and this has none.
fn is_refused_for_writes(error: &::postgres::Error) -> bool {
    let io = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| {
        io.kind() == std::io::ErrorKind::PermissionDenied && io.raw_os_error().is_none()
    })
}

/// A kind of failure that an operator can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The password is wrong; or there is no such role, which a server that asks for passwords does not
    /// tell apart.
    Password,
    /// There is no such role, or it may not log in.
    NoSuchRole,
    /// No line of `pg_hba.conf` lets the role come from there.
    NotLetIn,
    /// There is no such database.
    NoSuchDatabase,
    /// The role may not do it.
    Forbidden,
    /// All connections of the role, of the database or of the server are taken.
    TooManyConnections,
    /// The server starts, stops or recovers.
    NotUpYet,
    /// The server, the database or the role writes nothing.
    ReadOnly,
    /// A disk of the server is full.
    DiskFull,
    /// The server has no memory left.
    OutOfMemory,
    /// Something took longer than it may.
    TimedOut,
}

impl Failure {
    /// The one that is behind an error of the store, if it is known.
    pub fn of(error: &StoreError) -> Option<Self> {
        causes(error).find_map(|error| {
            if let Some(error) = error.downcast_ref::<CannotConnect>() {
                return error.failure;
            }
            error.downcast_ref::<::postgres::Error>().and_then(Self::by)
        })
    }

    fn by(error: &::postgres::Error) -> Option<Self> {
        // Its texts are in the language of the server; the name of the function is not.
        let routine = error.as_db_error().and_then(|error| error.routine());
        let code = error.code()?;
        let known = [
            (SqlState::INVALID_PASSWORD, Self::Password),
            (SqlState::INVALID_CATALOG_NAME, Self::NoSuchDatabase),
            (SqlState::INSUFFICIENT_PRIVILEGE, Self::Forbidden),
            (SqlState::TOO_MANY_CONNECTIONS, Self::TooManyConnections),
            (SqlState::CANNOT_CONNECT_NOW, Self::NotUpYet),
            (SqlState::ADMIN_SHUTDOWN, Self::NotUpYet),
            (SqlState::CRASH_SHUTDOWN, Self::NotUpYet),
            (SqlState::READ_ONLY_SQL_TRANSACTION, Self::ReadOnly),
            (SqlState::DISK_FULL, Self::DiskFull),
            (SqlState::OUT_OF_MEMORY, Self::OutOfMemory),
            (SqlState::QUERY_CANCELED, Self::TimedOut),
            (SqlState::LOCK_NOT_AVAILABLE, Self::TimedOut),
        ];
        if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            return Some(match routine {
                Some("InitializeSessionUserId") => Self::NoSuchRole,
                _ => Self::NotLetIn,
            });
        }
        let of_code = known.into_iter().find(|(known, _)| known == code);
        of_code.map(|(_, failure)| failure)
    }
}

/// The kind of an error of Postgres, or of the way to it.
pub(crate) fn kind_of(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let failure = if let Some(error) = error.downcast_ref::<CannotConnect>() {
        error.failure
    } else {
        let error = error.downcast_ref::<::postgres::Error>()?;
        if error.is_closed() || is_lost(error) {
            return Some(ErrorKind::Unreachable);
        }
        match Failure::by(error) {
            Some(failure) => Some(failure),
            None => return Some(ErrorKind::Other),
        }
    };
    Some(match failure {
        Some(
            Failure::Password | Failure::NoSuchRole | Failure::NotLetIn | Failure::NoSuchDatabase,
        ) => ErrorKind::Unauthenticated,
        Some(Failure::Forbidden) => ErrorKind::Forbidden,
        Some(Failure::ReadOnly) => ErrorKind::ReadOnly,
        Some(Failure::DiskFull | Failure::OutOfMemory | Failure::TooManyConnections) => {
            ErrorKind::Full
        }
        Some(Failure::TimedOut) => ErrorKind::TimedOut,
        Some(Failure::NotUpYet) | None => ErrorKind::Unreachable,
    })
}

/// Whether the server has ended the connection, or it was cut.
pub(super) fn is_lost(error: &::postgres::Error) -> bool {
    let ended = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_SESSION_TIMEOUT,
    ];
    error.is_closed()
        || error.code().is_some_and(|code| ended.contains(code))
        || causes(error).any(|cause| cause.is::<std::io::Error>())
}
