//! Voters of the services, and what must hold in the end.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod collector;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use voting_testing::{Operator, Service, TOKEN, agent, await_some, await_that, get_json, text_of};

/// The poll that is there from the start.
pub const POLL: &str = "cats-vs-dogs";

/// The operator's API of a worker.
pub fn operator(worker: &Service) -> Operator {
    Operator::new(&worker.url, TOKEN)
}

/// Asks to close the poll.
pub fn close(worker: &Service) {
    operator(worker).close(POLL);
}

/// Waits until nothing is pending, and says where all ballots are.
pub fn settled(worker: &Service) -> Value {
    operator(worker).settled()
}

pub fn tally(result: &Service) -> Value {
    let url = format!("{}/v1/polls/{POLL}/tally", result.url);
    await_some("a tally", || get_json(&url))
}

/// Everything is where it should be: each acknowledged ballot is counted, once, the tally is what
/// the ballots say, and the counters add up.
pub fn all_is_well(worker: &Service, result: &Service, known: &Known) {
    let operator = operator(worker);
    let pipeline = operator.settled();
    let agent = agent();
    for receipt in &known.receipts {
        let url = format!("{}/v1/receipts/{receipt}", result.url);
        let state = text_of(agent.get(url).call().expect("an answer"));
        assert!(state.contains(r#""state":"counted""#), "{state}");
    }
    let voters = tally(result)["voters"].as_u64().expect("a number");
    let acknowledged = known.receipts.len() as u64;
    assert!(
        (acknowledged..=acknowledged + known.unanswered).contains(&voters),
        "{acknowledged} acknowledged, {} unanswered, {voters} counted",
        known.unanswered
    );
    let recount = operator.recount(POLL).expect("a recount");
    assert_eq!(recount["agrees"], true, "{recount}");
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
