//! What a voter gets for a ballot, and what became of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::model::{
    ballot::VoterId, id::PollId, poll::Voidings, position::Position, rejection::RejectReason,
    source::Source,
};

/// Proof that a ballot is in the log. It does not say what was chosen.
///
/// It names the voter, who is found by it in the store without a further index; hand it out
/// only signed or sealed, to the voter. As text and in JSON it is `poll/voter/position`, for an application that keeps
/// receipts itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Receipt {
    /// Where the ballot was cast.
    pub poll: PollId,
    /// Who cast it.
    pub voter: VoterId,
    /// Which ballot it is.
    pub position: Position,
}

/// The text is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt: expected poll/voter/position")]
pub struct InvalidReceipt;

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.poll, self.voter, self.position)
    }
}

impl FromStr for Receipt {
    type Err = InvalidReceipt;

    fn from_str(text: &str) -> Result<Self, InvalidReceipt> {
        let parts: Vec<&str> = text.split('/').collect();
        let [poll, voter, position] = parts[..] else {
            return Err(InvalidReceipt);
        };
        Ok(Self {
            poll: poll.parse().map_err(|_| InvalidReceipt)?,
            voter: voter.parse().map_err(|_| InvalidReceipt)?,
            position: position.parse().map_err(|_| InvalidReceipt)?,
        })
    }
}

impl TryFrom<String> for Receipt {
    type Error = InvalidReceipt;

    fn try_from(text: String) -> Result<Self, InvalidReceipt> {
        text.parse()
    }
}

impl From<Receipt> for String {
    fn from(receipt: Receipt) -> Self {
        receipt.to_string()
    }
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
    /// It is the voter's ballot, and does not count: an operator has voided it. No other ballot of the voter counts.
    Voided,
    /// The voters of its poll are forgotten, so nobody can tell any more which ballot was whose. It was counted, or
    /// another one of the voter.
    VotersForgotten,
    /// Its poll is deleted, with all ballots.
    PollDeleted,
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

    /// This state; or voided, if the ballot, which comes from this source, would count and a rule of the poll voids it.
    #[must_use]
    pub fn unless_voided(self, receipt: &Receipt, source: Source, voidings: &Voidings) -> Self {
        let (voter, position) = (receipt.voter, receipt.position);
        match self {
            Self::Counted if voidings.void(voter, position, source) => Self::Voided,
            state => state,
        }
    }

    /// This state; or `otherwise` if the store knows nothing of the ballot.
    #[must_use]
    pub fn or_if_pending(self, otherwise: Self) -> Self {
        match self {
            Self::Pending => otherwise,
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::position::{EntryId, ShardId};

    #[test]
    fn a_receipt_reads_back_from_its_text() {
        let receipt = Receipt {
            poll: "lunch".parse().unwrap(),
            voter: VoterId::issue(),
            position: Position::new(ShardId(3), EntryId::new(7, 2).unwrap(), 1),
        };
        assert_eq!(receipt.to_string().parse(), Ok(receipt.clone()));
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
        for text in ["", "lunch", "lunch/x/3-7-2", "a/b/c/d"] {
            assert_eq!(text.parse::<Receipt>(), Err(InvalidReceipt));
        }
    }
}
