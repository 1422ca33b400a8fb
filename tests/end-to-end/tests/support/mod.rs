//! The three services as processes, on private servers, under load.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod collector;

use std::{
    fs::File,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use ureq::Agent;
use voting_testing::{Authority, PostgresServer, Program, RedisCluster, RedisServer, are_built};

pub const SECRET: &str = "the secret of the tests, 32 bytes or more";
pub const TOKEN: &str = "the token of the tests, 32 bytes or more";

/// After this time without an acknowledgement another worker takes over.
pub const CLAIM_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Longer than anything takes.
pub const LONG: Duration = Duration::from_secs(60);

/// Where cargo has put the programs. They are of other packages, so cargo does not build them where this one's
/// tests alone are run.
pub static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().expect("this program");
    let folder = test.ancestors().nth(2).expect("target/<profile>");
    let programs = ["voting", "voting-vote", "voting-worker", "voting-result"];
    if !are_built(folder, &programs) {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked"]);
        for program in programs {
            build.args(["-p", program]);
        }
        assert!(build.status().expect("cargo is there").success());
    }
    folder.to_owned()
});

/// Where the program of this name is.
pub fn program(name: &str) -> PathBuf {
    PROGRAMS.join(name)
}

/// A running service.
pub struct Service {
    program: Program,
    pub url: String,
}

impl Service {
    fn start(name: &str, says: &str, settings: &[(&str, String)], log: Option<&File>) -> Self {
        Self::launch(
            Command::new(PROGRAMS.join(name)).env_clear(),
            says,
            settings,
            log,
        )
    }

    fn launch(
        command: &mut Command,
        says: &str,
        settings: &[(&str, String)],
        log: Option<&File>,
    ) -> Self {
        command.envs(settings.iter().map(|(key, value)| (key, value)));
        if let Some(log) = log {
            command.stderr(log.try_clone().expect("the same file"));
        }
        let mut program = Program::start(command);
        let url = program.address(says);
        Self { program, url }
    }

    pub fn kill(self) {
        self.program.kill();
    }

    pub fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until one that was asked to stop has.
    pub fn wait(self) -> ExitStatus {
        self.program.wait()
    }

    pub fn is_ready(&self) -> bool {
        let asked = agent().get(format!("{}/readyz", self.url)).call();
        asked.is_ok_and(|answer| answer.status() == 200)
    }
}

/// Waits until there is an answer.
pub fn await_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    await_some(what, || is_so().then_some(()));
}

/// The servers, and how to start services on them.
pub struct Stage {
    pub redis: RedisServer,
    pub postgres: PostgresServer,
    database: String,
    /// Beside the usual settings.
    pub more: Vec<(&'static str, String)>,
    /// Where the log lines of the services go, if not to those of the test.
    pub log: Option<File>,
}

impl Stage {
    pub fn new() -> Self {
        let postgres = PostgresServer::start();
        Self {
            redis: RedisServer::start(),
            database: postgres.database("voting"),
            postgres,
            more: Vec::new(),
            log: None,
        }
    }

    /// On servers that speak TLS only, and ask for a password.
    pub fn encrypted(authority: &Authority) -> Self {
        let postgres = PostgresServer::start_encrypted(authority);
        let ca_file = authority.file().to_string_lossy().into_owned();
        Self {
            redis: RedisServer::start_encrypted(authority),
            database: postgres.database("voting"),
            postgres,
            more: vec![
                ("VOTING_REDIS__CA_FILE", ca_file.clone()),
                ("VOTING_POSTGRES__CA_FILE", ca_file),
            ],
            log: None,
        }
    }

    /// With the log in a cluster instead.
    pub fn on(cluster: &RedisCluster) -> Self {
        let mut stage = Self::new();
        stage.more = vec![
            ("VOTING_REDIS__CLUSTER", "true".to_owned()),
            ("VOTING_REDIS__URL", cluster.url()),
            ("VOTING_REDIS__SHARDS", "6".to_owned()),
        ];
        stage
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let free = || "127.0.0.1:0".to_owned();
        let mut settings = vec![
            ("VOTING_VOTE__LISTEN", free()),
            ("VOTING_RESULT__LISTEN", free()),
            ("VOTING_WORKER__LISTEN", free()),
            ("VOTING_SECRET", SECRET.to_owned()),
            ("VOTING_WORKER__TOKEN", TOKEN.to_owned()),
            ("VOTING_WORKER__MAX_BALLOTS", "200".to_owned()),
            (
                "VOTING_REDIS__CLAIM_TIMEOUT_MS",
                CLAIM_TIMEOUT.as_millis().to_string(),
            ),
            ("VOTING_REDIS__URL", self.redis.url()),
            ("VOTING_POSTGRES__URL", self.database.clone()),
        ];
        // What is set again wins.
        settings.retain(|(key, _)| self.more.iter().all(|(again, _)| key != again));
        settings.extend(self.more.clone());
        settings
    }

    /// The vote service is told nothing of Postgres.
    pub fn vote(&self) -> Service {
        let mut settings = self.settings();
        settings.retain(|(key, _)| !key.contains("POSTGRES"));
        Service::start("voting-vote", "Vote:", &settings, self.log.as_ref())
    }

    /// The same on a socket that is handed over as a supervisor does it: as descriptor 3, by name.
    pub fn vote_on(&self, socket: &TcpListener) -> Service {
        let mut settings = self.settings();
        settings.retain(|(key, _)| !key.contains("POSTGRES"));
        let hand_over = r#"exec 3<&0 </dev/null; export LISTEN_PID=$$; exec "$0""#;
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "vote")])
            .args(["-c", hand_over])
            .arg(PROGRAMS.join("voting-vote"))
            .stdin(OwnedFd::from(socket.try_clone().expect("the same socket")));
        Service::launch(&mut command, "Vote:", &settings, self.log.as_ref())
    }

    pub fn worker(&self) -> Service {
        Service::start(
            "voting-worker",
            "Operator:",
            &self.settings(),
            self.log.as_ref(),
        )
    }

    /// Runs a command of `voting` to its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAMS.join("voting"));
        command.env_clear().envs(self.settings()).args(arguments);
        command.output().expect("the program starts")
    }

    /// All in one process, on a file of its own.
    pub fn all_in_one(&self, file: &Path) -> Service {
        let mut settings = self.settings();
        settings.retain(|(key, _)| !key.contains("REDIS") && !key.contains("POSTGRES"));
        settings.push(("VOTING_SQLITE__PATH", file.to_string_lossy().into_owned()));
        Service::start("voting", "Vote:", &settings, self.log.as_ref())
    }

    /// The result service is told nothing of Redis.
    pub fn result(&self) -> Service {
        let mut settings = self.settings();
        settings.retain(|(key, _)| !key.contains("REDIS"));
        Service::start("voting-result", "Result:", &settings, self.log.as_ref())
    }
}

pub fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .new_agent()
}

fn get_json(url: &str) -> Option<Value> {
    let bearer = format!("Bearer {TOKEN}");
    let mut answer = agent()
        .get(url)
        .header("authorization", bearer)
        .call()
        .ok()?;
    if answer.status() != 200 {
        return None;
    }
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

/// Asks to close the poll.
pub fn close(worker: &Service) {
    let url = format!("{}/v1/polls/cats-vs-dogs/close", worker.url);
    let close = agent().post(url);
    let close = close.header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(close.send_empty().expect("an answer").status(), 202);
}

/// Waits until nothing is pending, and says where all ballots are.
pub fn settled(worker: &Service) -> Value {
    await_some("all is counted", || {
        let pipeline = get_json(&format!("{}/v1/pipeline", worker.url))?;
        (pipeline["pending"] == 0).then_some(pipeline)
    })
}

pub fn tally(result: &Service) -> Value {
    await_some("a tally", || {
        get_json(&format!("{}/v1/polls/cats-vs-dogs/tally", result.url))
    })
}

/// Everything is where it should be: each acknowledged ballot is counted, once, the tally is what
/// the ballots say, and the counters add up.
pub fn all_is_well(worker: &Service, result: &Service, known: &Known) {
    let pipeline = settled(worker);
    let agent = agent();
    for receipt in &known.receipts {
        let url = format!("{}/v1/receipts/{receipt}", result.url);
        let mut answer = agent.get(url).call().expect("an answer");
        let state = answer.body_mut().read_to_string().expect("a text");
        assert!(state.contains(r#""state":"counted""#), "{state}");
    }
    let voters = tally(result)["voters"].as_u64().expect("a number");
    let acknowledged = known.receipts.len() as u64;
    assert!(
        (acknowledged..=acknowledged + known.unanswered).contains(&voters),
        "{acknowledged} acknowledged, {} unanswered, {voters} counted",
        known.unanswered
    );
    let url = format!("{}/v1/polls/cats-vs-dogs/recount", worker.url);
    let recount = agent
        .post(url)
        .header("authorization", format!("Bearer {TOKEN}"))
        .send_empty();
    let recount = recount
        .expect("an answer")
        .body_mut()
        .read_to_string()
        .expect("a text");
    assert!(recount.contains(r#""agrees":true"#), "{recount}");
    let number = |name: &str| pipeline[name].as_u64().expect("a number");
    let told = number("counted") + number("superseded") + number("rejected");
    assert_eq!(number("accepted"), told, "{pipeline}");
}

/// What voters know of their ballots.
#[derive(Debug, Default)]
pub struct Known {
    /// Of ballots that were acknowledged.
    pub receipts: Vec<String>,
    /// Ballots that got no answer, or one that says that the outcome is unknown.
    pub unanswered: u64,
    /// Ballots that were refused, with a time to come back.
    pub refused: u64,
}

/// Voters, each with one ballot, who come on and on.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    /// Where they go; can be changed while they are at it, as a load balancer does.
    pub places: Arc<Mutex<Vec<String>>>,
    voters: Vec<JoinHandle<Known>>,
}

impl Crowd {
    /// They go to the first of these that takes them, changing places as they come.
    pub fn gather(votes: &[&Service]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let refused = Arc::new(AtomicU64::new(0));
        let places: Vec<_> = votes.iter().map(|vote| vote.url.clone()).collect();
        let places = Arc::new(Mutex::new(places));
        let voters = (0..6)
            .map(|_| {
                let (stop, places) = (stop.clone(), places.clone());
                let (acknowledged, refused) = (acknowledged.clone(), refused.clone());
                thread::spawn(move || vote_on_and_on(&places, &stop, &acknowledged, &refused))
            })
            .collect();
        Self {
            stop,
            acknowledged,
            refused,
            places,
            voters,
        }
    }

    /// Waits until so many more ballots are acknowledged.
    pub fn await_more(&self, ballots: u64) {
        let goal = self.acknowledged.load(Ordering::Acquire) + ballots;
        await_that("ballots are acknowledged", || {
            self.acknowledged.load(Ordering::Acquire) >= goal
        });
    }

    /// Waits until one more ballot is refused.
    pub fn await_refusal(&self) {
        let before = self.refused.load(Ordering::Acquire);
        await_that("a ballot is refused", || {
            self.refused.load(Ordering::Acquire) > before
        });
    }

    pub fn disperse(self) -> Known {
        self.stop.store(true, Ordering::Release);
        let mut all = Known::default();
        for voter in self.voters {
            let known = voter.join().expect("no panic");
            all.receipts.extend(known.receipts);
            all.unanswered += known.unanswered;
            all.refused += known.refused;
        }
        all
    }
}

fn vote_on_and_on(
    places: &Mutex<Vec<String>>,
    stop: &AtomicBool,
    acknowledged: &AtomicU64,
    refused: &AtomicU64,
) -> Known {
    let mut known = Known::default();
    let agent = agent();
    let mut turn = 0;
    while !stop.load(Ordering::Acquire) {
        turn += 1;
        let place = {
            let places = places.lock().expect("sound");
            places[turn % places.len()].clone()
        };
        let ballot = agent.put(format!("{place}/v1/polls/cats-vs-dogs/ballot"));
        let ballot = ballot.content_type("application/json");
        let Ok(mut answer) = ballot.send(r#"{"choices":["a"]}"#) else {
            known.unanswered += 1;
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let status = answer.status().as_u16();
        let may_return = answer.headers().contains_key("retry-after");
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        match (status, serde_json::from_str::<Value>(&body)) {
            (202, Ok(accepted)) => {
                let receipt = accepted["receipt"].as_str().expect("a receipt");
                known.receipts.push(receipt.to_owned());
                acknowledged.fetch_add(1, Ordering::AcqRel);
            }
            (503, Ok(problem)) => {
                assert!(may_return, "503 without Retry-After: {problem}");
                if problem["type"] == "urn:voting:problem:outcome-unknown" {
                    known.unanswered += 1;
                } else {
                    known.refused += 1;
                    refused.fetch_add(1, Ordering::AcqRel);
                }
                thread::sleep(Duration::from_millis(10));
            }
            // For good, so there is nothing more to do.
            (409, Ok(problem)) if problem["type"] == "urn:voting:problem:poll-closed" => break,
            (202, Err(_)) => known.unanswered += 1,
            other => panic!("{other:?} {body}"),
        }
    }
    known
}
