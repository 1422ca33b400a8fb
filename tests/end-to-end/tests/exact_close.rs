//! Polls that close at set times while voters vote, at two vote services whose clocks are an hour off, one ahead and
//! one behind. One of the two stands still whenever a poll closes. Half of the closings are moved while voters vote.
//!
//! What is checked comes from the log itself and from the database: no ballot in either has a position at or after the
//! closing of its poll, and each ballot whose voter was thanked for it counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use ureq::Agent;
use voting_core::{log::signed_entry::SignedEntry, model::moment::Moment};
use voting_testing::{
    Clock, Deployment, Operator, PostgresServer, RedisCluster, RedisServer, Service, ServiceKind,
    TOKEN, agent, await_that, processes, text_of,
};

const HOUR_MS: i64 = 3_600_000;

/// A vote service stands still for so long before and after a closing.
const PAUSE: u64 = 100;

/// The closings of two polls are so far apart. It is more than a pause takes.
const APART: u64 = 300;

/// Voters of each vote service.
const VOTERS: usize = 6;

/// How many polls close in one test.
struct Plan {
    /// At the time that they had from the start.
    kept: u64,
    /// At a time that is set while voters vote.
    moved: u64,
    /// Time in ms for each change of a poll, beside what it takes while nobody votes.
    slack: u64,
    /// By so much the clocks of shards differ from the machine's, at most.
    spread: u64,
}

const FEW: u64 = 4;
const MANY: u64 = 100;

/// The more polls there are, the more a worker has to do in each of its rounds.
fn slack(polls: u64) -> u64 {
    100 + polls * 6
}

#[test]
fn polls_close_exactly_whatever_the_clocks_of_vote_services_say() {
    closes_exactly_on_one_redis(FEW);
}

#[test]
#[ignore = "takes five minutes; the one above is the same with fewer polls"]
fn a_hundred_polls_close_exactly_whatever_the_clocks_of_vote_services_say() {
    closes_exactly_on_one_redis(MANY);
}

fn closes_exactly_on_one_redis(polls: u64) {
    let deployment = Deployment::new();
    let plan = Plan {
        kept: polls,
        moved: polls,
        slack: slack(polls),
        spread: 0,
    };
    closes_exactly(&deployment, &[&deployment.redis], &plan);
}

#[test]
fn polls_close_exactly_in_a_cluster_whose_masters_clocks_differ() {
    closes_exactly_in_a_cluster(FEW);
}

#[test]
#[ignore = "takes five minutes; the one above is the same with fewer polls"]
fn a_hundred_polls_close_exactly_in_a_cluster_whose_masters_clocks_differ() {
    closes_exactly_in_a_cluster(MANY);
}

/// Of the three clocks, each is one second from the next.
fn closes_exactly_in_a_cluster(polls: u64) {
    let cluster = RedisCluster::start_with_clocks([-1_000, 0, 1_000]);
    let deployment = Deployment::on(&cluster);
    let plan = Plan {
        kept: polls,
        moved: polls,
        slack: slack(polls),
        spread: 1_000,
    };
    let masters: Vec<_> = cluster.masters.iter().collect();
    let clocks: Vec<_> = masters.iter().map(|master| clock_of(master)).collect();
    assert!(
        clocks[2] - clocks[0] > 1_900,
        "the masters' clocks do not differ: {clocks:?}"
    );
    closes_exactly(&deployment, &masters, &plan);
}

fn clock_of(redis: &RedisServer) -> u64 {
    let told = redis.command(&["TIME"]);
    let mut told = told.lines().map(|number| number.parse::<u64>());
    let mut next = || told.next().expect("two numbers").expect("a number");
    let (seconds, micros) = (next(), next());
    seconds * 1_000 + micros / 1_000
}

/// A poll, and when it closes.
#[derive(Debug, Clone)]
struct Timed {
    id: String,
    /// As it was stored first.
    at_first: u64,
    closes: u64,
}

impl Timed {
    fn put(&self, worker: &Service, closes: u64) {
        let closes = Moment::from_unix_ms(closes).expect("a moment").to_string();
        let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
        let poll =
            json!({"id": self.id, "title": self.id, "options": options, "closes_at": closes});
        let request = agent().put(format!("{}/v1/polls/{}", worker.url, self.id));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let request = request.content_type("application/json");
        let answer = request.send(poll.to_string()).expect("an answer");
        let status = answer.status();
        assert!(status.is_success(), "{status} {}", text_of(answer));
    }
}

fn now() -> u64 {
    Moment::now().unix_ms()
}

fn sleep_until(ms: u64) {
    thread::sleep(Duration::from_millis(ms.saturating_sub(now())));
}

/// How a vote service is started whose clock is wrong.
fn vote_by(deployment: &Deployment, clock: &Clock) -> Service {
    let mut command = deployment.command(ServiceKind::Vote);
    clock.give_to(&mut command);
    Service::start(&mut command, ServiceKind::Vote.announces())
}

fn has_the_hour(vote: &Service, hour: &str) {
    let answer = agent().get(format!("{}/healthz", vote.url)).call();
    let answer = answer.expect("an answer");
    let date = answer.headers()["date"].to_str().expect("a text");
    assert!(
        date.contains(&format!(" {hour}:")),
        "{date} is not at {hour}"
    );
}

fn hour(shift: i64) -> String {
    let shifted = now().checked_add_signed(shift).expect("a time");
    let text = Moment::from_unix_ms(shifted).expect("a moment").to_string();
    let (_, time) = text.split_once('T').expect("a time");
    time[..2].to_owned()
}

fn closes_exactly(deployment: &Deployment, servers: &[&RedisServer], plan: &Plan) {
    let (worker, result) = (deployment.worker(), deployment.result());
    let clocks = [HOUR_MS, -HOUR_MS].map(Clock::ahead_by_ms);
    let services = clocks.each_ref().map(|clock| vote_by(deployment, clock));
    for service in [&worker, &result].into_iter().chain(&services) {
        service.await_ready();
    }
    for (vote, shift) in services.iter().zip([HOUR_MS, -HOUR_MS]) {
        has_the_hour(vote, &hour(shift));
    }

    // Changes of a closing must be ten seconds before the old and the new one, by each shard's clock.
    // How soon all polls can be stored and then moved depends on the machine.
    let spare = Timed {
        id: "spare".to_owned(),
        at_first: now() + 3_600_000,
        closes: 0,
    };
    let begun = Instant::now();
    spare.put(&worker, spare.at_first);
    let one = u64::try_from(begun.elapsed().as_millis()).expect("ms") * 3 + plan.slack;
    let first = now() + 2_500 + plan.spread + (plan.kept + plan.moved) * one;
    let first_moved = first + 11_500 + plan.spread + plan.moved * one;
    let polls: Vec<Timed> = (0..plan.kept)
        .map(|number| (number, first + number * APART, 0))
        .chain((0..plan.moved).map(|number| {
            // Some close earlier than was said first, some later.
            let by = if number % 2 == 0 { 60_000 } else { -1_500 };
            let from = first_moved.max(first + plan.kept * APART + plan.spread);
            (plan.kept + number, from + number * APART, by)
        }))
        .map(|(number, closes, by)| Timed {
            id: format!("p{number}"),
            at_first: closes.checked_add_signed(by).expect("a time"),
            closes,
        })
        .collect();
    for poll in &polls {
        poll.put(&worker, poll.at_first);
    }
    for vote in &services {
        await_that("the vote services know of all polls", || {
            let last = &polls[polls.len() - 1].id;
            let asked = agent().get(format!("{}/v1/polls/{last}", vote.url)).call();
            asked.expect("an answer").status() == 200
        });
    }
    assert!(
        now() < polls[0].closes,
        "it took too long to store the polls"
    );

    let crowd = Crowd::gather(&services, &polls, plan);
    let pauses = Pauses::begin(&services, &polls);
    for poll in polls.iter().filter(|poll| poll.at_first != poll.closes) {
        poll.put(&worker, poll.closes);
    }
    let moved = now();
    let pauses = pauses.ended();
    let last = polls[polls.len() - 1].closes;
    sleep_until(last + plan.spread + 300);
    let votes = crowd.disperse();
    // A machine with much else to do starts some too late.
    assert!(
        pauses >= polls.len() / 4,
        "only {pauses} pauses across a closing"
    );

    let operator = Operator::new(&worker.url, TOKEN);
    let pipeline = operator.settled();
    assert_eq!(pipeline["rejected"], 0, "{pipeline}");
    await_that("all polls are final", || {
        let is_final = |poll: &Timed| {
            let told = operator.get(&format!("polls/{}", poll.id));
            told.is_some_and(|told| told["state"] == "final")
        };
        polls.iter().all(is_final)
    });
    let logged = logged(servers);
    let stored = stored(&deployment.database);
    assert!(
        pairs_agree(&logged, &stored),
        "the log and the database differ"
    );
    let mut told = Told::default();
    for poll in &polls {
        let of_poll = |vote: &&Vote| polls[vote.poll].id == poll.id;
        let votes: Vec<_> = votes.iter().filter(of_poll).collect();
        told.look(poll, plan, &votes, &stored[&poll.id]);
        assert_eq!(
            operator.recount(&poll.id).expect("a recount")["agrees"],
            true
        );
    }
    await_receipts(&result, &votes);
    let gap = told.median_gap();
    eprintln!(
        "{} closings, {} of them moved ({:.1} s before the last of them), {pauses} pauses across a closing: \
         {} ballots acknowledged and counted, {} of unknown outcome, {} in the log, {} refused as too late; {} were \
         sent before a closing and refused after it; the latest ballot before a closing: median {gap} ms",
        polls.len(),
        plan.moved,
        (polls[polls.len() - 1].closes.saturating_sub(moved)) as f64 / 1_000.0,
        told.acknowledged,
        told.unknown,
        logged.values().map(Vec::len).sum::<usize>(),
        told.refused,
        told.held,
    );
}

/// What is told of all polls together.
#[derive(Default)]
struct Told {
    acknowledged: usize,
    unknown: usize,
    refused: usize,
    /// Sent before the closing and answered after it, with a refusal.
    held: usize,
    /// From the last ballot to the closing, of each poll.
    gaps: Vec<u64>,
}

impl Told {
    /// `positions`: of the stored ballots, in ms.
    fn look(&mut self, poll: &Timed, plan: &Plan, votes: &[&Vote], positions: &[u64]) {
        let late: Vec<_> = positions.iter().filter(|ms| **ms >= poll.closes).collect();
        assert!(late.is_empty(), "{poll:?} has ballots from {late:?}");
        let count = |is_so: fn(&Outcome) -> bool| {
            let those = votes.iter().filter(|vote| is_so(&vote.outcome));
            those.count()
        };
        let acknowledged = count(|outcome| matches!(outcome, Outcome::Acknowledged(_)));
        let unknown = count(|outcome| matches!(outcome, Outcome::Unknown));
        let refused = count(|outcome| matches!(outcome, Outcome::Closed));
        // Each vote is of a new voter.
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&positions.len()),
            "{poll:?}: {acknowledged} acknowledged, {unknown} unknown, {} counted",
            positions.len()
        );
        assert!(
            acknowledged > 0 && refused > 0,
            "{poll:?}: {acknowledged}, {refused}"
        );
        // Nobody was turned away before any shard could have closed the poll.
        let early = votes.iter().filter(|vote| {
            matches!(vote.outcome, Outcome::Closed) && vote.ended + plan.spread < poll.closes
        });
        assert_eq!(early.count(), 0, "{poll:?}");
        if poll.at_first < poll.closes {
            let between = positions.iter().filter(|ms| **ms >= poll.at_first);
            assert!(between.count() > 0, "{poll:?} was not kept open");
        }
        let held = votes.iter().filter(|vote| {
            matches!(vote.outcome, Outcome::Closed)
                && vote.sent + plan.spread < poll.closes
                && vote.ended > poll.closes
        });
        self.held += held.count();
        self.acknowledged += acknowledged;
        self.unknown += unknown;
        self.refused += refused;
        let newest = positions.iter().max().expect("some");
        self.gaps.push(poll.closes - newest);
    }

    fn median_gap(&mut self) -> u64 {
        self.gaps.sort_unstable();
        self.gaps[self.gaps.len() / 2]
    }
}

/// Each ballot that was acknowledged counts, as its receipt says.
fn await_receipts(result: &Service, votes: &[Vote]) {
    let receipts = votes.iter().filter_map(|vote| match &vote.outcome {
        Outcome::Acknowledged(receipt) => Some(receipt),
        Outcome::Unknown | Outcome::Closed => None,
    });
    let receipts: Vec<_> = receipts.collect();
    thread::scope(|scope| {
        for receipts in receipts.chunks(receipts.len().div_ceil(4)) {
            scope.spawn(move || {
                let agent = agent();
                for receipt in receipts {
                    let state = agent.get(format!("{}/v1/receipts/{receipt}", result.url));
                    let state = text_of(state.call().expect("an answer"));
                    assert!(state.contains(r#""state":"counted""#), "{state}");
                }
            });
        }
    });
}

/// What is in the log: the milliseconds of each ballot's position, by poll.
fn logged(servers: &[&RedisServer]) -> BTreeMap<String, Vec<u64>> {
    // Bytes as hexadecimal digits, since the answer of the client is a text.
    let script = "local told = {} \
        for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
            for i = 1, #entry[2], 2 do if entry[2][i] == 'b' then \
                local hex = string.gsub(entry[2][i + 1], '.', function(c) return string.format('%02x', string.byte(c)) end) \
                told[#told + 1] = entry[1] .. ' ' .. hex \
            end end \
        end return told";
    let mut logged = BTreeMap::new();
    for server in servers {
        for key in server.command(&["KEYS", "voting:*:log"]).lines() {
            for line in server.command(&["EVAL", script, "1", key]).lines() {
                let (id, hex) = line.split_once(' ').expect("an id and bytes");
                let ms: u64 = id.split('-').next().expect("ms").parse().expect("a number");
                let byte = |index: usize| u8::from_str_radix(&hex[index..index + 2], 16);
                let bytes: Result<Vec<_>, _> = (0..hex.len()).step_by(2).map(byte).collect();
                let bytes = bytes.expect("digits");
                let entry = SignedEntry::read(&bytes).expect("an entry");
                for ballot in entry.ballots {
                    let poll = logged.entry(ballot.poll.to_string());
                    poll.or_insert_with(Vec::new).push(ms);
                }
            }
        }
    }
    logged
}

/// The same, as it is in the database.
fn stored(database: &str) -> BTreeMap<String, Vec<u64>> {
    let ask = "SELECT p.id, b.ms FROM ballots b JOIN polls p ON p.key = b.poll";
    let rows = PostgresServer::sql(database, ask).expect("rows");
    let mut stored = BTreeMap::new();
    for row in rows.lines() {
        let (poll, ms) = row.split_once('|').expect("two columns");
        let poll = stored.entry(poll.to_owned());
        poll.or_insert_with(Vec::new).push(ms.parse().expect("ms"));
    }
    stored
}

fn pairs_agree(logged: &BTreeMap<String, Vec<u64>>, stored: &BTreeMap<String, Vec<u64>>) -> bool {
    let sorted = |told: &BTreeMap<String, Vec<u64>>| {
        let mut told = told.clone();
        told.values_mut().for_each(|ms| ms.sort_unstable());
        told
    };
    sorted(logged) == sorted(stored)
}

/// A vote of a new voter.
struct Vote {
    /// Which of the polls.
    poll: usize,
    /// By the machine's clock, in ms.
    sent: u64,
    ended: u64,
    outcome: Outcome,
}

enum Outcome {
    /// With this receipt.
    Acknowledged(String),
    /// Since the poll is closed.
    Closed,
    Unknown,
}

/// Voters at each service, each with one ballot, who come on and on.
struct Crowd {
    is_over: Arc<AtomicBool>,
    voters: Vec<JoinHandle<Vec<Vote>>>,
}

impl Crowd {
    fn gather(services: &[Service], polls: &[Timed], plan: &Plan) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let margin = plan.spread + 300;
        let voters = services.iter().flat_map(|vote| {
            let is_over = &is_over;
            (0..VOTERS).map(move |number| {
                let (url, polls) = (vote.url.clone(), polls.to_vec());
                let is_over = Arc::clone(is_over);
                thread::spawn(move || {
                    let (agent, mut votes, mut turn) = (agent(), Vec::new(), number);
                    while !is_over.load(Ordering::Acquire) {
                        turn += 1;
                        votes.push(vote_once(&agent, &url, &polls, turn, margin));
                        thread::sleep(Duration::from_millis(1));
                    }
                    votes
                })
            })
        });
        let voters = voters.collect();
        Self { is_over, voters }
    }

    fn disperse(self) -> Vec<Vote> {
        self.is_over.store(true, Ordering::Release);
        let voters = self.voters.into_iter();
        voters
            .flat_map(|voter| voter.join().expect("no panic"))
            .collect()
    }
}

/// Votes in a poll that is about to close or has just closed; else, in any that is open.
fn vote_once(agent: &Agent, url: &str, polls: &[Timed], turn: usize, margin: u64) -> Vote {
    let sent = now();
    let of = |is_meant: &dyn Fn(u64) -> bool| {
        let polls = polls.iter().enumerate();
        let meant = polls.filter(|(_, poll)| is_meant(poll.closes));
        meant.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let mut meant = of(&|closes| closes < sent + margin && sent < closes + margin);
    if meant.is_empty() {
        meant = of(&|closes| sent < closes);
        // Each ballot is looked at again by its receipt, so only a closing needs many of them.
        thread::sleep(Duration::from_millis(20));
    }
    let poll = *meant
        .get(turn % meant.len().max(1))
        .unwrap_or(&(polls.len() - 1));
    let ballot = agent.put(format!("{url}/v1/polls/{}/ballot", polls[poll].id));
    let ballot = ballot.content_type("application/json");
    let answer = ballot
        .send(r#"{"choices":["a"]}"#)
        .ok()
        .and_then(|mut answer| {
            let body = answer.body_mut().read_to_string().ok()?;
            let body: Value = serde_json::from_str(&body).ok()?;
            Some((answer.status().as_u16(), body))
        });
    let ended = now();
    let outcome = match answer {
        Some((202, body)) => {
            Outcome::Acknowledged(body["receipt"].as_str().expect("a receipt").to_owned())
        }
        Some((409, body)) if body["type"] == "urn:voting:problem:poll-closed" => Outcome::Closed,
        Some((503, body)) if body["type"] == "urn:voting:problem:outcome-unknown" => {
            Outcome::Unknown
        }
        None => Outcome::Unknown,
        Some(other) => panic!("{other:?}"),
    };
    Vote {
        poll,
        sent,
        ended,
        outcome,
    }
}

/// One of the services stands still around each closing, in turn.
struct Pauses(JoinHandle<usize>);

impl Pauses {
    fn begin(services: &[Service], polls: &[Timed]) -> Self {
        let ids: Vec<_> = services.iter().map(Service::id).collect();
        let closes: Vec<_> = polls.iter().map(|poll| poll.closes).collect();
        Self(thread::spawn(move || {
            let mut across = 0;
            for (turn, closes) in closes.into_iter().enumerate() {
                let id = ids[turn % ids.len()];
                sleep_until(closes - PAUSE);
                processes::signal("STOP", &[id]);
                let was_before = now() < closes;
                sleep_until(closes + 10);
                let stands = processes::stands_still(id);
                sleep_until(closes + PAUSE);
                processes::signal("CONT", &[id]);
                across += usize::from(was_before && stands);
            }
            across
        }))
    }

    /// How many were across a closing.
    fn ended(self) -> usize {
        self.0.join().expect("no panic")
    }
}
