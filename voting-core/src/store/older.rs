//! The older ballots of a voter, for when the newest one cannot be stored.

use std::collections::{HashMap, HashSet};

use super::batch::{Batch, PlacedBallot};
use crate::model::{ballot::VoterId, id::PollId, position::Position};

/// The older ballots of each voter in a batch. If a voter's newest ballot is a dead letter, the ballot before it
/// counts.
#[derive(Debug)]
pub struct Older<'a> {
    batch: &'a Batch,
    dead: HashSet<Position>,
    /// The older ballots of each voter, oldest first. Made when it is first needed.
    by_voter: Option<HashMap<(&'a PollId, VoterId), Vec<&'a PlacedBallot>>>,
}

impl<'a> Older<'a> {
    /// The older ballots of this batch. The ballots at the positions `dead` are dead letters.
    pub fn new(batch: &'a Batch, dead: HashSet<Position>) -> Self {
        Self {
            batch,
            dead,
            by_voter: None,
        }
    }

    /// The ballot itself; or, if it is a dead letter, the voter's ballot before it.
    pub fn alive(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        if self.dead.contains(&placed.position) {
            self.before(placed)
        } else {
            Some(placed)
        }
    }

    /// The voter's newest older ballot that this method has not returned yet.
    pub fn before(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        let batch = self.batch;
        let by_voter = self.by_voter.get_or_insert_with(|| {
            let mut by_voter: HashMap<_, Vec<_>> = HashMap::new();
            for placed in &batch.replaced {
                by_voter
                    .entry(placed.voter_in_poll())
                    .or_default()
                    .push(placed);
            }
            for ballots in by_voter.values_mut() {
                ballots.sort_unstable_by_key(|placed| placed.position);
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
