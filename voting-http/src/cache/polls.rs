//! The polls, kept at hand: a ballot does not wait for a look-up, and voting goes on while the
//! place where polls are kept does not answer.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{Enum, Object};
use tokio::{sync::Mutex, time::timeout};
use voting_core::{Poll, PollDirectory, PollId, PollState, StoreError};

use crate::{problem::Problem, site::Prefix, trouble::Trouble};

/// How old what is at hand may be before it is looked up again.
const FRESH: Duration = Duration::from_secs(1);

/// The same when a poll is asked for that is not among them.
pub(crate) const FRESH_MISS: Duration = Duration::from_millis(100);

/// How old what is told of a poll beside its tally may be: the look-up of a moment ago, with some time to
/// take.
const RECENT: Duration = Duration::from_secs(3);

/// How many open polls a page links to.
pub(crate) const NEWEST_OPEN: usize = 5;

/// How long the directory may take, once something is at hand to go on with.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long it may take otherwise.
const LONG_PATIENCE: Duration = Duration::from_secs(5);

/// What says which poll a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PagePlace {
    /// Nothing: it is the page at `/`.
    Root,
    /// Its address, `/polls/:poll`.
    Named,
}

/// Where a page is shown.
pub(crate) enum Shown {
    Here(Arc<Poll>),
    Elsewhere(Response),
}

/// The name in a page's address. A router leaves out what it cannot read: that names no poll, not the one
/// at `/`.
fn named(request: &Request) -> Result<&str, Problem> {
    let named = request.raw_path_param("poll");
    named.ok_or_else(Problem::no_such_address)
}

fn redirect(request: &Request, poll: &PollId) -> Result<Response, Problem> {
    let prefix = Prefix::of(request);
    let mut there = format!("{}/polls/{poll}", prefix.as_str());
    if let Some(query) = request.uri().query() {
        there.push('?');
        there.push_str(query);
    }
    let location = HeaderValue::try_from(there).map_err(|_| Problem::internal())?;
    let answer = Response::builder().status(StatusCode::PERMANENT_REDIRECT);
    Ok(answer.header(header::LOCATION, location).finish())
}

#[derive(Clone)]
pub(crate) struct Polls(Arc<Inner>);

struct Inner {
    directory: Arc<dyn PollDirectory>,
    known: RwLock<Option<Snapshot>>,
    /// Held by the one that looks up; says when that last failed, and how.
    looking: Mutex<Option<(Instant, Problem)>>,
    trouble: Trouble,
    default: Option<PollId>,
}

/// The polls as pages list them.
#[derive(Clone, Default)]
pub(crate) struct Listed {
    /// All, the oldest first.
    pub(crate) all: Arc<[Arc<Poll>]>,
    /// The newest that are open, the newest first: one more than a page links to, since it leaves itself out.
    pub(crate) newest_open: Arc<[Arc<Poll>]>,
}

#[derive(Clone)]
struct Snapshot {
    at: Instant,
    list: Arc<[Arc<Poll>]>,
    newest_open: Arc<[Arc<Poll>]>,
    by_id: Arc<HashMap<PollId, Arc<Poll>>>,
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

    /// The poll of that name.
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
        // It may be new.
        let newer = self.clone().look_up(FRESH_MISS).await?;
        let poll = newer.by_id.get(&key).cloned();
        poll.ok_or_else(|| Problem::no_poll(id))
    }

    /// The poll of that name as it was a moment ago, or a failure: never as it was before a time in which it
    /// could not be looked up.
    pub(crate) async fn get_recent(&self, id: &PollId) -> Result<Arc<Poll>, Problem> {
        let mut snapshot = self.snapshot().await?;
        if snapshot.at.elapsed() >= RECENT {
            snapshot = self.clone().look_up(RECENT).await?;
        }
        let poll = snapshot.by_id.get(id).cloned();
        poll.ok_or_else(|| Problem::no_poll(id.as_str()))
    }

    /// The poll whose name differs from this one in its capitals only. Names have none.
    async fn in_lower_case(&self, id: &str) -> Result<Option<Arc<Poll>>, Problem> {
        // All other texts that are no name are refused without a look-up.
        let is_capital = id.len() <= PollId::MAX_LEN && id.bytes().any(|b| b.is_ascii_uppercase());
        let name = is_capital.then(|| id.to_ascii_lowercase().parse::<PollId>());
        let Some(Ok(name)) = name else {
            return Ok(None);
        };
        Ok(self.snapshot().await?.by_id.get(&name).cloned())
    }

    /// The poll at `/`.
    pub(crate) async fn default(&self) -> Result<Arc<Poll>, Problem> {
        match &self.0.default {
            Some(default) => self.get(default.as_str()).await,
            None => {
                let first = self.snapshot().await?.list.first().cloned();
                first.ok_or_else(Problem::no_polls)
            }
        }
    }

    /// The poll of a page.
    pub(crate) async fn of_page(
        &self,
        place: PagePlace,
        request: &Request,
    ) -> Result<Arc<Poll>, Problem> {
        match place {
            PagePlace::Root => self.default().await,
            PagePlace::Named => self.get(named(request)?).await,
        }
    }

    /// The poll of a page that is only shown; or the way to it, where its address has capitals.
    pub(crate) async fn of_shown_page(
        &self,
        place: PagePlace,
        request: &Request,
    ) -> Result<Shown, Problem> {
        if place == PagePlace::Named
            && let Some(poll) = self.in_lower_case(named(request)?).await?
        {
            return Ok(Shown::Elsewhere(redirect(request, poll.id())?));
        }
        Ok(Shown::Here(self.of_page(place, request).await?))
    }

    /// All polls, the oldest first.
    pub(crate) async fn all(&self) -> Result<Arc<[Arc<Poll>]>, Problem> {
        Ok(self.snapshot().await?.list)
    }

    /// All polls for a page.
    pub(crate) async fn listed(&self) -> Result<Listed, Problem> {
        let snapshot = self.snapshot().await?;
        Ok(Listed {
            all: snapshot.list,
            newest_open: snapshot.newest_open,
        })
    }

    /// Asks the directory, whatever is at hand.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.0.directory.polls().await.map(|_| ())
    }

    fn known(&self) -> Option<Snapshot> {
        let known = self.0.known.read();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn snapshot(&self) -> Result<Snapshot, Problem> {
        let Some(known) = self.known() else {
            return self.clone().look_up(FRESH).await;
        };
        // One request looks up; the others go on with what is at hand, as it does if the
        // directory takes long. The look-up itself ends on its own.
        if known.at.elapsed() >= FRESH && self.0.looking.try_lock().is_ok() {
            let looking = tokio::spawn(self.clone().look_up(FRESH));
            if let Ok(Ok(Ok(new))) = timeout(PATIENCE, looking).await {
                return Ok(new);
            }
        }
        Ok(known)
    }

    /// Looks up, unless what is at hand is not older than this.
    async fn look_up(self, fresh: Duration) -> Result<Snapshot, Problem> {
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
        let answer = timeout(LONG_PATIENCE, self.0.directory.polls()).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::unavailable("no answer in time")));
        match answer {
            Ok(polls) => {
                *looking = None;
                self.0.trouble.worked();
                let list: Arc<[_]> = polls.into_iter().map(Arc::new).collect();
                let by_id = list
                    .iter()
                    .map(|poll| (poll.id().clone(), Arc::clone(poll)));
                let snapshot = Snapshot {
                    at: Instant::now(),
                    by_id: Arc::new(by_id.collect()),
                    newest_open: list
                        .iter()
                        .rev()
                        .filter(|poll| poll.state().is_open())
                        .take(NEWEST_OPEN + 1)
                        .cloned()
                        .collect(),
                    list,
                };
                let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
                *known = Some(snapshot.clone());
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

/// Whether ballots are taken, and whether the count can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "PollState", rename_all = "lowercase")]
pub(crate) enum StateView {
    /// Ballots are taken and counted.
    Open,
    /// Ballots are refused, in all places within a moment; the last ones are being counted.
    Closing,
    /// All ballots are counted, and the count never changes again.
    Final,
}

impl From<&PollState> for StateView {
    fn from(state: &PollState) -> Self {
        match state {
            PollState::Open => Self::Open,
            PollState::Closing(_) => Self::Closing,
            PollState::Final(_) => Self::Final,
        }
    }
}

impl StateView {
    pub(crate) fn is_open(self) -> bool {
        self == Self::Open
    }

    /// As in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Final => "final",
        }
    }
}

/// A poll as in the API, for the documents.
pub(crate) const EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}]}"#;

/// A poll that was stored, in the documents.
pub(crate) const STORED_EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"published":true}"#;

/// The same in a list.
pub(crate) const LIST_EXAMPLE: &str = r#"{"polls":[{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}]}]}"#;

/// A poll.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Poll")]
pub(crate) struct PollView {
    /// Names the poll in addresses.
    id: String,
    /// The question.
    title: String,
    /// Whether ballots are taken, and whether the count can still change.
    state: StateView,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// What can be voted for, in the poll's order.
    options: Vec<OptionView>,
}

/// A poll that was stored, and whether it can be voted in yet.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StoredPoll")]
pub(crate) struct StoredPollView {
    /// Names the poll in addresses.
    id: String,
    /// The question.
    title: String,
    /// Whether ballots are taken, and whether the count can still change.
    state: StateView,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// What can be voted for, in the poll's order.
    options: Vec<OptionView>,
    /// Whether the vote services find the poll, and so take ballots in it, from now on; they show
    /// changed texts a second later. If `false`, the poll is stored, and they find it once the
    /// worker reaches the ballot log: send the request again to see.
    published: bool,
}

impl StoredPollView {
    pub(crate) fn new(poll: &Poll, published: bool) -> Self {
        let PollView {
            id,
            title,
            state,
            max_choices,
            options,
        } = poll.into();
        Self {
            id,
            title,
            state,
            max_choices,
            options,
            published,
        }
    }
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
            state: poll.state().into(),
            max_choices: poll.max_choices(),
            options: options.collect(),
        }
    }
}
