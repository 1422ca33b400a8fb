//! The polls, kept at hand: a ballot does not wait for a look-up, and voting goes on while the
//! place where polls are kept does not answer.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use poem_openapi::{Enum, Object};
use tokio::sync::Mutex;
use voting_core::{Poll, PollDirectory, PollId, StoreError, poll::PollState};

use crate::problem::Problem;

/// How old what is at hand may be before it is looked up again.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Polls {
    directory: Arc<dyn PollDirectory>,
    known: Arc<RwLock<Option<Snapshot>>>,
    refreshing: Arc<Mutex<()>>,
    default: Option<PollId>,
}

#[derive(Clone)]
struct Snapshot {
    at: Instant,
    list: Arc<[Arc<Poll>]>,
    by_id: Arc<HashMap<PollId, Arc<Poll>>>,
}

impl Polls {
    pub(crate) fn new(directory: Arc<dyn PollDirectory>, default: Option<PollId>) -> Self {
        Self {
            directory,
            known: Arc::default(),
            refreshing: Arc::default(),
            default,
        }
    }

    /// The poll of that name.
    pub(crate) async fn get(&self, id: &str) -> Result<Arc<Poll>, Problem> {
        let key: PollId = id.parse().map_err(|_| Problem::no_poll(id))?;
        let snapshot = self.snapshot().await?;
        snapshot
            .by_id
            .get(&key)
            .cloned()
            .ok_or_else(|| Problem::no_poll(id))
    }

    /// The poll of that name, or the one at `/`.
    pub(crate) async fn get_or_default(&self, id: Option<&str>) -> Result<Arc<Poll>, Problem> {
        match (id, &self.default) {
            (Some(id), _) => self.get(id).await,
            (None, Some(default)) => self.get(default.as_str()).await,
            (None, None) => {
                let first = self.snapshot().await?.list.first().cloned();
                first.ok_or_else(Problem::no_polls)
            }
        }
    }

    /// All polls, the oldest first.
    pub(crate) async fn all(&self) -> Result<Arc<[Arc<Poll>]>, StoreError> {
        Ok(self.snapshot().await?.list)
    }

    /// Asks the directory, whatever is at hand.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.directory.polls().await.map(|_| ())
    }

    fn known(&self) -> Option<Snapshot> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let known = self.known();
        if let Some(known) = &known
            && known.at.elapsed() < FRESH
        {
            return Ok(known.clone());
        }
        // One request looks up. The others go on with what is at hand, or wait if nothing is.
        let _refreshing = match (self.refreshing.try_lock(), &known) {
            (Ok(guard), _) => guard,
            (Err(_), Some(known)) => return Ok(known.clone()),
            (Err(_), None) => {
                let guard = self.refreshing.lock().await;
                if let Some(known) = self.known() {
                    return Ok(known);
                }
                guard
            }
        };
        let list = match (self.directory.polls().await, known) {
            (Ok(polls), _) => polls.into_iter().map(Arc::new).collect(),
            (Err(error), Some(known)) => {
                tracing::warn!(%error, "cannot look up polls; going on with those known");
                known.list
            }
            (Err(error), None) => return Err(error),
        };
        let snapshot = Snapshot {
            at: Instant::now(),
            by_id: Arc::new(
                list.iter()
                    .map(|poll| (poll.id().clone(), Arc::clone(poll)))
                    .collect(),
            ),
            list,
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.clone());
        Ok(snapshot)
    }
}

/// Whether ballots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "PollState", rename_all = "lowercase")]
pub(crate) enum StateView {
    /// Ballots are taken and counted.
    Open,
    /// Ballots are not taken.
    Closed,
}

impl From<PollState> for StateView {
    fn from(state: PollState) -> Self {
        match state {
            PollState::Open => Self::Open,
            _ => Self::Closed,
        }
    }
}

/// A poll.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Poll")]
pub(crate) struct PollView {
    /// Names the poll in addresses.
    id: String,
    /// The question.
    title: String,
    /// Whether ballots are taken.
    state: StateView,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// What can be voted for, in the poll's order.
    options: Vec<OptionView>,
}

/// One thing that can be voted for.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Option")]
struct OptionView {
    /// Names the option in a ballot.
    id: String,
    /// The option in words.
    label: String,
}

impl From<&Poll> for PollView {
    fn from(poll: &Poll) -> Self {
        let options = poll.options().iter().map(|option| OptionView {
            id: option.id.to_string(),
            label: option.label.clone(),
        });
        Self {
            id: poll.id().to_string(),
            title: poll.title().to_owned(),
            state: PollState::Open.into(),
            max_choices: poll.max_choices(),
            options: options.collect(),
        }
    }
}
