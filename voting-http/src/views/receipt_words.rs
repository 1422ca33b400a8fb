//! What became of a vote, in plain words.

use voting_core::{ReceiptState, model::rejection::RejectReason};

use crate::texts::Texts;

/// What became of the vote. `revote`: in its poll the newest vote of a voter counts, and not the first.
pub(crate) fn state(state: ReceiptState, revote: bool, t: &'static Texts) -> &'static str {
    match state {
        ReceiptState::Counted => &t.receipt_counted,
        ReceiptState::Superseded if revote => &t.receipt_superseded,
        ReceiptState::Superseded => &t.receipt_first_counts,
        ReceiptState::Voided => &t.receipt_voided,
        ReceiptState::Rejected(_) => &t.receipt_rejected,
        ReceiptState::VotersForgotten => &t.receipt_forgotten,
        ReceiptState::PollDeleted => &t.receipt_deleted,
        _ => &t.receipt_pending,
    }
}

/// Why it was not counted; empty if it was, or if it waits.
pub(crate) fn reason(state: ReceiptState, t: &'static Texts) -> &'static str {
    let ReceiptState::Rejected(reason) = state else {
        return "";
    };
    match reason {
        RejectReason::UnknownPoll => &t.reason_unknown_poll,
        RejectReason::UnknownOption
        | RejectReason::TooManyChoices
        | RejectReason::NothingChosen => &t.reason_not_valid,
        RejectReason::PollClosed => &t.reason_closed,
        RejectReason::OutsideTimes => &t.reason_outside_times,
        RejectReason::NotEligible => &t.reason_not_eligible,
        _ => &t.reason_unreadable,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_state_and_each_reason_has_words_of_its_own() {
        let t = Texts::english();
        let states = [
            ReceiptState::Pending,
            ReceiptState::Counted,
            ReceiptState::Superseded,
            ReceiptState::Voided,
            ReceiptState::Rejected(RejectReason::PollClosed),
            ReceiptState::VotersForgotten,
            ReceiptState::PollDeleted,
        ];
        let words: BTreeSet<_> = states.iter().map(|each| state(*each, true, t)).collect();
        assert_eq!(words.len(), states.len());
        assert!(!words.contains(state(ReceiptState::Superseded, false, t)));
        for each in states {
            let is_rejected = matches!(each, ReceiptState::Rejected(_));
            assert_eq!(!reason(each, t).is_empty(), is_rejected, "{each:?}");
        }
        let reasons = [
            RejectReason::Malformed,
            RejectReason::UnknownPoll,
            RejectReason::UnknownOption,
            RejectReason::PollClosed,
            RejectReason::OutsideTimes,
            RejectReason::NotEligible,
        ];
        let words: BTreeSet<_> = reasons
            .iter()
            .map(|each| reason(ReceiptState::Rejected(*each), t))
            .collect();
        assert_eq!(words.len(), reasons.len());
    }
}
