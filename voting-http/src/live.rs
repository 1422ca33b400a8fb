//! Tallies for any number of readers at the cost of one: whoever asks within a tick gets the same
//! snapshot, and event streams share one look at the store a tick, which pauses while nobody
//! watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use poem_openapi::types::ToJSON;
use tokio::{sync::watch, time::timeout};
use voting_core::{Poll, PollId, StoreError, TallyStore};

use crate::{metrics::LiveMetrics, polls::Polls, problem::Problem, tally_view::TallyView};

/// How old a tally may be that is shown.
const TICK: Duration = Duration::from_millis(250);

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A tally as it is shown, and as it is sent.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) view: TallyView,
    /// The tally as a server-sent event.
    pub(crate) event: Bytes,
}

/// The latest tallies.
#[derive(Clone)]
pub(crate) struct LiveTallies(Arc<Inner>);

struct Inner {
    store: Arc<dyn TallyStore>,
    polls: Polls,
    latest: Mutex<HashMap<PollId, Arc<Latest>>>,
    watched: Mutex<HashMap<PollId, watch::Sender<Arc<Snapshot>>>>,
    metrics: LiveMetrics,
}

/// What the store last said, be it that it failed. Held while it is asked, so that requests that
/// come together ask once.
type Latest = tokio::sync::Mutex<Option<(Instant, Result<Arc<Snapshot>, Problem>)>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveTallies {
    pub(crate) fn new(store: Arc<dyn TallyStore>, polls: Polls) -> Self {
        Self(Arc::new(Inner {
            store,
            polls,
            latest: Mutex::default(),
            watched: Mutex::default(),
            metrics: LiveMetrics::default(),
        }))
    }

    pub(crate) fn metrics(&self) -> &LiveMetrics {
        &self.0.metrics
    }

    /// The tally of a poll, at most a tick old.
    pub(crate) async fn current(&self, poll: &Poll) -> Result<Arc<Snapshot>, Problem> {
        let latest = Arc::clone(lock(&self.0.latest).entry(poll.id().clone()).or_default());
        let mut latest = latest.lock().await;
        if let Some((at, outcome)) = &*latest
            && at.elapsed() < TICK
        {
            return outcome.clone();
        }
        let outcome = self.ask(poll).await;
        *latest = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn ask(&self, poll: &Poll) -> Result<Arc<Snapshot>, Problem> {
        self.0.metrics.look_ups.inc();
        let tally = timeout(PATIENCE, self.0.store.tally(poll.id())).await;
        let tally = tally.unwrap_or_else(|_| Err(StoreError::unavailable("no answer in time")))?;
        let tally = tally.ok_or_else(|| Problem::no_poll(poll.id().as_str()))?;
        let view = TallyView::new(poll, &tally);
        let event = event(&view);
        Ok(Arc::new(Snapshot { view, event }))
    }

    async fn latest(&self, poll: &PollId) -> Result<Arc<Snapshot>, Problem> {
        // Looked up each time: its state or labels may have changed.
        let poll = self.0.polls.get(poll.as_str()).await?;
        self.current(&poll).await
    }

    /// The tallies of a poll from now on: the current one at once, then each that differs.
    pub(crate) async fn watch(
        &self,
        poll: &Poll,
    ) -> Result<watch::Receiver<Arc<Snapshot>>, Problem> {
        if let Some(sender) = lock(&self.0.watched).get(poll.id()) {
            return Ok(sender.subscribe());
        }
        let first = self.current(poll).await?;
        let mut watched = lock(&self.0.watched);
        if let Some(sender) = watched.get(poll.id()) {
            return Ok(sender.subscribe());
        }
        let (sender, receiver) = watch::channel(first);
        watched.insert(poll.id().clone(), sender.clone());
        tokio::spawn(self.clone().follow(poll.id().clone(), sender));
        Ok(receiver)
    }

    /// Sends what changes until nobody watches.
    async fn follow(self, poll: PollId, sender: watch::Sender<Arc<Snapshot>>) {
        let mut failing = false;
        loop {
            tokio::time::sleep(TICK).await;
            {
                // Under the lock, or a reader could subscribe to a sender that is given up.
                let mut watched = lock(&self.0.watched);
                if sender.receiver_count() == 0 {
                    watched.remove(&poll);
                    return;
                }
            }
            match self.latest(&poll).await {
                Ok(snapshot) => {
                    failing = false;
                    sender.send_if_modified(|shown| {
                        // The state and the labels are in it too, so the version alone does not tell.
                        let differs = shown.view != snapshot.view;
                        *shown = snapshot;
                        differs
                    });
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, %poll, "the live result stands still");
                }
                Err(_) => {}
            }
        }
    }
}

fn event(view: &TallyView) -> Bytes {
    let data = view.to_json_string();
    format!("event: tally\nid: {}\ndata: {data}\n\n", view.version).into()
}
