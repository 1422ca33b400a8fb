//! How the votes of polls grew. Any number of readers costs the store as much as one reader, and at most one look-up of a poll
//! every few seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::timeout;
use voting_core::{PollId, StoreError, TallyStore, model::vote_history::VoteHistory};

use crate::problem::Problem;

/// How long a history is kept. Not longer, because the voters may be forgotten, and with them the votes at each time. A
/// failure is kept as well, so that requests do not wait for a store that hangs, one after the other.
const KEPT: Duration = Duration::from_secs(5);

/// How long one look-up may take.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The least number of voters between two points that show votes.
const LEAST_VOTERS: u64 = 5;

/// The most points that are shown of a history.
const POINTS: usize = 120;

/// When the store was asked, and its answer; `None` if it failed. The lock is held during a look-up, so that concurrent requests cause one.
type Latest = Arc<tokio::sync::Mutex<Option<(Instant, Option<Arc<VoteHistory>>)>>>;

/// Reads histories, and keeps the latest one of each poll.
pub(crate) struct Histories {
    store: Arc<dyn TallyStore>,
    latest: Mutex<HashMap<PollId, Latest>>,
}

impl Histories {
    pub(crate) fn new(store: Arc<dyn TallyStore>) -> Self {
        Self {
            store,
            latest: Mutex::default(),
        }
    }

    /// The history of a poll. It may be a few seconds old.
    ///
    /// # Errors
    /// The store does not answer, or did not a moment ago, or has no such poll.
    pub(crate) async fn of(&self, poll: &PollId) -> Result<Arc<VoteHistory>, Problem> {
        let latest = {
            let mut all = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            if !all.contains_key(poll) {
                // Polls may be deleted, and nobody says so here.
                all.retain(|_, latest| is_in_use(latest));
            }
            Arc::clone(all.entry(poll.clone()).or_default())
        };
        let mut latest = latest.lock().await;
        if let Some((at, known)) = &*latest
            && at.elapsed() < KEPT
        {
            let known = known.as_ref().map(Arc::clone);
            return known.ok_or_else(|| StoreError::unavailable("no answer in time").into());
        }
        let asked = timeout(READ_TIMEOUT, self.store.vote_history(poll)).await;
        let history = asked.unwrap_or_else(|_| Err(StoreError::unavailable("no answer in time")));
        let history = match history {
            Ok(history) => history.ok_or_else(|| Problem::no_poll(poll.as_str()))?,
            Err(error) => {
                *latest = Some((Instant::now(), None));
                return Err(error.into());
            }
        };
        let history = Arc::new(history.of_many(LEAST_VOTERS).thinned(POINTS));
        *latest = Some((Instant::now(), Some(Arc::clone(&history))));
        Ok(history)
    }
}

/// Whether a request reads this history, or may take it as it is.
fn is_in_use(latest: &Latest) -> bool {
    match latest.try_lock() {
        Ok(latest) => latest.as_ref().is_none_or(|(at, _)| at.elapsed() < KEPT),
        Err(_) => true,
    }
}
