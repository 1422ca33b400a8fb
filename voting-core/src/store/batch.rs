//! What the worker makes of log entries before they go to the store.

use std::collections::HashMap;

pub use crate::model::placed_ballot::PlacedBallot;
use crate::{
    error::StoreError,
    model::{
        id::PollId,
        poll_state::PollState,
        position::{EntryId, EntryKey, Position, ShardId},
    },
    store::dead_letter::DeadLetter,
};

/// Entries, checked and ready to be written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The entries that make up the batch, each once, with its number of valid ballots, also of
    /// those that a newer one in the batch replaced.
    pub entries: Vec<(EntryKey, u64)>,
    /// At most one ballot a voter and poll, the newest; sorted by poll and voter.
    pub ballots: Vec<PlacedBallot>,
    /// The valid ballots that a newer one in the batch replaced, in no order. One of them is the
    /// voter's last choice if the store refuses the newer one for good.
    pub replaced: Vec<PlacedBallot>,
    /// The invalid ballots.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that are taken back, their ballots being among those above.
    pub revived: Vec<Revival>,
    /// Up to where the log is done with, see [`Claim::acknowledged_below`](crate::log::claim::Claim::acknowledged_below).
    pub acknowledged_below: HashMap<ShardId, EntryId>,
}

/// A dead letter that is to be removed, since its ballots count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revival {
    /// Where it stands.
    pub position: Position,
    /// How many valid ballots it has, also those that a newer one in the batch replaced.
    pub valid: u64,
}

impl Batch {
    /// Of each voter in a poll only the newest ballot stays, in the order that all workers keep: so two
    /// that write the same voters wait for each other and never lock each other out, and neighbours in
    /// the index are written together. The others go to `replaced`.
    pub fn keep_newest(&mut self) {
        self.ballots.sort_unstable_by(|a, b| {
            let newest_first = b.position.cmp(&a.position);
            a.voter_in_poll().cmp(&b.voter_in_poll()).then(newest_first)
        });
        let mut newest: Vec<PlacedBallot> = Vec::with_capacity(self.ballots.len());
        for placed in self.ballots.drain(..) {
            match newest.last() {
                Some(last) if last.voter_in_poll() == placed.voter_in_poll() => {
                    self.replaced.push(placed);
                }
                _ => newest.push(placed),
            }
        }
        self.ballots = newest;
    }

    /// Checks, inside a flush, that each ballot's poll takes it, by the states in the store.
    ///
    /// # Errors
    /// [`StoreError::PollChanged`] names a poll that does not.
    pub fn check<'a>(
        &self,
        state_of: impl Fn(&PollId) -> Option<&'a PollState>,
    ) -> Result<(), StoreError> {
        let mut last: Option<(&PollId, &PollState)> = None;
        for PlacedBallot { position, ballot } in &self.ballots {
            let state = match last {
                Some((poll, state)) if *poll == ballot.poll => Some(state),
                _ => state_of(&ballot.poll),
            };
            // What is replayed is counted already. What is taken back is not, and would change the count.
            let is_late = |state: &PollState| !self.revived.is_empty() && state.is_final();
            match state {
                Some(state)
                    if state.takes(position.shard(), position.entry()) && !is_late(state) =>
                {
                    last = Some((&ballot.poll, state));
                }
                _ => return Err(StoreError::PollChanged(ballot.poll.clone())),
            }
        }
        Ok(())
    }
}
