//! Why a ballot is not counted.

use std::{fmt, str::FromStr};

/// Why a ballot was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The entry is not in a format this worker reads.
    Malformed,
    /// There is no such poll.
    UnknownPoll,
    /// Somebody without the key wrote or changed the entry, or appended it again after its deadline.
    Unauthenticated,
    /// The poll has no such option.
    UnknownOption,
    /// More options than the poll allows.
    TooManyChoices,
    /// It is blank and the poll does not allow this, or it takes a ballot back where the first one counts.
    NothingChosen,
    /// It came after the log was sealed for its poll.
    PollClosed,
    /// It came before its poll opened, or after it closed, by the time in its position.
    OutsideTimes,
    /// The store refuses the ballot for what it is, whenever it is tried.
    Unstorable,
    /// A [rule](crate::pipeline::rule) of the application refuses it; the detail has the rule's own reason.
    NotEligible,
}

impl RejectReason {
    const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::UnknownPoll,
        Self::UnknownOption,
        Self::TooManyChoices,
        Self::NothingChosen,
        Self::PollClosed,
        Self::OutsideTimes,
        Self::Unstorable,
        Self::NotEligible,
    ];

    /// The reasons for which a whole entry is one dead letter, at its first position.
    pub const OF_WHOLE_ENTRIES: [Self; 2] = [Self::Malformed, Self::Unauthenticated];

    /// The reason's name in stores, APIs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownPoll => "unknown-poll",
            Self::UnknownOption => "unknown-option",
            Self::TooManyChoices => "too-many-choices",
            Self::NothingChosen => "nothing-chosen",
            Self::PollClosed => "poll-closed",
            Self::OutsideTimes => "outside-times",
            Self::Unstorable => "unstorable",
            Self::NotEligible => "not-eligible",
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

/// Why a rule refuses a ballot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    reason: String,
    detail: String,
}

impl Refusal {
    /// `reason` is for programs, such as `not-a-member`; `detail` is a sentence for the voter and the operator.
    pub fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            detail: detail.into(),
        }
    }

    /// For programs.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// For people.
    pub fn detail(&self) -> &str {
        &self.detail
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
