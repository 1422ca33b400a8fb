//! A store around another one, in which a step can be done otherwise.

use std::sync::Arc;

use async_trait::async_trait;
use voting_core::{
    BatchFlusher, DeadLetterStore, ExportStore, Poll, PollDirectory, PollId, PollState, PollStore,
    Receipt, ReceiptState, StoreError, Tally, TallyStore,
    conformance::Backend,
    model::{
        moment::Moment, new_voters::NewVoters, poll::PollChange, poll_state::Seals,
        position::Position, tally::Recount, vote_history::VoteHistory,
    },
    store::{
        AuditLog,
        audit::{AuditEntry, AuditNote},
        batch::Batch,
        dead_letter::DeadLetter,
        export::BallotExport,
        outcome::{Flushed, Totals},
    },
};

use super::With;

/// The store that is sound.
pub struct Store {
    pub flusher: Arc<dyn BatchFlusher>,
    pub tallies: Arc<dyn TallyStore>,
    pub polls: Arc<dyn PollStore>,
    pub dead_letters: Arc<dyn DeadLetterStore>,
    pub audit: Arc<dyn AuditLog>,
    pub exports: Arc<dyn ExportStore>,
}

/// What is done otherwise; by itself nothing.
#[async_trait]
pub trait BrokenStore: Default + Send + Sync + 'static {
    /// Of the batch that is flushed.
    fn batch(&self, _: &mut Batch) {}

    /// Where a ballot is looked for.
    fn receipt(&self, _: &mut Receipt) {}

    /// Of the poll that is read.
    fn read(&self, poll: Poll) -> Poll {
        poll
    }

    async fn flush(&self, store: &Store, batch: &Batch) -> Result<Flushed, StoreError> {
        store.flusher.flush(batch).await
    }

    async fn tally(&self, store: &Store, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        store.tallies.tally(poll).await
    }

    async fn receipt_state(
        &self,
        store: &Store,
        receipt: &Receipt,
    ) -> Result<ReceiptState, StoreError> {
        store.tallies.receipt_state(receipt).await
    }

    async fn new_voters(
        &self,
        store: &Store,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        store.tallies.new_voters(poll, before, limit).await
    }

    async fn vote_history(
        &self,
        store: &Store,
        poll: &PollId,
    ) -> Result<Option<VoteHistory>, StoreError> {
        store.tallies.vote_history(poll).await
    }

    async fn change_poll(
        &self,
        store: &Store,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        store.polls.change_poll(change, by).await
    }

    async fn is_deleted(&self, store: &Store, poll: &PollId) -> Result<bool, StoreError> {
        store.polls.is_deleted(poll).await
    }

    async fn deleted_polls(&self, store: &Store) -> Result<Vec<(PollId, Seals)>, StoreError> {
        store.polls.deleted_polls().await
    }

    async fn totals(&self, store: &Store) -> Result<Totals, StoreError> {
        store.flusher.totals().await
    }

    async fn audit_log(
        &self,
        store: &Store,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        store.audit.audit_log(after, limit).await
    }

    async fn newest_of_audit_log(
        &self,
        store: &Store,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        store.audit.newest_of_audit_log(before, limit).await
    }

    async fn put_poll(&self, store: &Store, poll: &Poll) -> Result<(), StoreError> {
        store.polls.put_poll(poll).await
    }

    async fn advance_poll(
        &self,
        store: &Store,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        store.polls.advance_poll(poll, to).await
    }

    async fn dead_letters(
        &self,
        store: &Store,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        store.dead_letters.dead_letters(after, limit).await
    }

    async fn export_ballots(
        &self,
        store: &Store,
        poll: &PollId,
    ) -> Result<BallotExport, StoreError> {
        store.exports.export_ballots(poll).await
    }
}

struct Around<B> {
    store: Store,
    broken: B,
}

/// The back end with its store broken.
pub fn with_store<B: BrokenStore>(backend: Backend) -> Backend {
    let around = Arc::new(Around {
        store: Store {
            flusher: backend.flusher,
            tallies: backend.tallies,
            polls: backend.polls,
            dead_letters: backend.dead_letters,
            audit: backend.audit,
            exports: backend.exports,
        },
        broken: B::default(),
    });
    let reopen = backend.reopen;
    let broken = Backend {
        flusher: around.clone(),
        tallies: around.clone(),
        polls: around.clone(),
        dead_letters: around.clone(),
        audit: around.clone(),
        exports: around,
        reopen: None,
        ..backend
    };
    match reopen {
        None => broken,
        Some(reopen) => broken.with_reopen(|| Box::pin(async { with_store::<B>(reopen().await) })),
    }
}

#[async_trait]
impl<B: BrokenStore> BatchFlusher for Around<B> {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        let mut batch = batch.clone();
        self.broken.batch(&mut batch);
        self.broken.flush(&self.store, &batch).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.broken.totals(&self.store).await
    }
}

#[async_trait]
impl<B: BrokenStore> TallyStore for Around<B> {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        self.broken.tally(&self.store, poll).await
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let mut receipt = receipt.clone();
        self.broken.receipt(&mut receipt);
        self.broken.receipt_state(&self.store, &receipt).await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.store.tallies.recount(poll).await
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let broken = &self.broken;
        broken.new_voters(&self.store, poll, before, limit).await
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        self.broken.vote_history(&self.store, poll).await
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        self.store.tallies.ready_to_read().await
    }
}

#[async_trait]
impl<B: BrokenStore> PollDirectory for Around<B> {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let poll = self.store.polls.poll(id).await?;
        Ok(poll.map(|poll| self.broken.read(poll)))
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        let polls = self.store.polls.polls().await?;
        Ok(polls
            .into_iter()
            .map(|poll| self.broken.read(poll))
            .collect())
    }

    async fn is_deleted(&self, poll: &PollId) -> Result<bool, StoreError> {
        self.broken.is_deleted(&self.store, poll).await
    }
}

#[async_trait]
impl<B: BrokenStore> PollStore for Around<B> {
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        self.broken.put_poll(&self.store, poll).await
    }

    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        self.broken.change_poll(&self.store, change, by).await
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.broken.deleted_polls(&self.store).await
    }

    async fn advance_poll_by(
        &self,
        poll: &PollId,
        to: &PollState,
        _: &str,
    ) -> Result<Option<PollState>, StoreError> {
        self.broken.advance_poll(&self.store, poll, to).await
    }
}

#[async_trait]
impl<B: BrokenStore> AuditLog for Around<B> {
    async fn add_to_audit_log(&self, note: &AuditNote) -> Result<(), StoreError> {
        self.store.audit.add_to_audit_log(note).await
    }

    async fn audit_log(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.broken.audit_log(&self.store, after, limit).await
    }

    async fn newest_of_audit_log(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let broken = &self.broken;
        broken.newest_of_audit_log(&self.store, before, limit).await
    }
}

#[async_trait]
impl<B: BrokenStore> DeadLetterStore for Around<B> {
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        self.store.dead_letters.dead_letter(position).await
    }

    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.broken.dead_letters(&self.store, after, limit).await
    }
}

#[async_trait]
impl<B: BrokenStore> ExportStore for Around<B> {
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError> {
        self.store.exports.counted_poll(poll).await
    }

    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError> {
        self.store.exports.handed_in(poll).await
    }

    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError> {
        self.broken.export_ballots(&self.store, poll).await
    }
}
