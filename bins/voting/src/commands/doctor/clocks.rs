//! The clocks of this machine, of Redis and of Postgres. It also checks that Redis' clock does not make ids below the
//! stored ones: newer ballots would then count as older ones.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use voting_core::{
    StoreError,
    backends::{postgres::Postgres, redis::Redis},
    model::position::EntryId,
    store::AppliedStore,
};

use super::{Stores, Visit, for_people, log::redis_time};
use crate::commands::report::Finding;

/// Clocks that are synchronised differ by less than this.
const APART: Duration = Duration::from_secs(1);

pub(super) async fn check(
    visit: &mut Visit<'_>,
    redis: Option<&Redis>,
    postgres: Option<&Postgres>,
) {
    differences(visit, (redis, postgres)).await;
    if let Some(redis) = redis {
        ids(visit, redis, postgres).await;
    }
}

/// How far a clock is ahead of ours, in milliseconds, and how long the answer took.
async fn ahead(
    visit: &Visit<'_>,
    ask: impl Future<Output = Result<u64, StoreError>>,
) -> Result<(i128, Duration), String> {
    let asked = Instant::now();
    let ours = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let theirs = visit.ask(ask).await?;
    let took = asked.elapsed();
    let ours = ours + took / 2;
    let ahead = i128::from(theirs) - i128::try_from(ours.as_millis()).unwrap_or(i128::MAX);
    Ok((ahead, took))
}

async fn differences(visit: &mut Visit<'_>, (redis, postgres): Stores<'_>) {
    let mut clocks = Vec::new();
    if let Some(redis) = redis
        && let Ok(nodes) = visit.ask(redis.nodes()).await
    {
        for node in nodes.iter().filter(|node| !node.is_replica) {
            clocks.push((node.name.clone(), ahead(visit, node.time_ms()).await));
        }
    }
    if let Some(postgres) = postgres {
        let time = async { Ok(postgres.inspect().await?.time_ms) };
        clocks.push(("Postgres".to_owned(), ahead(visit, time).await));
    }
    for (name, reported) in clocks {
        visit.add(match reported {
            Ok((ahead, took)) => difference(&name, ahead, took),
            Err(why) => Finding::unknown("clocks", format!("the clock of {name}: {why}")),
        });
    }
}

fn difference(name: &str, ahead_ms: i128, took: Duration) -> Finding {
    let check = "clocks";
    let apart = Duration::from_millis(u64::try_from(ahead_ms.unsigned_abs()).unwrap_or(u64::MAX));
    // The clock may have been read at any moment of the call.
    if apart <= APART + took {
        return Finding::ok(
            check,
            format!("the clock of {name} agrees with this machine's"),
        );
    }
    let (apart, which) = (
        for_people(apart),
        if ahead_ms > 0 { "ahead of" } else { "behind" },
    );
    Finding::warn(
        check,
        format!("the clock of {name} is {apart} {which} this machine's"),
        "synchronise the clocks of all machines with a time service (chrony, systemd-timesyncd)",
    )
}

async fn ids(visit: &mut Visit<'_>, redis: &Redis, postgres: Option<&Postgres>) {
    let check = "order of ids";
    // The order matters: what is stored later has later ids.
    let newest = match postgres {
        Some(postgres) => match visit.look(check, postgres.newest_applied()).await {
            Some(newest) => newest,
            None => return,
        },
        None => EntryId::MIN,
    };
    let Some(now_ms) = redis_time(visit, redis).await else {
        visit.add(Finding::unknown(check, "Redis does not report its time"));
        return;
    };
    let last = async {
        let mut last = Vec::new();
        for shard in redis.shard_ids() {
            last.extend(redis.inspect(shard).await?.map(|report| report.last));
        }
        Ok(last)
    };
    if let Some(last) = visit.look(check, last).await {
        visit.add(order(newest, &last, now_ms));
    }
}

/// `newest` is the newest mark in the store, `last` is the last id of each shard, and `now_ms` is Redis' clock.
fn order(newest: EntryId, last: &[EntryId], now_ms: u64) -> Finding {
    let check = "order of ids";
    let beyond = |ms: u64| Duration::from_millis(ms.saturating_sub(now_ms));
    let is_behind = last.is_empty() || last.iter().any(|last| *last < newest);
    if is_behind && beyond(newest.ms()) > APART {
        let by = for_people(beyond(newest.ms()));
        return Finding::fail(
            check,
            format!(
                "the newest ballot in Postgres is {by} ahead of Redis' clock and of its ids: new \
                 ballots would be taken for older ones"
            ),
            "stop the vote services, set the clock of Redis' machine, and start a worker: it raises \
             the ids before votes are taken",
        );
    }
    let ahead = last.iter().map(|last| beyond(last.ms())).max();
    let ahead = ahead.unwrap_or_default();
    if ahead > APART {
        let by = for_people(ahead);
        return Finding::warn(
            check,
            format!(
                "ids are {by} ahead of Redis' clock, which was set back, or ids were raised; the \
                 order of ballots is kept"
            ),
            "see that the clock of Redis' machine is right",
        );
    }
    Finding::ok(check, "new ballots come after all that are stored")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::Level;

    fn id(ms: u64) -> EntryId {
        EntryId::new(ms, 0).unwrap()
    }

    #[test]
    fn ids_that_would_be_below_what_is_stored_are_reported() {
        let level = |newest, last: &[u64], now_ms| {
            let last: Vec<_> = last.iter().map(|ms| id(*ms)).collect();
            order(id(newest), &last, now_ms).level
        };
        assert_eq!(level(50_000, &[40_000, 50_000], 60_000), Level::Ok);
        assert_eq!(
            level(50_000, &[], 60_000),
            Level::Ok,
            "the clock has passed it"
        );
        assert_eq!(level(90_000, &[40_000, 50_000], 60_000), Level::Fail);
        assert_eq!(level(90_000, &[], 60_000), Level::Fail);
        assert_eq!(
            level(90_000, &[90_000, 90_000], 60_000),
            Level::Warn,
            "raised"
        );
        assert_eq!(level(0, &[90_000], 60_000), Level::Warn);
    }

    #[test]
    fn clocks_that_differ_are_reported() {
        let level = |ahead, took| difference("x", ahead, Duration::from_millis(took)).level;
        assert_eq!(level(900, 0), Level::Ok);
        assert_eq!(level(-1_100, 0), Level::Warn);
        assert_eq!(level(1_100, 200), Level::Ok, "it took so long to be told");
        assert_eq!(level(90_000, 200), Level::Warn);
    }
}
