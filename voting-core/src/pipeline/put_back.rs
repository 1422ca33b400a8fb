//! A store that was put back to an earlier state, as from a backup.
//!
//! A worker must not count on it: its first flush would mark all earlier entries as applied, and what the store
//! lacks could never be told from what it has. The worker waits until the log is rewound.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    error::StoreError,
    log::SeparateLog,
    model::{
        id::PollId,
        poll::{ChangeTo, Poll, PollChange},
        poll_state::{PollState, Seals},
        position::{EntryId, ShardId},
    },
    store::{
        BatchFlusher, PollDirectory, PollStore, SeparateStore,
        applied::{Applied, PutBack, StoreLife},
        batch::Batch,
        outcome::{Flushed, Totals},
    },
};

/// A check holds for this long, unless a flush fails. The coordinator makes one each second.
const HOLDS: Duration = Duration::from_secs(3);

/// Checks that the store lacks none of the entries that are acknowledged and still in the log.
/// `acknowledged_below` must be asked of the log before `applied` is asked of the store.
///
/// # Errors
/// The log does not answer; or, as a source, [`PutBack`]: the store is not as it was.
pub async fn check_applied(
    log: &(impl SeparateLog + ?Sized),
    acknowledged_below: &HashMap<ShardId, EntryId>,
    applied: &Applied,
) -> Result<(), StoreError> {
    let mut lacking = Vec::new();
    for (shard, below) in acknowledged_below {
        let end = applied.end(*shard);
        if end >= *below {
            continue;
        }
        // An id may have been raised, so there need not be an entry.
        let next = log.first_from(*shard, end).await?;
        if next.is_some_and(|next| next < *below) {
            lacking.push(*shard);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    lacking.sort_unstable();
    Err(StoreError::unavailable(PutBack(lacking)))
}

/// What a store was given back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroughtBack {
    /// Polls that it lacked.
    pub polls: Vec<PollId>,
    /// Polls that it had as open, though the log takes no more ballots in them.
    pub closed: Vec<PollId>,
}

/// Who gives polls back, in the audit log.
const COORDINATOR: &str = "coordinator";

/// Gives a store back what it lacks of the polls that are published, and closes the polls that the log is sealed
/// for. Logs each. A store that was not put back lacks nothing.
///
/// # Errors
/// One of the two does not answer.
pub async fn bring_back_polls(
    log: &(impl SeparateLog + ?Sized),
    store: &(impl PollStore + ?Sized),
) -> Result<BroughtBack, StoreError> {
    let mut back = BroughtBack::default();
    // Asked first: all that is published was in the store before.
    let published = log.published().await?.unwrap_or_default();
    let stored = store.polls().await?;
    let find = |id: &PollId| stored.iter().find(|poll| poll.id() == id);
    let mut deleted = BTreeSet::new();
    for poll in &published {
        // A poll that was changed since the backup is published as it was changed.
        if find(poll.id()).is_none_or(|stored| stored.revision() < poll.revision()) {
            let to = ChangeTo::Restored(Box::new(poll.clone()));
            match store
                .change_poll(&PollChange::new(poll.id().clone(), to), COORDINATOR)
                .await
            {
                Ok(_) => back.polls.push(poll.id().clone()),
                // It was deleted just now, and is not published any more.
                Err(StoreError::PollDeleted(id)) => {
                    deleted.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
    }
    let open = |poll: &&Poll| find(poll.id()).is_none_or(|poll| poll.state().is_open());
    let published_as_closed = published
        .iter()
        .filter(|poll| open(poll) && !deleted.contains(poll.id()));
    let mut to_close: HashMap<PollId, Seals> = published_as_closed
        .filter_map(|poll| match poll.state() {
            PollState::Open => None,
            // Its ballots may have to be counted again before it is final.
            PollState::Closing(seals) | PollState::Final(seals) => {
                Some((poll.id().clone(), seals.clone()))
            }
        })
        .collect();
    let stored_as_open = stored.iter().filter(|poll| poll.state().is_open());
    let open: Vec<_> = stored_as_open.map(Poll::id).chain(&back.polls).collect();
    let sealed: BTreeSet<PollId> = log.sealed(&open).await?;
    for poll in sealed {
        to_close.entry(poll).or_default();
    }
    for (poll, seals) in to_close {
        store
            .advance_poll_by(&poll, &PollState::Closing(seals), COORDINATOR)
            .await?;
        back.closed.push(poll);
    }
    back.closed.sort_unstable();
    for poll in &back.polls {
        tracing::warn!(%poll, "the store lacked a poll that vote services know; stored it again");
    }
    for poll in &back.closed {
        tracing::warn!(%poll, "the log takes no more ballots in a poll that was open in the store; it is closing");
    }
    Ok(back)
}

/// Forgets the voters of the polls of which a store was given back that they were forgotten, once they are final. Logs each.
///
/// # Errors
/// The store does not answer.
pub(super) async fn forget_voters_again(
    store: &(impl PollStore + ?Sized),
    polls: &[Poll],
) -> Result<(), StoreError> {
    let is_due = |poll: &&Poll| poll.voters_are_to_be_forgotten_again() && poll.state().is_final();
    for poll in polls.iter().filter(is_due) {
        let change = PollChange::new(poll.id().clone(), ChangeTo::VotersForgotten);
        match store.change_poll(&change, COORDINATOR).await {
            Ok(_) => {
                tracing::info!(poll = %poll.id(), "the store has the voters of the poll no more; it was put back");
            }
            Err(StoreError::PollDeleted(_) | StoreError::NoPoll(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A store that takes no batch after it was put back to an earlier state.
///
/// A database is put back in another [life](StoreLife) than the one in which it was checked, and takes no batch then before it
/// is checked again. After each failure it is checked, too.
pub struct GuardedStore {
    log: Arc<dyn SeparateLog>,
    store: Arc<dyn SeparateStore>,
    checked: Mutex<Option<Checked>>,
}

/// A check that has found nothing.
#[derive(Clone)]
struct Checked {
    began: Instant,
    life: Option<StoreLife>,
}

impl GuardedStore {
    pub(super) fn new(log: Arc<dyn SeparateLog>, store: Arc<dyn SeparateStore>) -> Self {
        Self {
            log,
            store,
            checked: Mutex::default(),
        }
    }

    /// Asks both. The life in which the store is checked.
    pub(super) async fn check(&self) -> Result<Option<StoreLife>, StoreError> {
        let began = Instant::now();
        // In this order: what is acknowledged was in the store before.
        let below = self.log.acknowledged_below().await?;
        Ok(self.check_since(began, &below).await?.life)
    }

    async fn check_since(
        &self,
        began: Instant,
        below: &HashMap<ShardId, EntryId>,
    ) -> Result<Checked, StoreError> {
        let applied = self.store.applied().await?;
        let found = check_applied(self.log.as_ref(), below, &applied).await;
        let life = applied.life;
        let checked = found.map(|()| Checked { began, life });
        self.note(checked.as_ref().ok().cloned());
        checked
    }

    fn note(&self, checked: Option<Checked>) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = checked;
    }

    /// The last check, while it holds.
    fn checked(&self) -> Option<Checked> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = checked.as_ref();
        checked
            .filter(|checked| checked.began.elapsed() < HOLDS)
            .cloned()
    }
}

impl std::fmt::Debug for GuardedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl BatchFlusher for GuardedStore {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        let mut checked = self.checked();
        if checked.is_none() {
            let began = Instant::now();
            // If the log does not answer, the ballots in hand are better in the store than nowhere.
            if let Ok(below) = self.log.acknowledged_below().await {
                checked = Some(self.check_since(began, &below).await?);
            }
        }
        let life = checked.and_then(|checked| checked.life);
        let flushed = self.store.flush_in(batch, life.as_ref()).await;
        if flushed.is_err() {
            self.note(None);
        }
        flushed
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.store.totals().await
    }

    async fn ready_to_flush(&self) -> Result<(), StoreError> {
        self.store.ready_to_flush().await
    }
}

/// The polls of a store, which change only in the life in which the store was checked: a poll must not become final in a
/// store that lacks ballots of it.
pub(super) struct PollsInLife<'a> {
    pub(super) store: &'a dyn SeparateStore,
    pub(super) life: Option<StoreLife>,
}

#[async_trait]
impl PollDirectory for PollsInLife<'_> {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        self.store.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.store.polls().await
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        self.store.is_deleted(id).await
    }
}

#[async_trait]
impl PollStore for PollsInLife<'_> {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let life = self.life.as_ref();
        self.store.change_poll_in(change, by, life).await
    }

    async fn upgrade_is_finished(&self) -> Result<bool, StoreError> {
        self.store.upgrade_is_finished().await
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.store.deleted_polls().await
    }
}

/// Looks polls up in the store. A poll that the store lacks and that is published was in the store before, and is
/// stored again: its ballots must not become dead letters.
#[async_trait]
impl PollDirectory for GuardedStore {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        if let Some(poll) = self.store.poll(id).await? {
            return Ok(Some(poll));
        }
        let published = self.log.published().await?.unwrap_or_default();
        if !published.iter().any(|poll| poll.id() == id) {
            return Ok(None);
        }
        bring_back_polls(self.log.as_ref(), self.store.as_ref()).await?;
        self.store.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.store.polls().await
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        self.store.is_deleted(id).await
    }
}
