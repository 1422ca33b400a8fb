//! The store of the memory back end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;

use super::Memory;
use crate::{
    error::StoreError,
    model::{
        ballot::{Choices, VoterId},
        id::PollId,
        poll::{Poll, log_changes},
        poll_state::PollState,
        position::{EntryId, EntryKey, Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
        tally::{Recount, Tally, TallyDelta},
    },
    store::{
        BatchFlusher, DeadLetterStore, PollDirectory, PollStore, TallyStore,
        batch::Batch,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD, and_one_more},
        older::Older,
        outcome::{FlushOutcome, Flushed, Totals},
    },
};

#[derive(Debug, Default)]
pub(super) struct Store {
    /// In the order in which they were put.
    polls: Vec<StoredPoll>,
    dead_letters: BTreeMap<Position, DeadLetter>,
    applied: BTreeSet<EntryKey>,
    /// Marks below this are not kept: all of them are applied.
    applied_below: HashMap<ShardId, EntryId>,
    superseded: u64,
}

#[derive(Debug)]
struct StoredPoll {
    poll: Poll,
    tally: Tally,
    ballots: HashMap<VoterId, (Position, Choices)>,
}

impl Store {
    fn poll(&self, id: &PollId) -> Option<&StoredPoll> {
        self.polls.iter().find(|stored| stored.poll.id() == id)
    }

    fn put_poll(&mut self, poll: &Poll) -> Result<(), StoreError> {
        let there = self.polls.iter_mut().find(|s| s.poll.id() == poll.id());
        let Some(stored) = there else {
            self.polls.push(StoredPoll {
                poll: poll.clone(),
                tally: Tally::empty(poll.id().clone(), poll.options().len()),
                ballots: HashMap::new(),
            });
            return Ok(());
        };
        log_changes(poll, &stored.poll.replaced_by(poll)?);
        if stored.poll.state().is_open() {
            stored.poll = poll.clone().in_state(PollState::Open);
        }
        Ok(())
    }

    fn advance_poll(&mut self, id: &PollId, to: &PollState) -> Option<PollState> {
        let stored = self.polls.iter_mut().find(|s| s.poll.id() == id)?;
        let state = stored.poll.state().clone().advanced(to);
        stored.poll = stored.poll.clone().in_state(state.clone());
        Some(state)
    }

    /// Marks the batch's entries as applied and says which were not so before.
    fn mark_applied(&mut self, batch: &Batch) -> HashSet<EntryKey> {
        let mut fresh = HashSet::new();
        for ((shard, id), _) in &batch.entries {
            let below = self
                .applied_below
                .get(shard)
                .is_some_and(|below| id < below);
            if !below && self.applied.insert((*shard, *id)) {
                fresh.insert((*shard, *id));
            }
        }
        for (shard, acknowledged_below) in &batch.acknowledged_below {
            let below = self.applied_below.entry(*shard).or_insert(EntryId::MIN);
            *below = (*below).max(*acknowledged_below);
            let below = *below;
            self.applied.retain(|(of, id)| of != shard || *id >= below);
        }
        fresh
    }

    fn flush(&mut self, batch: &Batch) -> Result<Flushed, StoreError> {
        // Before anything changes: a batch is written whole or not at all.
        batch.check(|id| self.poll(id).map(|stored| stored.poll.state()))?;
        let fresh = self.mark_applied(batch);
        let removed = batch
            .revived
            .iter()
            .map(|revival| revival.position)
            .filter(|position| self.dead_letters.remove(position).is_some())
            .collect();
        let mut outcome = FlushOutcome::new(batch, fresh, &removed);
        let dead = outcome
            .replays(batch)
            .map(|placed| placed.position)
            .filter(|position| self.dead_letters.contains_key(position))
            .collect();
        let mut older = Older::new(batch, dead);
        for placed in batch.ballots.iter().filter_map(|p| older.alive(p)) {
            let ballot = &placed.ballot;
            let Some(stored) = self.polls.iter_mut().find(|s| *s.poll.id() == ballot.poll) else {
                continue;
            };
            let row = (placed.position, ballot.choices);
            let old = stored.ballots.get(&ballot.voter);
            if old.is_none_or(|(position, _)| placed.position > *position) {
                let old = stored.ballots.insert(ballot.voter, row);
                outcome.written(placed, old.map(|(_, choices)| choices));
            }
        }
        for letter in &batch.dead_letters {
            if self
                .dead_letters
                .insert(letter.position, letter.bounded().into_owned())
                .is_none()
            {
                outcome.rejected(letter);
            }
        }
        let flushed = outcome.finish();
        self.superseded += flushed.report.superseded;
        for (id, delta) in &flushed.tallies {
            if let Some(stored) = self.polls.iter_mut().find(|s| s.poll.id() == id) {
                stored.tally.version += u64::from(delta.changed());
                add(&mut stored.tally, delta)?;
            }
        }
        Ok(flushed)
    }

    fn recount(&self, id: &PollId) -> Result<Option<Recount>, StoreError> {
        let Some(stored) = self.poll(id) else {
            return Ok(None);
        };
        let mut counted = Tally::empty(id.clone(), stored.poll.options().len());
        counted.version = stored.tally.version;
        let mut all = TallyDelta::default();
        for (_, choices) in stored.ballots.values() {
            all.record(None, *choices);
        }
        add(&mut counted, &all)?;
        Ok(Some(Recount {
            kept: stored.tally.clone(),
            counted,
        }))
    }
}

fn add(tally: &mut Tally, delta: &TallyDelta) -> Result<(), StoreError> {
    tally.voters += delta.voters;
    for (option, by) in delta.votes() {
        let votes = tally.votes[option].checked_add_signed(by);
        tally.votes[option] = votes
            .ok_or_else(|| StoreError::Corrupt(format!("option {option} below zero votes")))?;
    }
    Ok(())
}

#[async_trait]
impl BatchFlusher for Memory {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        self.store().flush(batch)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        let store = self.store();
        Ok(Totals {
            counted: store.polls.iter().map(|stored| stored.tally.voters).sum(),
            superseded: store.superseded,
            rejected: store
                .dead_letters
                .values()
                .map(|letter| u64::from(letter.ballots))
                .sum(),
        })
    }
}

#[async_trait]
impl TallyStore for Memory {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        Ok(self.store().poll(poll).map(|stored| stored.tally.clone()))
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let store = self.store();
        let stored = store
            .poll(&receipt.poll)
            .and_then(|stored| stored.ballots.get(&receipt.voter))
            .map(|(position, _)| *position);
        let whole = store.dead_letters.get(&receipt.whole_entry());
        let whole = whole.filter(|letter| letter.reason == RejectReason::Malformed);
        let dead = store.dead_letters.get(&receipt.position).or(whole);
        Ok(ReceiptState::judge(
            receipt.position,
            stored,
            dead.map(|letter| letter.reason),
        ))
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.store().recount(poll)
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl PollDirectory for Memory {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        Ok(self.store().poll(id).map(|stored| stored.poll.clone()))
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        Ok(self
            .store()
            .polls
            .iter()
            .map(|stored| stored.poll.clone())
            .collect())
    }
}

#[async_trait]
impl PollStore for Memory {
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        self.store().put_poll(poll)
    }

    async fn advance_poll(
        &self,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        Ok(self.store().advance_poll(poll, to))
    }
}

#[async_trait]
impl DeadLetterStore for Memory {
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        let store = self.store();
        let letter = store.dead_letters.get(&position);
        Ok(letter.map(|letter| cut(letter, MAX_PAYLOAD)))
    }

    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let store = self.store();
        let letters = store.dead_letters.values();
        let later =
            letters.skip_while(|letter| after.is_some_and(|after| letter.position <= after));
        let listed = later.take(limit).map(|letter| cut(letter, LISTED));
        Ok(listed.collect())
    }
}

fn cut(letter: &DeadLetter, bytes: usize) -> DeadLetter {
    let mut letter = letter.clone();
    letter.payload.truncate(and_one_more(bytes));
    letter
}
