//! Closes polls, exactly: every ballot that was acknowledged before counts, none is acknowledged
//! after, and once a poll is final its count never changes.
//!
//! A poll that is [`Closing`](PollState::Closing) is first sealed in the log, shard by shard. The log
//! itself refuses ballots from then on, in the same step in which it would take them, so it does not
//! matter how old a vote service's view of the poll is. Ballots up to the seal are in the log. When
//! all of them are acknowledged by the workers, and so are in the store, the poll becomes
//! [`Final`](PollState::Final).
//!
//! Each step may be repeated, and taken by any number of processes at a time.

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
    store::PollStore,
};

/// Takes a step with all polls that are to close. Returns the number of those that are not final
/// yet.
///
/// Polls that are final are sealed again: the log may have been made anew since.
///
/// # Errors
/// One of the stores does not answer. Polls may have been moved on before that.
pub async fn advance(
    log: &dyn BallotLog,
    queue: &dyn BallotQueue,
    polls: &dyn PollStore,
) -> Result<usize, StoreError> {
    let there = polls.polls().await?;
    let closed = there.iter().filter(|poll| !poll.state().is_open());
    let closed: Vec<&Poll> = closed.collect();
    if closed.is_empty() {
        return Ok(0);
    }
    let ids: Vec<PollId> = closed.iter().map(|poll| poll.id().clone()).collect();
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
        let stored = polls.advance_poll(poll.id(), &state).await?;
        // As the store has it: its seals may be earlier ones.
        if let Some(PollState::Closing(seals)) = stored {
            all_sealed.push((poll.id(), seals));
        }
    }
    // Asked after all was sealed: what is settled then stays so.
    let acknowledged_below = queue.stats().await?.acknowledged_below;
    for (id, seals) in all_sealed {
        let is_counted = |(shard, last)| {
            // No entry ever came before such a seal.
            last == EntryId::MIN
                || acknowledged_below
                    .get(&shard)
                    .is_some_and(|acknowledged_below| *acknowledged_below > last)
        };
        if seals.iter().all(is_counted) {
            polls.advance_poll(id, &PollState::Final(seals)).await?;
            tracing::info!(poll = %id, "all ballots are counted; the poll is final");
        } else {
            left += 1;
        }
    }
    Ok(left)
}

/// Takes a step every so often, for as long as it is polled.
pub async fn keep_advancing(
    log: Arc<dyn BallotLog>,
    queue: Arc<dyn BallotQueue>,
    polls: Arc<dyn PollStore>,
    every: Duration,
) {
    let mut failing = false;
    loop {
        match advance(log.as_ref(), queue.as_ref(), polls.as_ref()).await {
            Ok(_) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let error = in_one_line(&error);
                    tracing::warn!(error, "cannot see to polls that are to close; trying again");
                }
            }
        }
        sleep(every).await;
    }
}
