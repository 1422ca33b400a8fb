//! What the run asks the services itself.

use std::time::{Duration, Instant};

use serde_json::Value;
use voting_testing::{LONG, Operator, TOKEN, agent, agent_within, get_json_by, within};

use crate::{
    electorate::{CODES, LOGINS},
    target::ServiceId,
};

/// Polls to vote in: one by ever new voters, so that no ballot hides the loss of another; one by few who
/// change their minds all the time, so that the order matters; and two in which only certain people may vote.
pub(crate) const POLLS: [&str; 4] = ["cats-vs-dogs", "fickle", CODES, LOGINS];

/// Long enough for a service that works.
const BRIEFLY: Duration = Duration::from_secs(2);

fn operator(worker: &str) -> Operator {
    Operator::new(worker, TOKEN).within(LONG)
}

/// Asks until there is an answer; `None` when there was none for a minute.
pub(crate) fn until<T>(ask: impl FnMut() -> Option<T>) -> Option<T> {
    within(LONG, ask)
}

/// Asks a worker where all ballots are until none is pending, or none has moved for ten seconds.
pub(crate) fn settled(worker: &str) -> Option<Value> {
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
pub(crate) fn is_ready(url: &str) -> bool {
    voting_testing::is_ready(&agent_within(BRIEFLY), url)
}

/// A number that grows as long as the service does its work, of ballots all the while: those that a vote
/// service has stored, a worker's batches, a result service's changes of a tally.
pub(crate) fn work_done(service: ServiceId, url: &str) -> Option<u64> {
    match service {
        ServiceId::Vote(_) => {
            let asked = agent_within(BRIEFLY).get(format!("{url}/metrics")).call();
            let mut answer = asked.ok()?;
            let metrics = answer.body_mut().read_to_string().ok()?;
            let stored = r#"voting_casts_total{outcome="accepted"} "#;
            let mut lines = metrics.lines();
            lines.find_map(|line| line.strip_prefix(stored)?.parse().ok())
        }
        ServiceId::Worker(_) => {
            let pipeline = operator(url).within(BRIEFLY).pipeline()?;
            pipeline["worker"]["batches"].as_u64()
        }
        ServiceId::Result(_) => {
            let tally = format!("{url}/v1/polls/{}/tally", POLLS[0]);
            get_json_by(&agent_within(BRIEFLY), &tally)?["version"].as_u64()
        }
    }
}

/// Where all ballots are, as a worker sees it.
pub(crate) fn pipeline(worker: &str) -> Option<Value> {
    operator(worker).pipeline()
}

/// Counts the ballots of a poll.
pub(crate) fn recount(worker: &str, poll: &str) -> Option<Value> {
    operator(worker).recount(poll)
}

/// Adds a poll of two options, `a` and `b`.
pub(crate) fn add_poll(worker: &str, poll: &str) -> Option<()> {
    operator(worker).add_poll(poll, poll)
}

/// Whether a vote service knows a poll.
pub(crate) fn knows(vote: &str, poll: &str) -> bool {
    let asked = agent().get(format!("{vote}/v1/polls/{poll}")).call();
    asked.is_ok_and(|answer| answer.status() == 200)
}
