//! The polls: their states, polls whose closing does not proceed, and the copy that the vote services use.

use std::{collections::BTreeSet, time::Duration};

use voting_core::{
    Poll, PollDirectory, PollId, PollState, StoreError,
    backends::{postgres::Postgres, redis::Redis},
    log::SeparateLog,
    model::{
        moment::Moment,
        poll::Phase,
        position::{EntryId, ShardId},
    },
};

use super::{Visit, count_of};
use crate::commands::report::Finding;

/// Workers take a step each second. A poll that changes, or is published, within this time is not stuck.
const STEPS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(500);

/// A poll is closed within seconds of its time.
const OVERDUE: Duration = Duration::from_secs(10);

/// How many polls are named.
const NAMES: usize = 5;

pub(super) async fn check(visit: &mut Visit<'_>, redis: Option<&Redis>, postgres: &Postgres) {
    let Some(mut polls) = visit.look("polls", postgres.polls()).await else {
        return;
    };
    visit.add(states(&polls, Moment::now()));
    for finding in overdue(&polls, Moment::now()) {
        visit.add(finding);
    }
    // Drafts are not published.
    polls.retain(|poll| !poll.is_draft());
    let mut log = match redis {
        Some(redis) => match visit.ask(Log::of(redis, &polls)).await {
            Ok(log) => Some(log),
            Err(why) => {
                let found = format!("could not be checked: {why}");
                visit.add(Finding::unknown("published polls", found));
                None
            }
        },
        None => None,
    };
    // Steps that are in progress get some time.
    for _ in 0..STEPS {
        let is_done = polls.iter().all(|poll| !is_closing(poll))
            && log
                .as_ref()
                .is_none_or(|log| log.published.as_ref() == Some(&polls) && log.sealed.is_empty());
        if is_done {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        if let Ok(now) = visit.ask(postgres.polls()).await {
            polls = now.into_iter().filter(|poll| !poll.is_draft()).collect();
        }
        if let (Some(redis), Some(log)) = (redis, &mut log)
            && let Ok(now) = visit.ask(Log::of(redis, &polls)).await
        {
            *log = now;
        }
    }
    if let Some(log) = &log {
        visit.add(copy(&polls, log.published.as_deref()));
        if let Some(finding) = closed_in_the_log(&log.sealed) {
            visit.add(finding);
        }
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

/// What the log knows about the polls.
struct Log {
    /// The polls as the vote services know them; `None` before any were published.
    published: Option<Vec<Poll>>,
    /// The polls that are open in the store, but sealed in the log.
    sealed: BTreeSet<PollId>,
}

impl Log {
    async fn of(redis: &Redis, stored: &[Poll]) -> Result<Self, StoreError> {
        let published = redis.published().await?;
        let open = stored.iter().filter(|poll| poll.state().is_open());
        let open: Vec<_> = open.map(Poll::id).collect();
        let sealed = redis.sealed(&open).await?;
        Ok(Self { published, sealed })
    }
}

fn is_closing(poll: &Poll) -> bool {
    matches!(poll.state(), PollState::Closing(_))
}

/// Up to which id each shard is settled.
async fn settled(redis: &Redis) -> Result<Vec<(ShardId, EntryId)>, StoreError> {
    let mut settled = Vec::new();
    for shard in redis.shard_ids() {
        let report = redis.inspect(shard).await?;
        settled.extend(report.map(|report| (shard, report.acknowledged_below)));
    }
    Ok(settled)
}

/// The number of polls in each state, by this machine's clock.
pub(super) fn states(polls: &[Poll], now: Moment) -> Finding {
    let check = "polls";
    if polls.is_empty() {
        let todo =
            "start a worker, which stores those of the settings; or add one (POST /v1/polls)";
        return Finding::warn(check, "there is no poll", todo);
    }
    let count = |phase| polls.iter().filter(|poll| poll.phase(now) == phase).count();
    let always = [Phase::Open, Phase::Closing, Phase::Final];
    let if_any = [Phase::Draft, Phase::Scheduled, Phase::Archived];
    let counted = always.map(|phase| (phase, count(phase))).into_iter();
    let more = if_any.map(|phase| (phase, count(phase))).into_iter();
    let reported: Vec<String> = counted
        .chain(more.filter(|(_, polls)| *polls > 0))
        .map(|(phase, polls)| format!("{polls} {}", phase.as_str()))
        .collect();
    Finding::ok(check, reported.join(", "))
}

/// Polls whose time is over and that no worker has closed, and polls whose new times do not reach the log.
pub(super) fn overdue(polls: &[Poll], now: Moment) -> Vec<Finding> {
    let check = "schedule";
    let late = |poll: &&Poll| {
        let closes = poll.settings().closes_at;
        let is_over = closes.is_some_and(|closes| now.since(closes) > OVERDUE);
        poll.state().is_open() && !poll.is_draft() && is_over
    };
    let closing = polls.iter().filter(late).map(|poll| {
        let closes = poll.settings().closes_at.map(|closes| closes.to_string());
        Finding::fail(
            check,
            format!(
                "{} should have been closed at {}, and is still open in the store; the log refuses its ballots",
                poll.id(),
                closes.unwrap_or_default()
            ),
            "start a worker, or see in its log why it does not close the poll",
        )
    });
    let pending = polls
        .iter()
        .filter(|poll| poll.pending_window().is_some())
        .map(|poll| {
            Finding::warn(
                check,
                format!(
                    "a change of the times of {} is on its way to the log",
                    poll.id()
                ),
                "run the doctor again; if the change does not end, see in the worker's log why",
            )
        });
    closing.chain(pending).collect()
}

/// The finding for a closing poll that did not proceed while it was watched.
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

fn copy(polls: &[Poll], published: Option<&[Poll]>) -> Finding {
    let check = "published polls";
    let Some(published) = published else {
        return Finding::fail(
            check,
            "no worker has published the polls to Redis yet",
            "start a worker, which publishes them; until then no ballot is taken",
        );
    };
    if polls == published {
        return Finding::ok(check, "the vote services know the polls as they are");
    }
    let find = |polls: &[Poll], id: &PollId| polls.iter().find(|poll| poll.id() == id).cloned();
    let mut differences = Vec::new();
    for poll in published {
        if find(polls, poll.id()).is_none() {
            differences.push(format!("{} is not in Postgres", poll.id()));
        }
    }
    for poll in polls {
        let id = poll.id();
        match find(published, id) {
            None => differences.push(format!("{id} is not known to them")),
            Some(known) if known.state() != poll.state() => {
                differences.push(format!("{id} has another state"));
            }
            Some(known) if known != *poll => differences.push(format!("{id} has other texts")),
            Some(_) => {}
        }
    }
    if differences.is_empty() {
        differences.push("they know them in another order".to_owned());
    }
    Finding::fail(
        check,
        format!(
            "the vote services know other polls, or other states, than Postgres has: {}",
            some_of(&differences)
        ),
        "start a worker, or see in its log why it does not publish them",
    )
}

/// The first few names.
fn some_of(names: &[String]) -> String {
    let reported = names.iter().take(NAMES).cloned();
    let more = names.len().saturating_sub(NAMES);
    let more = (more > 0).then(|| format!("{more} more"));
    reported.chain(more).collect::<Vec<_>>().join(", ")
}

/// Polls that are open in the store, but sealed in the log, as after the restore of a backup from before their
/// closing.
fn closed_in_the_log(sealed: &BTreeSet<PollId>) -> Option<Finding> {
    if sealed.is_empty() {
        return None;
    }
    let names: Vec<_> = sealed.iter().map(ToString::to_string).collect();
    Some(Finding::fail(
        "closed polls",
        format!(
            "Postgres has polls open that were closed: {}; their pages have buttons, and each vote is \
             refused",
            some_of(&names)
        ),
        "start a worker, which closes them; if one runs, see in its log why it does not",
    ))
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::PollSettings;
    use voting_service::cats_vs_dogs;

    use super::*;
    use crate::commands::report::Level;

    fn entry(ms: u64) -> EntryId {
        EntryId::new(ms, 0).unwrap()
    }

    #[test]
    fn a_poll_that_should_be_closed_and_is_not_is_reported() {
        let at = |seconds: u64| Moment::from_unix_ms(seconds * 1_000).unwrap();
        let mut settings = PollSettings::default();
        settings.closes_at = Some(at(100));
        let poll = cats_vs_dogs().with_settings(settings).unwrap();
        let reported = |now| overdue(std::slice::from_ref(&poll), at(now));
        assert_eq!(reported(110).len(), 0);
        assert_eq!(reported(111)[0].level, Level::Fail);
        assert!(reported(111)[0].found.contains("1970-01-01T00:01:40Z"));
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
