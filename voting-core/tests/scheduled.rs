//! Polls that close at set times, with Redis, Postgres, a worker and several vote services, of which one stands still
//! whenever a poll closes.
//!
//! No clock but Redis' own decides: an entry carries no time, and nothing that is appended depends on the clock of the
//! program that appends it.

mod support;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use support::Database;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use voting_core::{
    Ballot, BallotLog, BallotQueue, CastError, Choices, ErrorKind, GroupCommit, Poll,
    PollDirectory, PollId, PollStore, StoreError, TallyStore, VoteSink, VoterId, Worker,
    WorkerHandle, WorkerOptions,
    backends::{
        memory::{Memory, MemoryOptions},
        postgres::Postgres,
        redis::{Redis, RedisOptions},
    },
    log::{Log, ShardWindows, entry::NewEntry},
    model::{
        moment::Moment,
        poll::{ChangeTo, PollChange, PollSettings, PollWindow},
        position::{EntryId, ShardId},
    },
    pipeline::{
        coordinator::Coordinator,
        group_commit::GroupCommitOptions,
        schedule::{self, ScheduledPolls},
    },
    store::DeadLetterStore,
};
use voting_testing::{RedisCluster, RedisServer};

const LONG: Duration = Duration::from_secs(60);

/// A log that appends nothing while it is held: a vote service that stands still.
struct Held {
    log: Redis,
    may_append: watch::Receiver<bool>,
    /// How many appends had to wait.
    waited: Arc<AtomicUsize>,
}

#[async_trait]
impl BallotLog for Held {
    fn shards(&self) -> u16 {
        self.log.shards()
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        let mut may_append = self.may_append.clone();
        if !*may_append.borrow_and_update() {
            self.waited.fetch_add(1, Ordering::AcqRel);
            let waited = may_append.wait_for(|may| *may).await;
            waited.expect("it goes on before it ends");
        }
        self.log.append(shard, entry).await
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        self.log.seal(shard, polls).await
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        self.log.ready_to_append().await
    }
}

/// All but the vote services.
struct System {
    url: String,
    options: RedisOptions,
    redis: Redis,
    store: Postgres,
    coordinator: Arc<Coordinator>,
    worker: WorkerHandle,
    _database: Database,
}

impl System {
    async fn at(url: String, cluster: bool) -> Self {
        let options = RedisOptions {
            shards: 5,
            cluster,
            claim_timeout: Duration::from_secs(2),
            ..RedisOptions::default()
        };
        let database = Database::new();
        let store = database.store();
        store.migrate().await.expect("migrated");
        let redis = Redis::new(&url, options.clone()).expect("an address");
        let (log, queue) = (Arc::new(redis.clone()), redis.reader());
        let coordinator = Coordinator::new(log, Arc::clone(&queue), Arc::new(store.clone()));
        let guarded = coordinator.guarded();
        let worker = WorkerOptions {
            max_wait: Duration::from_millis(50),
            ..WorkerOptions::default()
        };
        let worker = Worker::new(queue, guarded.clone(), guarded, worker).start();
        Self {
            url,
            options,
            redis,
            store,
            coordinator: Arc::new(coordinator),
            worker,
            _database: database,
        }
    }

    async fn now(&self) -> u64 {
        let windows = self.redis.set_windows(ShardId(0), &[]).await;
        windows.expect("an answer").clock_ms
    }

    /// Stores a poll, or changes it.
    async fn put(&self, id: &str, closes: u64) -> Poll {
        let poll = Poll::builder(id, "Which?")
            .option("a", "A")
            .option("b", "B");
        let mut settings = PollSettings::default();
        settings.closes_at = Moment::from_unix_ms(closes);
        let poll = poll.build().expect("a poll").with_settings(settings);
        let poll = Box::new(poll.expect("a poll"));
        let change = PollChange::new(poll.id().clone(), ChangeTo::Put(poll));
        let polls = self.coordinator.polls();
        let stored = polls.change_poll(&change, "host").await;
        let stored = stored.expect("stored").expect("the poll");
        assert_eq!(stored.pending_window(), None);
        stored
    }

    /// A further vote service, and what holds it.
    fn service(&self) -> (Arc<Service>, watch::Sender<bool>) {
        let (hold, may_append) = watch::channel(true);
        let log = Held {
            log: Redis::new(&self.url, self.options.clone()).expect("an address"),
            may_append,
            waited: Arc::default(),
        };
        let waited = Arc::clone(&log.waited);
        let sink = GroupCommit::new(Arc::new(log), GroupCommitOptions::default());
        (Arc::new(Service { sink, waited }), hold)
    }
}

struct Service {
    sink: GroupCommit,
    waited: Arc<AtomicUsize>,
}

/// A poll, and what its voters were told.
struct Told {
    id: PollId,
    rules: Option<u32>,
    /// The ms of each acknowledged ballot's position.
    acknowledged: Mutex<Vec<u64>>,
    refused: AtomicUsize,
}

impl Told {
    fn of(poll: &Poll) -> Self {
        Self {
            id: poll.id().clone(),
            rules: poll.rules(),
            acknowledged: Mutex::default(),
            refused: AtomicUsize::default(),
        }
    }

    fn acknowledged(&self) -> Vec<u64> {
        let acknowledged = self.acknowledged.lock();
        acknowledged.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn ballot(poll: &PollId, rules: Option<u32>) -> Ballot {
    Ballot {
        poll: poll.clone(),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
        rules,
    }
}

/// Voters of all polls at each service, who vote until all is over.
struct Crowd {
    voters: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Crowd {
    fn of(services: &[Arc<Service>], polls: &Arc<Vec<Told>>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let voter = |service: &Arc<Service>, number: usize| {
            let (service, polls) = (Arc::clone(service), Arc::clone(polls));
            let is_over = Arc::clone(&is_over);
            tokio::spawn(async move {
                let mut turn = number;
                while !is_over.load(Ordering::Acquire) {
                    turn += 1;
                    let poll = &polls[turn % polls.len()];
                    match service.sink.cast(ballot(&poll.id, poll.rules)).await {
                        Ok(receipt) => {
                            let acknowledged = poll.acknowledged.lock();
                            let mut acknowledged =
                                acknowledged.unwrap_or_else(PoisonError::into_inner);
                            acknowledged.push(receipt.position.ms());
                        }
                        Err(CastError::Closed(closed)) if closed == poll.id => {
                            poll.refused.fetch_add(1, Ordering::AcqRel);
                        }
                        // Others wait while the service stands still.
                        Err(CastError::Overloaded) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            })
        };
        let voters = services
            .iter()
            .flat_map(|service| (0..8).map(move |number| (service, number * 13)))
            .map(|(service, number)| voter(service, number))
            .collect();
        Self { voters, is_over }
    }

    async fn ends(self) {
        self.is_over.store(true, Ordering::Release);
        for voter in self.voters {
            voter.await.expect("no panic");
        }
    }
}

/// How many polls close, how far apart in ms, and whether their closing is moved while voters vote.
struct Plan {
    closes: u64,
    apart: u64,
    moved: bool,
}

/// Lets polls close one after the other while voters vote at two services, of which the second stands still whenever
/// a poll closes. `ahead` is called again and again meanwhile.
async fn closes_exactly(system: &System, plan: &Plan, ahead: impl Fn()) {
    let (running, _keep) = system.service();
    let (paused, hold) = system.service();
    let start = system.now().await;
    let first = start + if plan.moved { 14_000 } else { 1_500 };
    let closes: Vec<u64> = (0..plan.closes)
        .map(|index| first + index * plan.apart)
        .collect();
    let mut polls = Vec::new();
    for (index, closes) in closes.iter().enumerate() {
        let at = closes + if plan.moved { 120_000 } else { 0 };
        polls.push(Told::of(&system.put(&format!("p{index}"), at).await));
    }
    system.coordinator.round().await.expect("a round");
    let polls = Arc::new(polls);
    let services = [running, paused];
    let crowd = Crowd::of(&services, &polls);
    if plan.moved {
        for (index, closes) in closes.iter().enumerate() {
            let moved = system.put(&format!("p{index}"), *closes).await;
            assert_eq!(moved.rules(), polls[index].rules, "voters need not see it");
        }
    }
    let is_final = async || {
        let stored = system.store.polls().await.expect("polls");
        stored.iter().all(|poll| poll.state().is_final())
    };
    let deadline = Instant::now() + LONG;
    let over = AtomicBool::new(false);
    let pausing = async {
        let mut turn = 0;
        while !over.load(Ordering::Acquire) {
            if turn % 50 == 0 {
                ahead();
            }
            turn += 1;
            let now = Moment::now().unix_ms();
            let near = closes
                .iter()
                .any(|closes| (closes.saturating_sub(30)..closes + 15).contains(&now));
            hold.send_if_modified(|may| std::mem::replace(may, !near) == near);
            sleep(Duration::from_millis(2)).await;
        }
        hold.send_replace(true);
    };
    let coordinating = async {
        while !is_final().await {
            assert!(Instant::now() < deadline, "not all polls become final");
            system.coordinator.round().await.expect("a round");
            sleep(Duration::from_millis(100)).await;
        }
        over.store(true, Ordering::Release);
    };
    tokio::join!(pausing, coordinating);
    crowd.ends().await;
    let mut all = 0;
    for (told, closes) in polls.iter().zip(&closes) {
        let acknowledged = told.acknowledged();
        let recount = system.store.recount(&told.id).await.expect("an answer");
        let recount = recount.expect("the poll");
        assert!(recount.agrees(), "{recount:?}");
        let count = u64::try_from(acknowledged.len()).expect("a count");
        assert_eq!(recount.kept.votes, [count, 0], "{}", told.id);
        let late: Vec<_> = acknowledged.iter().filter(|ms| *ms >= closes).collect();
        assert!(late.is_empty(), "{}: {closes}: {late:?}", told.id);
        assert!(count > 0 && told.refused.load(Ordering::Acquire) > 0);
        all += count;
    }
    // No ballot is in the log that nobody was thanked for: what came late is not there.
    let stats = system.redis.queue().stats().await.expect("stats");
    assert_eq!(stats.accepted, all);
    let letters = system.store.dead_letters(None, 10).await;
    assert!(letters.expect("an answer").is_empty());
    let waited = services[1].waited.load(Ordering::Acquire);
    let waited_for = usize::try_from(plan.closes).expect("few");
    assert!(waited >= waited_for / 2, "{waited} entries were held back");
    eprintln!("{all} ballots, {waited} entries held back across a closing");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_close_exactly_while_a_service_stands_still() {
    let server = RedisServer::start();
    let system = System::at(server.url(), false).await;
    let plan = Plan {
        closes: 10,
        apart: 150,
        moved: false,
    };
    closes_exactly(&system, &plan, || ()).await;
    system.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; the one above is the same with fewer polls"]
async fn a_hundred_polls_close_exactly_while_a_service_stands_still() {
    let server = RedisServer::start();
    let system = System::at(server.url(), false).await;
    let plan = Plan {
        closes: 100,
        apart: 100,
        moved: false,
    };
    closes_exactly(&system, &plan, || ()).await;
    system.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; the conformance suite moves one closing"]
async fn a_hundred_closings_are_moved_while_voters_vote() {
    let server = RedisServer::start();
    let system = System::at(server.url(), false).await;
    let plan = Plan {
        closes: 100,
        apart: 100,
        moved: true,
    };
    closes_exactly(&system, &plan, || ()).await;
    system.worker.stop().await;
}

/// The ids of all shards of one master are kept two seconds ahead, as if its clock were.
async fn closes_exactly_in_a_cluster(plan: &Plan) {
    let cluster = RedisCluster::start();
    let system = System::at(cluster.url(), true).await;
    // The streams are there.
    system.redis.ready_to_append().await.expect("ready");
    let keys: Vec<_> = (0..5)
        .map(|shard| format!("voting:{{{shard}}}:log"))
        .collect();
    let owner = cluster.owner(&keys[0]);
    let fast_keys: Vec<_> = keys
        .iter()
        .filter(|key| cluster.owner(key) == owner)
        .collect();
    let ahead = || {
        for key in &fast_keys {
            let ms = Moment::now().plus(Duration::from_secs(2)).unix_ms();
            // It fails if another id has come in between that is greater.
            let _ = cluster.masters[owner].try_command(&["XSETID", key, &format!("{ms}-0")]);
        }
    };
    ahead();
    let mut others = (0..5).filter(|shard| cluster.owner(&keys[*shard]) != owner);
    let other = u16::try_from(others.next_back().expect("several masters")).expect("a shard");
    let clock = async |shard| {
        let windows = system.redis.set_windows(ShardId(shard), &[]).await;
        windows.expect("an answer").clock_ms
    };
    let (fast, slow) = (clock(0).await, clock(other).await);
    assert!(fast > slow + 1_500, "{fast} and {slow}");
    closes_exactly(&system, plan, ahead).await;
    system.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_close_exactly_where_the_clocks_of_masters_differ() {
    closes_exactly_in_a_cluster(&Plan {
        closes: 5,
        apart: 300,
        moved: false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; the one above is the same with fewer polls"]
async fn a_hundred_polls_close_exactly_where_the_clocks_of_masters_differ() {
    closes_exactly_in_a_cluster(&Plan {
        closes: 100,
        apart: 100,
        moved: false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_made_anew_takes_no_ballots_before_it_has_the_times() {
    let server = RedisServer::start();
    let system = System::at(server.url(), false).await;
    let closes = system.now().await + 3_600_000;
    let poll = system.put("p", closes).await;
    let (service, _hold) = system.service();
    let cast = async || service.sink.cast(ballot(poll.id(), poll.rules())).await;
    let refused = cast().await.expect_err("no shard has the times yet");
    assert!(matches!(refused, CastError::TimesUnknown(_)), "{refused:?}");
    system.coordinator.round().await.expect("a round");
    cast().await.expect("cast");
    system.worker.stop().await;
    server.command(&["FLUSHALL"]);
    for _ in 0..20 {
        let refused = cast().await.expect_err("it has lost the times");
        assert!(matches!(refused, CastError::TimesUnknown(_)), "{refused:?}");
    }
    assert_eq!(server.command(&["EXISTS", "voting:{0}:log"]), "0");
    system.coordinator.round().await.expect("a round");
    cast().await.expect("cast");
}

/// What was sent before the closing, and is carried out after it, comes too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_across_a_closing_takes_nothing_late() {
    let server = RedisServer::start();
    let system = System::at(server.url(), false).await;
    let closes = system.now().await + 1_000;
    let poll = system.put("p", closes).await;
    system.coordinator.round().await.expect("a round");
    let (service, _hold) = system.service();
    let cast = async || service.sink.cast(ballot(poll.id(), poll.rules())).await;
    cast().await.expect("cast");
    while Moment::now().unix_ms() + 200 < closes {
        cast().await.expect("cast");
    }
    server.signal("STOP");
    let sent = async {
        while Moment::now().unix_ms() < closes + 200 {
            sleep(Duration::from_millis(5)).await;
        }
        server.signal("CONT");
    };
    let (answer, ()) = tokio::join!(cast(), sent);
    let late = answer.expect_err("it was carried out after the closing");
    assert!(matches!(late, CastError::Closed(_)), "{late:?}");
    system.worker.stop().await;
}

/// A log of which one shard can be out of reach.
struct Cut {
    log: Memory,
    is_cut: AtomicBool,
}

#[async_trait]
impl BallotLog for Cut {
    fn shards(&self) -> u16 {
        self.log.shards()
    }

    fn keeps_windows(&self) -> bool {
        true
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        self.log.append(shard, entry).await
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        self.log.seal(shard, polls).await
    }

    async fn set_windows(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        if shard == ShardId(1) && self.is_cut.load(Ordering::Acquire) {
            return Err(StoreError::of_kind(ErrorKind::Unreachable, "cut off"));
        }
        self.log.set_windows(shard, windows).await
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        self.log.ready_to_append().await
    }
}

#[tokio::test]
async fn new_times_that_one_shard_did_not_take_are_taken_back_from_all() {
    let memory = Memory::new(MemoryOptions {
        shards: 2,
        ..MemoryOptions::default()
    });
    let log = Arc::new(Cut {
        log: memory.clone(),
        is_cut: AtomicBool::new(false),
    });
    let polls = ScheduledPolls::new(Arc::clone(&log), memory.clone());
    let hours = |hours: u64| Moment::now().plus(Duration::from_secs(hours * 3_600));
    let (old, new) = (hours(1), hours(2));
    let put = async |closes| {
        let mut settings = PollSettings::default();
        settings.closes_at = Some(closes);
        let poll = support::poll().with_settings(settings).expect("a poll");
        polls.change_poll(&PollChange::put(poll), "host").await
    };
    let round = async || schedule::round(log.as_ref(), &memory).await;
    let stored = async || {
        let stored = memory.poll(&support::poll_id()).await;
        stored.expect("an answer").expect("the poll")
    };
    put(old).await.expect("stored");
    round().await.expect("a round");
    log.is_cut.store(true, Ordering::Release);
    put(new).await.expect_err("one shard does not have it");
    let given_up = stored().await;
    assert_eq!(given_up.settings().closes_at, Some(old));
    let back = given_up.pending_window().expect("on its way");
    assert_eq!(back.closes_at, Some(old));
    round().await.expect_err("one shard is cut off");
    assert_eq!(stored().await.pending_window(), Some(back.clone()));
    log.is_cut.store(false, Ordering::Release);
    round().await.expect("a round");
    let taken_back = stored().await;
    assert_eq!(taken_back.pending_window(), None);
    assert_eq!(taken_back.window(), Some(back.clone()));
    for shard in [ShardId(0), ShardId(1)] {
        let asked = PollWindow {
            times: 0,
            ..back.clone()
        };
        let held = memory.set_windows(shard, &[asked]).await;
        assert_eq!(held.expect("an answer").held, std::slice::from_ref(&back));
    }
    put(new).await.expect("all shards have it");
    assert_eq!(stored().await.settings().closes_at, Some(new));
}
