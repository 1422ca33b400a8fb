//! Logs that open and close polls wrongly.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::sleep;
use voting_core::{
    BallotLog, CastError, PollId, StoreError,
    log::{ShardWindows, entry::NewEntry},
    model::{
        moment::Moment,
        poll::PollWindow,
        position::{EntryId, ShardId},
    },
};

use super::{does_not_pass, log::BrokenLog, memory_of, sqlite_backend, with_log};

/// The entry without what its polls' windows could refuse it for.
fn untimed(mut entry: NewEntry) -> NewEntry {
    entry.polls.clear();
    entry
}

/// Gives the log windows that are changed so, and tells of them as if they were not.
async fn set_changed(
    log: &dyn BallotLog,
    shard: ShardId,
    windows: &[PollWindow],
    change: impl Fn(&PollWindow) -> PollWindow,
) -> Result<ShardWindows, StoreError> {
    let changed: Vec<_> = windows.iter().map(change).collect();
    let mut answer = log.set_windows(shard, &changed).await?;
    let all = answer.held.iter_mut().zip(&changed).zip(windows);
    for ((held, changed), window) in all {
        if held == changed {
            held.clone_from(window);
        }
    }
    Ok(answer)
}

/// What the shard has now for each of these polls, if it has anything.
async fn held(
    log: &dyn BallotLog,
    shard: ShardId,
    windows: &[PollWindow],
) -> Result<HashMap<PollId, PollWindow>, StoreError> {
    let asked = windows.iter().map(|window| PollWindow {
        times: 0,
        ..window.clone()
    });
    let asked: Vec<_> = asked.collect();
    let answer = log.set_windows(shard, &asked).await?;
    let held = answer.held.into_iter();
    Ok(held.map(|held| (held.poll.clone(), held)).collect())
}

/// Looks at a clock, and only then gives the entry its id.
#[derive(Default)]
struct ComparesAClockAndNotTheId(Mutex<HashMap<(ShardId, PollId), PollWindow>>);

#[async_trait]
impl BrokenLog for ComparesAClockAndNotTheId {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        let now = Moment::now().unix_ms();
        for poll in &entry.polls {
            let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let held = windows.get(&(shard, poll.id.clone()));
            PollWindow::admit(held, &poll.id, poll.rules, now)?;
        }
        sleep(Duration::from_millis(2)).await;
        log.append(shard, untimed(entry)).await
    }

    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let all = windows
            .iter()
            .map(|window| ((shard, window.poll.clone()), window.clone()));
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(all);
        log.set_windows(shard, windows).await
    }
}

#[derive(Default)]
struct ClosesTooLate;

#[async_trait]
impl BrokenLog for ClosesTooLate {
    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let later = |window: &PollWindow| PollWindow {
            closes_at: window
                .closes_at
                .map(|at| at.plus(Duration::from_millis(100))),
            ..window.clone()
        };
        set_changed(log, shard, windows, later).await
    }
}

#[derive(Default)]
struct AddsWhatItRefuses;

#[async_trait]
impl BrokenLog for AddsWhatItRefuses {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        let appended = log.append(shard, entry.clone()).await;
        if appended.is_err() {
            log.append(shard, untimed(entry)).await?;
        }
        appended
    }
}

#[derive(Default)]
struct LooksAtTheFirstPollOnly;

#[async_trait]
impl BrokenLog for LooksAtTheFirstPollOnly {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        mut entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        entry.polls.truncate(1);
        log.append(shard, entry).await
    }
}

#[derive(Default)]
struct TellsThatAPollIsClosedBeforeItOpens;

#[async_trait]
impl BrokenLog for TellsThatAPollIsClosedBeforeItOpens {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        match log.append(shard, entry).await {
            Err(CastError::NotOpen(poll)) => Err(CastError::Closed(poll)),
            appended => appended,
        }
    }
}

#[derive(Default)]
struct IgnoresRules;

#[async_trait]
impl BrokenLog for IgnoresRules {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        mut entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        for poll in &mut entry.polls {
            poll.rules = poll.rules.map(|_| 0);
        }
        log.append(shard, entry).await
    }

    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let any = |window: &PollWindow| PollWindow {
            rules: 0,
            ..window.clone()
        };
        set_changed(log, shard, windows, any).await
    }
}

#[derive(Default)]
struct TakesBallotsOfWhichItHasNoTimes;

#[async_trait]
impl BrokenLog for TakesBallotsOfWhichItHasNoTimes {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        match log.append(shard, entry.clone()).await {
            Err(CastError::TimesUnknown(_)) => log.append(shard, untimed(entry)).await,
            appended => appended,
        }
    }
}

#[derive(Default)]
struct TakesOlderTimes;

#[async_trait]
impl BrokenLog for TakesOlderTimes {
    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let held = held(log, shard, windows).await?;
        let newer = |window: &PollWindow| PollWindow {
            times: window.times.max(held[&window.poll].times + 1),
            ..window.clone()
        };
        set_changed(log, shard, windows, newer).await
    }
}

/// Takes other times also in the last seconds before them.
#[derive(Default)]
struct HasNoMargin;

#[async_trait]
impl BrokenLog for HasNoMargin {
    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let held = held(log, shard, windows).await?;
        // Windows with the same number are always taken.
        let same = |window: &PollWindow| PollWindow {
            times: window.times.min(held[&window.poll].times),
            ..window.clone()
        };
        set_changed(log, shard, windows, same).await
    }
}

#[derive(Default)]
struct HasOneWindowForAllShards;

#[async_trait]
impl BrokenLog for HasOneWindowForAllShards {
    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        for shard in (0..log.shards()).map(ShardId) {
            log.set_windows(shard, windows).await?;
        }
        log.set_windows(shard, windows).await
    }
}

#[derive(Default)]
struct HasAClockBehindItsEntries;

#[async_trait]
impl BrokenLog for HasAClockBehindItsEntries {
    async fn set_windows(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let mut answer = log.set_windows(shard, windows).await?;
        answer.clock_ms -= 1_000;
        Ok(answer)
    }
}

#[derive(Default)]
struct ForgetsWindowsAtARestart {
    has_forgotten: bool,
}

#[async_trait]
impl BrokenLog for ForgetsWindowsAtARestart {
    fn reopened() -> Self {
        Self {
            has_forgotten: true,
        }
    }

    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        let entry = match self.has_forgotten {
            true => untimed(entry),
            false => entry,
        };
        log.append(shard, entry).await
    }
}

does_not_pass! {
    one_that_compares_a_clock_and_not_the_id:
        with_log::<ComparesAClockAndNotTheId>(memory_of(1))
        => of times::an_entry_is_in_time_by_its_own_id;
    one_that_compares_a_clock_while_a_poll_closes:
        with_log::<ComparesAClockAndNotTheId>(memory_of(1))
        => of times::a_poll_opens_and_closes_at_its_times_under_load;
    one_that_closes_too_late:
        with_log::<ClosesTooLate>(memory_of(1))
        => of times::an_entry_is_in_time_by_its_own_id;
    one_that_adds_what_it_refuses:
        with_log::<AddsWhatItRefuses>(memory_of(1))
        => of times::an_entry_is_in_time_by_its_own_id;
    one_that_adds_what_it_refuses_for_one_of_its_polls:
        with_log::<AddsWhatItRefuses>(memory_of(1))
        => of times::an_entry_is_refused_whole_for_any_of_its_polls;
    one_that_looks_at_the_window_of_the_first_poll_only:
        with_log::<LooksAtTheFirstPollOnly>(memory_of(1))
        => of times::an_entry_is_refused_whole_for_any_of_its_polls;
    one_that_tells_that_a_poll_is_closed_before_it_opens:
        with_log::<TellsThatAPollIsClosedBeforeItOpens>(memory_of(1))
        => of times::a_refusal_says_why_and_the_first_reason_counts;
    one_that_ignores_rules:
        with_log::<IgnoresRules>(memory_of(1))
        => of times::a_refusal_says_why_and_the_first_reason_counts;
    one_that_takes_ballots_of_which_it_has_no_times:
        with_log::<TakesBallotsOfWhichItHasNoTimes>(memory_of(1))
        => of times::a_refusal_says_why_and_the_first_reason_counts;
    one_that_takes_older_times:
        with_log::<TakesOlderTimes>(memory_of(1))
        => of times::a_shard_takes_a_window_in_place_of_another_as_the_rules_say;
    one_that_has_no_margin:
        with_log::<HasNoMargin>(memory_of(1))
        => of times::a_shard_takes_a_window_in_place_of_another_as_the_rules_say;
    one_that_has_one_window_for_all_shards:
        with_log::<HasOneWindowForAllShards>(memory_of(2))
        => of times::each_shard_has_windows_of_its_own;
    one_that_has_a_clock_behind_its_entries:
        with_log::<HasAClockBehindItsEntries>(memory_of(1))
        => of times::a_shards_clock_is_never_before_its_last_entry;
    one_that_forgets_windows_at_a_restart:
        with_log::<ForgetsWindowsAtARestart>(sqlite_backend().await)
        => after restart::a_window_holds;
}
