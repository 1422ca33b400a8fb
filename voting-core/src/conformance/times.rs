//! What a log must do with the moments at which polls open and close.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    Backend, close,
    scene::{LONG, ballot, poll_id, poll_of, quick},
};
use crate::{
    error::{CastError, StoreError},
    log::{
        ShardWindows, VoteSink,
        entry::{self, EntryPoll, NewEntry},
    },
    model::{
        ballot::VoterId,
        moment::Moment,
        poll::{CHANGE_MARGIN, ChangeTo, Poll, PollChange, PollSettings, PollWindow},
        position::{EntryId, ShardId},
    },
    pipeline::{
        closing,
        schedule::{self, ScheduledPolls},
    },
    store::PollStore,
};

pub(super) const FIRST: ShardId = ShardId(0);

pub(super) fn moment(ms: u64) -> Moment {
    Moment::from_unix_ms(ms).expect("a moment")
}

/// The first window of a poll, with these limits in ms.
pub(super) fn window(
    poll: &str,
    rules: u32,
    opens: Option<u64>,
    closes: Option<u64>,
) -> PollWindow {
    PollWindow {
        poll: poll_id(poll),
        rules,
        times: 1,
        opens_at: opens.map(moment),
        closes_at: closes.map(moment),
    }
}

pub(super) async fn set(backend: &Backend, shard: ShardId, windows: &[PollWindow]) -> ShardWindows {
    let set = backend.log.set_windows(shard, windows).await;
    let set = set.expect("an answer");
    assert_eq!(set.held.len(), windows.len());
    set
}

/// The shard takes these windows, since it has none for their polls.
pub(super) async fn has(backend: &Backend, shard: ShardId, windows: &[PollWindow]) {
    assert_eq!(set(backend, shard, windows).await.held, windows);
}

pub(super) async fn clock(backend: &Backend, shard: ShardId) -> u64 {
    set(backend, shard, &[]).await.clock_ms
}

/// Appends an entry with a ballot in each of these polls, cast by these rules.
pub(super) async fn append(
    backend: &Backend,
    shard: ShardId,
    polls: &[(&str, Option<u32>)],
) -> Result<EntryId, CastError> {
    let polls = polls.iter().map(|(poll, rules)| EntryPoll {
        id: poll_id(poll),
        rules: *rules,
    });
    let entry = NewEntry {
        polls: polls.collect(),
        ..entry::of_one(&ballot("p", 1, 1))
    };
    backend.log.append(shard, entry).await
}

/// The poll for which an entry was refused, and why.
pub(super) fn why(answer: Result<EntryId, CastError>) -> String {
    match answer {
        Ok(id) => panic!("it was taken: {id}"),
        Err(CastError::Closed(poll)) => format!("{poll} closed"),
        Err(CastError::NotOpen(poll)) => format!("{poll} not open"),
        Err(CastError::Changed(poll)) => format!("{poll} changed"),
        Err(CastError::TimesUnknown(poll)) => format!("{poll} times unknown"),
        Err(error) => panic!("{error:?}"),
    }
}

pub async fn an_entry_is_in_time_by_its_own_id(backend: &Backend) {
    let start = clock(backend, FIRST).await;
    let (opens, closes) = (start + 300, start + 900);
    has(backend, FIRST, &[window("p", 1, Some(opens), Some(closes))]).await;
    // Several at a time, so that one waits for another between a look at the clock and the entry's id.
    let caster = async || {
        let (mut early, mut taken) = (0, 0);
        loop {
            match append(backend, FIRST, &[("p", Some(1))]).await {
                Ok(id) => {
                    assert!(
                        (opens..closes).contains(&id.ms()),
                        "{id}: {opens}..{closes}"
                    );
                    taken += 1;
                }
                Err(CastError::NotOpen(_)) => {
                    assert_eq!(taken, 0, "it was open before");
                    early += 1;
                }
                Err(CastError::Closed(_)) => break (early, taken),
                Err(error) => panic!("{error:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    let (a, b, c, d) = tokio::join!(caster(), caster(), caster(), caster());
    let reported = [a, b, c, d].into_iter();
    let (early, taken) = reported.fold((0, 0), |sum, reported| {
        (sum.0 + reported.0, sum.1 + reported.1)
    });
    assert!(early > 0 && taken > 0, "{early} early, {taken} in time");
    assert!(
        clock(backend, FIRST).await >= closes,
        "it said that it was closed"
    );
    let stats = (backend.queue)().stats().await.expect("stats");
    assert_eq!(stats.accepted, taken, "what is refused is not in the log");
}

pub async fn a_refusal_says_why_and_the_first_reason_counts(backend: &Backend) {
    let now = clock(backend, FIRST).await;
    let (long_ago, later) = (Some(now - 3_600_000), Some(now + 3_600_000));
    let windows = [
        window("early", 2, later, None),
        window("open", 2, long_ago, later),
        window("late", 2, None, long_ago),
        window("zero", 0, None, later),
        window("endless", 2, None, None),
    ];
    has(backend, FIRST, &windows).await;
    let refused = async |poll, rules| why(append(backend, FIRST, &[(poll, rules)]).await);
    let taken = async |poll, rules| {
        let taken = append(backend, FIRST, &[(poll, rules)]).await;
        taken.unwrap_or_else(|error| panic!("{poll} {rules:?}: {error:?}"))
    };
    for (poll, rules) in [
        ("none", None),
        ("open", Some(2)),
        ("zero", None),
        ("zero", Some(0)),
        ("endless", Some(2)),
    ] {
        taken(poll, rules).await;
    }
    assert_eq!(refused("none", Some(0)).await, "none times unknown");
    assert_eq!(refused("none", Some(2)).await, "none times unknown");
    assert_eq!(refused("early", Some(2)).await, "early not open");
    assert_eq!(refused("late", Some(2)).await, "late closed");
    // Other rules are told first: the voter has to see the poll again anyway.
    for (poll, rules) in [
        ("early", Some(1)),
        ("open", Some(1)),
        ("open", Some(3)),
        ("open", None),
        ("late", None),
        ("zero", Some(1)),
        ("endless", Some(0)),
    ] {
        let reported = refused(poll, rules).await;
        assert_eq!(reported, format!("{poll} changed"), "{rules:?}");
    }
    // A poll that is sealed is closed, whatever else there is.
    for poll in ["none", "early", "open"] {
        let sealed = backend.log.seal(FIRST, &[poll_id(poll)]).await;
        sealed.expect("sealed");
        for rules in [None, Some(1), Some(2)] {
            assert_eq!(refused(poll, rules).await, format!("{poll} closed"));
        }
    }
}

pub async fn an_entry_is_refused_whole_for_any_of_its_polls(backend: &Backend) {
    let now = clock(backend, FIRST).await;
    let (long_ago, later) = (Some(now - 3_600_000), Some(now + 3_600_000));
    let windows = [
        window("open", 1, long_ago, later),
        window("other", 1, None, later),
        window("early", 1, later, None),
        window("late", 1, None, long_ago),
    ];
    has(backend, FIRST, &windows).await;
    let (open, plain) = (("open", Some(1)), ("plain", None));
    for (bad, reported) in [
        (("early", Some(1)), "early not open"),
        (("late", Some(1)), "late closed"),
        (("other", Some(2)), "other changed"),
        (("unknown", Some(1)), "unknown times unknown"),
    ] {
        for polls in [
            vec![open, bad],
            vec![bad, open],
            vec![plain, bad],
            vec![plain, open, ("other", Some(1)), bad],
        ] {
            let refused = why(append(backend, FIRST, &polls).await);
            assert_eq!(refused, reported, "{polls:?}");
        }
    }
    // Of two reasons, that of the first poll.
    let (early, late) = (("early", Some(1)), ("late", Some(1)));
    let refused = why(append(backend, FIRST, &[open, late, early]).await);
    assert_eq!(refused, "late closed");
    let refused = why(append(backend, FIRST, &[open, early, late]).await);
    assert_eq!(refused, "early not open");
    let stats = (backend.queue)().stats().await.expect("stats");
    assert_eq!(stats.accepted, 0, "what is refused is not in the log");
    append(backend, FIRST, &[plain, open, ("other", Some(1))])
        .await
        .expect("all of its polls are open");
}

/// A shard with the first window is given the second one, and does what [`PollWindow::replaces`] says at the shard's
/// clock.
pub async fn a_shard_takes_a_window_in_place_of_another_as_the_rules_say(backend: &Backend) {
    let margin = u64::try_from(CHANGE_MARGIN.as_millis()).expect("a short time");
    let now = clock(backend, FIRST).await;
    let limits = [
        None,
        Some(now - 1_000),
        Some(now + margin / 2),
        // The shard's clock is a little later than `now`: by then the margin begins, or has just begun.
        Some(now + margin + 5),
        Some(now + margin + 60_000),
        Some(now + margin + 120_000),
    ];
    let mut pairs = Vec::new();
    for held in limits {
        for new in limits {
            for (times, rules) in [(1, 4), (2, 4), (3, 4), (3, 3), (3, 5)] {
                pairs.push(((held, None), (new, None), times, rules));
                pairs.push(((None, held), (None, new), times, rules));
            }
        }
    }
    let window = |index: usize, times, rules, (opens, closes)| PollWindow {
        times,
        ..window(&format!("p{index}"), rules, opens, closes)
    };
    let pairs: Vec<_> = (0..)
        .zip(pairs)
        .map(|(index, (held, new, times, rules))| {
            (window(index, 2, 4, held), window(index, times, rules, new))
        })
        .collect();
    let (held, new): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    has(backend, FIRST, &held).await;
    let (mut taken, mut kept) = (0, 0);
    let chunk = 8;
    for (held, new) in held.chunks(chunk).zip(new.chunks(chunk)) {
        let answer = set(backend, FIRST, new).await;
        assert!(answer.clock_ms >= now, "the clock went back");
        let mut expected = Vec::new();
        for (held, new) in held.iter().zip(new) {
            let replaces = new.replaces(Some(held), answer.clock_ms);
            *(if replaces { &mut taken } else { &mut kept }) += 1;
            expected.push(if replaces { new } else { held }.clone());
        }
        assert_eq!(answer.held, expected, "at {}", answer.clock_ms);
        // What it has now, it says again.
        let older = expected.iter().map(|window| PollWindow {
            times: 0,
            ..window.clone()
        });
        let older: Vec<_> = older.collect();
        assert_eq!(set(backend, FIRST, &older).await.held, expected);
    }
    assert!(taken > 50 && kept > 50, "{taken} taken, {kept} kept");
}

pub async fn a_shards_clock_is_never_before_its_last_entry(backend: &Backend) {
    let mut last = 0;
    for number in 0..50 {
        let id = append(backend, FIRST, &[("p", None)]).await;
        let id = id.expect("appended");
        let now = clock(backend, FIRST).await;
        assert!(now >= id.ms() && now >= last, "{now}: {id}, {last}");
        last = now;
        // What closes at the clock is closed, and what closes later is open.
        let poll = format!("p{number}");
        let answer = set(backend, FIRST, &[window(&poll, 1, None, Some(now))]).await;
        assert!(answer.clock_ms >= now);
        let refused = why(append(backend, FIRST, &[(&poll, Some(1))]).await);
        assert_eq!(refused, format!("{poll} closed"));
    }
}

pub async fn each_shard_has_windows_of_its_own(backend: &Backend) {
    let now = clock(backend, FIRST).await;
    let (long_ago, later) = (Some(now - 3_600_000), Some(now + 3_600_000));
    has(backend, FIRST, &[window("p", 1, None, long_ago)]).await;
    for shard in (1..backend.log.shards()).map(ShardId) {
        let refused = why(append(backend, shard, &[("p", Some(1))]).await);
        assert_eq!(refused, "p times unknown", "shard {shard}");
        let taken = append(backend, shard, &[("p", None)]).await;
        taken.expect("this shard has no window");
        has(backend, shard, &[window("p", 2, None, later)]).await;
        let taken = append(backend, shard, &[("p", Some(2))]).await;
        taken.expect("this shard's window is open");
    }
    let refused = why(append(backend, FIRST, &[("p", Some(1))]).await);
    assert_eq!(refused, "p closed");
    // Nor do windows of polls with similar names.
    for poll in ["p-1", "p0", "pp"] {
        let taken = append(backend, FIRST, &[(poll, None)]).await;
        taken.expect("this poll has no window");
    }
}

/// Voters who vote until the poll is closed, and what they were told.
struct Crowd {
    voters: Vec<JoinHandle<()>>,
    reported: Arc<Told>,
}

#[derive(Default)]
struct Told {
    /// The ms of each acknowledged ballot's position.
    acknowledged: Mutex<Vec<u64>>,
    is_over: AtomicBool,
}

impl Told {
    fn acknowledged(&self) -> Vec<u64> {
        let acknowledged = self.acknowledged.lock();
        acknowledged.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Crowd {
    /// `sinks` are several vote services, none of which hears of a change.
    fn of(backend: &Backend, rules: Option<u32>, pause: Duration) -> Self {
        let reported = Arc::new(Told::default());
        let sinks = [Arc::new(backend.sink()), Arc::new(backend.sink())];
        let voters = (0..10).map(|index: usize| {
            let (sink, reported) = (Arc::clone(&sinks[index % 2]), Arc::clone(&reported));
            tokio::spawn(async move {
                while !reported.is_over.load(Ordering::Acquire) {
                    let mut vote = ballot("p", 0, 1);
                    (vote.voter, vote.rules) = (VoterId::issue(), rules);
                    match sink.cast(vote).await {
                        Ok(receipt) => {
                            let acknowledged = reported.acknowledged.lock();
                            let mut acknowledged =
                                acknowledged.unwrap_or_else(PoisonError::into_inner);
                            acknowledged.push(receipt.position.ms());
                        }
                        // The shards do not open and close together.
                        Err(CastError::NotOpen(_) | CastError::Closed(_)) => {}
                        // A machine with much else to do brings it after its deadline.
                        Err(CastError::Refused(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    sleep(pause).await;
                }
            })
        });
        Self {
            voters: voters.collect(),
            reported: Arc::clone(&reported),
        }
    }

    async fn has_cast(&self, more: usize) {
        let wanted = self.reported.acknowledged().len() + more;
        let deadline = Instant::now() + LONG;
        while self.reported.acknowledged().len() < wanted {
            assert!(Instant::now() < deadline, "no ballots are taken");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// The ms of all acknowledged ballots.
    async fn ends(self) -> Vec<u64> {
        self.reported.is_over.store(true, Ordering::Release);
        for voter in self.voters {
            voter.await.expect("no panic");
        }
        self.reported.acknowledged()
    }
}

fn with_times(opens: Option<u64>, closes: Option<u64>) -> Poll {
    let mut settings = PollSettings::default();
    (settings.opens_at, settings.closes_at) = (opens.map(moment), closes.map(moment));
    let poll = poll_of("p", 2, 1).with_settings(settings);
    poll.expect("a poll")
}

fn changes(backend: &Backend) -> impl PollStore {
    ScheduledPolls::new(backend.log.clone(), backend.polls.clone())
}

async fn put(backend: &Backend, poll: Poll) -> Poll {
    let change = PollChange::new(poll_id("p"), ChangeTo::Put(Box::new(poll)));
    let stored = changes(backend).change_poll(&change, "host").await;
    stored.expect("stored").expect("the poll")
}

async fn round(backend: &Backend) -> usize {
    let (log, polls) = (backend.log.as_ref(), backend.polls.as_ref());
    schedule::round(log, polls).await.expect("a round");
    let queue = (backend.queue)();
    let left = closing::advance(log, queue.as_ref(), polls).await;
    left.expect("a step")
}

/// Takes rounds until the poll is final, and compares what counts with what was acknowledged.
async fn ends_with_all_that_was_acknowledged(
    backend: &Backend,
    crowd: Crowd,
    opens: Option<u64>,
    closes: u64,
) {
    let deadline = Instant::now() + LONG;
    let is_final = async || {
        let poll = backend.polls.poll(&poll_id("p")).await.expect("an answer");
        poll.expect("the poll is there").state().is_final()
    };
    while !is_final().await {
        assert!(Instant::now() < deadline, "the poll never becomes final");
        round(backend).await;
        sleep(Duration::from_millis(10)).await;
    }
    let votes = backend.votes().await;
    let acknowledged = crowd.ends().await;
    let count = u64::try_from(acknowledged.len()).expect("a count");
    assert_eq!(votes, [count, 0], "of {count} acknowledged ballots");
    let in_time = |ms: &u64| opens.is_none_or(|opens| opens <= *ms) && *ms < closes;
    let late: Vec<_> = acknowledged.iter().filter(|ms| !in_time(ms)).collect();
    assert!(late.is_empty(), "not in {opens:?}..{closes}: {late:?}");
    assert_eq!(backend.votes().await, votes, "it never changes again");
    assert!(backend.letters().await.is_empty());
    backend.is_consistent().await;
}

pub async fn a_poll_opens_and_closes_at_its_times_under_load(backend: &Backend) {
    let workers = [backend.worker(quick()), backend.worker(quick())];
    let now = clock(backend, FIRST).await;
    let (opens, closes) = (Some(now + 300), now + 900);
    let poll = put(backend, with_times(opens, Some(closes))).await;
    // No shard knows of the times yet, so none takes a ballot.
    let refused = why(append(backend, FIRST, &[("p", poll.rules())]).await);
    assert_eq!(refused, "p times unknown");
    round(backend).await;
    let crowd = Crowd::of(backend, poll.rules(), Duration::from_millis(1));
    ends_with_all_that_was_acknowledged(backend, crowd, opens, closes).await;
    for worker in workers {
        worker.stop().await;
    }
    backend.is_consistent().await;
}

pub async fn an_opening_that_moves_under_load_holds_from_then_on(backend: &Backend) {
    let worker = backend.worker(quick());
    let now = clock(backend, FIRST).await;
    let poll = put(backend, with_times(Some(now + 3_600_000), None)).await;
    round(backend).await;
    let crowd = Crowd::of(backend, poll.rules(), Duration::from_millis(1));
    let opens = clock(backend, FIRST).await + 100;
    assert!(crowd.reported.acknowledged().is_empty(), "it is not open");
    let moved = put(backend, with_times(Some(opens), None)).await;
    assert_eq!(moved.settings().opens_at, Some(moment(opens)));
    assert_eq!(moved.pending_window(), None, "all shards have it");
    crowd.has_cast(100).await;
    close::to_close(backend).await;
    ends_with_all_that_was_acknowledged(backend, crowd, Some(opens), u64::MAX).await;
    worker.stop().await;
    backend.is_consistent().await;
}

/// Takes some 13 seconds: a closing cannot move in the last ten.
pub async fn a_closing_that_moves_under_load_keeps_every_acknowledged_ballot(backend: &Backend) {
    let margin = u64::try_from(CHANGE_MARGIN.as_millis()).expect("a short time");
    let workers = [backend.worker(quick()), backend.worker(quick())];
    let now = clock(backend, FIRST).await;
    let first = now + margin + 2_500;
    let poll = put(backend, with_times(None, Some(first))).await;
    round(backend).await;
    let crowd = Crowd::of(backend, poll.rules(), Duration::from_millis(20));
    crowd.has_cast(50).await;
    // Later, then earlier, then later again, each while ballots come in.
    for closes in [first + 60_000, first - 250, first + 500] {
        let held = put(backend, with_times(None, Some(closes))).await;
        assert_eq!(held.settings().closes_at, Some(moment(closes)));
        assert_eq!(held.pending_window(), None, "all shards have it");
        crowd.has_cast(20).await;
    }
    // Now it is too late.
    let closes = first + 500;
    while clock(backend, FIRST).await + margin <= closes {
        sleep(Duration::from_millis(5)).await;
    }
    let change = PollChange::new(
        poll_id("p"),
        ChangeTo::Put(Box::new(with_times(None, Some(closes + 60_000)))),
    );
    let refused = changes(backend).change_poll(&change, "host").await;
    assert!(
        matches!(refused, Err(StoreError::ChangeRefused(..))),
        "{refused:?}"
    );
    ends_with_all_that_was_acknowledged(backend, crowd, None, closes).await;
    for worker in workers {
        worker.stop().await;
    }
    backend.is_consistent().await;
}
