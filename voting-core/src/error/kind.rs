//! What kind of failure it was, whatever the back end.

use std::{error::Error, fmt, io};

use super::{BoxError, CastError, StoreError, causes};

/// The kind of a [`StoreError`], for whoever decides what to do about it. Its text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There was no connection, or it broke; or the server starts, stops or recovers.
    Unreachable,
    /// There was no answer in time, also since something held a lock.
    TimedOut,
    /// The server does not know who asks: a user, a password or a database is wrong.
    Unauthenticated,
    /// The server knows who asks, and that user may not do it.
    Forbidden,
    /// The log would not keep what it acknowledges.
    NotDurable,
    /// The server takes no writes: it is a standby, or set so.
    ReadOnly,
    /// Memory, disk or connections are used up.
    Full,
    /// The disk failed in a commit. Only a new start shows what the file holds.
    Poisoned,
    /// The log was made with another layout, such as another number of shards.
    LayoutMismatch,
    /// The tables are older, newer or others than this program needs.
    Schema,
    /// The store was put back to an earlier state: it lacks ballots that were counted.
    PutBack,
    /// A poll of that id is stored with other options or another number of choices.
    PollConflict,
    /// The texts of a poll that is not open cannot change.
    TextsFrozen,
    /// A stored poll cannot be changed so, in the state in which it is.
    ChangeRefused,
    /// Somebody has changed the poll meanwhile.
    RevisionChanged,
    /// The poll is not final.
    NotFinal,
    /// There is no such poll.
    NoPoll,
    /// A poll of that id was deleted.
    PollDeleted,
    /// Programs of an earlier version may still be at work.
    UpgradeUnfinished,
    /// The back end has no such ability.
    Unsupported,
    /// A poll is not as a batch takes it to be.
    PollChanged,
    /// The log is held to another secret.
    ForeignSecret,
    /// The store holds what its schema does not allow.
    Corrupt,
    /// None of these.
    Other,
}

impl ErrorKind {
    /// The kind's name, such as `timed-out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotDurable => "not-durable",
            Self::ReadOnly => "read-only",
            Self::Full => "full",
            Self::Poisoned => "poisoned",
            Self::LayoutMismatch => "layout-mismatch",
            Self::Schema => "schema",
            Self::PutBack => "put-back",
            Self::PollConflict => "poll-conflict",
            Self::TextsFrozen => "texts-frozen",
            Self::ChangeRefused => "change-refused",
            Self::RevisionChanged => "revision-changed",
            Self::NotFinal => "not-final",
            Self::NoPoll => "no-poll",
            Self::PollDeleted => "poll-deleted",
            Self::UpgradeUnfinished => "upgrade-unfinished",
            Self::Unsupported => "unsupported",
            Self::PollChanged => "poll-changed",
            Self::ForeignSecret => "foreign-secret",
            Self::Corrupt => "corrupt",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cause whose kind a back end has told.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct Told {
    kind: ErrorKind,
    // Not `#[source]`: the text is that of the cause, and would be there twice.
    source: BoxedCause,
}

/// `thiserror` takes a field of this name for the source, so the cause is shown through.
#[derive(Debug)]
struct BoxedCause(BoxError);

impl fmt::Display for BoxedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BoxedCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl StoreError {
    /// The store failed with `source`, which is of this kind. For back ends.
    pub fn of_kind(kind: ErrorKind, source: impl Into<BoxError>) -> Self {
        Self::Unavailable(Box::new(Told {
            kind,
            source: BoxedCause(source.into()),
        }))
    }

    /// What kind of failure it was: as the back end has told it by [`of_kind`](Self::of_kind); or as the cause tells
    /// it, where that is an [`io::Error`] or an error of one of the built-in back ends; else
    /// [`Other`](ErrorKind::Other).
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(source) => kind_of(source.as_ref()),
            Self::PollConflict(_) => ErrorKind::PollConflict,
            Self::TextsFrozen(_) => ErrorKind::TextsFrozen,
            Self::ChangeRefused(..) => ErrorKind::ChangeRefused,
            Self::RevisionChanged { .. } => ErrorKind::RevisionChanged,
            Self::NotFinal(_) => ErrorKind::NotFinal,
            Self::NoPoll(_) => ErrorKind::NoPoll,
            Self::PollDeleted(_) => ErrorKind::PollDeleted,
            Self::UpgradeUnfinished(_) => ErrorKind::UpgradeUnfinished,
            Self::PollChanged(_) => ErrorKind::PollChanged,
            Self::ForeignSecret { .. } => ErrorKind::ForeignSecret,
            Self::Corrupt(_) => ErrorKind::Corrupt,
        }
    }

    /// Which of the built-in back ends failed, such as `redis`, if its cause tells.
    pub fn backend(&self) -> Option<&'static str> {
        causes(self).find_map(|cause| Some(crate::backends::kind_of(cause)?.1))
    }

    /// Whether the same call may succeed later without anybody's doing: true for [`Unreachable`](ErrorKind::Unreachable),
    /// [`TimedOut`](ErrorKind::TimedOut), [`Full`](ErrorKind::Full), since workers make room, and
    /// [`Other`](ErrorKind::Other). A [`ReadOnly`](ErrorKind::ReadOnly) server stays so until an operator acts.
    /// [`PollChanged`](ErrorKind::PollChanged) needs the poll to be looked up anew.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::Full | ErrorKind::Other
        )
    }
}

/// The kind of an error of the system: of a network, or of a disk.
fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => {
            ErrorKind::Full
        }
        io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::TimedOut,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::UnexpectedEof => ErrorKind::Unreachable,
        _ => ErrorKind::Other,
    }
}

/// A copy of an error: its text, its causes' texts, and its kind.
pub(crate) fn copy(error: &(dyn Error + 'static)) -> BoxError {
    Box::new(Told {
        kind: kind_of(error),
        source: BoxedCause(super::in_one_line(error).into()),
    })
}

impl CastError {
    /// Why the log did not take the ballot; `None` where it was not asked, as for [`Overloaded`](Self::Overloaded),
    /// or where the [poll](Self::poll) is the reason.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Overloaded
            | Self::Closed(_)
            | Self::NotOpen(_)
            | Self::Changed(_)
            | Self::TimesUnknown(_) => None,
            Self::Refused(source) | Self::Unknown(source) => Some(kind_of(source.as_ref())),
        }
    }

    /// Whether the ballot may be in the log, and so may count, although it was not acknowledged.
    pub fn may_count(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// The first cause that tells.
fn kind_of(error: &(dyn Error + 'static)) -> ErrorKind {
    let reported = causes(error).find_map(|cause| {
        if let Some(reported) = cause.downcast_ref::<Told>() {
            return Some(reported.kind);
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return Some(error.kind());
        }
        if cause.is::<crate::store::applied::PutBack>() {
            return Some(ErrorKind::PutBack);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(kind_of_io(error));
        }
        crate::backends::kind_of(cause).map(|(kind, _)| kind)
    });
    reported.unwrap_or(ErrorKind::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::in_one_line;

    #[test]
    fn a_kind_is_what_the_back_end_has_told() {
        let error = StoreError::of_kind(ErrorKind::Full, "no room");
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(in_one_line(&error), "the store is unavailable: no room");
        let around = StoreError::unavailable(error);
        assert_eq!(around.kind(), ErrorKind::Full);
        assert!(around.is_retryable());
    }

    #[test]
    fn a_store_that_was_put_back_is_not_asked_again() {
        let error = StoreError::unavailable(crate::store::applied::PutBack(Vec::new()));
        assert_eq!(error.kind(), ErrorKind::PutBack);
        assert!(!error.is_retryable());
    }

    #[test]
    fn what_nobody_tells_is_of_another_kind() {
        assert_eq!(StoreError::unavailable("?").kind(), ErrorKind::Other);
    }
}
