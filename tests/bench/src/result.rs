//! The tally of a large poll, against that of a small one.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};
use voting_testing::{Deployment, Programs, Service, ServiceKind};

use crate::{
    figures::{ms, quantile},
    setup::{deploy, ready},
};

const SMALL: i64 = 1_000;

/// Longer than a tally is kept at hand, so that each of these requests makes the service ask the
/// store.
const APART: Duration = Duration::from_millis(260);

/// Rows in one statement.
const STEP: usize = 1_000_000;

const AT_HAND: usize = 20_000;

pub(crate) fn measure(programs: &Programs, ballots: i64, looks: usize) {
    println!("result: the tally at {ballots} ballots against {SMALL}");
    let mut deployment = deploy(programs);
    let [small, large] = ["small", "large"].map(|name| deployment.postgres.database(name));
    for (database, ballots) in [(&small, SMALL), (&large, ballots)] {
        // It makes the tables and the poll.
        start_on(&mut deployment, database, ServiceKind::Worker).kill();
        fill(database, ballots);
    }
    let services =
        [&small, &large].map(|database| start_on(&mut deployment, database, ServiceKind::Result));
    let mut viewers = services.each_ref().map(Viewer::of);
    // In turn, so that what else the machine does hits both.
    let mut look_ups = [Vec::new(), Vec::new()];
    for _ in 0..looks {
        std::thread::sleep(APART);
        for (viewer, times) in viewers.iter_mut().zip(&mut look_ups) {
            times.push(viewer.tally());
        }
    }
    let mut at_hand = [Vec::new(), Vec::new()];
    for _ in 0..AT_HAND {
        for (viewer, times) in viewers.iter_mut().zip(&mut at_hand) {
            times.push(viewer.tally());
        }
    }
    for (what, mut times) in [("look-up", look_ups), ("at hand", at_hand)] {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let [small, large] = times.each_mut().map(|times| ms(quantile(times, share)));
            println!(
                "  {what} {name}: {large:.2} ms against {small:.2} ms, {:.2} (goal for p99 1.2)",
                large / small
            );
        }
    }
}

/// A service that is ready, on this database.
fn start_on(deployment: &mut Deployment, database: &str, kind: ServiceKind) -> Service {
    deployment.more = vec![("VOTING_POSTGRES__URL", database.to_owned())];
    ready(deployment.start(kind))
}

fn fill(database: &str, ballots: i64) {
    let mut client = Client::connect(database, NoTls).expect("connected");
    let poll: i32 = client
        .query_one("SELECT key FROM polls", &[])
        .expect("a poll")
        .get(0);
    client
        .batch_execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
        .expect("set");
    // In order of voters, so that the index grows at its end.
    let ballot = "INSERT INTO ballots
        SELECT $1, lpad(to_hex(i), 32, '0')::uuid, 1 + i % 2, NULL, i % 4, 1000000 + i, 0
        FROM generate_series($2::bigint, $3::bigint) AS i";
    for from in (0..ballots).step_by(STEP) {
        let to = (from + STEP as i64).min(ballots) - 1;
        client
            .execute(ballot, &[&poll, &from, &to])
            .expect("filled");
    }
    let tally = "INSERT INTO tallies
        SELECT $1, 0, choices - 1, COUNT(*) FROM ballots GROUP BY choices";
    client.execute(tally, &[&poll]).expect("filled");
    let turnout = "INSERT INTO turnouts VALUES ($1, 0, $2, 1)";
    client.execute(turnout, &[&poll, &ballots]).expect("filled");
    for tidy in ["VACUUM ANALYZE ballots", "CHECKPOINT"] {
        client.batch_execute(tidy).expect("tidied");
    }
}

/// A connection on which one request follows another.
struct Viewer {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Viewer {
    fn of(service: &Service) -> Self {
        let address = service.url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_nodelay(true).expect("set");
        let path = "/v1/polls/cats-vs-dogs/tally";
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
        Self { stream, request }
    }

    fn tally(&mut self) -> Duration {
        let begun = Instant::now();
        self.stream.write_all(&self.request).expect("sent");
        let mut answer = [0; 4096];
        let mut have = 0;
        loop {
            have += self.stream.read(&mut answer[have..]).expect("an answer");
            // The tally's list of options ends it.
            if answer[..have].ends_with(b"]}") {
                break;
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        begun.elapsed()
    }
}
