//! Polls that open and close at set times while everything fails, and voters who come too early, in time and too late.

use std::{
    collections::BTreeMap,
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use voting_core::model::moment::Moment;
use voting_testing::{Operator, PostgresServer, TOKEN, agent_within};

use crate::inject::Outcome;

/// From the request, or from when Redis' clock has reached its ids, to the opening: as long as all shards need to
/// hear of it, if nothing fails.
const AHEAD: Duration = Duration::from_millis(2_000);

/// Voters come so long before the opening, and stay for so long after the closing.
const AROUND: Duration = Duration::from_millis(700);

/// So long it is tried to store the poll.
const STORED_WITHIN: Duration = Duration::from_secs(40);

/// Voters of each vote service.
const VOTERS: usize = 2;

/// What voters know of their ballots in a poll that opened and closed at set times. Each has one ballot.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimedPoll {
    id: String,
    opens_ms: u64,
    closes_ms: u64,
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    /// As too early or too late.
    pub(crate) refused: u64,
    /// Since something failed.
    failed: u64,
    /// Answers that no service gives.
    wrong: Vec<String>,
}

/// Stores a poll that is open for so long, and votes in it. `ids`: the moment of the log's newest id, which may be
/// ahead of the clock, and by which polls open and close.
pub(crate) fn hold(
    name: &str,
    lasts: Duration,
    ids: Moment,
    votes: &[String],
    workers: &[String],
) -> (Outcome, Option<TimedPoll>) {
    let Some(mut poll) = stored(name, lasts, ids, workers) else {
        let outcome = Outcome {
            made: Err("no worker stored the poll".to_owned()),
            wrong: Vec::new(),
        };
        return (outcome, None);
    };
    sleep_until(poll.opens_ms.saturating_sub(ms(AROUND)));
    scope(|scope| {
        let voters = votes.iter().flat_map(|vote| (0..VOTERS).map(move |_| vote));
        let voters: Vec<_> = voters
            .map(|vote| {
                let poll = &poll;
                scope.spawn(move || vote_until_over(poll, vote))
            })
            .collect();
        let told: Vec<_> = voters.into_iter().map(|voter| voter.join()).collect();
        told
    })
    .into_iter()
    .for_each(|told| {
        let told = told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        poll.acknowledged += told.acknowledged;
        poll.unknown += told.unknown;
        poll.refused += told.refused;
        poll.failed += told.failed;
        poll.wrong.extend(told.wrong);
    });
    let outcome = Outcome {
        made: Ok(format!(
            "{} acknowledged in time, {} refused, {} of unknown outcome, {} failed",
            poll.acknowledged, poll.refused, poll.unknown, poll.failed
        )),
        wrong: std::mem::take(&mut poll.wrong),
    };
    (outcome, Some(poll))
}

/// Asks one worker after the other, each for a poll of its own: of one that does not answer the poll may be there.
fn stored(name: &str, lasts: Duration, ids: Moment, workers: &[String]) -> Option<TimedPoll> {
    let begun = Instant::now();
    for turn in 0.. {
        let opens_at = Moment::now().max(ids).plus(AHEAD);
        let closes_at = opens_at.plus(lasts);
        let poll = TimedPoll {
            id: format!("{name}-{turn}"),
            opens_ms: opens_at.unix_ms(),
            closes_ms: closes_at.unix_ms(),
            ..TimedPoll::default()
        };
        let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
        let body = json!({
            "id": poll.id, "title": poll.id, "options": options,
            "opens_at": opens_at.to_string(), "closes_at": closes_at.to_string(),
        });
        let worker = Operator::new(&workers[turn % workers.len()], TOKEN).within(AHEAD);
        let answer = worker.post_json("polls", &body);
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Some(poll);
        }
        if begun.elapsed() > STORED_WITHIN {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    None
}

fn vote_until_over(poll: &TimedPoll, vote: &str) -> TimedPoll {
    let mut told = TimedPoll::default();
    let url = format!("{vote}/v1/polls/{}/ballot", poll.id);
    let agent = agent_within(Duration::from_secs(3));
    while now() < poll.closes_ms + ms(AROUND) {
        let ballot = agent.put(&url).content_type("application/json");
        let answer = ballot.send(r#"{"choices":["a"]}"#).ok();
        let answer = answer.and_then(|mut answer| {
            let status = answer.status().as_u16();
            let body = answer.body_mut().read_to_string().ok()?;
            let body: Value = serde_json::from_str(&body).ok()?;
            Some((status, body["type"].as_str().unwrap_or_default().to_owned()))
        });
        match answer {
            Some((202, _)) => told.acknowledged += 1,
            Some((409, _)) => told.refused += 1,
            None => told.unknown += 1,
            Some((503, why)) if why.ends_with("outcome-unknown") => told.unknown += 1,
            // The vote service may not have heard of the poll yet.
            Some((404 | 503, _)) => told.failed += 1,
            Some(other) => told.wrong.push(format!("{}: {other:?}", poll.id)),
        }
        sleep(Duration::from_millis(10));
    }
    told
}

/// What is wrong with the ballots in the store.
pub(crate) fn judge(polls: &[TimedPoll], postgres: &str) -> Vec<String> {
    let ask =
        "SELECT p.id, b.ms FROM ballots b JOIN polls p ON p.key = b.poll WHERE p.id LIKE 'timed-%'";
    let rows = match PostgresServer::sql(postgres, ask) {
        Ok(rows) => rows,
        Err(error) => return vec![format!("the ballots cannot be read: {error}")],
    };
    let mut stored = BTreeMap::<_, Vec<u64>>::new();
    for row in rows.lines() {
        if let Some((poll, ms)) = row.split_once('|') {
            stored.entry(poll).or_default().extend(ms.parse::<u64>());
        }
    }
    let of = |poll: &TimedPoll| stored.get(poll.id.as_str()).cloned().unwrap_or_default();
    polls
        .iter()
        .flat_map(|poll| wrong(poll, &of(poll)))
        .collect()
}

/// What is wrong with a poll whose stored ballots have these positions.
fn wrong(poll: &TimedPoll, positions: &[u64]) -> Vec<String> {
    let id = &poll.id;
    let mut wrong = Vec::new();
    let open = poll.opens_ms..poll.closes_ms;
    let outside = positions.iter().filter(|ms| !open.contains(ms)).count();
    if outside > 0 {
        wrong.push(format!(
            "{id}: {outside} ballots count that came too early or too late"
        ));
    }
    let count = positions.len() as u64;
    if count < poll.acknowledged {
        let lost = poll.acknowledged - count;
        wrong.push(format!("{id}: {lost} acknowledged ballots do not count"));
    }
    if count > poll.acknowledged + poll.unknown {
        let more = count - poll.acknowledged - poll.unknown;
        wrong.push(format!(
            "{id}: {more} ballots count that nobody was thanked for"
        ));
    }
    wrong
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn now() -> u64 {
    Moment::now().unix_ms()
}

fn sleep_until(at_ms: u64) {
    sleep(Duration::from_millis(at_ms.saturating_sub(now())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballots_out_of_time_and_acknowledged_ones_that_do_not_count_are_found() {
        let poll = TimedPoll {
            id: "timed-1-0".to_owned(),
            opens_ms: 5,
            closes_ms: 8,
            acknowledged: 2,
            unknown: 1,
            ..TimedPoll::default()
        };
        for (positions, found) in [
            (&[5, 7][..], None),
            (&[5, 6, 7], None),
            (&[4, 7], Some("too early or too late")),
            (&[5, 8], Some("too early or too late")),
            (&[5], Some("1 acknowledged ballots do not count")),
            (&[5, 5, 5, 5], Some("1 ballots count that nobody")),
        ] {
            let wrong = wrong(&poll, positions).join("; ");
            match found {
                Some(found) => assert!(wrong.contains(found), "{positions:?}: {wrong}"),
                None => assert_eq!(wrong, "", "{positions:?}"),
            }
        }
    }
}
