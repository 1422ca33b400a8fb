//! The services under a supervisor that speaks systemd's protocol: sockets that are handed over, and what
//! it is told. With systemd itself: `systemd/try.sh`.

mod support;

use std::{
    io::{ErrorKind, Write},
    net::TcpListener,
    os::unix::net::UnixDatagram,
    process::Stdio,
    time::{Duration, Instant},
};

use support::{Crowd, all_is_well};
use tempfile::TempDir;
use voting_testing::{Deployment, LONG, PostgresServer, agent, await_that};

/// After so long without a word the process is taken for dead.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is told to a supervisor.
struct Told {
    socket: UnixDatagram,
    _folder: TempDir,
}

impl Told {
    /// By whatever is started on the deployment from now on.
    fn by(deployment: &mut Deployment) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let path = path.to_string_lossy().into_owned();
        let patience = PATIENCE.as_micros().to_string();
        deployment.more.push(("NOTIFY_SOCKET", path));
        deployment.more.push(("WATCHDOG_USEC", patience));
        Self {
            socket,
            _folder: folder,
        }
    }

    /// The next message, if one comes in time.
    fn next(&self, limit: Duration) -> Option<String> {
        self.socket
            .set_read_timeout(Some(limit))
            .expect("a time-out");
        let mut message = [0; 4096];
        match self.socket.recv(&mut message) {
            Ok(length) => Some(String::from_utf8_lossy(&message[..length]).into_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn await_that(&self, wanted: &str) {
        self.await_line(wanted, |line| line == wanted);
    }

    fn await_begin(&self, wanted: &str) {
        self.await_line(wanted, |line| line.starts_with(wanted));
    }

    fn await_line(&self, wanted: &str, is_it: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + LONG;
        let mut heard = Vec::new();
        while Instant::now() < deadline {
            let message = self.next(LONG).expect("a message");
            if message.lines().any(&is_it) {
                return;
            }
            heard.push(message);
        }
        panic!("waited in vain for {wanted}, heard {heard:?}");
    }

    /// Whether it is said within this time that the process is alive.
    fn is_alive_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left.max(Duration::from_millis(1))) {
                Some(message) if message.contains("WATCHDOG=1") => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }
}

#[test]
fn restarts_on_a_socket_that_is_handed_over_go_unnoticed() {
    let deployment = Deployment::new();
    let (worker, result) = (deployment.worker(), deployment.result());
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut vote = deployment.vote_on(&socket);
    await_that("it is ready", || vote.is_ready());
    let port = socket.local_addr().expect("an address").port();
    assert!(vote.url.ends_with(&format!(":{port}")), "{}", vote.url);
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..5 {
        crowd.await_more(200);
        assert_eq!(vote.stop().code(), Some(0));
        vote = deployment.vote_on(&socket);
    }
    crowd.await_more(200);
    let known = crowd.disperse();
    assert_eq!((known.refused, known.unanswered), (0, 0));
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_supervisor_learns_when_a_service_listens_lives_and_stops() {
    let mut deployment = Deployment::new();
    // Readiness for requests is not waited for: its store is away.
    deployment.redis.kill();
    let told = Told::by(&mut deployment);
    let vote = deployment.vote();
    let first = told.next(LONG).expect("a message");
    assert_eq!(first, "READY=1\n");
    told.await_begin("STATUS=waiting for Redis: ");
    let alive = agent().get(format!("{}/healthz", vote.url)).call();
    assert_eq!(alive.expect("an answer").status(), 200);
    assert!(!vote.is_ready());
    for _ in 0..3 {
        told.await_that("WATCHDOG=1");
    }
    deployment.redis.launch();
    // There is no worker yet that publishes the polls.
    told.await_begin("STATUS=waiting for Redis: no worker has published");
    let worker = deployment.worker();
    told.await_that("STATUS=ready");
    drop(worker);
    vote.signal("TERM");
    told.await_that("STOPPING=1");
    assert_eq!(vote.wait().code(), Some(0));
}

#[test]
fn a_supervisor_hears_nothing_of_a_worker_that_is_stuck() {
    let mut deployment = Deployment::new();
    let vote = deployment.vote();
    let told = Told::by(&mut deployment);
    let _worker = deployment.worker();
    await_that("there are polls", || {
        vote.is_ready() && has_polls(&vote.url)
    });
    told.await_that("WATCHDOG=1");

    // Until this session ends a flush waits, and neither comes to its end nor fails.
    let mut session = PostgresServer::psql(&deployment.postgres.url("voting"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("psql is there");
    let statements = session.stdin.as_mut().expect("its input");
    statements
        .write_all(b"BEGIN; LOCK TABLE ballots;\n")
        .expect("told");
    let crowd = Crowd::gather(&[&vote]);
    let deadline = Instant::now() + LONG / 2;
    while told.is_alive_within(2 * PATIENCE) {
        assert!(Instant::now() < deadline, "it is said to be alive");
    }
    session.kill().expect("killed");
    session.wait().expect("gone");
    told.await_that("WATCHDOG=1");
    drop(crowd.disperse());
}

fn has_polls(vote: &str) -> bool {
    let url = format!("{vote}/v1/polls/cats-vs-dogs");
    agent()
        .get(url)
        .call()
        .is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn a_supervisor_learns_how_far_the_count_is() {
    let mut deployment = Deployment::new();
    let vote = deployment.vote();
    let told = Told::by(&mut deployment);
    let worker = deployment.worker();
    told.await_that("STATUS=ready, all ballots are counted");
    await_that("there are polls", || {
        vote.is_ready() && has_polls(&vote.url)
    });
    deployment.postgres.kill();
    told.await_begin("STATUS=waiting for Postgres: cannot connect");
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(20);
    drop(crowd.disperse());
    deployment.postgres.launch();
    told.await_that("STATUS=ready, all ballots are counted");
    deployment.redis.kill();
    told.await_begin("STATUS=waiting for Redis: ");
    drop(worker);
}
