//! The services on a Postgres whose standby takes over while people vote.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use support::{Crowd, POLL, all_is_well, settled, tally};
use voting_testing::{Deployment, PostgresServer, Service, agent, await_that, is_ready, text_of};

/// A deployment whose address names the primary and its standby.
fn with_standby() -> (Deployment, PostgresServer) {
    let mut deployment = Deployment::new();
    let standby = deployment.postgres.standby();
    let url = deployment.postgres.url_of_primary(&standby, "voting");
    deployment.more = vec![("VOTING_POSTGRES__URL", url)];
    (deployment, standby)
}

/// Voters who change their votes on and on, from `b` to `a`; in the end all have voted for `a`.
struct Fickle {
    stop: Arc<AtomicBool>,
    voters: Vec<JoinHandle<Vec<String>>>,
}

const FICKLE: usize = 4;

impl Fickle {
    fn gather(vote: &Service) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let voter = |_| {
            let (stop, url) = (stop.clone(), vote.url.clone());
            thread::spawn(move || {
                let (mut cookie, mut last) = (None, Vec::new());
                loop {
                    let is_over = stop.load(Ordering::Acquire);
                    for choice in ["b", "a"] {
                        last.push(cast(&url, &mut cookie, choice));
                    }
                    if is_over {
                        return last;
                    }
                }
            })
        };
        Self {
            voters: (0..FICKLE).map(voter).collect(),
            stop,
        }
    }

    /// Of each voter the receipts, the newest last.
    fn disperse(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::Release);
        let voters = self.voters.into_iter();
        voters
            .map(|voter| voter.join().expect("no panic"))
            .collect()
    }
}

/// A ballot of a voter, who is given a cookie with the first one; its receipt.
fn cast(vote: &str, cookie: &mut Option<String>, choice: &str) -> String {
    let mut ballot = agent().put(format!("{vote}/v1/polls/{POLL}/ballot"));
    if let Some(cookie) = cookie {
        ballot = ballot.header("cookie", cookie.as_str());
    }
    let body = json!({"choices": [choice]}).to_string();
    let answer = ballot.content_type("application/json").send(body);
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 202);
    if let Some(set) = answer.headers().get("set-cookie") {
        let set = set.to_str().expect("a text");
        *cookie = set.split(';').next().map(str::to_owned);
    }
    let accepted: Value = serde_json::from_str(&text_of(answer)).expect("JSON");
    accepted["receipt"].as_str().expect("a receipt").to_owned()
}

/// All voters count once, with their last choice; all else is superseded.
fn nothing_is_lost_or_double(worker: &Service, result: &Service, crowd: Crowd, fickle: Fickle) {
    let receipts = fickle.disperse();
    let mut known = crowd.disperse();
    assert_eq!(
        (known.refused, known.unanswered),
        (0, 0),
        "voters notice nothing of Postgres"
    );
    let cast: usize = receipts.iter().map(Vec::len).sum();
    let last = receipts.iter().filter_map(|of| of.last().cloned());
    known.receipts.extend(last);
    all_is_well(worker, result, &known);
    let pipeline = settled(worker);
    assert_eq!(pipeline["superseded"], cast - FICKLE, "{pipeline}");
    let tally = tally(result);
    assert_eq!(tally["voters"], known.receipts.len(), "{tally}");
    assert_eq!(
        tally["options"][0]["votes"],
        known.receipts.len(),
        "{tally}"
    );
}

#[test]
fn when_a_synchronous_standby_takes_over_all_goes_on_by_itself() {
    let (mut deployment, standby) = with_standby();
    deployment.postgres.wait_for_standby();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    let second = deployment.worker();
    await_that("the services are ready", || {
        [&vote, &worker, &second, &result]
            .iter()
            .all(|one| one.is_ready())
    });
    let (crowd, fickle) = (Crowd::gather(&[&vote]), Fickle::gather(&vote));
    crowd.await_more(300);
    deployment.postgres.kill_at_once();
    await_that("the worker is not ready", || !worker.is_ready());
    crowd.await_more(100);
    assert!(is_ready(&agent(), &vote.url), "votes are taken");
    standby.promote();
    await_that("the workers and the result service are ready again", || {
        worker.is_ready() && second.is_ready() && result.is_ready()
    });
    crowd.await_more(300);
    nothing_is_lost_or_double(&worker, &result, crowd, fickle);
    let doctor = deployment.voting(&["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(0), "{found}");
}

#[test]
fn when_a_standby_that_lacks_ballots_takes_over_the_log_hands_them_out_again() {
    let (mut deployment, standby) = with_standby();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(std::fs::File::create(&log).expect("made"));
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the services are ready", || {
        [&vote, &worker, &result].iter().all(|one| one.is_ready())
    });
    let counted = |server: &PostgresServer| {
        let count = PostgresServer::sql(&server.url("voting"), "SELECT COUNT(*) FROM ballots");
        count.expect("asked").parse::<u64>().expect("a number")
    };
    let (crowd, fickle) = (Crowd::gather(&[&vote]), Fickle::gather(&vote));
    crowd.await_more(200);
    standby.stop_following();
    let had = counted(&standby);
    await_that("the primary has more", || {
        counted(&deployment.postgres) > had + 100
    });
    deployment.postgres.kill_at_once();
    standby.promote();
    await_that("the worker says so", || {
        let said = std::fs::read_to_string(&log).expect("read");
        said.contains("put back to an earlier state")
    });
    crowd.await_more(100);
    assert!(!worker.is_ready());
    assert_eq!(counted(&standby), had, "nothing was counted on it");
    worker.kill();
    await_that("the log can be rewound", || {
        deployment.voting(&["rewind"]).status.code() == Some(0)
    });
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    nothing_is_lost_or_double(&worker, &result, crowd, fickle);
    let doctor = deployment.voting(&["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(0), "{found}");
}
