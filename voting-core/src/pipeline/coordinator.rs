//! Keeps a log and a store that are apart, such as Redis and Postgres, in line with each other.
//!
//! Each may be restored from a backup or made anew while the other stays as it is. Every process that counts
//! ballots runs a [`Coordinator`]; any number may run at a time. Each of its rounds takes these steps, in this
//! order:
//!
//! 1. The log's ids are raised above the newest entry that the store has. Nobody can vote before there are
//!    polls, so no ballot gets an id that makes it look older than one that is counted.
//! 2. The store is checked against what the log knows to be acknowledged. If it lacks ballots, it was put back
//!    to an earlier state: no poll becomes final then, and none is removed. A poll becomes final only while the store is
//!    the one that was checked.
//! 3. The store gets back the polls that it lacks.
//! 4. Every shard gets the times at which polls [open and close](crate::pipeline::schedule).
//! 5. Polls that are to close are [sealed and moved on](crate::pipeline::closing).
//! 6. The polls are published to the log, where vote services look them up.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    closing,
    put_back::{GuardedStore, PollsInLife, bring_back_polls, forget_voters_again},
    schedule::{self, Published, ScheduledPolls},
};
use crate::{
    error::{StoreError, in_one_line},
    log::{BallotQueue, SeparateLog},
    model::{
        id::PollId,
        poll::{Poll, PollChange},
        poll_state::Seals,
    },
    store::{PollDirectory, PollStore, SeparateStore},
};

/// The longest time between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// The pause after a first failure. Each further pause is twice as long, up to [`ROUND`]: at the start, another process
/// may be about to make the tables, or a store may be about to answer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// See the [module](self).
#[derive(Clone)]
pub struct Coordinator {
    log: Arc<dyn SeparateLog>,
    queue: Arc<dyn BallotQueue>,
    store: Arc<dyn SeparateStore>,
    guarded: Arc<GuardedStore>,
    changed: Arc<Notify>,
    is_set_up: Arc<AtomicBool>,
}

impl Coordinator {
    /// A coordinator that does nothing before [`round`](Self::round) or [`run`](Self::run) is called. `queue`
    /// reads `log`; only its [statistics](BallotQueue::stats) are used.
    pub fn new(
        log: Arc<dyn SeparateLog>,
        queue: Arc<dyn BallotQueue>,
        store: Arc<dyn SeparateStore>,
    ) -> Self {
        Self {
            guarded: Arc::new(GuardedStore::new(Arc::clone(&log), Arc::clone(&store))),
            log,
            queue,
            store,
            changed: Arc::default(),
            is_set_up: Arc::default(),
        }
    }

    /// The store as a [`Worker`](crate::Worker) must see it, as its poll directory and as its flusher: it takes
    /// no batch after the store was put back to an earlier state.
    pub fn guarded(&self) -> Arc<GuardedStore> {
        Arc::clone(&self.guarded)
    }

    /// The polls in the store. A change that is made here is published to the log at once.
    pub fn polls(&self) -> Arc<dyn PollStore> {
        Arc::new(Announcing {
            store: ScheduledPolls::new(Arc::clone(&self.log), Arc::clone(&self.store)),
            changed: Arc::clone(&self.changed),
        })
    }

    /// Takes all steps once.
    ///
    /// # Errors
    /// One of the two does not answer, or the store was put back (see
    /// [`PutBack`](crate::store::applied::PutBack)). Steps before it may have been taken; all can be repeated.
    pub async fn round(&self) -> Result<(), StoreError> {
        let log = self.log.as_ref();
        log.raise_ids(self.store.newest_applied().await?).await?;
        let life = self.guarded.check().await?;
        bring_back_polls(log, self.store.as_ref()).await?;
        schedule::round(log, self.store.as_ref()).await?;
        let checked = PollsInLife {
            store: self.store.as_ref(),
            life,
        };
        closing::advance(log, self.queue.as_ref(), &checked).await?;
        let mut polls = Published(self.store.as_ref()).polls().await?;
        // An earlier worker would set ballots aside that take one back.
        if !self.store.upgrade_is_finished().await? {
            polls = polls.into_iter().map(Poll::keeping_ballots).collect();
        }
        log.publish(&polls).await?;
        forget_voters_again(self.store.as_ref(), &polls).await
    }

    /// Whether the `set_up` of [`run`](Self::run) has succeeded.
    pub fn is_set_up(&self) -> bool {
        self.is_set_up.load(Ordering::Acquire)
    }

    /// Calls `set_up` until it succeeds, then takes a round each second, and at once after a change of a poll.
    /// Errors are logged, once each, and tried again.
    ///
    /// # Errors
    /// Ends only with [`StoreError::PollConflict`], which no waiting mends. Dropping the future stops it.
    pub async fn run<F>(&self, set_up: impl Fn() -> F + Send) -> Result<Infallible, StoreError>
    where
        F: Future<Output = Result<(), StoreError>> + Send,
    {
        let mut trouble = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let step = async {
                if !self.is_set_up() {
                    set_up().await?;
                    self.is_set_up.store(true, Ordering::Release);
                }
                self.round().await
            };
            match step.await {
                Ok(()) => {
                    trouble = None;
                    pause = FIRST_PAUSE;
                }
                Err(error @ StoreError::PollConflict(_)) => return Err(error),
                Err(error) => {
                    let error = in_one_line(&error);
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(
                            error,
                            "could not synchronise the log with the store; will retry"
                        );
                        trouble = Some(error);
                    }
                    // A change of a poll does not mend it.
                    sleep(pause).await;
                    pause = ROUND.min(pause * 2);
                    continue;
                }
            }
            // A change that came during the round is not forgotten: its notification is kept.
            let _ = timeout(ROUND, self.changed.notified()).await;
        }
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").finish_non_exhaustive()
    }
}

/// Wakes the coordinator after each change.
struct Announcing {
    store: ScheduledPolls<Arc<dyn SeparateLog>, Arc<dyn SeparateStore>>,
    changed: Arc<Notify>,
}

#[async_trait]
impl PollDirectory for Announcing {
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
impl PollStore for Announcing {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let changed = self.store.change_poll(change, by).await;
        self.changed.notify_one();
        changed
    }

    async fn upgrade_is_finished(&self) -> Result<bool, StoreError> {
        self.store.upgrade_is_finished().await
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.store.deleted_polls().await
    }
}
