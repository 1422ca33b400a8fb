//! A worker must not count on a database that was put back to an earlier state, as from a backup: its first
//! flush would mark all earlier entries as applied, and what the database lacks could never be told from
//! what it has. So it waits for `voting rewind`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use voting_core::{
    BatchFlusher, Poll, PollDirectory, PollId, PollStore, StoreError,
    batch::{Batch, FlushReport, Totals},
    position::{EntryId, ShardId},
    postgres::Postgres,
    redis::Redis,
};

/// For so long a check holds, unless something fails. It is made each second.
const HOLDS: Duration = Duration::from_secs(3);

/// Knows whether the database has all that the log knows to be acknowledged.
pub(crate) struct Guard {
    redis: Redis,
    postgres: Arc<Postgres>,
    checked: Mutex<Option<Instant>>,
}

impl Guard {
    pub(crate) fn new(redis: Redis, postgres: Arc<Postgres>) -> Arc<Self> {
        Arc::new(Self {
            redis,
            postgres,
            checked: Mutex::default(),
        })
    }

    /// Asks both.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        // In this order: what is acknowledged is in the database before.
        let settled = self.redis.settled().await?;
        self.check_since(began, &settled).await
    }

    async fn check_since(
        &self,
        began: Instant,
        settled: &HashMap<ShardId, EntryId>,
    ) -> Result<(), StoreError> {
        let applied = self.postgres.applied().await?;
        let checked = self.redis.check_applied(settled, &applied).await;
        self.note(checked.is_ok().then_some(began));
        checked
    }

    fn note(&self, checked: Option<Instant>) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = checked;
    }

    fn holds(&self) -> bool {
        let checked = *self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.is_some_and(|checked| checked.elapsed() < HOLDS)
    }
}

/// Writes to the database, unless it was put back. A database that is put back fails first: its connections
/// or its tables are gone. So after each failure it is looked at again before anything is written.
#[async_trait]
impl BatchFlusher for Guard {
    async fn flush(&self, batch: &Batch) -> Result<FlushReport, StoreError> {
        if !self.holds() {
            let began = Instant::now();
            // What is in hand is better in the database than nowhere, whatever happens to Redis.
            if let Ok(settled) = self.redis.settled().await {
                self.check_since(began, &settled).await?;
            }
        }
        let flushed = self.postgres.flush(batch).await;
        if flushed.is_err() {
            self.note(None);
        }
        flushed
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.postgres.totals().await
    }
}

/// Looks polls up in the database. One that it lacks and the vote services know was in it before, and is
/// given back: its ballots must not become dead letters.
#[async_trait]
impl PollDirectory for Guard {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        if let Some(poll) = self.postgres.poll(id).await? {
            return Ok(Some(poll));
        }
        let published = self.redis.published().await?.unwrap_or_default();
        if !published.iter().any(|poll| poll.id() == id) {
            return Ok(None);
        }
        bring_back_polls(&self.redis, self.postgres.as_ref()).await?;
        self.postgres.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.postgres.polls().await
    }
}

/// Gives the database the polls back that it lacks, and closes those that the log takes no more ballots in.
pub(crate) async fn bring_back_polls(
    redis: &Redis,
    store: &dyn PollStore,
) -> Result<(), StoreError> {
    let back = redis.bring_back_polls(store).await?;
    for poll in &back.polls {
        tracing::warn!(%poll, "the database lacked a poll that the vote services know; it is stored again");
    }
    for poll in &back.closed {
        tracing::warn!(%poll, "the log takes no more ballots in a poll that was open in the database; it is closing");
    }
    Ok(())
}
