//! A ballot where it stands in the log.

use crate::model::{
    ballot::{Ballot, VoterId},
    id::PollId,
    position::Position,
};

/// A ballot with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedBallot {
    /// Decides which ballot of a voter counts.
    pub position: Position,
    /// The ballot, valid in its poll.
    pub ballot: Ballot,
}

impl PlacedBallot {
    pub(crate) fn voter_in_poll(&self) -> (&PollId, VoterId) {
        (&self.ballot.poll, self.ballot.voter)
    }
}
