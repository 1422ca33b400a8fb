//! Why a ballot was not counted, as in the API.

use poem_openapi::Enum;
use voting_core::model::rejection::RejectReason;

/// Why a ballot was not counted. New reasons may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "RejectReason", rename_all = "kebab-case")]
pub(crate) enum ReasonView {
    /// The entry is not in a format that the worker reads.
    Malformed,
    /// The entry is not signed with a key of the deployment, or was appended again after its deadline.
    Unauthenticated,
    /// There is no such poll.
    UnknownPoll,
    /// The poll has no such option.
    UnknownOption,
    /// More options than the poll allows.
    TooManyChoices,
    /// The ballot is blank and the poll does not allow this, or it takes a ballot back where the first one counts.
    NothingChosen,
    /// The ballot came after the poll was closed.
    PollClosed,
    /// The ballot came before the poll opened, or after it closed.
    OutsideTimes,
    /// A rule of the application refuses the ballot.
    NotEligible,
    /// The store refuses the ballot for what it is, whenever it is tried.
    Unstorable,
    /// A reason that this version of the API does not name.
    Other,
}

impl From<RejectReason> for ReasonView {
    fn from(reason: RejectReason) -> Self {
        match reason {
            RejectReason::Malformed => Self::Malformed,
            RejectReason::Unauthenticated => Self::Unauthenticated,
            RejectReason::UnknownPoll => Self::UnknownPoll,
            RejectReason::UnknownOption => Self::UnknownOption,
            RejectReason::TooManyChoices => Self::TooManyChoices,
            RejectReason::NothingChosen => Self::NothingChosen,
            RejectReason::PollClosed => Self::PollClosed,
            RejectReason::OutsideTimes => Self::OutsideTimes,
            RejectReason::NotEligible => Self::NotEligible,
            RejectReason::Unstorable => Self::Unstorable,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn each_reason_has_the_name_that_stores_and_metrics_have() {
        for name in [
            "malformed",
            "unauthenticated",
            "unknown-poll",
            "unknown-option",
            "too-many-choices",
            "nothing-chosen",
            "poll-closed",
            "outside-times",
            "not-eligible",
            "unstorable",
        ] {
            let reason: RejectReason = name.parse().unwrap();
            assert_eq!(
                ReasonView::from(reason).to_json_string(),
                format!("{name:?}")
            );
        }
    }
}
