//! Adds the [events](crate::store::events) that no change of a poll makes: a poll has opened at its time, votes were counted,
//! ballots could not be counted, or the count is behind.
//!
//! It compares the present state with the state of the last event, again and again. So no event is lost if a process ends in
//! between, and any number of processes may observe: each event is added once. A flush of ballots does nothing for it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    error::{StoreError, in_one_line},
    log::BallotQueue,
    model::{
        moment::Moment,
        poll::{Phase, Poll, Viewer},
    },
    pipeline::retention::remove_in_portions,
    store::{
        Store,
        events::{EventKind, Mark, NewEvent, opening},
    },
};

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Events about the votes of a poll, the number of dead letters, and the count being behind are at least this far apart.
const PAUSE: Duration = Duration::from_secs(60);

/// When the count is behind, and how long events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObserveOptions {
    /// The count is behind when a ballot has waited for longer than this. Default: a minute.
    pub behind_after: Duration,
    /// How long events are kept. Default: 30 days.
    pub kept: Duration,
}

impl Default for ObserveOptions {
    fn default() -> Self {
        Self {
            behind_after: Duration::from_secs(60),
            kept: Duration::from_secs(30 * 24 * 3_600),
        }
    }
}

fn mark(name: String, value: String, initial: &'static str) -> Mark {
    Mark {
        name,
        value,
        initial,
        pause_ms: u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX),
        only_more: false,
    }
}

/// Observes once, and adds the events of what is new. Repeat it every few seconds.
///
/// # Errors
/// The log or the store does not answer. Some events may have been added.
pub async fn observe(
    store: &dyn Store,
    queue: &dyn BallotQueue,
    options: &ObserveOptions,
    now: Moment,
) -> Result<(), StoreError> {
    for poll in store.polls().await? {
        if let Some((mark, event)) = opening(&poll, now) {
            store.add_event(&mark, &event).await?;
        }
        observe_tally(store, &poll, now).await?;
    }
    let dead_letters = store.totals().await?.rejected;
    let event = NewEvent {
        kind: EventKind::DeadLetterCreated,
        poll: None,
        data: serde_json::json!({ "dead_letters": dead_letters }).to_string(),
    };
    let mark = Mark {
        // There are fewer once some were counted.
        only_more: true,
        ..mark("dead letters".to_owned(), dead_letters.to_string(), "0")
    };
    store.add_event(&mark, &event).await?;
    observe_lag(store, queue, options, now).await?;
    let before = now.minus(options.kept);
    remove_in_portions(|limit| store.remove_events(before, limit)).await
}

/// That the votes of a poll have changed, while everybody may see them.
async fn observe_tally(store: &dyn Store, poll: &Poll, now: Moment) -> Result<(), StoreError> {
    let is_counting = matches!(poll.phase(now), Phase::Open | Phase::Closing);
    if !is_counting || !poll.shows_result(Viewer::Public, now).is_shown() {
        return Ok(());
    }
    let Some(tally) = store.tally(poll.id()).await? else {
        return Ok(());
    };
    let event = NewEvent {
        kind: EventKind::TallyChanged,
        poll: Some(poll.id().clone()),
        data: serde_json::json!({ "version": tally.version, "voters": tally.voters }).to_string(),
    };
    let name = format!("tally {}", poll.id());
    let mark = mark(name, tally.version.to_string(), "0");
    store.add_event(&mark, &event).await.map(|_| ())
}

/// That ballots wait for too long, or do not any more.
async fn observe_lag(
    store: &dyn Store,
    queue: &dyn BallotQueue,
    options: &ObserveOptions,
    now: Moment,
) -> Result<(), StoreError> {
    let stats = queue.stats().await?;
    let waits = stats
        .oldest_pending_ms
        .map(|since| now.unix_ms().saturating_sub(since));
    let limit = u64::try_from(options.behind_after.as_millis()).unwrap_or(u64::MAX);
    let is_behind = waits.is_some_and(|waits| waits > limit);
    let (kind, value) = match is_behind {
        true => (EventKind::CountBehind, "behind"),
        false => (EventKind::CountCaughtUp, "caught up"),
    };
    let data = serde_json::json!({ "pending": stats.pending, "waits_ms": waits.unwrap_or(0) });
    let event = NewEvent {
        kind,
        poll: None,
        data: data.to_string(),
    };
    let mark = mark("count".to_owned(), value.to_owned(), "caught up");
    store.add_event(&mark, &event).await.map(|_| ())
}

/// Looks every two seconds, for ever. Errors are logged, once each, and tried again. Dropping the future stops it.
pub async fn keep_observing(
    store: Arc<dyn Store>,
    queue: Arc<dyn BallotQueue>,
    options: ObserveOptions,
) -> Infallible {
    let mut trouble = None;
    loop {
        let added = observe(store.as_ref(), queue.as_ref(), &options, Moment::now()).await;
        let error = added.err().map(|error| in_one_line(&error));
        if let Some(error) = error
            .as_ref()
            .filter(|error| trouble.as_ref() != Some(*error))
        {
            tracing::warn!(error, "could not add events; will retry");
        }
        trouble = error;
        sleep(EVERY).await;
    }
}
