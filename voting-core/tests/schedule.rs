//! Polls that open and close by themselves, drafts, and polls in which the first vote counts, as an application sees
//! them.

use std::time::Duration;

use voting_core::{
    backends::{
        memory::Memory,
        postgres::{Postgres, PostgresOptions},
        redis::{Redis, RedisOptions},
        sqlite::{Sqlite, SqliteOptions},
    },
    model::{
        moment::Moment,
        poll::{ChangeRefusal, Phase, PollChange, PollSettings},
    },
    pipeline::schedule,
    prelude::*,
};
use voting_testing::{PostgresServer, RedisServer};

const STOP: Duration = Duration::from_secs(10);

fn poll(set: impl FnOnce(&mut PollSettings)) -> Poll {
    let mut settings = PollSettings::default();
    set(&mut settings);
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee");
    poll.settings(settings).build().expect("a poll")
}

fn soon(by: Duration) -> Option<Moment> {
    Some(Moment::now().plus(by))
}

async fn put(voting: &Voting, poll: Poll) -> Result<Poll, StoreError> {
    let changed = voting.change_poll(&PollChange::put(poll), "host").await;
    changed.map(|poll| poll.expect("the poll"))
}

/// Votes without a pause until the poll has closed by itself; all acknowledged ballots count, and each came in time.
async fn opens_and_closes_by_itself(voting: &Voting) {
    let begun = Moment::now();
    // It is stored before it opens, also on a slow machine.
    let (opens_at, closes_at) = (
        begun.plus(Duration::from_millis(1_500)),
        begun.plus(Duration::from_secs(4)),
    );
    let scheduled = poll(|settings| {
        (settings.opens_at, settings.closes_at) = (Some(opens_at), Some(closes_at))
    });
    let scheduled = put(voting, scheduled).await.expect("stored");
    assert_eq!(scheduled.phase(begun), Phase::Scheduled);
    let mut receipts = Vec::new();
    loop {
        match voting.cast("drinks", VoterId::issue(), ["tea"]).await {
            Ok(receipt) => receipts.push(receipt),
            Err(VotingError::Cast(CastError::NotOpen(_) | CastError::TimesUnknown(_))) => {
                assert!(receipts.is_empty(), "it was open before");
            }
            Err(VotingError::Cast(CastError::Closed(_))) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    let tally = tokio::time::timeout(STOP, voting.final_tally("drinks")).await;
    let tally = tally.expect("it becomes final").expect("a tally");
    assert!(!receipts.is_empty());
    assert_eq!(tally.voters, receipts.len() as u64);
    for receipt in receipts {
        let at_ms = receipt.position.ms();
        assert!(scheduled.settings().takes(at_ms), "a ballot at {at_ms}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_in_memory_opens_and_closes_by_itself() {
    let voting = Voting::embedded(Memory::default()).start().await;
    opens_and_closes_by_itself(&voting.expect("started")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_in_a_file_opens_and_closes_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = Sqlite::open(folder.path().join("votes.db"), SqliteOptions::default());
    let voting = Voting::embedded(file.expect("opened")).start().await;
    opens_and_closes_by_itself(&voting.expect("started")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_in_redis_and_postgres_opens_and_closes_by_itself() {
    let (redis, postgres) = (RedisServer::start(), PostgresServer::start());
    let redis = Redis::new(&redis.url(), RedisOptions::default()).expect("an address");
    let address = postgres.database("voting");
    let postgres = Postgres::new(&address, PostgresOptions::default()).expect("an address");
    postgres.migrate().await.expect("migrated");
    let voting = Voting::over(redis, postgres).start().await;
    opens_and_closes_by_itself(&voting.expect("started")).await;
}

#[tokio::test]
async fn a_closing_moves_while_it_is_far_away_and_else_stays() {
    let voting = Voting::embedded(Memory::default()).start().await;
    let voting = voting.expect("started");
    let closing = |seconds| {
        let at = soon(Duration::from_secs(seconds));
        poll(|settings| settings.closes_at = at)
    };
    put(&voting, closing(60)).await.expect("stored");
    let later = closing(120);
    let moved = put(&voting, later.clone()).await.expect("moved");
    assert_eq!(moved.settings(), later.settings());
    let refused = put(&voting, closing(5)).await;
    let is_too_near = matches!(
        refused,
        Err(StoreError::ChangeRefused(_, ChangeRefusal::Times))
    );
    assert!(is_too_near, "{refused:?}");
    let kept = voting.store().poll(later.id()).await.expect("an answer");
    let kept = kept.expect("the poll");
    assert_eq!(kept.settings(), later.settings());
    assert_eq!(kept.pending_window(), None);
    // Under its new number the log has the old time, and takes ballots.
    voting
        .cast("drinks", VoterId::issue(), ["tea"])
        .await
        .expect("cast");
}

#[tokio::test]
async fn a_change_whose_process_ended_is_carried_on_by_another_one() {
    let memory = Memory::default();
    let id = poll(|_| ()).id().clone();
    let at = soon(Duration::from_secs(60));
    for new in [poll(|_| ()), poll(|settings| settings.closes_at = at)] {
        let changed = memory.change_poll(&PollChange::put(new), "host").await;
        changed.expect("stored");
    }
    let stored = async || {
        memory
            .poll(&id)
            .await
            .expect("an answer")
            .expect("the poll")
    };
    assert!(stored().await.pending_window().is_some());
    schedule::round(&memory, &memory).await.expect("a round");
    let settled = stored().await;
    assert_eq!(
        (settled.pending_window(), settled.settings().closes_at),
        (None, at)
    );
}

#[tokio::test]
async fn nobody_votes_in_a_draft() {
    let voting = Voting::embedded(Memory::default()).start().await;
    let voting = voting.expect("started");
    put(&voting, poll(|_| ()).as_draft()).await.expect("stored");
    let refused = voting.cast("drinks", VoterId::issue(), ["tea"]).await;
    assert!(
        matches!(refused, Err(VotingError::UnknownPoll(_))),
        "{refused:?}"
    );
    put(&voting, poll(|_| ())).await.expect("published");
    voting
        .cast("drinks", VoterId::issue(), ["tea"])
        .await
        .expect("cast");
}

#[tokio::test]
async fn the_first_vote_counts_where_nobody_may_vote_again() {
    let voting = Voting::embedded(Memory::default()).start().await;
    let voting = voting.expect("started");
    put(&voting, poll(|settings| settings.revote = false))
        .await
        .expect("stored");
    let voter = VoterId::issue();
    let mut receipts = Vec::new();
    for choice in ["tea", "coffee", "coffee"] {
        let cast = voting.cast("drinks", voter, [choice]).await;
        receipts.push(cast.expect("cast"));
        voting.counted().await.expect("counted");
    }
    assert_eq!(voting.tally("drinks").await.expect("a tally").votes, [1, 0]);
    let state = async |index: usize| {
        voting
            .receipt_state(&receipts[index])
            .await
            .expect("a state")
    };
    assert_eq!(state(0).await, ReceiptState::Counted);
    assert_eq!(state(2).await, ReceiptState::Superseded);
}
