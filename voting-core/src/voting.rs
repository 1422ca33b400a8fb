//! The facade: one voting system, put together and running.

mod builder;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::Stream;
use tokio::{task::JoinHandle, time::sleep};

pub use self::builder::VotingBuilder;
use crate::{
    error::{CastError, StoreError},
    log::{BallotLog, BallotQueue, VoteSink, entry_keys::EntryKeys},
    model::{
        ballot::{Ballot, VoterId},
        id::PollId,
        poll::{InvalidChoice, Poll, PollChange},
        poll_state::{PollState, Seals},
        position::ShardId,
        receipt::{Receipt, ReceiptState},
        tally::Tally,
    },
    pipeline::{
        coordinator::Coordinator,
        follow::{FollowError, follow},
        group_commit::{GroupCommit, GroupCommitOptions},
        rule::{BallotRule, Refusal},
        schedule,
        worker::{WorkerExit, WorkerHandle},
    },
    store::{PollDirectory, PollStore, Store, events::Event},
};

/// How often is looked whether ballots are counted.
const LOOK: Duration = Duration::from_millis(5);

/// A voting system in this process: a sink for ballots, a worker that counts them, and what closes polls.
///
/// Made by [`embedded`](Self::embedded) or [`over`](Self::over); clones share it. Its parts can be handed to the
/// services of `voting-http`. Call [`shutdown`](Self::shutdown) before the process ends: dropping it stops neither
/// the worker nor loses a ballot, but the process does not wait then.
///
/// ```
/// use std::time::Duration;
/// use voting_core::{backends::memory::Memory, prelude::*};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let voting = Voting::embedded(Memory::default()).start().await?;
/// let poll = Poll::builder("drinks", "Tea or coffee?").option("tea", "Tea").option("coffee", "Coffee");
/// voting.put_poll(&poll.build()?).await?;
/// let receipt = voting.cast("drinks", VoterId::issue(), ["tea"]).await?;
/// voting.counted().await?;
/// assert_eq!(voting.tally("drinks").await?.votes, [1, 0]);
/// assert_eq!(voting.receipt_state(&receipt).await?, ReceiptState::Counted);
/// voting.shutdown(Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Voting(Arc<Inner>);

struct Inner {
    sink: Arc<GroupCommit>,
    /// Made when it is first asked for.
    bulk: OnceLock<Arc<GroupCommit>>,
    log: Arc<dyn BallotLog>,
    queue: Arc<dyn BallotQueue>,
    store: Arc<dyn Store>,
    /// Where polls are changed.
    polls: Arc<dyn PollStore>,
    /// Where a poll is looked up before a ballot is cast in it.
    directory: Arc<dyn PollDirectory>,
    coordinator: Option<Coordinator>,
    rule: Option<Arc<dyn BallotRule>>,
    worker: WorkerHandle,
    /// What closes polls.
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// A vote was not taken, or a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VotingError {
    /// There is no poll with this id. With the beginning of the id.
    #[error("there is no poll {0:?}")]
    UnknownPoll(String),
    /// The vote is not valid in its poll.
    #[error(transparent)]
    Choice(#[from] InvalidChoice),
    /// The application's [rule](crate::pipeline::rule) refuses the ballot.
    #[error(transparent)]
    NotEligible(#[from] Refusal),
    /// The ballot was not acknowledged. The error says whether it may still count.
    #[error(transparent)]
    Cast(#[from] CastError),
    /// A store did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Not all work was done in the time to stop. No ballot is lost: what is in the log is counted after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time to stop was over before all acknowledged ballots were counted")]
pub struct Unfinished;

impl Voting {
    /// Stores a poll, or gives a stored one another title or other labels; see [`PollStore::put_poll`]. Ballots can
    /// be cast in it when this returns.
    ///
    /// # Errors
    /// As [`PollStore::put_poll`].
    pub async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        self.0.polls.put_poll(poll).await?;
        self.publish().await
    }

    /// Changes a poll, see [`PollStore::change_poll`]: its settings, its times, a draft that is published, its end. Returns
    /// the poll as it is then; `None` if it is deleted. `by` says who changes it, and stands in the audit log.
    ///
    /// # Errors
    /// As [`PollStore::change_poll`].
    pub async fn change_poll(
        &self,
        change: &PollChange,
        by: &str,
    ) -> Result<Option<Poll>, StoreError> {
        let changed = self.0.polls.change_poll(change, by).await?;
        self.publish().await?;
        Ok(changed)
    }

    /// Closes a poll: the log takes no more ballots in it, and once all that it took are counted, the poll becomes
    /// [final](PollState::Final). Returns the state of the poll when the change is stored; it moves on by itself.
    ///
    /// # Errors
    /// [`VotingError::UnknownPoll`], or the store does not answer.
    pub async fn close_poll(&self, poll: &str) -> Result<PollState, VotingError> {
        let id = self.id(poll)?;
        let closing = PollState::Closing(Seals::default());
        let state = self
            .0
            .polls
            .advance_poll_by(&id, &closing, "application")
            .await?;
        self.publish().await?;
        state.ok_or_else(|| unknown(poll))
    }

    /// Waits until a poll that was [closed](Self::close_poll) is final, and returns its count, which never changes
    /// again. Waits for ever if the poll is not closed, or no worker counts its ballots.
    ///
    /// # Errors
    /// [`VotingError::UnknownPoll`], or the store does not answer.
    pub async fn final_tally(&self, poll: &str) -> Result<Tally, VotingError> {
        let id = self.id(poll)?;
        loop {
            let stored = self.0.store.poll(&id).await?;
            if stored.ok_or_else(|| unknown(poll))?.state().is_final() {
                return self.tally(poll).await;
            }
            sleep(LOOK).await;
        }
    }

    async fn publish(&self) -> Result<(), StoreError> {
        match &self.0.coordinator {
            Some(coordinator) => coordinator.round().await,
            None => schedule::round(&self.0.log, &self.0.polls).await,
        }
    }

    /// A poll by its id.
    ///
    /// # Errors
    /// [`VotingError::UnknownPoll`], or the store does not answer.
    pub async fn poll(&self, poll: &str) -> Result<Poll, VotingError> {
        let found = self.0.directory.poll(&self.id(poll)?).await?;
        found.ok_or_else(|| unknown(poll))
    }

    /// Casts a ballot for the options with these ids, and returns once it is durable in the log. Another ballot of
    /// the same voter takes its place, if it is cast later.
    ///
    /// Looks the poll up each time. A program with many ballots keeps the [`Poll`] and casts into
    /// [`sink`](Self::sink).
    ///
    /// # Errors
    /// [`VotingError`] says why the ballot was not acknowledged, and whether it may still count.
    pub async fn cast<'a>(
        &self,
        poll: &str,
        voter: VoterId,
        options: impl IntoIterator<Item = &'a str>,
    ) -> Result<Receipt, VotingError> {
        let poll = self.poll(poll).await?;
        let ballot = Ballot {
            poll: poll.id().clone(),
            voter,
            choices: poll.choose(options)?,
            rules: poll.rules(),
        };
        if !poll.state().is_open() {
            return Err(CastError::Closed(ballot.poll).into());
        }
        if let Some(rule) = &self.0.rule {
            rule.check(&ballot, &poll).await??;
        }
        Ok(self.0.sink.cast(ballot).await?)
    }

    /// The tally of a poll: what the store has counted so far.
    ///
    /// # Errors
    /// [`VotingError::UnknownPoll`], or the store does not answer.
    pub async fn tally(&self, poll: &str) -> Result<Tally, VotingError> {
        let found = self.0.store.tally(&self.id(poll)?).await?;
        found.ok_or_else(|| unknown(poll))
    }

    /// What became of an acknowledged ballot.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        self.0.store.receipt_state(receipt).await
    }

    /// Waits until all ballots that were acknowledged before the call are counted, superseded or set aside.
    ///
    /// # Errors
    /// The log does not answer.
    pub async fn counted(&self) -> Result<(), StoreError> {
        let mut last = Vec::new();
        for shard in (0..self.0.log.shards()).map(ShardId) {
            // Without polls this seals nothing, and says which entry is the last one.
            last.push((shard, self.0.log.seal(shard, &[]).await?));
        }
        loop {
            let below = self.0.queue.stats().await?.acknowledged_below;
            let is_counted = |(shard, last)| below.get(shard).is_some_and(|below| below > last);
            if last
                .iter()
                .map(|(shard, last)| (shard, last))
                .all(is_counted)
            {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// Where ballots are cast, as the vote service needs it.
    pub fn sink(&self) -> Arc<dyn VoteSink> {
        Arc::clone(&self.0.sink) as _
    }

    /// Where ballots are cast that a trusted server hands in for its voters, see [`GroupCommit::for_trusted_server`] and
    /// [`cast_many`](crate::pipeline::cast_many). Call it within a tokio runtime.
    pub fn bulk_sink(&self) -> Arc<dyn VoteSink> {
        let make = || {
            let log = Arc::clone(&self.0.log);
            let (options, keys) = (GroupCommitOptions::default(), EntryKeys::default());
            Arc::new(GroupCommit::for_trusted_server(log, options, keys))
        };
        Arc::clone(self.0.bulk.get_or_init(make)) as _
    }

    /// Where the vote service looks polls up.
    pub fn directory(&self) -> Arc<dyn PollDirectory> {
        Arc::clone(&self.0.directory)
    }

    /// Where polls are stored and changed, as the operator's service needs it.
    pub fn polls(&self) -> Arc<dyn PollStore> {
        Arc::clone(&self.0.polls)
    }

    /// Where ballots are counted. An `Arc<dyn Store>` coerces to an `Arc` of each of its parts.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }

    /// The [events](crate::store::events) after this place, and then each new one, see [`follow`]. `after` is the number of the last event that was
    /// dealt with, or 0.
    pub fn events(
        &self,
        after: u64,
    ) -> impl Stream<Item = Result<Event, FollowError>> + Send + use<> {
        follow(self.store(), after)
    }

    /// The reading end of the log that the worker uses.
    pub fn queue(&self) -> Arc<dyn BallotQueue> {
        Arc::clone(&self.0.queue)
    }

    /// The worker.
    pub fn worker(&self) -> &WorkerHandle {
        &self.0.worker
    }

    /// Stops in order: the sink takes no more ballots and writes those that wait; the worker counts what is in the
    /// log, for as long as its [options](crate::WorkerOptions) say; the log is told that this consumer is gone. Once
    /// all clones are dropped, nothing uses the back end any more. A ballot that is cast afterwards is refused for
    /// good. Calling it again does nothing.
    ///
    /// # Errors
    /// [`Unfinished`] if that is not done within this time.
    pub async fn shutdown(&self, within: Duration) -> Result<(), Unfinished> {
        let stop = async {
            self.0.sink.close().await;
            if let Some(bulk) = self.0.bulk.get() {
                bulk.close().await;
            }
            let exit = self.0.worker.stop().await;
            let keeper = self.0.keeper.lock();
            let keeper = keeper.unwrap_or_else(PoisonError::into_inner).take();
            if let Some(keeper) = keeper {
                keeper.abort();
                // It has let go of the back end when this returns, so that a file can be opened again.
                let _ = keeper.await;
            }
            if let Err(error) = self.0.queue.close().await {
                let error = crate::error::in_one_line(&error);
                tracing::warn!(
                    error,
                    "could not remove this consumer from the log; the log removes it later"
                );
            }
            exit
        };
        match tokio::time::timeout(within, stop).await {
            Ok(WorkerExit::Clean) => Ok(()),
            _ => Err(Unfinished),
        }
    }

    fn id(&self, poll: &str) -> Result<PollId, VotingError> {
        // A text that is no id is no poll's id.
        poll.parse().map_err(|_| unknown(poll))
    }
}

fn unknown(poll: &str) -> VotingError {
    VotingError::UnknownPoll(poll.chars().take(PollId::MAX_LEN).collect())
}

impl fmt::Debug for Voting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voting").finish_non_exhaustive()
    }
}
