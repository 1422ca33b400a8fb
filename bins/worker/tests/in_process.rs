//! The service in this process, without the program around it.

use std::{net::TcpListener, time::Duration};

use tokio_util::sync::CancellationToken;
use voting_core::{
    Poll, PollDirectory, PollState, PollStore,
    backends::postgres::{Postgres, PostgresOptions},
    model::poll_state::Seals,
    store::AuditLog,
};
use voting_service::{Config, Exit, Hidden, NotReady, StopOn, ready};
use voting_testing::{PostgresServer, RedisServer};

/// No program listens at this address.
const NOWHERE: &str = "127.0.0.1:1";

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_its_stores_and_stops_when_it_is_asked_to() {
    tokio::spawn(runs()).await.expect("it does not panic");
}

fn config(redis: &str, postgres: &str) -> Config {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let mut config = Config::default();
    config.worker.listen = free.expect("a free port");
    config.redis.url = Some(Hidden::new(redis));
    config.postgres.url = Some(Hidden::new(postgres));
    config.worker.token = Some(Hidden::new("the operator's token, 32 bytes or more"));
    config
}

/// Tables alone are not enough: a worker that is ready has stored the configured polls.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_its_polls_are_stored() {
    let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
    let url = postgres.database("voting");
    let store = Postgres::new(&url, PostgresOptions::default()).expect("an address");
    store.migrate().await.expect("migrated");
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                      $$ BEGIN RAISE 'not now'; END $$;
                  CREATE TRIGGER refuse BEFORE INSERT ON polls EXECUTE FUNCTION refuse()";
    PostgresServer::sql(&url, refuse).expect("done");

    let config = config(&redis.url(), &url);
    let address = format!("http://{}/", config.worker.listen);
    let stop = CancellationToken::new();
    let service = tokio::spawn(voting_worker::run(config, StopOn::Cancel(stop.clone())));
    let answers = async |wanted: fn(&Result<(), NotReady>) -> bool| {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let asked = address.clone();
            let asked = tokio::task::spawn_blocking(move || ready(&asked, Duration::from_secs(5)));
            let answer = asked.await.expect("asked");
            if wanted(&answer) {
                return;
            }
            let refused = match &answer {
                Ok(()) => false,
                Err(NotReady::Silent(_)) => true,
                Err(NotReady::Says(status, _)) => *status == 503,
            };
            assert!(refused, "{answer:?}");
            assert!(
                !service.is_finished() && tokio::time::Instant::now() < deadline,
                "{answer:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    answers(
        |answer| matches!(answer, Err(NotReady::Says(status, Some(why))) if *status == 503 && why.contains("polls")),
    )
    .await;
    PostgresServer::sql(&url, "DROP TRIGGER refuse ON polls").expect("done");
    answers(Result::is_ok).await;
    assert_eq!(store.polls().await.expect("polls").len(), 1);
    stop.cancel();
    let exit = service.await.expect("it does not panic");
    assert_eq!(exit.expect("it starts"), Exit::Clean);
}

/// As soon as it starts. Later it looks once an hour.
#[tokio::test(flavor = "multi_thread")]
async fn polls_that_were_kept_long_enough_are_deleted() {
    let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
    let url = postgres.database("voting");
    let store = Postgres::new(&url, PostgresOptions::default()).expect("an address");
    store.migrate().await.expect("migrated");
    for id in ["old", "young"] {
        let poll = Poll::builder(id, "Which?")
            .option("a", "A")
            .option("b", "B");
        let poll = poll.build().expect("a poll");
        store.put_poll(&poll).await.expect("stored");
        let done = PollState::Final(Seals::default());
        let there = store.advance_poll(poll.id(), &done).await;
        there.expect("stored");
    }
    let age = "UPDATE polls SET extras = jsonb_set(extras::jsonb, '{life,final_at}',
                   '\"2020-01-01T00:00:00Z\"')::text WHERE id = 'old'";
    PostgresServer::sql(&url, age).expect("done");

    let mut config = config(&redis.url(), &url);
    config.polls = Some(Vec::new());
    config.retention_days = Some(30);
    let stop = CancellationToken::new();
    let service = tokio::spawn(voting_worker::run(config, StopOn::Cancel(stop.clone())));
    let old = "old".parse().expect("an id");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !store.is_deleted(&old).await.expect("an answer") {
        assert!(!service.is_finished() && tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    let exit = service.await.expect("it does not panic");
    assert_eq!(exit.expect("it starts"), Exit::Clean);
    let left = store.polls().await.expect("polls");
    let left: Vec<_> = left.iter().map(|poll| poll.id().as_str()).collect();
    assert_eq!(left, ["young"]);
    let log = store.audit_log(0, 100).await.expect("the log");
    let last = log.last().expect("a note");
    assert_eq!(
        (last.note.by.as_str(), last.note.action.as_str()),
        ("retention", "poll.deleted")
    );
}

async fn runs() {
    let config = config(
        &format!("redis://{NOWHERE}/"),
        &format!("postgres://user@{NOWHERE}/voting"),
    );
    let url = format!("http://{}/", config.worker.listen);
    let stop = CancellationToken::new();
    let service = tokio::spawn(voting_worker::run(config, StopOn::Cancel(stop.clone())));

    let answer = loop {
        let asked = url.clone();
        let asked = tokio::task::spawn_blocking(move || ready(&asked, Duration::from_secs(5)));
        match asked.await.expect("asked") {
            Err(NotReady::Silent(_)) if !service.is_finished() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer => break answer,
        }
    };
    let Err(NotReady::Says(status, _)) = answer else {
        panic!("it cannot be ready without its store: {answer:?}");
    };
    assert_eq!(status, 503);

    stop.cancel();
    let exit = service.await.expect("it does not panic");
    // Without Redis, the worker cannot know whether it leaves ballots to other workers.
    assert_eq!(exit.expect("it starts"), Exit::Failed);
}
