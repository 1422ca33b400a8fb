//! Limits on connections, event streams, new voters and wrong tokens, in total and by address.
//!
//! No single address can take all connections. Each address has a share of the connections and of the streams.
//! Streams leave some connections for other requests. Beyond the limit, a reserve serves each further connection with
//! one short answer. Connections that are turned away are counted, and logged once a minute.

pub(crate) mod client_address;
mod holders;
mod pace;
mod turned_away;

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use poem::Request;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use voting_core::PollId;

use self::{
    holders::{Held, Holders},
    pace::{Pace, Topic},
    turned_away::{TurnedAway, Why},
};
use crate::{
    problem::Problem,
    server::gate::client_address::{Client, TrustedProxies},
};

/// How many wrong tokens of one address are answered at once. After that, one is answered each [`TOKEN_PAUSE`].
const WRONG_TOKENS: u32 = 20;

/// The time between two answers to wrong tokens of one address.
const TOKEN_PAUSE: Duration = Duration::from_secs(10);

/// The longest that a form without scripts waits.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// What is wrong is one topic: an address has one burst of it, whatever it was sent for.
const WRONG: Topic = 0;

/// How many questions to an identity provider an address causes at once. After that, one in each [`QUESTION_PAUSE`].
const QUESTIONS: u32 = 60;

/// The time between two questions to an identity provider that one address causes.
const QUESTION_PAUSE: Duration = Duration::from_secs(2);

/// How many wrong codes of one address are answered at once. After that, one is answered each [`CODE_PAUSE`]. A class behind
/// one address can mistype so many.
const WRONG_CODES: u32 = 60;

/// The time between two answers to wrong codes of one address.
const CODE_PAUSE: Duration = Duration::from_secs(5);

/// How many wrong codes of all addresses together are answered at once. After that, one is answered each
/// [`ALL_CODES_PAUSE`].
const ALL_WRONG_CODES: u32 = 5_000;

/// The time between two answers to wrong codes of all addresses together.
const ALL_CODES_PAUSE: Duration = Duration::from_millis(20);

/// Limits on the connections and event streams of a service.
///
/// A limit that is `None` is a share of `max_connections`, such that neither one address nor all streams together can
/// take all connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most connections of one address: an IPv4 address or an IPv6 `/64`. A `/48` may have twice as many, up to
    /// three quarters of all. Trusted proxies have no such limit. By default half of `max_connections`.
    pub max_connections_per_address: Option<usize>,
    /// The most connections beyond the limit at a time, each for one short request. By default an eighth of
    /// `max_connections`, at least 16 and at most 1,024.
    pub reserve: Option<usize>,
    /// The most event streams at a time. By default three quarters of `max_connections`.
    pub max_streams: Option<usize>,
    /// The most event streams of one address. By default half of `max_streams`.
    pub max_streams_per_address: Option<usize>,
    /// How long an event stream lasts, plus or minus a tenth. Its client then opens another one.
    pub stream_life: Duration,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// How many new voters one address may have in a poll. `None`: any number. By default as in
    /// [`NewVoters::default`].
    pub new_voters: Option<NewVoters>,
    /// How many new voters a poll may have, from wherever they come. `None`, the default: any number.
    pub new_voters_of_poll: Option<NewVoters>,
    /// Polls whose new voters are neither counted nor asked for a proof of work, such as one for a hall. By default none.
    pub unlimited_polls: Vec<PollId>,
    /// A proof of work that new voters of a poll do when very many of them come. `None`, the default: none.
    pub proof_of_work: Option<ProofOfWork>,
}

/// How many new voters one address may have in a poll: an IPv4 address or an IPv6 `/64`. A `/48` may have eight times as
/// many. A new voter is one whose browser does not show that it has voted in the poll before; so a changed vote is not
/// counted. Requests from this machine or from a trusted proxy itself, and requests whose address is not known, are not
/// counted.
///
/// Voters whom the application [identifies](crate::Identify) are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewVoters {
    /// How many may come at once. By default 200.
    pub burst: NonZeroU32,
    /// How many may come each minute after that. By default 30.
    pub per_minute: NonZeroU32,
}

/// A proof of work that is asked of the new voters of a poll, as in [`NewVoters`], once they come faster than this. It makes
/// each new voter cost some computing. Whoever does not have scripts waits instead; [`above_per_minute`](Self::above_per_minute)
/// is also how many of these come each minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofOfWork {
    /// How many may come at once and are not asked.
    pub burst: NonZeroU32,
    /// How many may come each minute after that and are not asked.
    pub above_per_minute: NonZeroU32,
    /// How many numbers are tried at most until the right one is found; half of them on average.
    pub attempts: NonZeroU32,
    /// How long a form without scripts waits at least, in whole seconds.
    pub wait: Duration,
}

impl ProofOfWork {
    /// The default proof, asked for once more new voters come each minute than these.
    pub fn above(per_minute: NonZeroU32) -> Self {
        Self {
            burst: NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN),
            above_per_minute: per_minute,
            attempts: NonZeroU32::new(500_000).unwrap_or(NonZeroU32::MIN),
            wait: Duration::from_secs(20),
        }
    }
}

impl Default for NewVoters {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            burst: number(200),
            per_minute: number(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: Self::DEFAULT_CONNECTIONS,
            max_connections_per_address: None,
            reserve: None,
            max_streams: None,
            max_streams_per_address: None,
            stream_life: Duration::from_secs(3_600),
            trusted_proxies: TrustedProxies::default(),
            new_voters: Some(NewVoters::default()),
            new_voters_of_poll: None,
            unlimited_polls: Vec::new(),
            proof_of_work: None,
        }
    }
}

impl Limits {
    /// The default of `max_connections`.
    pub const DEFAULT_CONNECTIONS: usize = 20_000;

    /// The most sockets that are open at a time.
    pub fn sockets(&self) -> usize {
        self.max_connections.saturating_add(self.reserve())
    }

    fn reserve(&self) -> usize {
        let share = || (self.max_connections / 8).clamp(16, 1_024);
        self.reserve.unwrap_or_else(share)
    }

    fn per_address(&self) -> usize {
        let share = || self.max_connections.div_ceil(2);
        self.max_connections_per_address.unwrap_or_else(share)
    }

    fn streams(&self) -> usize {
        let share = || (self.max_connections / 4 * 3).max(1);
        self.max_streams.unwrap_or_else(share)
    }

    fn streams_per_address(&self) -> usize {
        let share = || self.streams().div_ceil(2);
        self.max_streams_per_address.unwrap_or_else(share)
    }
}

fn each_minute(burst: NonZeroU32, number: NonZeroU32) -> Pace {
    Pace::new(burst.get(), Duration::from_secs(60) / number.get())
}

/// The limit of an IPv6 site, from the limit of one of its networks.
fn of_site(each: usize, all: usize) -> usize {
    each.saturating_mul(2).min(all / 4 * 3).max(each)
}

/// Applies [`Limits`] to one service. The service and [`serve()`](crate::serve()) must have the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    places: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    connected: Arc<Holders>,
    short: Arc<Holders>,
    streams: Arc<Semaphore>,
    watching: Arc<Holders>,
    wrong_tokens: Pace,
    new_voters: Option<Pace>,
    new_voters_of_poll: Option<Pace>,
    /// New voters of a poll who are not asked for a proof.
    unproven: Option<Pace>,
    /// Waiting forms of a poll.
    waiting: Option<Pace>,
    /// Makes topics of polls.
    topics: RandomState,
    wrong_codes: Pace,
    /// To an identity provider.
    questions: Pace,
    /// One for all clients.
    all_wrong_codes: Pace,
    turned_away: TurnedAway,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Gate {
    /// A gate without any connections.
    pub fn new(limits: Limits) -> Self {
        let (connections, reserve) = (limits.max_connections, limits.reserve());
        let each = limits.per_address();
        let (streams, of_streams) = (limits.streams(), limits.streams_per_address());
        let of_reserve = reserve.div_ceil(4);
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            reserve: Arc::new(Semaphore::new(reserve.min(Semaphore::MAX_PERMITS))),
            connected: Holders::new(each, of_site(each, connections)),
            short: Holders::new(of_reserve, of_site(of_reserve, reserve)),
            streams: Arc::new(Semaphore::new(streams.min(Semaphore::MAX_PERMITS))),
            watching: Holders::new(of_streams, of_site(of_streams, streams)),
            wrong_tokens: Pace::new(WRONG_TOKENS, TOKEN_PAUSE),
            new_voters: limits
                .new_voters
                .map(|new| each_minute(new.burst, new.per_minute)),
            new_voters_of_poll: limits
                .new_voters_of_poll
                .map(|new| each_minute(new.burst, new.per_minute)),
            unproven: limits
                .proof_of_work
                .map(|proof| each_minute(proof.burst, proof.above_per_minute)),
            waiting: limits
                .proof_of_work
                .map(|proof| each_minute(NonZeroU32::MIN, proof.above_per_minute)),
            topics: RandomState::new(),
            wrong_codes: Pace::new(WRONG_CODES, CODE_PAUSE),
            questions: Pace::new(QUESTIONS, QUESTION_PAUSE),
            all_wrong_codes: Pace::new(ALL_WRONG_CODES, ALL_CODES_PAUSE),
            turned_away: TurnedAway::new(connections),
            limits,
        }))
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.0.turned_away.register(registry);
    }

    /// Waits until there is space for one more connection.
    pub(crate) async fn room(&self) -> Option<Room> {
        let (places, reserve) = (Arc::clone(&self.0.places), Arc::clone(&self.0.reserve));
        tokio::select! {
            biased;
            permit = places.acquire_owned() => Some(Room { permit: permit.ok()?, short: false }),
            permit = reserve.acquire_owned() => Some(Room { permit: permit.ok()?, short: true }),
        }
    }

    /// The place of a connection from this address; `None` if the connection is to be closed.
    pub(crate) fn admit(&self, room: Room, peer: Option<SocketAddr>) -> Option<Place> {
        let inner = &*self.0;
        let client = Client::at(peer);
        let spared = client.is_among(&inner.limits.trusted_proxies);
        let mut room = room;
        if !room.short {
            match (spared, inner.connected.give(client)) {
                (false, None) => {
                    inner
                        .turned_away
                        .turned_away(Why::ConnectionsOfAddress, client);
                    let permit = Arc::clone(&inner.reserve).try_acquire_owned().ok()?;
                    room = Room {
                        permit,
                        short: true,
                    };
                }
                (_, held) => {
                    return Some(self.place(room, held));
                }
            }
        } else {
            inner.turned_away.turned_away(Why::Connections, client);
        }
        match (spared, inner.short.give(client)) {
            (false, None) => None,
            (_, held) => Some(self.place(room, held)),
        }
    }

    fn place(&self, room: Room, held: Option<Held>) -> Place {
        self.0.turned_away.connections.inc();
        Place {
            gate: self.clone(),
            _held: held,
            room,
        }
    }

    /// A place for one more event stream.
    pub(crate) fn stream(&self, request: &Request) -> Result<StreamPlace, Problem> {
        let inner = &*self.0;
        let client = self.client(request);
        let full = || {
            inner.turned_away.turned_away(Why::Streams, client);
            Problem::too_many_viewers()
        };
        if request.extensions().get::<ShortVisit>().is_some() {
            return Err(full());
        }
        let held = inner.watching.give(client).ok_or_else(|| {
            inner.turned_away.turned_away(Why::StreamsOfAddress, client);
            Problem::too_many_viewers_here()
        })?;
        let permit = Arc::clone(&inner.streams).try_acquire_owned();
        let permit = permit.map_err(|_| full())?;
        let life = inner.limits.stream_life;
        Ok(StreamPlace {
            _permit: permit,
            _held: held,
            // The end varies, so that clients that came at the same moment do not all come back at the same moment.
            ends_at: Instant::now() + life.mul_f64(0.9 + 0.2 * fastrand::f64()),
        })
    }

    /// Counts a wrong token, and says how to answer its sender.
    pub(crate) fn wrong_token(&self, request: &Request) -> Problem {
        let client = self.client(request);
        self.0.turned_away.turned_away(Why::WrongToken, client);
        match self.0.wrong_tokens.once_more(WRONG, client) {
            Ok(()) => Problem::unauthorized("This token is not known here, or it was revoked."),
            Err(wait) => Problem::too_many_tokens(wait),
        }
    }

    /// Counts a new voter of a poll, unless `has_voted` is true. A voter who takes a ballot back (`is_back`) counts
    /// for the address only, since the poll gets no vote. `show_proof` fails if the voter shows no proof of work. It is called
    /// once very many new voters come.
    ///
    /// # Errors
    /// Too many new voters of this poll have come from the client's address, or from all addresses; or `show_proof` fails.
    pub(crate) fn new_voter(
        &self,
        request: &Request,
        poll: &PollId,
        is_back: bool,
        has_voted: impl FnOnce() -> bool,
        show_proof: impl FnOnce() -> Result<(), Problem>,
    ) -> Result<NewVoter<'_>, Problem> {
        let inner = &*self.0;
        let mut new = NewVoter::default();
        let client = self.client(request);
        let is_spared = self.is_spared(client);
        let of_address = inner.new_voters.as_ref().filter(|_| !is_spared);
        let of_poll = inner.new_voters_of_poll.as_ref().filter(|_| !is_back);
        let unproven = inner.unproven.as_ref().filter(|_| !is_back);
        let has_limits = of_address.or(of_poll).or(unproven).is_some();
        if !has_limits || inner.limits.unlimited_polls.contains(poll) || has_voted() {
            return Ok(new);
        }
        let topic = self.topic(poll);
        if let Some(pace) = of_address
            && let Err(wait) = new.count(pace, topic, client)
        {
            inner.turned_away.turned_away(Why::NewVoters, client);
            return Err(Problem::too_many_new_voters(wait));
        }
        let everybody = Client::at(None);
        if let Some(pace) = of_poll
            && let Err(wait) = new.count(pace, topic, everybody)
        {
            new.take_back();
            inner
                .turned_away
                .turned_away_from(poll, Why::NewVotersOfPoll);
            return Err(Problem::too_many_new_voters_of_poll(wait));
        }
        if let Some(pace) = unproven
            && new.count(pace, topic, everybody).is_err()
            && let Err(problem) = show_proof()
        {
            new.take_back();
            inner.turned_away.turned_away_from(poll, Why::ProofNeeded);
            return Err(problem);
        }
        Ok(new)
    }

    /// The proof of work that new voters are asked for.
    pub(crate) fn proof_of_work(&self) -> Option<&ProofOfWork> {
        self.0.limits.proof_of_work.as_ref()
    }

    /// Takes a place for a waiting form of this poll, and returns how long it waits. `None` if too many wait already, or if the
    /// client's address has taken as many places as it may have new voters: nobody fills the line alone.
    pub(crate) fn wait(&self, request: &Request, poll: &PollId) -> Option<Duration> {
        let waiting = self.0.waiting.as_ref()?;
        let least = self.proof_of_work()?.wait;
        let topic = self.topic(poll);
        let client = self.client(request);
        if let Some(pace) = self
            .0
            .new_voters
            .as_ref()
            .filter(|_| !self.is_spared(client))
        {
            // The vote itself is counted apart, when the form comes again.
            pace.once_more(topic.wrapping_add(1), client).ok()?;
        }
        let place = waiting.place(topic, Client::at(None), LONGEST_WAIT)?;
        Some(place.max(least))
    }

    /// Whether the client's address says nothing: the clients behind it are not known, and could be anybody.
    fn is_spared(&self, client: Client) -> bool {
        client.is_local_or_unknown() || client.is_among(&self.0.limits.trusted_proxies)
    }

    /// The hash is seeded, so nobody can choose polls that share a topic.
    fn topic(&self, poll: &PollId) -> Topic {
        self.0.topics.hash_one(poll.as_str())
    }

    /// Counts a wrong code of a poll, and says how to answer its sender: with this problem, or to wait.
    pub(crate) fn wrong_code(&self, request: &Request, problem: Problem) -> Problem {
        let client = self.client(request);
        self.0.turned_away.turned_away(Why::WrongCode, client);
        let everybody = Client::at(None);
        let paced = self.0.wrong_codes.once_more(WRONG, client);
        match paced.and_then(|()| self.0.all_wrong_codes.once_more(WRONG, everybody)) {
            Ok(()) => problem,
            Err(wait) => Problem::too_many_codes(wait),
        }
    }

    /// Counts a login that failed. It returns the problem, or one that says that there were too many.
    pub(crate) fn wrong_login(&self, request: &Request, problem: Problem) -> Problem {
        let client = self.client(request);
        self.0.turned_away.turned_away(Why::WrongLogin, client);
        match self.0.wrong_tokens.once_more(WRONG, client) {
            Ok(()) => problem,
            Err(wait) => Problem::too_many_tokens(wait),
        }
    }

    /// Counts a question to an identity provider, which a request from anywhere causes.
    ///
    /// # Errors
    /// There were too many from this address.
    pub(crate) fn asks_provider(&self, request: &Request) -> Result<(), Duration> {
        let client = self.client(request);
        self.0.questions.once_more(WRONG, client)
    }

    /// Counts a form that came from a page of another origin.
    pub(crate) fn other_origin(&self, origin: &str, host: &str) {
        self.0.turned_away.other_origin(origin, host);
    }

    /// The client that sent a request.
    pub(crate) fn client(&self, request: &Request) -> Client {
        Client::of(request, &self.0.limits.trusted_proxies)
    }
}

/// Where a new voter was counted: nowhere if there is no limit, or if the voter is not new.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct NewVoter<'a>([Option<(&'a Pace, Topic, Client)>; 3]);

impl<'a> NewVoter<'a> {
    fn count(&mut self, pace: &'a Pace, topic: Topic, client: Client) -> Result<(), Duration> {
        pace.once_more(topic, client)?;
        let free = self.0.iter_mut().find(|counted| counted.is_none());
        *free.expect("there are three limits") = Some((pace, topic, client));
        Ok(())
    }

    /// The vote was not stored, so the next try of this voter must not count as another voter.
    pub(crate) fn take_back(self) {
        for (pace, topic, client) in self.0.into_iter().flatten() {
            pace.once_less(topic, client);
        }
    }
}

/// Marks the requests of a connection that is served from the reserve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortVisit;

/// Space for one connection, before its address is known.
#[derive(Debug)]
pub(crate) struct Room {
    #[expect(dead_code, reason = "it is given back when it is dropped")]
    permit: OwnedSemaphorePermit,
    short: bool,
}

/// The place of one connection, while it is open.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Gate,
    _held: Option<Held>,
    room: Room,
}

impl Place {
    /// Whether the connection is from the reserve, for one request only.
    pub(crate) fn is_short(&self) -> bool {
        self.room.short
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.0.turned_away.connections.dec();
    }
}

/// The place of one event stream, while it is open.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    _permit: OwnedSemaphorePermit,
    _held: Held,
    /// When the stream's time is over.
    pub(crate) ends_at: Instant,
}
