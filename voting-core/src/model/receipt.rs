//! What a voter gets for a ballot, and what became of it.

use crate::model::{ballot::VoterId, id::PollId, position::Position, rejection::RejectReason};

/// Proof that a ballot is in the log. It does not say what was chosen.
///
/// It names the voter, who is found by it in the store without a further index; hand it out
/// only signed, to the voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Where the ballot was cast.
    pub poll: PollId,
    /// Who cast it.
    pub voter: VoterId,
    /// Which ballot it is.
    pub position: Position,
}

impl Receipt {
    /// Where the dead letter is if the whole entry could not be read.
    pub fn whole_entry(&self) -> Position {
        Position::new(self.position.shard(), self.position.entry(), 0)
    }
}

/// What became of an acknowledged ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptState {
    /// Still in the log.
    Pending,
    /// It is the voter's ballot that counts.
    Counted,
    /// Another ballot of the voter counts: a newer one, or an older one where a poll lets no voter vote again.
    Superseded,
    /// It is among the dead letters.
    Rejected(RejectReason),
}

impl ReceiptState {
    /// Judges a receipt by the position of the voter's stored ballot and by the dead letter at the
    /// receipt's own position, or of its whole entry (see [`Receipt::whole_entry`]). `first_counts`: the poll keeps the
    /// oldest ballot of a voter.
    pub fn judge(
        position: Position,
        stored: Option<Position>,
        dead: Option<RejectReason>,
        first_counts: bool,
    ) -> Self {
        let is_kept = |stored: Position| (stored < position) == first_counts;
        match (stored, dead) {
            (Some(stored), _) if stored == position => Self::Counted,
            (_, Some(reason)) => Self::Rejected(reason),
            (Some(stored), _) if is_kept(stored) => Self::Superseded,
            _ => Self::Pending,
        }
    }
}
