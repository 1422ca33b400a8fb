//! Events while workers are killed, while Postgres is killed and started again, and while transactions are held open across newer
//! ones: by long polls, by a stream with `Last-Event-ID` and by the library's stream, each reader sees each event once, in order,
//! without a gap.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{BufRead, BufReader},
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use postgres::{Client, NoTls};
use serde_json::{Value, json};
use ureq::{Agent, Body, http::Response};
use voting_core::{
    backends::postgres::{Postgres, PostgresOptions},
    pipeline::follow::{FollowError, follow},
    store::events::Event,
};
use voting_testing::{Deployment, PostgresServer, TOKEN, agent, agent_within, await_that, text_of};

/// How many polls are changed, each by all writers.
const POLLS: u64 = 16;

const WRITERS: u64 = 4;

/// The poll whose events are the last ones.
const END: &str = "the-end";

/// After a failure a reader or writer tries again, at another worker.
const PAUSE: Duration = Duration::from_millis(20);

/// An event as a reader has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    number: u64,
    id: String,
    kind: String,
    poll: String,
    revision: u64,
    /// Of an event of a transaction that was held open: which one.
    held: u64,
}

impl Seen {
    fn new(number: u64, id: String, kind: &str, poll: &str, data: &Value) -> Self {
        let of = |name: &str| data[name].as_u64().unwrap_or_default();
        Self {
            number,
            id,
            kind: kind.to_owned(),
            poll: poll.to_owned(),
            revision: of("revision"),
            held: of("pending"),
        }
    }

    fn of_json(event: &Value) -> Self {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let number = event["number"].as_u64().expect("a number");
        Self::new(
            number,
            text("id").to_owned(),
            text("type"),
            text("poll"),
            &event["data"],
        )
    }

    fn of_library(event: &Event) -> Self {
        let what = &event.what;
        let poll = what.poll.as_ref().map_or("", |poll| poll.as_str());
        let data = serde_json::from_str(&what.data).expect("JSON");
        Self::new(
            event.number,
            event.id.to_string(),
            what.kind.as_str(),
            poll,
            &data,
        )
    }

    fn is_last(&self) -> bool {
        self.poll == END && self.kind == "poll.opened"
    }
}

/// What all threads share.
#[derive(Default)]
struct Scene {
    /// Where the workers are.
    workers: Mutex<[String; 2]>,
    /// The changes that were acknowledged: the poll, and its revision then.
    made: Mutex<Vec<(String, u64)>>,
    /// Their number.
    count: AtomicU64,
    /// The place of the reader that asks for parts.
    place: AtomicU64,
    /// Which transactions were held open and have ended: the place of the reader before each end.
    held: Mutex<HashMap<u64, u64>>,
    /// How many of them ended after newer events were seen.
    passed: AtomicU64,
    /// How often a reader had to begin again.
    broken: AtomicU64,
    is_over: AtomicBool,
}

impl Scene {
    fn worker(&self, number: u64) -> String {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers[usize::from(number % 2 == 1)].clone()
    }

    /// Changes one poll after the other, until enough changes are acknowledged.
    fn write(&self, writer: u64, changes: u64) {
        let agent = agent();
        let mut number = writer;
        while self.count.load(SeqCst) < changes {
            number += WRITERS;
            let poll = format!("p{}", (number / WRITERS) % POLLS);
            let url = self.worker(number / 7);
            let Some(stored) = put(&agent, &url, &poll, &format!("Which, {number}?")) else {
                sleep(PAUSE);
                continue;
            };
            let revision = stored["revision"].as_u64().expect("a revision");
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push((poll, revision));
            self.count.fetch_add(1, SeqCst);
        }
    }

    /// Writes events in transactions that stay open while newer ones are seen.
    fn hold(&self, database: &str) {
        for number in 1.. {
            if self.is_over.load(SeqCst) {
                return;
            }
            let Ok(mut client) = Client::connect(database, NoTls) else {
                sleep(PAUSE);
                continue;
            };
            let add = format!(
                "BEGIN; INSERT INTO events (id, at, kind, data)
                 VALUES (gen_random_uuid(), 1, 'count.behind', '{{\"pending\": {number}}}')"
            );
            if client.batch_execute(&add).is_err() {
                continue;
            }
            let begun = self.place.load(SeqCst);
            let enough = Instant::now() + Duration::from_secs(3);
            while self.place.load(SeqCst) < begun + 20
                && Instant::now() < enough
                && !self.is_over.load(SeqCst)
            {
                sleep(PAUSE);
            }
            let place = self.place.load(SeqCst);
            if client.batch_execute("COMMIT").is_ok() {
                self.passed.fetch_add(u64::from(place > begun), SeqCst);
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.insert(number, place);
            }
        }
    }

    /// Asks for one part after the other, and waits if there is none.
    fn by_parts(&self) -> Vec<Seen> {
        let agent = agent_within(Duration::from_secs(20));
        let mut seen = Reader::default();
        for turn in 0.. {
            let (url, after) = (self.worker(turn / 50), seen.place());
            let path = format!("/v1/events?after={after}&wait=5&limit=200");
            let Some(answer) = get(&agent, &url, &path, None) else {
                self.broken();
                continue;
            };
            // An answer may be cut off.
            let Ok(text) = answer.into_body().read_to_string() else {
                self.broken();
                continue;
            };
            let part: Value = serde_json::from_str(&text).expect("JSON");
            for event in part["events"].as_array().expect("events") {
                seen.take(Seen::of_json(event));
            }
            self.place.store(seen.place(), SeqCst);
            if seen.is_done() {
                break;
            }
        }
        seen.list
    }

    /// Follows the stream, and goes on where it was.
    fn by_stream(&self) -> Vec<Seen> {
        let agent = agent_within(Duration::from_secs(30));
        let mut seen = Reader::default();
        for turn in 0.. {
            let (place, mut id) = (seen.place(), String::new());
            // The header alone, once there is a place.
            let path = match place {
                0 => "/v1/events/stream?after=0",
                _ => "/v1/events/stream",
            };
            let last = (place > 0).then_some(place);
            if let Some(answer) = get(&agent, &self.worker(turn), path, last) {
                let lines = BufReader::new(answer.into_body().into_reader()).lines();
                // Ends where the connection does.
                for line in lines.map_while(Result::ok) {
                    assert_ne!(line, "event: gone");
                    if let Some(number) = line.strip_prefix("id: ") {
                        number.clone_into(&mut id);
                    }
                    if let Some(data) = line.strip_prefix("data: ")
                        && data != "{}"
                    {
                        // The last line may be cut off.
                        let Ok(event) = serde_json::from_str::<Value>(data) else {
                            break;
                        };
                        assert_eq!(event["number"].to_string(), id);
                        seen.take(Seen::of_json(&event));
                        if seen.is_done() {
                            return seen.list;
                        }
                    }
                }
            }
            self.broken();
        }
        seen.list
    }

    /// Follows the store from this process.
    fn by_library(&self, database: &str) -> Vec<Seen> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let store = Postgres::new(database, PostgresOptions::default()).expect("an address");
            let mut seen = Reader::default();
            loop {
                let mut events = pin!(follow(store.clone(), seen.place()));
                while let Some(event) = events.next().await {
                    match event {
                        Ok(event) => seen.take(Seen::of_library(&event)),
                        Err(FollowError::Store(_)) => break,
                        Err(gone) => panic!("{gone}"),
                    }
                    if seen.is_done() {
                        return seen.list;
                    }
                }
                self.broken();
            }
        })
    }

    fn broken(&self) {
        self.broken.fetch_add(1, SeqCst);
        sleep(PAUSE);
    }
}

/// What a reader has seen.
#[derive(Default)]
struct Reader {
    list: Vec<Seen>,
}

impl Reader {
    fn place(&self) -> u64 {
        self.list.last().map_or(0, |event| event.number)
    }

    /// Each event has the number of the one before it, plus one.
    fn take(&mut self, event: Seen) {
        assert_eq!(event.number, self.place() + 1, "{event:?}");
        self.list.push(event);
    }

    fn is_done(&self) -> bool {
        self.list.last().is_some_and(Seen::is_last)
    }
}

fn get(agent: &Agent, url: &str, path: &str, last: Option<u64>) -> Option<Response<Body>> {
    let mut request = agent.get(format!("{url}{path}"));
    request = request.header("authorization", format!("Bearer {TOKEN}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    let answer = request.call().ok()?;
    assert!([200, 503].contains(&answer.status().as_u16()), "{answer:?}");
    (answer.status() == 200).then_some(answer)
}

fn put(agent: &Agent, url: &str, poll: &str, title: &str) -> Option<Value> {
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let body = json!({"id": poll, "title": title, "options": options});
    let request = agent.put(format!("{url}/v1/polls/{poll}"));
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    let request = request.content_type("application/json");
    let answer = request.send(body.to_string()).ok()?;
    match answer.status().as_u16() {
        200 | 201 => serde_json::from_str(&answer.into_body().read_to_string().ok()?).ok(),
        500.. => None,
        _ => panic!("{}", text_of(answer)),
    }
}

/// What one reader has seen is what was done.
fn is_whole(seen: &[Seen], scene: &Scene) {
    let ids: HashSet<_> = seen.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), seen.len(), "no id comes twice");
    // The events of each poll: made, opened, and then one for each of its revisions.
    let mut polls: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for event in seen.iter().filter(|event| !event.poll.is_empty()) {
        let (events, last) = polls.entry(&event.poll).or_default();
        *events += 1;
        let expected = match *events {
            1 => "poll.created",
            2 => "poll.opened",
            _ => "poll.changed",
        };
        assert_eq!(event.kind, expected, "{event:?}");
        // The first revision is 0, and opening a new poll is no other one.
        if *events > 2 {
            *last += 1;
        }
        assert_eq!(event.revision, *last, "{event:?}");
    }
    let made = scene.made.lock().unwrap_or_else(PoisonError::into_inner);
    for (poll, revision) in made.iter() {
        assert!(*revision <= polls[poll.as_str()].1, "{poll} {revision}");
    }
    let once: HashSet<_> = made.iter().collect();
    assert_eq!(
        once.len(),
        made.len(),
        "each change has a revision of its own"
    );
    // What was held open comes after all that was seen before it ended.
    let mut held = HashMap::new();
    for event in seen.iter().filter(|event| event.held > 0) {
        let before = held.insert(event.held, event.number);
        assert_eq!(before, None, "{event:?}");
    }
    let ended = scene.held.lock().unwrap_or_else(PoisonError::into_inner);
    for (number, place) in ended.iter() {
        assert!(held[number] > *place, "transaction {number}");
    }
}

/// Makes so many changes, while this often something is killed: the first worker, the second one, or Postgres.
fn each_reader_sees_each_event_once(changes: u64, kills: u64) {
    let mut deployment = Deployment::new();
    let start = |deployment: &Deployment| {
        let worker = deployment.worker();
        let url = worker.url.clone();
        (worker, url)
    };
    let ((first, first_url), (second, second_url)) = (start(&deployment), start(&deployment));
    let mut workers = [Some(first), Some(second)];
    for worker in workers.iter().flatten() {
        await_that("the workers are ready", || worker.is_ready());
    }
    let database = deployment.database.clone();
    // What is there already is not of this test: its events are the first ones.
    let scene = Scene {
        workers: Mutex::new([first_url, second_url]),
        ..Scene::default()
    };
    let begun = Instant::now();
    let lists = thread::scope(|scope| {
        let (scene, database) = (&scene, database.as_str());
        let readers = [
            scope.spawn(move || scene.by_parts()),
            scope.spawn(move || scene.by_stream()),
            scope.spawn(move || scene.by_library(database)),
        ];
        let mut others: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || scene.write(writer, changes)))
            .collect();
        let holder = scope.spawn(move || scene.hold(database));
        for kill in 1..=kills {
            let mark = changes * kill / (kills + 1);
            while scene.count.load(SeqCst) < mark {
                let is_stuck = others.iter().all(thread::ScopedJoinHandle::is_finished);
                assert!(!is_stuck, "the writers have failed");
                sleep(PAUSE);
            }
            let which = usize::try_from(kill % 3).expect("small");
            if which == 2 {
                match kill % 2 {
                    0 => deployment.postgres.kill_at_once(),
                    _ => deployment.postgres.stop(),
                }
                deployment.postgres.launch();
                continue;
            }
            if let Some(worker) = workers[which].take() {
                worker.kill();
            }
            let (worker, url) = start(&deployment);
            workers[which] = Some(worker);
            scene.workers.lock().expect("no panic")[which] = url;
        }
        for writer in others.drain(..) {
            writer.join().expect("a writer");
        }
        scene.is_over.store(true, SeqCst);
        holder.join().expect("the holder");
        await_that("the last poll is stored", || {
            put(&agent(), &scene.worker(0), END, "Which?").is_some()
        });
        readers.map(|reader| reader.join().expect("a reader"))
    });
    let took = begun.elapsed();
    let [by_parts, by_stream, by_library] = &lists;
    is_whole(by_parts, &scene);
    assert!(by_parts == by_stream, "the stream has other events");
    assert!(by_parts == by_library, "the library has other events");
    let stored = PostgresServer::sql(
        &database,
        &format!(
            "SELECT COUNT(*), COUNT(DISTINCT number) FROM events WHERE number <= {}",
            by_parts.len()
        ),
    );
    assert_eq!(stored, Ok(format!("{0}|{0}", by_parts.len())));
    let passed = scene.passed.load(SeqCst);
    assert!(
        passed > 0,
        "a transaction was held open across newer events"
    );
    eprintln!(
        "{} changes, {} events, {took:.0?}; {kills} kills; {} transactions held open, {passed} of them across newer events; readers began \
         again {} times",
        scene.count.load(SeqCst),
        by_parts.len(),
        scene.held.lock().expect("no panic").len(),
        scene.broken.load(SeqCst),
    );
}

#[test]
#[ignore = "takes from half a minute to more than five"]
fn each_reader_sees_each_event_once_while_workers_and_postgres_are_killed() {
    each_reader_sees_each_event_once(400, 3);
}

/// As the test above, with more of everything. It takes about an hour, since some 30 changes are made in a second.
#[test]
#[ignore = "takes an hour"]
fn each_reader_sees_each_of_100_000_changes_once() {
    each_reader_sees_each_event_once(100_000, 90);
}
