//! Group commit over a log that can be held up, can fail and can panic.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::{
    runtime::{Builder, Handle},
    sync::{Semaphore, oneshot},
};
use voting_core::{
    Ballot, BallotLog, CastError, Choices, GroupCommit, GroupCommitOptions, PollId, SecretKey,
    StoreError, VoteSink, VoterId,
    log::{
        entry::{self, NewEntry},
        entry_keys::EntryKeys,
        signed_entry::{SignedEntry, Source},
    },
    model::position::{EntryId, ShardId},
    pipeline::cast_many::cast_many,
};

/// Writes an entry for each permit that the test gives.
struct Held {
    permits: Semaphore,
    entries: Mutex<Vec<Vec<u8>>>,
    sealed: Mutex<Vec<PollId>>,
    fails: AtomicBool,
    panics: AtomicBool,
}

#[async_trait]
impl BallotLog for Held {
    fn shards(&self) -> u16 {
        1
    }

    async fn append(&self, _: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        self.permits.acquire().await.expect("open").forget();
        assert!(!self.panics.load(Ordering::Relaxed), "a bug in the log");
        if self.fails.load(Ordering::Relaxed) {
            return Err(CastError::Unknown("the disk is gone".into()));
        }
        let sealed = self.sealed.lock().expect("sound");
        if let Some(poll) = entry
            .polls
            .iter()
            .map(|poll| &poll.id)
            .find(|poll| sealed.contains(poll))
        {
            return Err(CastError::Closed(poll.clone()));
        }
        if entry.deadline_ms.is_none() {
            let ballots = entry::decode(&entry.payload).expect("an entry");
            assert_eq!(ballots.len(), usize::from(entry.ballots));
        }
        let mut entries = self.entries.lock().expect("sound");
        entries.push(entry.payload);
        Ok(EntryId::new(1, entries.len() as u64).expect("an id"))
    }

    async fn seal(&self, _: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        let mut sealed = self.sealed.lock().expect("sound");
        sealed.extend(polls.iter().cloned());
        Ok(EntryId::MIN)
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn held(permits: usize) -> Arc<Held> {
    Arc::new(Held {
        permits: Semaphore::new(permits),
        entries: Mutex::default(),
        sealed: Mutex::default(),
        fails: AtomicBool::new(false),
        panics: AtomicBool::new(false),
    })
}

fn ballot(poll: &str) -> Ballot {
    Ballot {
        poll: poll.parse().expect("an id"),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
        rules: None,
    }
}

fn sink(log: &Arc<Held>, max_waiting: usize) -> Arc<GroupCommit> {
    let options = GroupCommitOptions {
        max_waiting,
        ..GroupCommitOptions::default()
    };
    Arc::new(GroupCommit::new(log.clone(), options))
}

type Cast = tokio::task::JoinHandle<Result<voting_core::Receipt, CastError>>;

/// Casts ballots one after another, each once the one before is waiting.
async fn cast(sink: &Arc<GroupCommit>, polls: impl IntoIterator<Item = String>) -> Vec<Cast> {
    let mut casts = Vec::new();
    for poll in polls {
        let sink = Arc::clone(sink);
        casts.push(tokio::spawn(async move { sink.cast(ballot(&poll)).await }));
        tokio::task::yield_now().await;
    }
    casts
}

fn times(poll: &str, count: usize) -> impl Iterator<Item = String> {
    std::iter::repeat_n(poll.to_owned(), count)
}

#[tokio::test]
async fn what_gathers_during_a_write_goes_as_one_entry_in_its_order() {
    let log = held(0);
    let casts = cast(&sink(&log, 1_000), times("p", 101)).await;
    log.permits.add_permits(2);
    let mut positions = Vec::new();
    for cast in casts {
        positions.push(cast.await.expect("no panic").expect("cast").position);
    }
    assert!(positions.is_sorted_by(|a, b| a < b));
    let entries = log.entries.lock().expect("sound");
    let sizes = entries
        .iter()
        .map(|entry| entry::decode(entry).expect("an entry").len());
    assert_eq!(sizes.collect::<Vec<_>>(), [1, 100]);
}

#[tokio::test]
async fn one_ballot_too_many_is_refused_at_once() {
    let log = held(0);
    let sink = sink(&log, 5);
    let casts = cast(&sink, times("p", 6)).await;
    assert!(matches!(
        sink.cast(ballot("p")).await,
        Err(CastError::Overloaded)
    ));
    log.permits.add_permits(100);
    for cast in casts {
        cast.await.expect("no panic").expect("cast");
    }
    sink.cast(ballot("p")).await.expect("there is room again");
}

#[tokio::test]
async fn more_polls_than_an_entry_holds_go_as_several() {
    let log = held(0);
    let polls = (0..700).map(|number| format!("p{number}"));
    let casts = cast(&sink(&log, 1_000), polls).await;
    log.permits.add_permits(100);
    for (number, cast) in casts.into_iter().enumerate() {
        let receipt = cast.await.expect("no panic").expect("cast");
        let entries = log.entries.lock().expect("sound");
        let nth = usize::try_from(receipt.position.entry().seq()).expect("small") - 1;
        let ballots = entry::decode(&entries[nth]).expect("an entry");
        let index = usize::try_from(receipt.position.n() & 0xffff).expect("small");
        assert_eq!(ballots[index].poll.as_str(), format!("p{number}"));
        assert_eq!(ballots[index].voter, receipt.voter);
    }
}

#[tokio::test]
async fn a_failed_write_is_the_answer_to_every_ballot_in_it_and_the_next_may_succeed() {
    let log = held(0);
    let sink = sink(&log, 1_000);
    log.fails.store(true, Ordering::Relaxed);
    let casts = cast(&sink, times("p", 20)).await;
    log.permits.add_permits(2);
    for cast in casts {
        let error = cast.await.expect("no panic").expect_err("not stored");
        assert!(matches!(&error, CastError::Unknown(cause) if cause.to_string().contains("disk")));
    }
    log.fails.store(false, Ordering::Relaxed);
    log.permits.add_permits(1);
    sink.cast(ballot("p")).await.expect("it works again");
}

#[tokio::test]
async fn a_log_that_panics_leaves_the_outcome_unknown_and_the_sink_alive() {
    let log = held(2);
    let sink = sink(&log, 1_000);
    log.panics.store(true, Ordering::Relaxed);
    assert!(matches!(
        sink.cast(ballot("p")).await,
        Err(CastError::Unknown(_))
    ));
    log.panics.store(false, Ordering::Relaxed);
    sink.cast(ballot("p"))
        .await
        .expect("the next one is stored");
}

#[tokio::test]
async fn a_ballot_whose_voter_waits_no_more_is_not_written_later() {
    let log = held(0);
    let sink = sink(&log, 1_000);
    // The first is being written; the others wait, and then their voters go elsewhere.
    let mut casts = cast(&sink, times("p", 4)).await;
    for cast in casts.drain(1..) {
        cast.abort();
        let _ = cast.await;
    }
    log.permits.add_permits(10);
    sink.cast(ballot("p")).await.expect("cast");
    sink.close().await;
    let entries = log.entries.lock().expect("sound");
    let ballots = entries
        .iter()
        .map(|entry| entry::decode(entry).expect("an entry").len());
    assert_eq!(ballots.sum::<usize>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_ballot_that_waited_too_long_is_refused_instead_of_written_late() {
    let log = held(0);
    let sink = sink(&log, 1_000);
    let casts = cast(&sink, times("p", 3)).await;
    tokio::time::advance(Duration::from_secs(6)).await;
    log.permits.add_permits(10);
    let mut outcomes = Vec::new();
    for cast in casts {
        outcomes.push(cast.await.expect("no panic").is_ok());
    }
    assert_eq!(
        outcomes,
        [true, false, false],
        "the first was being written"
    );
    let entries = log.entries.lock().expect("sound");
    let ballots = entries
        .iter()
        .map(|entry| entry::decode(entry).expect("an entry").len());
    assert_eq!(ballots.sum::<usize>(), 1);
}

async fn is_refused(sink: &GroupCommit) -> bool {
    let cast = tokio::time::timeout(Duration::from_millis(1), sink.cast(ballot("p")));
    matches!(cast.await, Ok(Err(CastError::Overloaded)))
}

#[tokio::test(start_paused = true)]
async fn while_writes_are_slow_no_more_ballots_wait_than_are_written_soon() {
    let log = held(0);
    let options = GroupCommitOptions {
        max_entry: 64,
        ..GroupCommitOptions::default()
    };
    let sink = Arc::new(GroupCommit::new(log.clone(), options));
    let first = cast(&sink, times("p", 1)).await;
    let mut casts = cast(&sink, times("p", 64)).await;
    // Three entries of 64 can be written within a second.
    tokio::time::advance(Duration::from_millis(300)).await;
    log.permits.add_permits(1);
    for cast in first {
        cast.await.expect("no panic").expect("cast");
    }
    casts.extend(cast(&sink, times("p", 3 * 64)).await);
    assert!(is_refused(&sink).await, "it would wait for four");

    // They are written at once, and so there is room for as many as ever.
    log.permits.add_permits(100);
    for cast in casts {
        cast.await.expect("no panic").expect("it was let in");
    }
    log.permits.forget_permits(100);
    let casts = cast(&sink, times("p", 10 * 64)).await;
    log.permits.add_permits(100);
    for cast in casts {
        cast.await.expect("no panic").expect("it was let in");
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_with_the_next_entry_is_let_in_however_slow_writes_are() {
    let log = held(0);
    let sink = sink(&log, 1_000);
    let mut casts = cast(&sink, times("p", 2)).await;
    tokio::time::advance(Duration::from_secs(4)).await;
    log.permits.add_permits(1);
    casts
        .remove(0)
        .await
        .expect("no panic")
        .expect("a slow write");
    casts.extend(cast(&sink, times("p", 100)).await);
    log.permits.add_permits(10);
    for cast in casts {
        cast.await.expect("no panic").expect("cast");
    }
}

#[tokio::test(start_paused = true)]
async fn entries_become_smaller_while_writes_are_slow() {
    let log = held(0);
    let options = GroupCommitOptions {
        max_entry: 64,
        ..GroupCommitOptions::default()
    };
    let sink = Arc::new(GroupCommit::new(log.clone(), options));
    let mut casts = cast(&sink, times("p", 1 + 64 + 64)).await;
    log.permits.add_permits(1);
    casts.remove(0).await.expect("no panic").expect("cast");
    // The next entry is full, and takes long.
    tokio::time::advance(Duration::from_millis(600)).await;
    log.permits.add_permits(10);
    for cast in casts {
        cast.await.expect("no panic").expect("cast");
    }
    let entries = log.entries.lock().expect("sound");
    let sizes = entries
        .iter()
        .map(|entry| entry::decode(entry).expect("an entry").len());
    assert_eq!(sizes.collect::<Vec<_>>()[..3], [1, 64, 32]);
}

#[tokio::test]
async fn a_closed_sink_has_written_what_it_took_and_takes_no_more() {
    let log = held(0);
    let sink = sink(&log, 1_000);
    let casts = cast(&sink, times("p", 30)).await;
    let closing = tokio::spawn({
        let sink = Arc::clone(&sink);
        async move { sink.close().await }
    });
    log.permits.add_permits(10);
    closing.await.expect("no panic");
    for cast in casts {
        cast.await.expect("no panic").expect("cast");
    }
    assert!(matches!(
        sink.cast(ballot("p")).await,
        Err(CastError::Refused(_))
    ));
    sink.close().await;
    assert_eq!(
        Arc::strong_count(&log),
        2,
        "the sink and the test hold it, no task does"
    );
}

/// A runtime with one thread, which ends when the sender is dropped.
fn runtime() -> (Handle, oneshot::Sender<()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || drop(runtime.block_on(ended)));
    (handle, end)
}

#[tokio::test]
async fn each_runtime_writes_the_ballots_that_are_cast_on_it() {
    let (beside, logs) = (held(0), [held(1), held(1)]);
    let (runtimes, ends): (Vec<_>, Vec<_>) = [runtime(), runtime()].into_iter().unzip();
    let lanes = runtimes.iter().cloned().zip(&logs);
    let lanes = lanes.map(|(runtime, log)| (runtime, log.clone() as Arc<dyn BallotLog>));
    let sink = Arc::new(GroupCommit::on_runtimes(
        beside.clone(),
        lanes.collect(),
        GroupCommitOptions::default(),
        EntryKeys::default(),
    ));
    for (runtime, log) in runtimes.iter().zip(&logs).rev() {
        let sink = Arc::clone(&sink);
        let cast = runtime.spawn(async move { sink.cast(ballot("p")).await });
        cast.await.expect("no panic").expect("cast");
        assert_eq!(log.entries.lock().expect("sound").len(), 1);
    }
    // From a runtime without lanes a ballot goes to those of the first.
    logs[0].permits.add_permits(1);
    sink.cast(ballot("p")).await.expect("cast");
    assert_eq!(logs[0].entries.lock().expect("sound").len(), 2);
    assert!(beside.entries.lock().expect("sound").is_empty());
    // Refused ballots count together, whichever lanes they were in.
    for log in &logs {
        log.fails.store(true, Ordering::Relaxed);
        log.permits.add_permits(2);
    }
    for (refused, runtime) in runtimes.iter().cycle().take(3).enumerate() {
        assert!(sink.ready_to_cast().await.is_ok(), "after {refused}");
        let sink = Arc::clone(&sink);
        let cast = runtime.spawn(async move { sink.cast(ballot("p")).await });
        assert!(cast.await.expect("no panic").is_err());
    }
    assert!(sink.ready_to_cast().await.is_err());
    sink.close().await;
    for log in &logs {
        assert_eq!(Arc::strong_count(log), 1, "only the test holds it");
    }
    drop(ends);
}

#[tokio::test]
async fn ballots_of_a_closed_poll_are_turned_away_and_the_others_are_written_in_their_order() {
    let log = held(0);
    let sink = sink(&log, 1_000);
    let polls = ["p", "q", "p", "r", "q", "s"].map(str::to_owned);
    // The first goes alone; the others gather meanwhile.
    let first = cast(&sink, times("s", 1)).await;
    let casts = cast(&sink, polls.clone()).await;
    for poll in ["p", "q"] {
        let poll = poll.parse().expect("an id");
        log.seal(ShardId(0), &[poll]).await.expect("sealed");
    }
    log.permits.add_permits(10);
    for cast in first {
        cast.await.expect("no panic").expect("cast");
    }
    let mut written = Vec::new();
    for (cast, poll) in casts.into_iter().zip(polls) {
        match cast.await.expect("no panic") {
            Ok(receipt) => written.push((poll, receipt.position)),
            Err(CastError::Closed(closed)) => {
                assert_eq!(closed.as_str(), poll);
                assert!(["p", "q"].contains(&closed.as_str()));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(written.len(), 2);
    assert_eq!((written[0].0.as_str(), written[1].0.as_str()), ("r", "s"));
    assert!(written[0].1 < written[1].1);
}

/// A trusted server's file may be longer than the queue, and its ballots keep their order.
#[tokio::test]
async fn casts_of_a_trusted_server_wait_for_room_in_their_order() {
    let log = held(0);
    let options = GroupCommitOptions {
        max_waiting: 2,
        max_entry: 2,
        ..GroupCommitOptions::default()
    };
    let keys = EntryKeys::new("held").signing_with(&SecretKey::new([3; 32]).expect("long enough"));
    let sink = GroupCommit::for_trusted_server(log.clone(), options, keys.clone());
    // More than a task may begin without a break.
    let ballots: Vec<_> = (0..2_000).map(|_| ballot("p")).collect();
    let voters: Vec<_> = ballots.iter().map(|ballot| ballot.voter).collect();
    log.permits.add_permits(Semaphore::MAX_PERMITS >> 3);
    let outcomes: Vec<_> = cast_many(&sink, stream::iter(ballots), 300).collect().await;
    let told: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.expect("stored").voter)
        .collect();
    assert_eq!(told, voters, "each ballot has its outcome, in order");
    let entries = log.entries.lock().expect("sound");
    let written = entries.iter().flat_map(|entry| {
        let entry = SignedEntry::read(entry).expect("an entry");
        assert_eq!(entry.source, Source::TrustedServer);
        entry.ballots.into_iter().map(|ballot| ballot.voter)
    });
    assert_eq!(written.collect::<Vec<_>>(), voters);
}

/// Of two ballots of a voter the later one counts, also where there is room again for some of those that wait and for more.
#[tokio::test]
async fn a_cast_of_a_trusted_server_never_overtakes_one_that_was_begun_before() {
    for at_once in 1..40 {
        let log = held(0);
        let options = GroupCommitOptions {
            max_waiting: 4,
            max_entry: 4,
            ..GroupCommitOptions::default()
        };
        let sink = GroupCommit::for_trusted_server(log.clone(), options, EntryKeys::default());
        let ballots: Vec<_> = (0..200).map(|_| ballot("p")).collect();
        let voters: Vec<_> = ballots.iter().map(|ballot| ballot.voter).collect();
        let cast = cast_many(&sink, stream::iter(ballots), at_once).collect::<Vec<_>>();
        // Each write takes a while, so that others wait for room.
        let write = async {
            loop {
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                log.permits.add_permits(1);
            }
        };
        let outcomes = tokio::select! { outcomes = cast => outcomes, () = write => Vec::new() };
        assert!(outcomes.iter().all(Result::is_ok));
        let entries = log.entries.lock().expect("sound");
        let written = entries
            .iter()
            .flat_map(|entry| entry::decode(entry).expect("an entry"))
            .map(|ballot| ballot.voter);
        assert_eq!(written.collect::<Vec<_>>(), voters, "{at_once} at once");
    }
}
