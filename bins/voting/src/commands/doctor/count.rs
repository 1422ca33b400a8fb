//! Checks that no ballot is missing: accepted = counted + superseded + rejected + pending.

use std::time::Duration;

use voting_core::{
    BatchFlusher, StoreError,
    backends::{
        postgres::Postgres,
        redis::{Redis, ShardReport},
    },
    log::SeparateLog,
    pipeline::put_back::check_applied,
    store::{AppliedStore, applied::PutBack, outcome::Totals},
};

use super::{Visit, count_of};
use crate::commands::report::Finding;

/// Under load, the numbers change while they are read. This is how often the doctor tries to read them at rest.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// The counters of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) accepted: u64,
    pub(super) acknowledged: u64,
}

impl Counted {
    fn of(shards: &[ShardReport]) -> Self {
        Self {
            accepted: shards.iter().map(|shard| shard.accepted).sum(),
            acknowledged: shards.iter().map(|shard| shard.acknowledged).sum(),
        }
    }
}

/// Whether the store still has everything that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// By its marks, the store has each acknowledged entry that is still in the log.
    Whole,
    /// The store lacks some of these entries. So it was put back to an earlier state, and no worker has counted on it
    /// since.
    PutBack,
}

/// One look at the log and the store.
struct Look {
    before: Counted,
    totals: Totals,
    marks: Marks,
    after: Counted,
}

impl Look {
    /// The order matters: an entry is in the store before it is acknowledged.
    async fn at(redis: &Redis, postgres: &Postgres) -> Result<Self, StoreError> {
        let before = log(redis).await?;
        let settled = redis.acknowledged_below().await?;
        let totals = postgres.totals().await?;
        let applied = postgres.applied().await?;
        let marks = match check_applied(redis, &settled, &applied).await {
            Ok(()) => Marks::Whole,
            Err(error) if PutBack::of(&error).is_some() => Marks::PutBack,
            Err(error) => return Err(error),
        };
        let after = log(redis).await?;
        Ok(Self {
            before,
            totals,
            marks,
            after,
        })
    }
}

pub(super) async fn conservation(visit: &mut Visit<'_>, redis: &Redis, postgres: &Postgres) {
    let check = "conservation";
    for attempt in 1..=ATTEMPTS {
        let Some(look) = visit.look(check, Look::at(redis, postgres)).await else {
            return;
        };
        if look.before == look.after || attempt == ATTEMPTS {
            visit.add(judge(look.before, look.totals, look.after, look.marks));
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn log(redis: &Redis) -> Result<Counted, StoreError> {
    let mut shards = Vec::new();
    for shard in redis.shard_ids() {
        shards.extend(redis.inspect(shard).await?);
    }
    Ok(Counted::of(&shards))
}

/// The totals were read between `before` and `after`. Ballots are in the store before the log counts them as
/// acknowledged.
pub(super) fn judge(before: Counted, totals: Totals, after: Counted, marks: Marks) -> Finding {
    let check = "conservation";
    let Totals {
        counted,
        superseded,
        rejected,
    } = totals;
    let stored = counted + superseded + rejected;
    let pending = after.accepted.saturating_sub(after.acknowledged);
    let accepted = after.accepted;
    let found = format!(
        "{accepted} accepted; {counted} counted, {superseded} superseded, {rejected} rejected, \
         {pending} pending"
    );
    let gone = before.acknowledged.saturating_sub(stored);
    if marks == Marks::PutBack {
        return Finding::fail(
            check,
            format!(
                "{found}: Postgres was put back to an earlier state, as from a backup, and lacks ballots \
                 that were counted before ({gone} by these numbers); workers wait"
            ),
            "stop the workers, run `voting rewind`, start the workers: Redis has these ballots for \
             redis.retention_hours",
        );
    }
    if gone > 0 {
        return Finding::fail(
            check,
            format!(
                "{found}: {} that were counted before are not in Postgres, though by its marks they are: \
                 a worker has run on a restored backup before `voting rewind`, or somebody has changed \
                 the tables",
                count_of(gone, "ballot")
            ),
            "stop the workers, restore the same backup once more, run `voting rewind`, start the \
             workers; if nothing was restored, change nothing, keep a dump, and find out who changed \
             the tables",
        );
    }
    if stored > after.accepted {
        let more = count_of(stored - after.accepted, "ballot");
        return Finding::fail(
            check,
            format!("{found}: Postgres holds {more} more than this log has accepted"),
            "if Redis was set up again, or restored from a copy: stop the workers, run `voting \
             rewind --new-log`, start the workers; else see who else writes to the streams in Redis",
        );
    }
    if before != after {
        return Finding::ok(
            check,
            format!("{found}; ballots are moving, so these numbers may not match"),
        );
    }
    Finding::ok(check, found)
}

/// Checks for dead letters.
pub(super) async fn dead_letters(visit: &mut Visit<'_>, postgres: &Postgres) {
    let check = "dead letters";
    if let Some(reasons) = visit.look(check, postgres.dead_letter_reasons()).await {
        visit.add(waiting(&reasons));
    }
}

/// The finding for these dead letters, by reason.
pub(super) fn waiting(reasons: &[(String, u64)]) -> Finding {
    let check = "dead letters";
    let all: u64 = reasons.iter().map(|(_, letters)| letters).sum();
    if all == 0 {
        return Finding::ok(check, "none");
    }
    let by_reason = reasons
        .iter()
        .map(|(reason, letters)| format!("{letters} {reason}"));
    let by_reason: Vec<_> = by_reason.collect();
    Finding::warn(
        check,
        format!("{all} that could not be counted: {}", by_reason.join(", ")),
        "look at them (GET /v1/dead-letters of the worker), remove the cause, then replay them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::Level;

    fn log(accepted: u64, acknowledged: u64) -> Counted {
        Counted {
            accepted,
            acknowledged,
        }
    }

    fn store(counted: u64) -> Totals {
        Totals {
            counted,
            superseded: 1,
            rejected: 1,
        }
    }

    #[test]
    fn all_ballots_are_somewhere_or_it_is_reported() {
        let level = |before, totals, after| judge(before, totals, after, Marks::Whole).level;
        assert_eq!(level(log(5, 5), store(3), log(5, 5)), Level::Ok);
        assert_eq!(
            level(log(9, 5), store(5), log(9, 5)),
            Level::Ok,
            "flushed, in hand"
        );
        assert_eq!(level(log(5, 5), store(2), log(5, 5)), Level::Fail);
        assert_eq!(level(log(5, 5), store(4), log(5, 5)), Level::Fail);
        let put_back = judge(log(5, 3), store(3), log(5, 3), Marks::PutBack);
        assert_eq!(put_back.level, Level::Fail, "whatever the numbers are");
        assert_eq!(
            level(log(5, 2), store(4), log(9, 6)),
            Level::Ok,
            "they move"
        );
    }

    #[test]
    fn dead_letters_are_reported_by_reason() {
        assert_eq!(waiting(&[]).level, Level::Ok);
        let reported = waiting(&[("malformed".to_owned(), 2), ("unstorable".to_owned(), 1)]);
        assert_eq!(reported.level, Level::Warn);
        assert!(
            reported.found.contains("2 malformed, 1 unstorable"),
            "{reported:?}"
        );
    }
}
