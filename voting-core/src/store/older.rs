//! What a voter chose before, where the newer ballot cannot be stored.

use std::collections::{HashMap, HashSet};

use super::batch::{Batch, PlacedBallot};
use crate::model::{ballot::VoterId, id::PollId, position::Position};

/// What a voter chose before, in the same batch: it is the last choice if the newer one is a dead
/// letter.
#[derive(Debug)]
pub struct Older<'a> {
    batch: &'a Batch,
    dead: HashSet<Position>,
    /// Oldest first; made when it is first asked for.
    by_voter: Option<HashMap<(&'a PollId, VoterId), Vec<&'a PlacedBallot>>>,
}

impl<'a> Older<'a> {
    /// Of a batch of whose ballots these are dead letters.
    pub fn new(batch: &'a Batch, dead: HashSet<Position>) -> Self {
        Self {
            batch,
            dead,
            by_voter: None,
        }
    }

    /// The ballot itself, or if it is a dead letter the one before it.
    pub fn alive(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        if self.dead.contains(&placed.position) {
            self.before(placed)
        } else {
            Some(placed)
        }
    }

    /// The newest one of the voter that was not yet asked for.
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
