//! Ballots that cannot be counted, kept with the reason.

use std::{fmt, str::FromStr};

use crate::{batch::PlacedBallot, entry, position::Position};

/// Why a ballot was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The entry is not in a format this worker reads.
    Malformed,
    /// There is no such poll.
    UnknownPoll,
    /// The poll has no such option.
    UnknownOption,
    /// More options than the poll allows.
    TooManyChoices,
    /// It came after the log was sealed for its poll.
    PollClosed,
    /// The store refuses the ballot for what it is, whenever it is tried.
    Unstorable,
}

impl RejectReason {
    const ALL: [Self; 6] = [
        Self::Malformed,
        Self::UnknownPoll,
        Self::UnknownOption,
        Self::TooManyChoices,
        Self::PollClosed,
        Self::Unstorable,
    ];

    /// The reason's name in stores, APIs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownPoll => "unknown-poll",
            Self::UnknownOption => "unknown-option",
            Self::TooManyChoices => "too-many-choices",
            Self::PollClosed => "poll-closed",
            Self::Unstorable => "unstorable",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No reason has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reject reason {0:?}")]
pub struct UnknownReason(String);

impl FromStr for RejectReason {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or_else(|| UnknownReason(name.to_owned()))
    }
}

/// A ballot that was not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it stood in the log; an entry that could not be read is one dead letter at its
    /// index 0.
    pub position: Position,
    /// Why it was not counted.
    pub reason: RejectReason,
    /// The reason in words, for the operator.
    pub detail: String,
    /// The ballot as a log entry of its own (see [`entry`]), or the entry as it
    /// was found when it could not be read.
    pub payload: Vec<u8>,
    /// How many ballots it stands for: one, or as many as the entry that could not be read was
    /// appended with.
    pub ballots: u16,
}

impl DeadLetter {
    /// Of a single ballot that could be read.
    pub fn of(placed: &PlacedBallot, reason: RejectReason) -> Self {
        let ballot = &placed.ballot;
        Self {
            position: placed.position,
            reason,
            detail: format!("poll {}, options {:?}", ballot.poll, ballot.choices),
            payload: entry::of_one(ballot).payload,
            ballots: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_name() {
        for reason in RejectReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert!("".parse::<RejectReason>().is_err());
    }
}
