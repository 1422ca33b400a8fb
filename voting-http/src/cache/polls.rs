//! A copy of the polls. So no ballot waits for a look-up, and voting continues while the directory of polls does not
//! answer.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::timeout};
use voting_core::{
    Poll, PollDirectory, PollId, StoreError,
    model::{moment::Moment, poll::Phase},
};

use crate::problem::{Problem, trouble::Trouble};

/// The copy is looked up again when it is older than this.
const FRESH: Duration = Duration::from_secs(1);

/// The same limit, when a request asks for a poll that the copy does not have.
pub(crate) const FRESH_MISS: Duration = Duration::from_millis(100);

/// The greatest age of a poll that is shown beside its tally. It allows for the last look-up and for the time that a
/// look-up takes.
const RECENT: Duration = Duration::from_secs(3);

/// How many open polls a page links to.
pub(crate) const NEWEST_OPEN: usize = 5;

/// How long a look-up may take while there is a copy to continue with.
const REFRESH_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a look-up may take while there is no copy.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Polls(Arc<Inner>);

struct Inner {
    directory: Arc<dyn PollDirectory>,
    known: RwLock<Option<Arc<Snapshot>>>,
    /// The task that looks the polls up holds this lock. The value says when the last look-up failed, and why.
    looking: Mutex<Option<(Instant, Problem)>>,
    trouble: Trouble,
    default: Option<PollId>,
}

/// The polls as pages list them: without those that are not listed, and those that are archived.
#[derive(Clone, Default)]
pub(crate) struct Listed {
    /// The oldest first.
    pub(crate) all: Arc<[Arc<Poll>]>,
    /// The newest open polls, the newest first. There is one more than a page links to, since a page does not link to
    /// its own poll.
    pub(crate) newest_open: Arc<[Arc<Poll>]>,
}

/// Whether a poll is in lists and menus. Others are reached by their address.
fn is_listed(poll: &Arc<Poll>) -> bool {
    poll.settings().listed && !poll.is_archived()
}

struct Snapshot {
    at: Instant,
    /// Those that are listed.
    list: Arc<[Arc<Poll>]>,
    newest_open: Arc<[Arc<Poll>]>,
    by_id: HashMap<PollId, Arc<Poll>>,
}

impl Polls {
    pub(crate) fn new(directory: Arc<dyn PollDirectory>, default: Option<PollId>) -> Self {
        Self(Arc::new(Inner {
            directory,
            known: RwLock::default(),
            looking: Mutex::default(),
            trouble: Trouble::with("polls"),
            default,
        }))
    }

    /// The poll with this id.
    pub(crate) async fn get(&self, id: &str) -> Result<Arc<Poll>, Problem> {
        let Ok(key) = id.parse::<PollId>() else {
            return Err(match self.in_lower_case(id).await? {
                Some(there) => Problem::no_poll_but(id, there.id()),
                None => Problem::no_poll(id),
            });
        };
        if let Some(poll) = self.snapshot().await?.by_id.get(&key) {
            return Ok(Arc::clone(poll));
        }
        // The poll may be new.
        let newer = self.clone().look_up(FRESH_MISS).await?;
        let poll = newer.by_id.get(&key).cloned();
        poll.ok_or_else(|| Problem::no_poll(id))
    }

    /// The poll with this id, at most [`RECENT`] old. If it cannot be looked up, this is an error, and not an older
    /// copy.
    pub(crate) async fn get_recent(&self, id: &PollId) -> Result<Arc<Poll>, Problem> {
        let mut snapshot = self.snapshot().await?;
        if snapshot.at.elapsed() >= RECENT {
            snapshot = self.clone().look_up(RECENT).await?;
        }
        let poll = snapshot.by_id.get(id).cloned();
        poll.ok_or_else(|| Problem::no_poll(id.as_str()))
    }

    /// The poll with this id, looked up now.
    pub(crate) async fn get_now(&self, id: &PollId) -> Result<Arc<Poll>, Problem> {
        let snapshot = self.clone().look_up(Duration::ZERO).await?;
        let poll = snapshot.by_id.get(id).cloned();
        poll.ok_or_else(|| Problem::no_poll(id.as_str()))
    }

    /// The poll whose id is this text in lower case. Ids have no capitals.
    pub(crate) async fn in_lower_case(&self, id: &str) -> Result<Option<Arc<Poll>>, Problem> {
        // Any other text that is not an id is refused without a look-up.
        let is_capital = id.len() <= PollId::MAX_LEN && id.bytes().any(|b| b.is_ascii_uppercase());
        let name = is_capital.then(|| id.to_ascii_lowercase().parse::<PollId>());
        let Some(Ok(name)) = name else {
            return Ok(None);
        };
        Ok(self.snapshot().await?.by_id.get(&name).cloned())
    }

    /// The poll at `/`: the one that is set, or the first of those that are listed.
    pub(crate) async fn default(&self) -> Result<Arc<Poll>, Problem> {
        match &self.0.default {
            Some(default) => self.get(default.as_str()).await,
            None => {
                let first = self.snapshot().await?.list.first().cloned();
                first.ok_or_else(Problem::no_polls)
            }
        }
    }

    /// The polls for lists and menus.
    pub(crate) async fn listed(&self) -> Result<Listed, Problem> {
        let snapshot = self.snapshot().await?;
        Ok(Listed {
            all: Arc::clone(&snapshot.list),
            newest_open: Arc::clone(&snapshot.newest_open),
        })
    }

    /// Asks the directory, even if the copy is fresh.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.0.directory.polls().await.map(|_| ())
    }

    fn known(&self) -> Option<Arc<Snapshot>> {
        let known = self.0.known.read();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        let Some(known) = self.known() else {
            return self.clone().look_up(FRESH).await;
        };
        // One request looks up the polls. The others continue with the copy, and so does this one if the directory
        // takes long. The look-up goes on in its own task.
        if known.at.elapsed() >= FRESH && self.0.looking.try_lock().is_ok() {
            let looking = tokio::spawn(self.clone().look_up(FRESH));
            if let Ok(Ok(Ok(new))) = timeout(REFRESH_TIMEOUT, looking).await {
                return Ok(new);
            }
        }
        Ok(known)
    }

    /// Looks up the polls, unless the copy is younger than `fresh`.
    async fn look_up(self, fresh: Duration) -> Result<Arc<Snapshot>, Problem> {
        let mut looking = self.0.looking.lock().await;
        if let Some(known) = self.known()
            && known.at.elapsed() < fresh
        {
            return Ok(known);
        }
        if let Some((at, problem)) = &*looking
            && at.elapsed() < FRESH
        {
            return Err(problem.clone());
        }
        let answer = timeout(FIRST_TIMEOUT, self.0.directory.polls()).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::unavailable("no answer in time")));
        match answer {
            Ok(polls) => {
                *looking = None;
                self.0.trouble.worked();
                // A directory that is the store itself has drafts, too. Only their host sees them.
                let published = polls.into_iter().filter(|poll| !poll.is_draft());
                let published: Vec<_> = published.map(Arc::new).collect();
                let named = published
                    .iter()
                    .map(|poll| (poll.id().clone(), Arc::clone(poll)));
                let by_id: HashMap<_, _> = named.collect();
                let list: Arc<[_]> = published.into_iter().filter(is_listed).collect();
                let now = Moment::now();
                let snapshot = Arc::new(Snapshot {
                    at: Instant::now(),
                    by_id,
                    newest_open: list
                        .iter()
                        .rev()
                        .filter(|poll| poll.phase(now) == Phase::Open)
                        .take(NEWEST_OPEN + 1)
                        .cloned()
                        .collect(),
                    list,
                });
                let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
                *known = Some(Arc::clone(&snapshot));
                Ok(snapshot)
            }
            Err(error) => {
                self.0.trouble.failed(&error);
                let problem = Problem::store_unavailable();
                *looking = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }
}
