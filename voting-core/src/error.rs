//! What can go wrong between the pipeline and its stores, by what the caller can do about it.

mod kind;

pub use self::kind::ErrorKind;
pub(crate) use self::kind::copy;
use crate::model::{id::PollId, poll::ChangeRefusal, secret::Fingerprint};

/// An error of a back end, whatever its type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error and its causes, the outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// An error with its causes, for a log or a status page.
pub fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes: Vec<_> = causes(error).map(ToString::to_string).collect();
    // Some errors say what their cause says.
    causes.dedup();
    causes.join(": ")
}

/// A ballot was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CastError {
    /// Refused before it reached the log: more ballots wait than may. It will not count; try
    /// again later.
    #[error("too many ballots are waiting to be written")]
    Overloaded,
    /// Refused: the poll takes no more ballots. It will not count, now or later.
    #[error("poll {0} is closed")]
    Closed(PollId),
    /// Refused: the poll has not opened yet, by the log's clock. It will not count.
    #[error("poll {0} is not open yet")]
    NotOpen(PollId),
    /// Refused: the poll's options or rules are others than those that the voter has seen. It will not count; look the
    /// poll up again.
    #[error("poll {0} has changed")]
    Changed(PollId),
    /// Refused: the log does not know yet when the poll opens and closes, as after it was restored. It will not count;
    /// try again later.
    #[error("the ballot log does not know yet when poll {0} opens and closes")]
    TimesUnknown(PollId),
    /// Refused: the log did not take it, for certain. It will not count; try again later.
    #[error("the ballot could not be stored")]
    Refused(#[source] BoxError),
    /// Unknown: it may or may not be in the log. Casting it again is safe, the same voter
    /// counts once.
    #[error("whether the ballot was stored is unknown")]
    Unknown(#[source] BoxError),
}

/// A store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It did not answer, or said no for a reason of its own. Try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// A poll of that name exists with other options or another number of choices.
    #[error(
        "poll {0} exists with other options or another max_choices; these cannot change once a \
         poll is stored"
    )]
    PollConflict(PollId),
    /// The poll takes no more ballots, and has another title or other labels than the one that was to
    /// replace it.
    #[error(
        "poll {0} is closed, so its title and labels stay as they were when the last vote was cast"
    )]
    TextsFrozen(PollId),
    /// A stored poll cannot be changed so.
    #[error("this change of poll {0} is not allowed: {1}")]
    ChangeRefused(PollId, ChangeRefusal),
    /// Somebody has changed the poll meanwhile: it has another revision than the change depends on.
    #[error("poll {poll} was changed meanwhile")]
    RevisionChanged {
        /// The poll.
        poll: PollId,
        /// The revision on which the change depends.
        expected: u64,
        /// The revision that is stored; `None`: there is no such poll.
        stored: Option<u64>,
    },
    /// The poll is not final, so its ballots can still change.
    #[error("poll {0} is not final yet, so its ballots cannot be exported")]
    NotFinal(PollId),
    /// There is no such poll.
    #[error("there is no poll {0}")]
    NoPoll(PollId),
    /// A poll of that id was deleted. The id is never used again.
    #[error("a poll {0} was deleted; its id cannot be used again")]
    PollDeleted(PollId),
    /// Programs of an earlier version would not understand the poll, or that it is deleted, or who has handed its ballots in;
    /// and such programs may still be at work.
    #[error(
        "programs of an earlier version may be running, and would not understand what is asked for poll {0}; run `voting \
         migrate --finish` once none of them is"
    )]
    UpgradeUnfinished(PollId),
    /// A batch has a ballot in a poll that is not, or no longer, as the batch takes it to be: it is
    /// not stored, or its log was sealed before the ballot came. Look the poll up, and check again.
    #[error("poll {0} has changed since the batch was prepared")]
    PollChanged(PollId),
    /// The log is held to another secret: its ballots were cast by voters whose cookies this service cannot read, and
    /// who would count again.
    #[error(
        "ballots are cast in this log under a secret that this service does not have (fingerprint of its own: {ours}; of \
         the log: {})",
        in_a_row(allowed)
    )]
    ForeignSecret {
        /// That of the secret under which the service makes cookies.
        ours: Fingerprint,
        /// The log's, the one that came last at the end.
        allowed: Vec<Fingerprint>,
    },
    /// The store holds something that its schema does not allow.
    #[error("the store holds unreadable data: {0}")]
    Corrupt(String),
}

fn in_a_row(fingerprints: &[Fingerprint]) -> String {
    let texts: Vec<_> = fingerprints.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl CastError {
    /// The poll whose ballots were refused; `None` where the ballot was refused or failed whatever its poll.
    pub fn poll(&self) -> Option<&PollId> {
        match self {
            Self::Closed(poll)
            | Self::NotOpen(poll)
            | Self::Changed(poll)
            | Self::TimesUnknown(poll) => Some(poll),
            Self::Overloaded | Self::Refused(_) | Self::Unknown(_) => None,
        }
    }

    /// The variant's name in traces.
    pub(crate) fn variant(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Closed(_) => "closed",
            Self::NotOpen(_) => "not-open",
            Self::Changed(_) => "changed",
            Self::TimesUnknown(_) => "times-unknown",
            Self::Refused(_) => "refused",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl StoreError {
    /// The variant's name in traces.
    pub(crate) fn variant(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::PollConflict(_) => "poll-conflict",
            Self::TextsFrozen(_) => "texts-frozen",
            Self::ChangeRefused(..) => "change-refused",
            Self::RevisionChanged { .. } => "revision-changed",
            Self::NotFinal(_) => "not-final",
            Self::NoPoll(_) => "no-poll",
            Self::PollDeleted(_) => "poll-deleted",
            Self::UpgradeUnfinished(_) => "upgrade-unfinished",
            Self::PollChanged(_) => "poll-changed",
            Self::ForeignSecret { .. } => "foreign-secret",
            Self::Corrupt(_) => "corrupt",
        }
    }

    /// The store failed with `source`. Its [kind](Self::kind) is that of the source; to say it, take
    /// [`of_kind`](Self::of_kind).
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable(source.into())
    }
}
