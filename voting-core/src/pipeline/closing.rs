//! Closes polls exactly. Every ballot that was acknowledged before the poll is sealed counts. No ballot is acknowledged
//! after that. Once a poll is final, its count never changes.
//!
//! A poll that is [`Closing`](PollState::Closing) is first sealed in the log, shard by shard. From then on, the log
//! itself refuses ballots in the poll. It checks the seal in the same step in which it appends an entry, so it does no
//! harm if a vote service still takes the poll for open. All ballots up to the seals are in the log. When the workers
//! have acknowledged all of them, the store has them, and the poll becomes [`Final`](PollState::Final).
//!
//! Each step may be repeated. Any number of processes may do the steps at the same time.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    error::{StoreError, in_one_line},
    log::{BallotLog, BallotQueue},
    model::{
        id::PollId,
        poll::Poll,
        poll_state::{PollState, Seals},
        position::{EntryId, ShardId},
    },
    pipeline::schedule,
    store::PollStore,
};

/// Who moves polls on, in the audit log.
const CLOSING: &str = "worker";

/// Does one step for all polls that are to close. Returns the number of closing polls that are not final yet.
///
/// Final and deleted polls are sealed again, because the log may have been created again since.
///
/// # Errors
/// The log or the store does not answer. Some polls may already have been moved to their next state.
pub async fn advance(
    log: &dyn BallotLog,
    queue: &dyn BallotQueue,
    polls: &dyn PollStore,
) -> Result<usize, StoreError> {
    let there = polls.polls().await?;
    let closed = there.iter().filter(|poll| !poll.state().is_open());
    let closed: Vec<&Poll> = closed.collect();
    let mut ids: Vec<PollId> = closed.iter().map(|poll| poll.id().clone()).collect();
    let deleted = polls.deleted_polls().await?;
    ids.extend(deleted.into_iter().map(|(id, _)| id));
    if ids.is_empty() {
        return Ok(0);
    }
    let mut sealed = Vec::new();
    for shard in (0..log.shards()).map(ShardId) {
        sealed.push((shard, log.seal(shard, &ids).await?));
    }
    let sealed: Seals = sealed.into_iter().collect();
    let closing: Vec<&Poll> = closed
        .into_iter()
        .filter(|poll| matches!(poll.state(), PollState::Closing(_)))
        .collect();
    if closing.is_empty() {
        return Ok(0);
    }
    let mut left = 0;
    let mut all_sealed = Vec::new();
    for poll in closing {
        let state = PollState::Closing(sealed.clone());
        let stored = polls.advance_poll_by(poll.id(), &state, CLOSING).await?;
        // The seals that the store has: they may be earlier ones.
        if let Some(PollState::Closing(seals)) = stored {
            all_sealed.push((poll.id(), seals));
        }
    }
    // Read after all shards are sealed: what is settled now stays settled.
    let acknowledged_below = queue.stats().await?.acknowledged_below;
    for (id, seals) in all_sealed {
        let is_counted = |(shard, last)| {
            // The shard had no entry before such a seal.
            last == EntryId::MIN
                || acknowledged_below
                    .get(&shard)
                    .is_some_and(|acknowledged_below| *acknowledged_below > last)
        };
        if seals.iter().all(is_counted) {
            polls
                .advance_poll_by(id, &PollState::Final(seals), CLOSING)
                .await?;
            tracing::info!(poll = %id, "all ballots are counted; the poll is final");
        } else {
            left += 1;
        }
    }
    Ok(left)
}

/// Calls [`schedule::round`] and [`advance`] again and again, with a pause of `every`, for as long as the future is
/// polled.
pub async fn keep_advancing(
    log: Arc<dyn BallotLog>,
    queue: Arc<dyn BallotQueue>,
    polls: Arc<dyn PollStore>,
    every: Duration,
) {
    let mut failing = false;
    loop {
        let round = async {
            schedule::round(log.as_ref(), polls.as_ref()).await?;
            advance(log.as_ref(), queue.as_ref(), polls.as_ref()).await
        };
        match round.await {
            Ok(_) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let error = in_one_line(&error);
                    tracing::warn!(
                        error,
                        "could not check the polls that are closing; will retry"
                    );
                }
            }
        }
        sleep(every).await;
    }
}
