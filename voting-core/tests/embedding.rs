//! What an application that embeds the pipeline relies on: the facade, a rule and a hook of its own, and entries that
//! are signed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use voting_core::{
    BallotLog, ErrorKind, GroupCommit, GroupCommitOptions, Worker,
    backends::{
        memory::{Memory, MemoryOptions},
        postgres::{Postgres, PostgresOptions},
        redis::{Redis, RedisOptions},
        sqlite::{Sqlite, SqliteOptions},
    },
    log::{entry::NewEntry, entry_keys::EntryKeys},
    model::{position::ShardId, rejection::RejectReason},
    pipeline::{
        replay::{self, Revived},
        rule::{BallotRule, Refusal},
    },
    prelude::*,
    store::{DeadLetterStore, outcome::Flushed},
};
use voting_testing::{PostgresServer, RedisServer};

const STOP: Duration = Duration::from_secs(10);

fn drinks() -> Poll {
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee");
    poll.build().expect("a poll")
}

/// A voter changes their mind, another does not; the poll is closed, and is final.
async fn a_vote_from_its_start_to_its_end(voting: &Voting) {
    voting.put_poll(&drinks()).await.expect("stored");
    let fickle = VoterId::issue();
    let first = voting.cast("drinks", fickle, ["tea"]).await;
    let first = first.expect("cast");
    for (voter, choice) in [(fickle, "coffee"), (VoterId::issue(), "tea")] {
        voting.cast("drinks", voter, [choice]).await.expect("cast");
    }
    voting.counted().await.expect("counted");
    let tally = voting.tally("drinks").await.expect("a tally");
    assert_eq!((tally.voters, tally.votes), (2, vec![1, 1]));
    let state = voting.receipt_state(&first).await.expect("a state");
    assert_eq!(state, ReceiptState::Superseded);
    voting.close_poll("drinks").await.expect("closing");
    let tally = tokio::time::timeout(STOP, voting.final_tally("drinks")).await;
    let tally = tally.expect("it becomes final").expect("a tally");
    assert_eq!((tally.voters, tally.votes), (2, vec![1, 1]));
    let late = voting.cast("drinks", VoterId::issue(), ["tea"]).await;
    assert!(
        matches!(late, Err(VotingError::Cast(CastError::Closed(_)))),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_embedded_system_votes_from_start_to_end() {
    let voting = Voting::embedded(Memory::default())
        .start()
        .await
        .expect("started");
    a_vote_from_its_start_to_its_end(&voting).await;
    voting.shutdown(STOP).await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_opened_again_has_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Sqlite::open(folder.path().join("votes.db"), SqliteOptions::default());
    let voting = Voting::embedded(open().expect("opened"))
        .start()
        .await
        .expect("started");
    a_vote_from_its_start_to_its_end(&voting).await;
    voting.shutdown(STOP).await.expect("stopped");
    drop(voting);
    let voting = Voting::embedded(open().expect("opened again"))
        .start()
        .await
        .expect("started");
    assert_eq!(voting.tally("drinks").await.expect("a tally").voters, 2);
    voting.shutdown(STOP).await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_runs_over_redis_and_postgres() {
    let (redis, postgres) = (RedisServer::start(), PostgresServer::start());
    let log = Redis::new(&redis.url(), RedisOptions::default()).expect("an address");
    let store = Postgres::new(&postgres.database("voting"), PostgresOptions::default());
    let store = store.expect("an address");
    store.migrate().await.expect("tables");
    let voting = Voting::over(log.clone(), store)
        .start()
        .await
        .expect("started");
    a_vote_from_its_start_to_its_end(&voting).await;
    // A vote service in another process sees the poll.
    let published = log
        .poll(&"drinks".parse().expect("an id"))
        .await
        .expect("polls");
    assert!(published.expect("published").state().is_final());
    voting.shutdown(STOP).await.expect("stopped");
}

#[tokio::test]
async fn what_is_wrong_with_a_vote_is_reported_by_its_kind() {
    let voting = Voting::embedded(Memory::default())
        .start()
        .await
        .expect("started");
    voting.put_poll(&drinks()).await.expect("stored");
    let voter = VoterId::issue();
    for unknown in ["lunch", "No id!", ""] {
        let cast = voting.cast(unknown, voter, ["tea"]).await;
        assert!(matches!(cast, Err(VotingError::UnknownPoll(_))), "{cast:?}");
    }
    let cast = voting.cast("drinks", voter, ["milk"]).await;
    assert!(matches!(cast, Err(VotingError::Choice(_))), "{cast:?}");
    voting.shutdown(STOP).await.expect("stopped");
}

/// Only voters of the guest list. Once it cannot be asked.
struct GuestList {
    guests: Vec<VoterId>,
    asked: AtomicU32,
}

#[async_trait]
impl BallotRule for GuestList {
    async fn check(&self, ballot: &Ballot, _: &Poll) -> Result<Result<(), Refusal>, StoreError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(StoreError::of_kind(
                ErrorKind::Unreachable,
                "the list is away",
            ));
        }
        if self.guests.contains(&ballot.voter) {
            return Ok(Ok(()));
        }
        Ok(Err(Refusal::new("not-a-guest", "not on the guest list")))
    }
}

#[tokio::test]
async fn a_rule_of_the_applications_own_decides_in_the_worker_too() {
    let (guest, stranger) = (VoterId::issue(), VoterId::issue());
    let memory = Memory::default();
    let rule = || GuestList {
        guests: vec![guest],
        asked: AtomicU32::new(0),
    };
    let voting = Voting::embedded(memory.clone()).validate(rule());
    let voting = voting.start().await.expect("started");
    voting.put_poll(&drinks()).await.expect("stored");
    let away = voting.cast("drinks", guest, ["tea"]).await;
    assert!(matches!(away, Err(VotingError::Store(_))), "{away:?}");
    let refused = voting.cast("drinks", stranger, ["tea"]).await;
    let Err(VotingError::NotEligible(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.reason(), "not-a-guest");
    // Past the facade, as whoever writes to the log can.
    for voter in [stranger, guest] {
        let poll = drinks();
        let choices = poll.choose(["tea"]).expect("a choice");
        let poll = poll.id().clone();
        voting
            .sink()
            .cast(Ballot {
                poll,
                voter,
                choices,
                rules: None,
            })
            .await
            .expect("cast");
    }
    voting.counted().await.expect("counted");
    assert_eq!(voting.tally("drinks").await.expect("a tally").voters, 1);
    let letters = memory.dead_letters(None, 10).await.expect("letters");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, RejectReason::NotEligible);
    assert!(
        letters[0]
            .detail
            .starts_with("not-a-guest: not on the guest list")
    );
    // To replay it does not get around the rule.
    let rule = voting.worker().rule().expect("the rule").as_ref();
    let at = letters[0].position;
    let revived = replay::revive(&memory, &memory, &memory, Some(rule), at).await;
    let revived = revived.expect("an answer");
    assert!(matches!(
        revived,
        Revived::Rejected(RejectReason::NotEligible, _)
    ));
    assert_eq!(voting.tally("drinks").await.expect("a tally").voters, 1);
    voting.shutdown(STOP).await.expect("stopped");
}

#[tokio::test]
async fn a_hook_is_reported_by_how_much_each_tally_moved() {
    /// A poll, its new voters, and how the votes of its options moved.
    type Move = (String, u64, Vec<(usize, i64)>);
    let told: Arc<Mutex<Vec<Move>>> = Arc::default();
    let hears = Arc::clone(&told);
    let hook = move |flushed: &Flushed| {
        let mut told = hears.lock().expect("sound");
        for (poll, delta) in &flushed.tallies {
            told.push((poll.to_string(), delta.voters, delta.votes().collect()));
        }
    };
    let voting = Voting::embedded(Memory::default()).after_flush(hook);
    let voting = voting.start().await.expect("started");
    voting.put_poll(&drinks()).await.expect("stored");
    let voter = VoterId::issue();
    for choice in ["tea", "coffee"] {
        voting.cast("drinks", voter, [choice]).await.expect("cast");
        voting.counted().await.expect("counted");
    }
    voting.shutdown(STOP).await.expect("stopped");
    let told = told.lock().expect("sound").clone();
    let drinks = "drinks".to_owned();
    let expected = [
        (drinks.clone(), 1, vec![(0, 1)]),
        (drinks, 0, vec![(0, -1), (1, 1)]),
    ];
    assert_eq!(told, expected);
}

/// A signed entry with one ballot for the first option in the poll `drinks`.
fn signed(key: &SecretKey, voter: VoterId) -> NewEntry {
    let mut payload = vec![2, EntryKeys::id_of(key), 0];
    payload.extend(u64::MAX.to_be_bytes());
    payload.extend([1, 6]);
    payload.extend(b"drinks");
    payload.extend([0, 0, 1, 0]);
    payload.extend(voter.to_bytes());
    payload.push(1);
    let mut message = vec![0, 5];
    message.extend(b"house");
    message.extend([0, 0]);
    message.extend(&payload);
    payload.extend(key.derive("entries 2").tag(&message));
    NewEntry {
        payload,
        ballots: 1,
        polls: vec!["drinks".parse::<PollId>().expect("an id").into()],
        traces: Vec::new(),
        deadline_ms: None,
    }
}

#[tokio::test]
async fn a_signed_entry_waits_in_the_log_until_a_worker_has_its_key() {
    let memory = Memory::new(MemoryOptions {
        claim_timeout: Duration::from_millis(200),
        ..MemoryOptions::default()
    });
    let all = Arc::new(memory.clone());
    memory.put_poll(&drinks()).await.expect("stored");
    let key = SecretKey::new([9; 32]).expect("a secret");
    let voter = VoterId::issue();
    memory
        .append(ShardId(0), signed(&key, voter))
        .await
        .expect("appended");

    let options = WorkerOptions::default();
    let worker = Worker::new(Arc::new(memory.queue()), all.clone(), all.clone(), options).start();
    let mut progress = worker.progress().clone();
    let trouble = progress
        .wait_for(|progress| progress.trouble.is_some())
        .await;
    let trouble = trouble.expect("a worker").trouble.clone();
    assert_eq!(
        trouble.as_deref(),
        Some("an entry is signed under key 140, which this process does not have")
    );
    // What comes after it is counted all the same.
    let poll = drinks();
    let ballot = Ballot {
        poll: poll.id().clone(),
        voter: VoterId::issue(),
        choices: poll.choose(["coffee"]).expect("a choice"),
        rules: None,
    };
    memory.sink().cast(ballot).await.expect("cast");
    let counted = async |votes: [u64; 2]| {
        while memory
            .tally(poll.id())
            .await
            .expect("a tally")
            .expect("a poll")
            .votes
            != votes
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(STOP, counted([0, 1]))
        .await
        .expect("counted");
    worker.stop().await;
    assert_eq!(memory.dead_letters(None, 10).await.expect("letters"), []);

    let keys = EntryKeys::new("house");
    let keys = keys.with_secret(&key).expect("one key");
    let worker = Worker::new(Arc::new(memory.queue()), all.clone(), all, options);
    let worker = worker.with_entry_keys(keys).start();
    tokio::time::timeout(STOP, counted([1, 1]))
        .await
        .expect("counted");
    assert_eq!(worker.progress().borrow().trouble, None);
    worker.stop().await;
}

#[tokio::test]
async fn entries_that_are_not_signed_are_set_aside_from_the_moment_on_that_a_worker_first_did_so() {
    let memory = Memory::new(MemoryOptions {
        shards: 2,
        ..MemoryOptions::default()
    });
    let all = Arc::new(memory.clone());
    memory.put_poll(&drinks()).await.expect("stored");
    let poll = drinks();
    let ballot = |option: &str| Ballot {
        poll: poll.id().clone(),
        voter: VoterId::issue(),
        choices: poll.choose([option]).expect("a choice"),
        rules: None,
    };
    memory.sink().cast(ballot("tea")).await.expect("cast");
    let key = SecretKey::new([9; 32]).expect("a secret");
    let keys = EntryKeys::new("house").signing_with(&key);
    let start = || {
        let queue = Arc::new(memory.queue());
        Worker::new(queue, all.clone(), all.clone(), WorkerOptions::default())
            .with_entry_keys(keys.clone())
            .refusing_unsigned(all.clone(), all.clone())
            .start()
    };
    let settled = async || {
        while memory.queue().stats().await.expect("stats").pending > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let tally = memory.tally(poll.id()).await.expect("a tally");
        tally.expect("a poll").votes
    };
    let worker = start();
    assert_eq!(settled().await, [1, 0], "it was there before");
    // In both shards.
    for _ in 0..16 {
        memory.sink().cast(ballot("coffee")).await.expect("cast");
    }
    assert_eq!(settled().await, [1, 0]);
    let letters = memory.dead_letters(None, 100).await.expect("letters");
    assert_eq!(letters.len(), 16);
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == RejectReason::Unauthenticated)
    );
    worker.stop().await;
    let worker = start();
    memory.sink().cast(ballot("coffee")).await.expect("cast");
    let options = GroupCommitOptions::default();
    let signing = GroupCommit::signing(all.clone(), options, keys.clone());
    signing.cast(ballot("coffee")).await.expect("cast");
    assert_eq!(
        settled().await,
        [1, 1],
        "the moment stays, and a key counts"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_cast_says_why_the_log_did_not_take_it() {
    // Nobody listens there.
    let redis = Redis::new("redis://127.0.0.1:1/", RedisOptions::default()).expect("an address");
    let poll = drinks();
    let ballot = Ballot {
        poll: poll.id().clone(),
        voter: VoterId::issue(),
        choices: poll.choose(["tea"]).expect("a choice"),
        rules: None,
    };
    let error = redis
        .sink()
        .cast(ballot)
        .await
        .expect_err("nobody is there");
    assert_eq!(error.kind(), Some(ErrorKind::Unreachable), "{error:?}");
    assert!(!error.may_count());
}
