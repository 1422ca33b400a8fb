//! Checks one voter: compares what the voter was told with the contents of the store.

use std::collections::BTreeMap;

use crate::{
    history::{Voter, bit},
    token::Position,
};

/// The ballot that counts for a voter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// The chosen options, as bits.
    pub(crate) choices: u64,
    pub(crate) position: Position,
}

/// The state of a receipt, from the result service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Counted,
    Superseded,
    Rejected,
}

/// The result of the check of a voter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// The last acknowledged ballot counts.
    Counted,
    /// A ballot of unknown outcome counts. This is allowed.
    UnknownCounts,
    /// No ballot counts, and none has to.
    Nothing,
    /// The ballot that should count does not, and is not known to be lost.
    Pending,
    /// The ballot that should count does not: it is still on its way, or lost.
    Missing,
    /// The last acknowledged ballot is a dead letter.
    Rejected,
    /// The counted ballot is not one that this voter could have at this place.
    Wrong,
    /// A ballot counts that was refused, or that the voter never cast.
    Double,
    /// A ballot of unknown outcome replaced a ballot that was sent and acknowledged later.
    Overtaken,
}

/// The findings of all checked voters.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) BTreeMap<u32, Finding>);

impl Findings {
    /// Adds a finding. The worst finding of a voter is kept.
    pub(crate) fn note(&mut self, voter: u32, found: Finding) {
        let worst = self.0.entry(voter).or_insert(found);
        *worst = found.max(*worst);
    }

    /// Adds a finding that replaces an earlier *pending*.
    pub(crate) fn settle(&mut self, voter: u32, found: Finding) {
        if self.0.get(&voter) == Some(&Finding::Pending) {
            self.0.remove(&voter);
        }
        self.note(voter, found);
    }

    pub(crate) fn are_pending(&self) -> bool {
        self.0.values().any(|found| *found == Finding::Pending)
    }
}

/// Checks a voter by the store.
pub(crate) fn by_store(voter: &Voter, stored: Option<Stored>) -> Finding {
    let Some(stored) = stored else {
        return if voter.last.is_some() {
            Finding::Missing
        } else {
            Finding::Nothing
        };
    };
    let Some(last) = &voter.last else {
        let may = voter.unknown_before | voter.unknown_after;
        return if is_one_of(stored.choices, may) {
            Finding::UnknownCounts
        } else {
            Finding::Double
        };
    };
    let is_last = stored.choices == bit(last.option);
    let Some(position) = voter.position() else {
        // Without a receipt, only the choice can be compared.
        return match stored.choices {
            _ if is_last => Finding::Counted,
            choices if is_one_of(choices, voter.unknown_after) => Finding::UnknownCounts,
            choices if is_one_of(choices, voter.unknown_before) => Finding::Overtaken,
            _ => Finding::Missing,
        };
    };
    if stored.position == position {
        return if is_last {
            Finding::Counted
        } else {
            Finding::Wrong
        };
    }
    if stored.position < position {
        return Finding::Missing;
    }
    match stored.choices {
        choices if is_one_of(choices, voter.unknown_after) => Finding::UnknownCounts,
        choices if is_one_of(choices, voter.unknown_before) => Finding::Overtaken,
        _ => Finding::Double,
    }
}

/// Checks a voter by the state of the receipt of the last acknowledged ballot.
pub(crate) fn by_receipt(voter: &Voter, state: State) -> Finding {
    match state {
        State::Counted => Finding::Counted,
        State::Superseded if voter.unknown_after != 0 => Finding::UnknownCounts,
        State::Superseded if voter.unknown_before != 0 => Finding::Overtaken,
        State::Superseded => Finding::Double,
        State::Rejected => Finding::Rejected,
        State::Pending => Finding::Pending,
    }
}

/// Checks a voter by the state of a replaced ballot's receipt. `last` is the finding for the ballot that replaced it.
pub(crate) fn by_earlier(last: Option<Finding>, state: State) -> Option<Finding> {
    match (state, last) {
        (State::Superseded, _) => None,
        (State::Rejected, _) => Some(Finding::Rejected),
        // The newer ballot, or one after it, did count, and does not count any more.
        (_, Some(Finding::Counted | Finding::UnknownCounts)) => Some(Finding::Missing),
        _ => Some(Finding::Pending),
    }
}

/// Whether these choices are one option, and this option is in `options`.
fn is_one_of(choices: u64, options: u64) -> bool {
    choices.is_power_of_two() && choices & options != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::Acknowledged,
        token::{ReceiptToken, VoterToken},
    };

    const A: u64 = 1;
    const B: u64 = 2;
    const C: u64 = 4;

    fn at(ms: u64) -> Position {
        Position { ms, n: 0, shard: 0 }
    }

    /// A voter who has voted for B, acknowledged at 10; before that for A, and after it for C, with unknown outcome.
    fn voter() -> Voter {
        let mut voter = Voter::new(VoterToken::parse(&"A".repeat(43)).unwrap());
        voter.last = Some(Acknowledged {
            option: 1,
            receipt: Some(ReceiptToken::Opened(at(10))),
        });
        (voter.unknown_before, voter.unknown_after) = (A, C);
        voter
    }

    fn stored(choices: u64, ms: u64) -> Option<Stored> {
        let position = at(ms);
        Some(Stored { choices, position })
    }

    #[test]
    fn the_last_acknowledged_ballot_counts_or_a_later_unknown_one() {
        let voter = voter();
        assert_eq!(by_store(&voter, stored(B, 10)), Finding::Counted);
        assert_eq!(by_store(&voter, stored(C, 11)), Finding::UnknownCounts);
        assert_eq!(by_store(&voter, stored(A, 11)), Finding::Overtaken);
    }

    #[test]
    fn anything_else_is_found() {
        let voter = voter();
        assert_eq!(by_store(&voter, None), Finding::Missing);
        assert_eq!(by_store(&voter, stored(A, 9)), Finding::Missing);
        assert_eq!(by_store(&voter, stored(C, 10)), Finding::Wrong);
        assert_eq!(by_store(&voter, stored(B | C, 10)), Finding::Wrong);
        assert_eq!(by_store(&voter, stored(B, 11)), Finding::Double);
        assert_eq!(by_store(&voter, stored(A | C, 11)), Finding::Double);
        assert_eq!(by_store(&voter, stored(8, 11)), Finding::Double);
    }

    #[test]
    fn without_an_acknowledgement_only_an_unknown_ballot_may_count() {
        let mut voter = voter();
        voter.last = None;
        assert_eq!(by_store(&voter, None), Finding::Nothing);
        assert_eq!(by_store(&voter, stored(C, 1)), Finding::UnknownCounts);
        assert_eq!(by_store(&voter, stored(B, 1)), Finding::Double);
    }

    #[test]
    fn without_a_receipt_the_choice_decides() {
        let mut voter = voter();
        voter.last = Some(Acknowledged {
            option: 1,
            receipt: None,
        });
        assert_eq!(by_store(&voter, stored(B, 1)), Finding::Counted);
        assert_eq!(by_store(&voter, stored(C, 1)), Finding::UnknownCounts);
        assert_eq!(by_store(&voter, stored(A, 1)), Finding::Overtaken);
        assert_eq!(by_store(&voter, stored(8, 1)), Finding::Missing);
    }

    #[test]
    fn a_receipt_may_be_superseded_by_an_unknown_ballot_only() {
        let mut voter = voter();
        assert_eq!(by_receipt(&voter, State::Counted), Finding::Counted);
        let state = State::Superseded;
        assert_eq!(by_receipt(&voter, state), Finding::UnknownCounts);
        voter.unknown_after = 0;
        assert_eq!(by_receipt(&voter, state), Finding::Overtaken);
        voter.unknown_before = 0;
        assert_eq!(by_receipt(&voter, state), Finding::Double);
        assert_eq!(by_receipt(&voter, State::Rejected), Finding::Rejected);
        assert_eq!(by_receipt(&voter, State::Pending), Finding::Pending);
    }

    #[test]
    fn an_earlier_ballot_counts_in_vain_only_where_the_last_one_has_counted() {
        for (last, found) in [
            (None, Finding::Pending),
            (Some(Finding::Pending), Finding::Pending),
            (Some(Finding::Counted), Finding::Missing),
            (Some(Finding::UnknownCounts), Finding::Missing),
        ] {
            assert_eq!(by_earlier(last, State::Counted), Some(found));
            assert_eq!(by_earlier(last, State::Superseded), None);
        }
    }
}
