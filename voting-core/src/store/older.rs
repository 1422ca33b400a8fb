//! The other ballots of a voter, for when the one that counts cannot be stored.

use std::collections::{HashMap, HashSet};

use super::batch::{Batch, PlacedBallot};
use crate::model::{ballot::VoterId, id::PollId, position::Position};

/// The other ballots of each voter in a batch. If the ballot that counts is a dead letter, the voter's next one counts:
/// the one before it, or the one after it where the oldest ballot counts.
#[derive(Debug)]
pub struct Older<'a> {
    batch: &'a Batch,
    dead: HashSet<Position>,
    /// The other ballots of each voter; the one that counts next is the last. Made when it is first needed.
    by_voter: Option<HashMap<(&'a PollId, VoterId), Vec<&'a PlacedBallot>>>,
}

impl<'a> Older<'a> {
    /// The other ballots of this batch. The ballots at the positions `dead` are dead letters.
    pub fn new(batch: &'a Batch, dead: HashSet<Position>) -> Self {
        Self {
            batch,
            dead,
            by_voter: None,
        }
    }

    /// The ballot itself; or, if it is a dead letter, the voter's next one.
    pub fn alive(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        if self.dead.contains(&placed.position) {
            self.next(placed)
        } else {
            Some(placed)
        }
    }

    /// The voter's other ballot that counts next, and that this method has not returned yet.
    pub fn next(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        let batch = self.batch;
        let by_voter = self.by_voter.get_or_insert_with(|| {
            let mut by_voter: HashMap<_, Vec<_>> = HashMap::new();
            for placed in &batch.replaced {
                by_voter
                    .entry(placed.voter_in_poll())
                    .or_default()
                    .push(placed);
            }
            for ((poll, _), ballots) in &mut by_voter {
                ballots.sort_unstable_by_key(|placed| placed.position);
                if batch.first_counts.contains(*poll) {
                    ballots.reverse();
                }
            }
            by_voter
        });
        let ballots = by_voter.get_mut(&placed.voter_in_poll())?;
        while let Some(older) = ballots.pop() {
            if !self.dead.contains(&older.position) {
                return Some(older);
            }
        }
        None
    }
}
