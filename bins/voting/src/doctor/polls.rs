//! The polls: their states, those that do not get on with closing, and the copy that votes go by.

use std::time::Duration;

use voting_core::{
    Poll, PollDirectory, PollState, StoreError,
    position::{EntryId, ShardId},
    postgres::Postgres,
    redis::Redis,
};

use super::{Visit, count_of};
use crate::report::Finding;

/// Workers take a step a second: whoever closes, or is published, in this time is not stuck.
const STEPS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn check(visit: &mut Visit<'_>, redis: Option<&Redis>, postgres: &Postgres) {
    let Some(mut polls) = visit.look("polls", postgres.polls()).await else {
        return;
    };
    visit.add(states(&polls));
    let mut published = match redis {
        Some(redis) => match visit.ask(redis.polls()).await {
            Ok(polls) => Some(polls),
            Err(why) => {
                let todo = "start a worker, which publishes them; until then no ballot is taken";
                visit.add(Finding::fail("published polls", why, todo));
                None
            }
        },
        None => None,
    };
    // Whatever is on its way gets some time.
    for _ in 0..STEPS {
        let is_done = polls.iter().all(|poll| !is_closing(poll))
            && published
                .as_ref()
                .is_none_or(|published| *published == polls);
        if is_done {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        if let Ok(now) = visit.ask(postgres.polls()).await {
            polls = now;
        }
        if let (Some(redis), Some(published)) = (redis, &mut published)
            && let Ok(now) = visit.ask(redis.polls()).await
        {
            *published = now;
        }
    }
    if let Some(published) = &published {
        visit.add(copy(&polls, published));
    }
    let closing: Vec<_> = polls.iter().filter(|poll| is_closing(poll)).collect();
    if closing.is_empty() {
        return;
    }
    let settled = match redis {
        Some(redis) => visit.look("closing", settled(redis)).await,
        None => None,
    };
    for poll in closing {
        visit.add(closing_of(poll, settled.as_deref()));
    }
}

fn is_closing(poll: &Poll) -> bool {
    matches!(poll.state(), PollState::Closing(_))
}

/// How far each shard is settled.
async fn settled(redis: &Redis) -> Result<Vec<(ShardId, EntryId)>, StoreError> {
    let mut settled = Vec::new();
    for shard in redis.shard_ids() {
        let report = redis.inspect(shard).await?;
        settled.extend(report.map(|report| (shard, report.settled)));
    }
    Ok(settled)
}

/// How many there are of each.
pub(super) fn states(polls: &[Poll]) -> Finding {
    let check = "polls";
    if polls.is_empty() {
        let todo =
            "start a worker, which stores those of the settings; or add one (POST /v1/polls)";
        return Finding::warn(check, "there is none", todo);
    }
    let count = |is: fn(&PollState) -> bool| polls.iter().filter(|poll| is(poll.state())).count();
    let (open, done) = (count(PollState::is_open), count(PollState::is_final));
    let closing = polls.len() - open - done;
    Finding::ok(
        check,
        format!("{open} open, {closing} closing, {done} final"),
    )
}

/// Of a poll that did not get on while it was watched.
fn closing_of(poll: &Poll, settled: Option<&[(ShardId, EntryId)]>) -> Finding {
    let check = "closing";
    let id = poll.id();
    let PollState::Closing(seals) = poll.state() else {
        return Finding::ok(check, format!("{id} is closed"));
    };
    let Some(settled) = settled else {
        let found = format!("{id} is closing; how far it is, only the log can tell");
        return Finding::unknown(check, found);
    };
    let waits = settled
        .iter()
        .filter(|(shard, settled)| seals.get(*shard).is_some_and(|last| *settled <= last));
    let waits = waits.count() as u64;
    if waits > 0 {
        return Finding::warn(
            check,
            format!(
                "{id} is closing: ballots wait in {}",
                count_of(waits, "shard")
            ),
            "it is final once they are counted: see that workers run and that Postgres answers",
        );
    }
    Finding::fail(
        check,
        format!("{id} is closing, nothing of it waits, and no worker moves it on"),
        "start a worker, or see in its log why it does not",
    )
}

fn copy(polls: &[Poll], published: &[Poll]) -> Finding {
    let check = "published polls";
    if polls == published {
        return Finding::ok(check, "the vote services know the polls as they are");
    }
    Finding::fail(
        check,
        "the vote services know other polls, or other states, than Postgres has",
        "start a worker, or see in its log why it does not publish them",
    )
}

#[cfg(test)]
mod tests {
    use voting_service::cats_vs_dogs;

    use super::*;
    use crate::report::Level;

    fn entry(ms: u64) -> EntryId {
        EntryId::new(ms, 0).unwrap()
    }

    #[test]
    fn a_poll_that_waits_is_told_from_one_that_is_stuck() {
        let seals = [(ShardId(0), entry(5)), (ShardId(1), entry(7))];
        let poll = cats_vs_dogs().in_state(PollState::Closing(seals.into_iter().collect()));
        let level = |settled: &[(ShardId, EntryId)]| closing_of(&poll, Some(settled)).level;
        let waits = [(ShardId(0), entry(6)), (ShardId(1), entry(7))];
        assert_eq!(level(&waits), Level::Warn);
        let done = [(ShardId(0), entry(6)), (ShardId(1), entry(8))];
        assert_eq!(level(&done), Level::Fail);
        assert_eq!(closing_of(&poll, None).level, Level::Unknown);
    }
}
