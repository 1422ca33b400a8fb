//! The three services over a back end in memory, on real sockets.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod host_browser;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener as StdListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use poem::EndpointExt;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use ureq::{
    Agent,
    http::{HeaderMap, Response, StatusCode},
};
use voting_core::{
    Ballot, BallotLog, BatchFlusher, CastError, GroupCommit, GroupCommitOptions, Poll,
    PollDirectory, PollOption, PollStore, Receipt, SecretKey, StoreError, TallyStore, VoteSink,
    Worker, WorkerHandle, WorkerOptions,
    backends::memory::{Memory, MemoryOptions},
    log::{entry::NewEntry, entry_keys::EntryKeys},
    model::{position::ShardId, secret::Fingerprint, secrets::KnownSecrets},
    pipeline::{closing, schedule::ScheduledPolls},
};
use voting_http::{
    Gate, HostLogins, Limits, OperatorService, OperatorServiceBuilder, PeerLink, ResultService,
    ResultServiceBuilder, ServeOptions, Site, VoteService, VoteServiceBuilder, serve,
};

pub const OPERATOR_TOKEN: &str = "the operator's token, 32 bytes or more";

pub fn secret() -> SecretKey {
    SecretKey::new([7; 32]).expect("long enough")
}

pub fn poll(id: &str, options: &[(&str, &str)], max_choices: usize) -> Poll {
    let options = options
        .iter()
        .map(|(id, label)| PollOption {
            id: id.parse().expect("an id"),
            label: (*label).to_owned(),
        })
        .collect();
    Poll::new(
        id.parse().expect("an id"),
        "Cats vs Dogs!",
        options,
        max_choices,
    )
    .expect("a poll")
}

/// The running services, with the poll of the course and one with three choices of four.
pub struct Services {
    pub memory: Memory,
    pub vote: String,
    pub result: String,
    pub operator: String,
    pub worker: WorkerHandle,
    pub stop: CancellationToken,
    pub servers: Vec<JoinHandle<bool>>,
    runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
pub struct Setup {
    pub site: Site,
    pub stop: CancellationToken,
    pub serve: ServeOptions,
    /// Of each of the services.
    pub limits: Limits,
    pub sink: Option<Arc<dyn VoteSink>>,
    /// Where bulk casts go. The default is the log.
    pub bulk: Option<Arc<dyn VoteSink>>,
    /// Whether the operator's service takes bulk casts.
    pub takes_bulk: bool,
    pub tallies: Option<Arc<dyn TallyStore>>,
    pub directory: Option<Arc<dyn PollDirectory>>,
    /// That of the result service.
    pub result_directory: Option<Arc<dyn PollDirectory>>,
    pub polls: bool,
    /// What else is said of the services.
    /// Whether the vote service can read results, as in the all-in-one.
    pub vote_reads_results: bool,
    pub vote: fn(VoteServiceBuilder) -> VoteServiceBuilder,
    pub result: fn(ResultServiceBuilder) -> ResultServiceBuilder,
    pub operator: fn(OperatorServiceBuilder) -> OperatorServiceBuilder,
    pub host_logins: Option<HostLogins>,
    pub secret: SecretKey,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            site: Site::default().with_served_by("replica-1".to_owned()),
            stop: CancellationToken::new(),
            serve: ServeOptions::default(),
            limits: Limits::default(),
            sink: None,
            bulk: None,
            takes_bulk: true,
            tallies: None,
            directory: None,
            result_directory: None,
            polls: true,
            vote_reads_results: true,
            vote: |builder| builder,
            result: |builder| builder,
            operator: |builder| builder,
            host_logins: None,
            secret: secret(),
        }
    }
}

impl Services {
    pub fn start() -> Self {
        Self::set_up(|_| Setup::default())
    }

    pub fn set_up(setup: impl FnOnce(&Memory) -> Setup) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let memory = Memory::new(MemoryOptions::default());
        let setup = setup(&memory);
        let all = Arc::new(memory.clone());
        let polls = [
            poll("cats-vs-dogs", &[("a", "Cats"), ("b", "Dogs")], 1),
            poll("many", &[("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")], 3),
        ];
        if setup.polls {
            for poll in &polls {
                runtime
                    .block_on(all.put_poll(poll))
                    .expect("the poll is stored");
            }
        }
        let _inside = runtime.enter();
        let options = WorkerOptions {
            max_wait: Duration::from_millis(5),
            ..WorkerOptions::default()
        };
        let queue = Arc::new(memory.queue());
        let worker = Worker::new(queue.clone(), all.clone(), all.clone(), options).start();
        let sink = setup
            .sink
            .clone()
            .unwrap_or_else(|| Arc::new(memory.sink()));
        let tallies = setup.tallies.clone().unwrap_or_else(|| all.clone());
        let directory = setup.directory.clone().unwrap_or_else(|| all.clone());
        let result_directory = setup.result_directory.clone();
        let result_directory = result_directory.unwrap_or_else(|| all.clone());
        let sockets = [(); 3].map(|()| StdListener::bind("127.0.0.1:0").expect("a port"));
        let [vote, result, operator] =
            [0, 1, 2].map(|index: usize| sockets[index].local_addr().expect("an address"));
        let gates = [(); 3].map(|()| Gate::new(setup.limits.clone()));
        let site = |peer: SocketAddr, gate: &Gate| {
            let peer = PeerLink::Port(peer.port());
            setup.site.clone().with_peer(peer).with_gate(gate.clone())
        };
        let stop = setup.stop.clone();
        runtime.spawn(closing::keep_advancing(
            all.clone(),
            queue.clone(),
            all.clone(),
            Duration::from_millis(20),
        ));
        let token = SecretKey::new(OPERATOR_TOKEN).expect("long enough");
        let vote_builder = VoteService::builder(sink, directory.clone(), &setup.secret)
            .site(site(result, &gates[0]))
            .stop(stop.clone());
        let vote_builder = match setup.vote_reads_results {
            true => vote_builder.results(tallies.clone()),
            false => vote_builder,
        };
        let result_builder = ResultService::builder(tallies, result_directory, &setup.secret)
            .site(site(vote, &gates[1]))
            .stop(stop.clone());
        let polls = ScheduledPolls::new(memory.clone(), memory.clone());
        let operator_builder = OperatorService::builder(worker.clone(), queue, all, &token)
            .polls(Arc::new(polls))
            .directory(directory)
            .gate(gates[2].clone())
            .stop(stop.clone());
        let operator_builder = match setup.takes_bulk {
            true => {
                let bulk = setup.bulk.clone().unwrap_or_else(|| {
                    let (options, keys) = (GroupCommitOptions::default(), EntryKeys::default());
                    let log = Arc::new(memory.clone());
                    Arc::new(GroupCommit::for_trusted_server(log, options, keys))
                });
                operator_builder.bulk_casts(bulk, &setup.secret)
            }
            false => operator_builder,
        };
        let operator_builder = match setup.host_logins {
            Some(logins) => operator_builder.host_logins(logins),
            None => operator_builder,
        };
        let endpoints = [
            (setup.vote)(vote_builder).build().boxed(),
            (setup.result)(result_builder).build().boxed(),
            (setup.operator)(operator_builder).build().boxed(),
        ];
        let servers =
            sockets
                .into_iter()
                .zip(endpoints)
                .zip(gates)
                .map(|((socket, endpoint), gate)| {
                    socket.set_nonblocking(true).expect("a socket");
                    let socket = TcpListener::from_std(socket).expect("a socket");
                    let options = ServeOptions {
                        gate,
                        ..setup.serve.clone()
                    };
                    runtime.spawn(serve(socket, endpoint, options, stop.clone()))
                });
        let servers = servers.collect();
        Self {
            memory,
            vote: format!("http://{vote}"),
            result: format!("http://{result}"),
            operator: format!("http://{operator}"),
            worker,
            stop,
            servers,
            runtime,
        }
    }

    /// Waits until all that was cast is counted, and says how many votes each option has.
    pub fn votes(&self, poll: &str) -> Vec<u64> {
        self.settle();
        let poll = poll.parse().expect("an id");
        let tally = self.block_on(self.memory.tally(&poll)).expect("a tally");
        tally.expect("the poll is there").votes
    }

    /// Waits until all that was cast is counted.
    pub fn settle(&self) {
        let mut progress = self.worker.progress().clone();
        self.block_on(async {
            use voting_core::BallotQueue;
            let queue = self.memory.queue();
            let counted = async {
                while queue.stats().await.expect("stats").pending > 0 {
                    progress.changed().await.expect("the worker runs");
                }
            };
            let in_time = tokio::time::timeout(Duration::from_secs(20), counted).await;
            in_time.expect("all is counted in time");
        });
    }

    /// Appends an entry to the log as somebody else might write it.
    pub fn push(&self, payload: &[u8]) {
        let entry = NewEntry {
            payload: payload.to_vec(),
            ballots: 1,
            polls: Vec::new(),
            traces: Vec::new(),
            deadline_ms: None,
        };
        let appended = self.memory.append(ShardId(0), entry);
        self.block_on(appended).expect("appended");
    }

    /// A further sink into the log.
    pub fn sink(&self) -> Arc<dyn VoteSink> {
        self.block_on(async { Arc::new(self.memory.sink()) })
    }

    pub fn totals(&self) -> voting_core::store::outcome::Totals {
        self.block_on(self.memory.totals()).expect("totals")
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    fn of(response: Response<ureq::Body>) -> Self {
        let (parts, mut body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            // Pictures are no texts, and are only compared.
            body: String::from_utf8_lossy(&body.read_to_vec().expect("a body")).into_owned(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a text"))
    }

    /// The cookie as a client sends it back.
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie");
        set.split(';').next().expect("a cookie").to_owned()
    }
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .max_redirects(0)
        .build()
        .new_agent()
}

pub fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(agent().get(url), |request, (name, value)| {
            request.header(*name, *value)
        });
    Answer::of(request.call().expect("an answer"))
}

pub fn head(url: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(agent().head(url), |request, (name, value)| {
            request.header(*name, *value)
        });
    Answer::of(request.call().expect("an answer"))
}

pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let request = match method {
        "POST" => agent().post(url),
        "PUT" => agent().put(url),
        "PATCH" => agent().patch(url),
        "DELETE" => agent().delete(url).force_send_body(),
        "OPTIONS" => agent().options(url).force_send_body(),
        other => panic!("{other}"),
    };
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    Answer::of(request.send(body).expect("an answer"))
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

/// A connection on which a test speaks HTTP by hand.
pub fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("an address");
    let stream = TcpStream::connect(address).expect("connected");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time-out");
    stream
}

/// The status of an answer, and its first piece: of an event stream, the first event.
pub fn first_piece(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    let mut stream = connect(&format!("http://{host}"));
    let mut request = format!("GET /{path} HTTP/1.0\r\nHost: test\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = BufReader::new(stream);
    let mut text = String::new();
    let is_whole = |text: &str| match text.split_once("\r\n\r\n") {
        Some((_, body)) if text.contains("text/event-stream") => body.ends_with("\n\n"),
        _ => false,
    };
    while !is_whole(&text) {
        if answer.read_line(&mut text).expect("a line") == 0 {
            break;
        }
    }
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let lines = text.lines().filter(|line| !line.starts_with("date:"));
    (
        status.expect("a status"),
        lines.collect::<Vec<_>>().join("\n"),
    )
}

/// An event stream, opened and read past its head.
pub fn events(url: &str, path: &str) -> BufReader<TcpStream> {
    let mut stream = connect(url);
    let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut events = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(events.read_line(&mut head).expect("a head"), 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    assert!(
        head.to_lowercase()
            .contains("content-type: text/event-stream"),
        "{head}"
    );
    events
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<u64>,
    pub data: Value,
}

/// The next event, be it a sign of life only. `None` at the end of the stream.
pub fn any_event(events: &mut impl BufRead) -> Option<Event> {
    let mut event = String::new();
    while !event.ends_with("\n\n") {
        if events.read_line(&mut event).expect("an event") == 0 {
            assert_eq!(event, "", "the stream ends between events");
            return None;
        }
    }
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        name: field("event: ").expect("a name").to_owned(),
        id: field("id: ").map(|id| id.parse().expect("a number")),
        data: serde_json::from_str(field("data: ").expect("data")).expect("JSON"),
    })
}

/// The next tally: its version and what it says. `None` at the end of the stream.
pub fn next_event(events: &mut impl BufRead) -> Option<(u64, Value)> {
    loop {
        let event = any_event(events)?;
        if event.name != "alive" {
            assert_eq!(event.name, "tally");
            return Some((event.id.expect("a version"), event.data));
        }
    }
}

pub fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the rest");
    text
}

/// A sink that can be exchanged for another one, as a Redis that was put in the place of another.
pub struct Exchanged(std::sync::Mutex<Arc<dyn VoteSink>>);

impl Exchanged {
    pub fn of(services: &Services) -> Self {
        Self(std::sync::Mutex::new(services.sink()))
    }

    pub fn exchange(&self, services: &Services) {
        *self.0.lock().expect("no panic") = services.sink();
    }

    fn now(&self) -> Arc<dyn VoteSink> {
        self.0.lock().expect("no panic").clone()
    }
}

#[async_trait::async_trait]
impl VoteSink for Exchanged {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        self.now().cast(ballot).await
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        self.now().ready_to_cast().await
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        self.now().check_secrets(secrets).await
    }
}
