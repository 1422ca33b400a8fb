//! What the run asks the services itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use crate::{cast::Service, loads::POLLS, stage::TOKEN, waiting::within};

/// Long enough for a service that works.
const BRIEFLY: Duration = Duration::from_secs(2);

fn agent() -> Agent {
    patient(Duration::from_secs(60))
}

fn patient(limit: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .build()
        .new_agent()
}

/// Asks until there is an answer; `None` when there was none for a minute.
pub fn until<T>(ask: impl FnMut() -> Option<T>) -> Option<T> {
    within(Duration::from_secs(60), ask)
}

/// Asks a worker where all ballots are until none is pending, or none has moved for ten seconds.
pub fn settled(worker: &str) -> Option<Value> {
    let (mut last, mut since) = (None, Instant::now());
    loop {
        let now = pipeline(worker);
        let settled = now.as_ref().is_some_and(|now| now["pending"] == 0);
        let pending = now.as_ref().map(|now| now["pending"].clone());
        if pending != last {
            (last, since) = (pending, Instant::now());
        }
        if settled || since.elapsed() >= Duration::from_secs(10) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a service is ready; not to say so for two seconds is a no.
pub fn is_ready(url: &str) -> bool {
    let asked = patient(BRIEFLY).get(format!("{url}/readyz")).call();
    asked.is_ok_and(|answer| answer.status() == 200)
}

/// A number that grows as long as the service does its work, of ballots all the while: those that a vote
/// service has stored, a worker's batches, a result service's changes of a tally.
pub(crate) fn work_done(service: Service, url: &str) -> Option<u64> {
    match service {
        Service::Vote(_) => {
            let asked = patient(BRIEFLY).get(format!("{url}/metrics")).call();
            let mut answer = asked.ok()?;
            let metrics = answer.body_mut().read_to_string().ok()?;
            let stored = r#"voting_casts_total{outcome="accepted"} "#;
            let mut lines = metrics.lines();
            lines.find_map(|line| line.strip_prefix(stored)?.parse().ok())
        }
        Service::Worker(_) => pipeline_by(&patient(BRIEFLY), url)?["worker"]["batches"].as_u64(),
        Service::Result(_) => {
            let poll = POLLS[0];
            let tally = format!("{url}/v1/polls/{poll}/tally");
            let tally = patient(BRIEFLY).get(tally).call();
            json_of(tally.ok()?)?["version"].as_u64()
        }
    }
}

/// Where all ballots are, as a worker sees it.
pub fn pipeline(worker: &str) -> Option<Value> {
    pipeline_by(&agent(), worker)
}

fn pipeline_by(agent: &Agent, worker: &str) -> Option<Value> {
    let answer = agent
        .get(format!("{worker}/v1/pipeline"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .call();
    json_of(answer.ok()?)
}

/// Counts the ballots of a poll.
pub fn recount(worker: &str, poll: &str) -> Option<Value> {
    let answer = agent()
        .post(format!("{worker}/v1/polls/{poll}/recount"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .send_empty();
    json_of(answer.ok()?)
}

/// Adds a poll of two options, `a` and `b`.
pub fn add_poll(worker: &str, poll: &str) -> Option<()> {
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let poll = json!({"id": poll, "title": poll, "options": options});
    let answer = agent()
        .post(format!("{worker}/v1/polls"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .content_type("application/json")
        .send(poll.to_string());
    answer.ok()?.status().is_success().then_some(())
}

/// Whether a vote service knows a poll.
pub fn knows(vote: &str, poll: &str) -> bool {
    let asked = agent().get(format!("{vote}/v1/polls/{poll}")).call();
    asked.is_ok_and(|answer| answer.status() == 200)
}

fn json_of(mut answer: ureq::http::Response<ureq::Body>) -> Option<Value> {
    if answer.status() != 200 {
        return None;
    }
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}
