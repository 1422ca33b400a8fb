//! The log in Redis: its entries, the waiting ones, and the workers that read it.

use std::{collections::BTreeMap, time::Duration};

use voting_core::backends::redis::{Redis, ShardReport};

use super::{Visit, count_of, for_people};
use crate::commands::report::Finding;

/// A ballot that waits for longer should be looked at: workers write several batches a second.
const SLOW: Duration = Duration::from_secs(30);

/// How often the doctor looks for connected workers.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// How many names are shown.
const NAMES: usize = 5;

pub(super) async fn check(visit: &mut Visit<'_>, redis: &Redis) {
    let check = "log";
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for shard in redis.shard_ids() {
        match visit.ask(redis.inspect(shard)).await {
            Ok(Some(report)) => there.push(report),
            Ok(None) => missing.push(shard.to_string()),
            Err(why) => {
                let found = format!("shard {shard} could not be checked: {why}");
                visit.add(Finding::unknown(check, found));
            }
        }
    }
    if there.is_empty() {
        if !missing.is_empty() {
            let todo = "start a worker, which makes it; without one no ballot is taken";
            visit.add(Finding::warn(check, "nobody has used the log yet", todo));
        }
        return;
    }
    if !missing.is_empty() {
        visit.add(Finding::fail(
            check,
            format!(
                "shards {} have no stream, or no group of workers",
                missing.join(", ")
            ),
            "was it deleted? A worker makes it anew; ballots that waited in it are gone",
        ));
    }
    let now_ms = redis_time(visit, redis).await;
    visit.add(content(&there, now_ms));
    visit.add(lost(&there));
    let claim_timeout = Duration::from_millis(visit.config.redis.claim_timeout_ms);
    let connected = connected(visit, redis).await;
    for finding in workers(&there, claim_timeout, connected) {
        visit.add(finding);
    }
}

/// The number of connected workers; `None` if it is not known.
async fn connected(visit: &Visit<'_>, redis: &Redis) -> Option<usize> {
    let nodes = visit.ask(redis.nodes()).await.ok()?;
    let mut most = 0;
    // In a cluster, a worker reads at intervals, and sends other commands in between.
    for _ in 0..LOOKS {
        for node in nodes.iter().filter(|node| !node.is_replica) {
            most = most.max(visit.ask(node.readers()).await.ok()?);
        }
        if most > 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Some(most)
}

/// The clock that gives entries their ids; in a cluster, the earliest clock.
pub(super) async fn redis_time(visit: &Visit<'_>, redis: &Redis) -> Option<u64> {
    let nodes = visit.ask(redis.nodes()).await.ok()?;
    let mut earliest = None;
    for node in nodes.iter().filter(|node| !node.is_replica) {
        if let Ok(time) = visit.ask(node.time_ms()).await {
            earliest = Some(earliest.map_or(time, |earliest: u64| earliest.min(time)));
        }
    }
    earliest
}

fn sum(there: &[ShardReport], of: fn(&ShardReport) -> u64) -> u64 {
    there.iter().map(of).sum()
}

fn content(there: &[ShardReport], now_ms: Option<u64>) -> Finding {
    let check = "log";
    let entries = sum(there, |shard| shard.entries);
    let in_hand = sum(there, |shard| shard.in_hand);
    let accepted = sum(there, |shard| shard.accepted);
    let waiting = sum(there, |shard| {
        shard.accepted.saturating_sub(shard.acknowledged)
    });
    let not_taken = match there
        .iter()
        .map(|shard| shard.not_taken)
        .sum::<Option<u64>>()
    {
        Some(not_taken) => not_taken.to_string(),
        None => "an unknown number".to_owned(),
    };
    let found = format!(
        "{} of {} shards ever accepted; {} kept, {not_taken} not taken yet, {in_hand} in hand; \
         {} not counted yet",
        count_of(accepted, "ballot"),
        there.len(),
        count_of(entries, "entry").replace("entrys", "entries"),
        count_of(waiting, "ballot"),
    );
    let oldest = there.iter().filter_map(|shard| shard.oldest_pending).min();
    let age = oldest
        .zip(now_ms)
        .map(|(oldest, now)| now.saturating_sub(oldest.ms()));
    let Some(age) = age.map(Duration::from_millis) else {
        return Finding::ok(check, found);
    };
    let found = format!("{found}; the oldest waits for {}", for_people(age));
    if age >= SLOW {
        let todo = "see that workers run and that Postgres answers; if both, start more workers";
        return Finding::warn(check, found, todo);
    }
    Finding::ok(check, found)
}

fn lost(there: &[ShardReport]) -> Finding {
    let check = "log lost";
    let lost = sum(there, |shard| shard.lost);
    if lost == 0 {
        return Finding::ok(check, "no entry was deleted before it was counted");
    }
    let lost = count_of(lost, "entry").replace("entrys", "entries");
    Finding::fail(
        check,
        format!("{lost} were deleted before they were counted: their ballots are lost"),
        "nobody but the workers may delete or trim in the streams; the worker's log has the ids",
    )
}

/// A worker, over all shards.
struct Seen {
    idle: Duration,
    in_hand: u64,
}

/// An idle worker may seem silent for long: before version 7.2, Redis updates the time of a consumer only when it
/// hands out an entry.
fn workers(
    there: &[ShardReport],
    claim_timeout: Duration,
    connected: Option<usize>,
) -> Vec<Finding> {
    let check = "workers";
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for consumer in there.iter().flat_map(|shard| &shard.consumers) {
        let known = seen.entry(&consumer.name).or_insert(Seen {
            idle: consumer.idle,
            in_hand: 0,
        });
        known.idle = known.idle.min(consumer.idle);
        known.in_hand += consumer.in_hand;
    }
    let (live, silent): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|(_, worker)| worker.idle < claim_timeout);
    let names = |workers: &[&(&str, Seen)]| {
        let reported = workers.iter().take(NAMES).map(|(name, worker)| {
            let (idle, in_hand) = (for_people(worker.idle), worker.in_hand);
            format!("{name} (heard of {idle} ago, {in_hand} in hand)")
        });
        let more = workers.len().saturating_sub(NAMES);
        let more = (more > 0).then(|| format!("{more} more"));
        reported.chain(more).collect::<Vec<_>>().join(", ")
    };
    let stuck: Vec<_> = silent
        .iter()
        .filter(|(_, worker)| worker.in_hand > 0)
        .collect();
    let mut findings = Vec::new();
    if live.is_empty() {
        let waits = there.iter().any(|shard| shard.oldest_pending.is_some());
        let since = claim_timeout.as_millis();
        let start = "start a worker (voting-worker)";
        findings.push(match connected {
            _ if waits => Finding::fail(
                check,
                format!(
                    "ballots wait, and no worker was heard of in the last {since} ms ({} connected)",
                    connected.map_or("unknown how many are".to_owned(), |n| n.to_string())
                ),
                format!("{start}; if one runs, see its log, and that Postgres answers"),
            ),
            Some(0) => Finding::warn(check, "no worker is connected; nothing waits", start),
            Some(workers) => {
                let count = count_of(workers as u64, "worker");
                Finding::ok(check, format!("{count} connected, with nothing to do"))
            }
            None => Finding::unknown(
                check,
                "nothing waits; the user of redis.url may not see whether a worker runs: ask one with --worker URL",
            ),
        });
    } else {
        let live: Vec<_> = live.iter().collect();
        let count = count_of(live.len() as u64, "worker");
        findings.push(Finding::ok(check, format!("{count}: {}", names(&live))));
    }
    if !stuck.is_empty() {
        findings.push(Finding::warn(
            check,
            format!(
                "dead, or held up by Postgres, with entries in hand: {}",
                names(&stuck)
            ),
            "a worker that runs takes their entries over by itself; if they stay, see its log",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use voting_core::{
        backends::redis::Consumer,
        model::position::{EntryId, ShardId},
    };

    use super::*;
    use crate::commands::report::Level;

    fn shard() -> ShardReport {
        ShardReport {
            shard: ShardId(0),
            entries: 3,
            not_taken: Some(0),
            in_hand: 0,
            oldest_pending: None,
            acknowledged_below: EntryId::MIN,
            last: EntryId::MIN,
            accepted: 3,
            acknowledged: 3,
            lost: 0,
            consumers: Vec::new(),
        }
    }

    fn consumer(name: &str, idle_ms: u64, in_hand: u64) -> Consumer {
        Consumer {
            name: name.to_owned(),
            idle: Duration::from_millis(idle_ms),
            in_hand,
        }
    }

    #[test]
    fn ballots_that_wait_for_long_are_reported() {
        let waits = ShardReport {
            oldest_pending: EntryId::new(10_000, 0),
            ..shard()
        };
        assert_eq!(content(&[shard()], Some(99_000)).level, Level::Ok);
        assert_eq!(
            content(&[shard(), waits.clone()], Some(39_000)).level,
            Level::Ok
        );
        assert_eq!(content(&[shard(), waits], Some(40_000)).level, Level::Warn);
    }

    #[test]
    fn a_worker_is_known_by_its_last_word_in_any_shard() {
        let on = |consumers: Vec<Consumer>| ShardReport {
            consumers,
            ..shard()
        };
        let there = [
            on(vec![consumer("a", 900, 1), consumer("b", 900, 0)]),
            on(vec![consumer("a", 100, 1)]),
        ];
        let reported = workers(&there, Duration::from_millis(500), None);
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(
            reported[0]
                .found
                .starts_with("1 worker: a (heard of 100 ms ago, 2 in hand)")
        );
        let there = [on(vec![consumer("a", 100, 0), consumer("b", 900, 1)])];
        let reported = workers(&there, Duration::from_millis(500), None);
        let levels: Vec<_> = reported.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Ok, Level::Warn]);
    }
}
