//! What the worker makes of log entries before they go to the store.

use std::collections::{HashMap, HashSet};

pub use crate::model::placed_ballot::PlacedBallot;
use crate::{
    error::StoreError,
    model::{
        id::PollId,
        poll::{Poll, PollVersion},
        poll_state::PollState,
        position::{EntryId, EntryKey, Position, ShardId},
        source::Source,
    },
    store::dead_letter::DeadLetter,
};

/// Entries, checked and ready to be written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The entries that make up the batch, each once, with its number of valid ballots, also of
    /// those that a newer one in the batch replaced, and of those in [deleted polls](Self::deleted) and in polls whose
    /// voters are forgotten. The ballots of both are not in the batch.
    pub entries: Vec<(EntryKey, u64)>,
    /// Of these entries, those that a trusted server has handed in.
    pub handed_in: HashSet<EntryKey>,
    /// At most one ballot a voter and poll, the one that counts: the newest, or the oldest in
    /// [some polls](Self::first_counts); sorted by poll and voter.
    pub ballots: Vec<PlacedBallot>,
    /// The valid ballots in whose place another one in the batch counts, in no order. One of them is the
    /// voter's choice if the store refuses the other one for good.
    pub replaced: Vec<PlacedBallot>,
    /// The invalid ballots.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that are taken back, their ballots being among those above.
    pub revived: Vec<Revival>,
    /// By which rules and times ballots were judged, of each poll of which that is not the
    /// [first version](PollVersion::is_first).
    pub versions: HashMap<PollId, PollVersion>,
    /// The polls in which a voter's oldest ballot counts. A ballot there replaces the stored one if it is older.
    pub first_counts: HashSet<PollId>,
    /// The polls that were deleted and in which the batch's entries have ballots. These ballots are not in the batch.
    pub deleted: HashSet<PollId>,
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
    /// Of each voter in a poll only the ballot that counts stays, in the order that all workers keep: so two
    /// that write the same voters wait for each other and never lock each other out, and neighbours in
    /// the index are written together. The others go to `replaced`.
    pub fn keep_one_of_each_voter(&mut self) {
        let first_counts = &self.first_counts;
        self.ballots.sort_unstable_by(|a, b| {
            a.voter_in_poll().cmp(&b.voter_in_poll()).then_with(|| {
                let newest_first = b.position.cmp(&a.position);
                if first_counts.contains(&a.ballot.poll) {
                    newest_first.reverse()
                } else {
                    newest_first
                }
            })
        });
        let mut kept: Vec<PlacedBallot> = Vec::with_capacity(self.ballots.len());
        for placed in self.ballots.drain(..) {
            match kept.last() {
                Some(last) if last.voter_in_poll() == placed.voter_in_poll() => {
                    self.replaced.push(placed);
                }
                _ => kept.push(placed),
            }
        }
        self.ballots = kept;
    }

    /// Who handed in the ballot at this position.
    pub fn source(&self, position: Position) -> Source {
        let is_handed_in = !self.handed_in.is_empty()
            && self
                .handed_in
                .contains(&(position.shard(), position.entry()));
        match is_handed_in {
            true => Source::TrustedServer,
            false => Source::Voters,
        }
    }

    /// Whether a ballot at `position` counts in place of the voter's stored one, which is at `stored`.
    pub fn counts_before(&self, poll: &PollId, position: Position, stored: Position) -> bool {
        if self.first_counts.contains(poll) {
            position < stored
        } else {
            position > stored
        }
    }

    /// Takes note of how the ballots in this poll are judged.
    pub fn judge_by(&mut self, poll: &Poll) {
        if !poll.version().is_first() {
            self.versions.insert(poll.id().clone(), poll.version());
        }
        if !poll.settings().revote {
            self.first_counts.insert(poll.id().clone());
        }
    }

    /// The polls that [`check`](Self::check) asks for. A poll may come more than once.
    pub fn polls(&self) -> impl Iterator<Item = &PollId> {
        // The ballots are sorted by poll.
        let by_poll = self.ballots.chunk_by(|a, b| a.ballot.poll == b.ballot.poll);
        let of_ballots = by_poll.map(|ballots| &ballots[0].ballot.poll);
        of_ballots.chain(self.versions.keys()).chain(&self.deleted)
    }

    /// Checks, inside a flush, that each poll is as the worker has judged its ballots, and takes them, by the polls in
    /// the store.
    ///
    /// # Errors
    /// [`StoreError::PollChanged`] names a poll that is not so.
    pub fn check<'a>(
        &self,
        stored: impl Fn(&PollId) -> Option<(&'a PollState, PollVersion)>,
    ) -> Result<(), StoreError> {
        let changed = |poll: &PollId| StoreError::PollChanged(poll.clone());
        // It is there again if the store was put back to an earlier state. Its ballots must count then.
        if let Some(poll) = self.deleted.iter().find(|poll| stored(poll).is_some()) {
            return Err(changed(poll));
        }
        for (poll, version) in &self.versions {
            if stored(poll).is_none_or(|(_, stored)| stored != *version) {
                return Err(changed(poll));
            }
        }
        for ballots in self.ballots.chunk_by(|a, b| a.ballot.poll == b.ballot.poll) {
            let poll = &ballots[0].ballot.poll;
            let judged = self.versions.get(poll).copied().unwrap_or_default();
            let Some((state, version)) = stored(poll) else {
                return Err(changed(poll));
            };
            // What is replayed is counted already. What is taken back is not, and would change the count.
            let is_late = !self.revived.is_empty() && state.is_final();
            let is_taken = |placed: &PlacedBallot| {
                state.takes(placed.position.shard(), placed.position.entry())
            };
            if version != judged || is_late || !ballots.iter().all(is_taken) {
                return Err(changed(poll));
            }
        }
        Ok(())
    }
}
