//! Opens and closes polls at set times, exactly by the log's clock.
//!
//! Each shard of the log has a [window](PollWindow) for each poll with such times, and takes ballots in the poll only
//! between them. It compares them with the time that it writes into the ballot's position, in the same step. So neither
//! a vote service that has not heard of the times nor a clock that is wrong can let a ballot in.
//!
//! A change of the times is first stored as *pending*. It then goes to every shard. A shard takes it only while the old
//! and the new times are far enough away ([`CHANGE_MARGIN`](crate::model::poll::CHANGE_MARGIN)), so all shards can be
//! asked before one of them is reached. If all shards have taken the change, it holds; otherwise it is given up: the old
//! times are then pending in its place, and go to every shard again. A shard that cannot take them any more, since they
//! are too near, keeps the new ones; as long as one may have them, ballots that are in time by them count. Each step may
//! be repeated, and any process may do the next one.

use async_trait::async_trait;

use crate::{
    error::{ErrorKind, StoreError, in_one_line},
    log::{BallotLog, ShardWindows},
    model::{
        id::PollId,
        moment::Moment,
        poll::{ChangeRefusal, ChangeTo, Poll, PollChange, PollWindow},
        poll_state::{PollState, Seals},
        position::ShardId,
    },
    store::{PollDirectory, PollStore},
};

/// Who opens and closes polls, in the audit log.
const SCHEDULE: &str = "schedule";

/// Gives every shard the windows of all polls that are not final, ends pending changes, and lets the polls close whose
/// time has come in every shard. Repeat it every second.
///
/// # Errors
/// The log or the store does not answer. Some of the steps may have been taken.
pub async fn round(log: &dyn BallotLog, polls: &dyn PollStore) -> Result<(), StoreError> {
    let mut stored = polls.polls().await?;
    let has_change = |poll: &&Poll| !poll.state().is_final() && poll.pending_window().is_some();
    if stored.iter().any(|poll| has_change(&poll)) {
        for poll in stored.iter().filter(has_change) {
            match settle(log, polls, poll).await {
                // Whoever asked for the change is told by its own call.
                Ok(_) | Err(StoreError::ChangeRefused(..)) => {}
                Err(error) => return Err(error),
            }
        }
        stored = polls.polls().await?;
    }
    let windows: Vec<PollWindow> = stored
        .iter()
        .filter(|poll| !poll.state().is_final())
        .filter_map(|poll| poll.pending_window().or_else(|| poll.window()))
        .collect();
    if windows.is_empty() {
        return Ok(());
    }
    let shards = set_in_all(log, &windows).await?;
    for (index, window) in windows.iter().enumerate() {
        let is_open = |poll: &&Poll| poll.id() == &window.poll && poll.state().is_open();
        if stored.iter().any(|poll| is_open(&poll)) && is_over(&shards, index) {
            let closing = PollState::Closing(Seals::default());
            polls
                .advance_poll_by(&window.poll, &closing, SCHEDULE)
                .await?;
            tracing::info!(poll = %window.poll, "the poll has reached its closing time; it is closing");
        }
    }
    Ok(())
}

/// Whether each shard has passed the closing that it has itself.
fn is_over(shards: &[ShardWindows], index: usize) -> bool {
    shards.iter().all(|shard| {
        let closes = shard.held.get(index).and_then(|held| held.closes_at);
        closes.is_some_and(|closes| closes.unix_ms() <= shard.clock_ms)
    })
}

async fn set_in_all(
    log: &dyn BallotLog,
    windows: &[PollWindow],
) -> Result<Vec<ShardWindows>, StoreError> {
    let mut shards = Vec::new();
    for shard in (0..log.shards()).map(ShardId) {
        let held = log.set_windows(shard, windows).await?;
        for (window, held) in windows.iter().zip(&held.held) {
            // A higher number comes from a newer change, which another process has just made.
            if held != window && held.times <= window.times {
                tracing::error!(
                    poll = %window.poll,
                    %shard,
                    opens_at = shown(held.opens_at),
                    closes_at = shown(held.closes_at),
                    "a shard of the log keeps other times than its poll has",
                );
            }
        }
        shards.push(held);
    }
    Ok(shards)
}

fn shown(moment: Option<Moment>) -> String {
    moment.map_or_else(|| "-".to_owned(), |moment| moment.to_string())
}

/// Ends the pending change of a poll: gives it to every shard, and stores whether all have taken it. Returns the poll as
/// it is then.
///
/// # Errors
/// [`StoreError::ChangeRefused`] if a shard did not take the change: it is taken back. Another error if the log or the
/// store does not answer: if it was the log, the change is taken back; if it was the store, the next
/// [`round`] ends the change.
async fn settle(
    log: &dyn BallotLog,
    polls: &dyn PollStore,
    poll: &Poll,
) -> Result<Poll, StoreError> {
    let Some(window) = poll.pending_window() else {
        return Ok(poll.clone());
    };
    let id = poll.id();
    let taken = take_in_all(log, &window).await;
    let end = ChangeTo::Settled {
        times: window.times,
        is_confirmed: taken.is_ok(),
    };
    let change = PollChange::new(id.clone(), end);
    let settled = polls.change_poll(&change, SCHEDULE).await?;
    let settled = settled.ok_or_else(|| StoreError::NoPoll(id.clone()))?;
    let Err(why) = taken else {
        return Ok(settled);
    };
    // Another process may have seen all shards take it.
    if settled
        .window()
        .is_some_and(|holds| holds.times == window.times)
    {
        return Ok(settled);
    }
    if let Some(back) = settled.pending_window()
        && back.times != window.times
    {
        match set_in_all(log, std::slice::from_ref(&back)).await {
            Ok(shards) if all_have(&shards, &back) => {
                let end = ChangeTo::Settled {
                    times: back.times,
                    is_confirmed: true,
                };
                polls
                    .change_poll(&PollChange::new(id.clone(), end), SCHEDULE)
                    .await?;
            }
            Ok(_) => {}
            Err(error) => {
                let error = in_one_line(&error);
                tracing::warn!(poll = %id, error, "could not take back new times yet; will retry");
            }
        }
    }
    Err(why)
}

fn all_have(shards: &[ShardWindows], window: &PollWindow) -> bool {
    let has = |shard: &ShardWindows| shard.held.first() == Some(window);
    shards.iter().all(has)
}

async fn take_in_all(log: &dyn BallotLog, window: &PollWindow) -> Result<(), StoreError> {
    for shard in (0..log.shards()).map(ShardId) {
        let shard = log.set_windows(shard, std::slice::from_ref(window)).await?;
        if shard.held.first() != Some(window) {
            let why = ChangeRefusal::Times;
            return Err(StoreError::ChangeRefused(window.poll.clone(), why));
        }
    }
    Ok(())
}

/// A store in which a change of a poll's times is answered once every shard of the log has taken it, or not. Make all
/// changes through this, or through a [`Coordinator`](crate::pipeline::coordinator::Coordinator), which contains it.
#[derive(Clone)]
pub struct ScheduledPolls<L, S> {
    log: L,
    polls: S,
}

impl<L: BallotLog, S: PollStore> ScheduledPolls<L, S> {
    /// Polls that are kept in `polls`, and whose ballots come through `log`.
    pub fn new(log: L, polls: S) -> Self {
        Self { log, polls }
    }
}

impl<L, S> std::fmt::Debug for ScheduledPolls<L, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScheduledPolls").finish_non_exhaustive()
    }
}

#[async_trait]
impl<L: BallotLog, S: PollStore> PollDirectory for ScheduledPolls<L, S> {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        self.polls.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.polls.polls().await
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        self.polls.is_deleted(id).await
    }
}

#[async_trait]
impl<L: BallotLog, S: PollStore> PollStore for ScheduledPolls<L, S> {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        if let ChangeTo::Put(poll) | ChangeTo::Defined(poll) | ChangeTo::New(poll) = &change.to
            && poll.settings().has_times()
            && !self.log.keeps_windows()
        {
            return Err(StoreError::of_kind(
                ErrorKind::Unsupported,
                "this ballot log cannot open and close polls at set times",
            ));
        }
        let changed = self.polls.change_poll(change, by).await?;
        match (changed, &change.to) {
            (Some(poll), ChangeTo::Put(_)) if poll.pending_window().is_some() => {
                // A shard that was restarted takes any newer times, however near they are, unless it has got those from
                // before the change again. If it does not answer, the change is taken back below.
                if let Some(window) = poll.window() {
                    let _ = set_in_all(&self.log, std::slice::from_ref(&window)).await;
                }
                settle(&self.log, &self.polls, &poll).await.map(Some)
            }
            (changed, _) => Ok(changed),
        }
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.polls.deleted_polls().await
    }
}

/// The polls that may be shown to voters: those of `polls` that are no drafts.
#[derive(Debug, Clone)]
pub struct Published<D>(pub D);

#[async_trait]
impl<D: PollDirectory> PollDirectory for Published<D> {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let found = self.0.poll(id).await?;
        Ok(found.filter(|poll| !poll.is_draft()))
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        let mut polls = self.0.polls().await?;
        polls.retain(|poll| !poll.is_draft());
        Ok(polls)
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        self.0.is_deleted(id).await
    }
}
