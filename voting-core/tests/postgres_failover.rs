//! A Postgres with a standby that takes over.

mod support;

use support::{ballot, batch, connect, in_words, poll, poll_id, votes};
use voting_core::{
    BatchFlusher, DeadLetterStore, ErrorKind, PollState, PollStore, StoreError, TallyStore,
    backends::{
        postgres::{Postgres, PostgresOptions},
        tls::Authorities,
    },
    model::{
        poll::{ChangeTo, PollChange},
        poll_state::Seals,
    },
    store::AppliedStore,
};
use voting_testing::{Authority, PostgresServer, await_that};

/// A primary with tables and a poll, its standby, and a store whose address names both, the standby first.
async fn pair() -> (PostgresServer, PostgresServer, Postgres) {
    let primary = PostgresServer::start();
    let store = connect(&primary.database("voting"));
    store.migrate().await.expect("migrated");
    store.put_poll(&poll()).await.expect("stored");
    let standby = primary.standby();
    let store = connect(&standby.url_of_primary(&primary, "voting"));
    (primary, standby, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_one_that_takes_writes_is_used() {
    let (mut primary, standby, store) = pair().await;
    let first = batch(1, [ballot(1, 1)]);
    store.flush(&first).await.expect("flushed");
    store.ready_to_flush().await.expect("ready");
    let ends = [&standby, &primary].map(|server| format!("127.0.0.1:{}", server.port()));
    let endpoints = store.endpoints();
    let endpoints: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(endpoints, ends);
    assert!(!store.inspect().await.expect("a report").is_standby);
    await_that("the standby has it", || {
        PostgresServer::sql(&standby.url("voting"), "SELECT COUNT(*) FROM ballots")
            == Ok("1".to_owned())
    });

    primary.kill_at_once();
    let second = batch(2, [ballot(2, 1)]);
    let error = store.flush(&second).await.expect_err("no primary");
    assert!(error.is_retryable(), "{error}");
    let error = store.ready_to_flush().await.expect_err("no primary");
    let said = in_words(&error);
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{said}");
    for (end, why) in ends.iter().zip(["it is a standby", "refused"]) {
        assert!(said.contains(end.as_str()) && said.contains(why), "{said}");
    }
    standby.promote();
    store.ready_to_flush().await.expect("it takes writes");
    store.flush(&second).await.expect("flushed");
    assert_eq!(votes(&store, 2).await.0, [2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_standbys_alone_it_is_reported_that_they_take_no_writes() {
    let (mut primary, standby, _) = pair().await;
    let other = primary.standby();
    primary.kill_at_once();
    let store = connect(&standby.url_of_primary(&other, "voting"));
    let error = store.ready_to_flush().await.expect_err("no primary");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{}", in_words(&error));
    let (one, other) = (standby.url("voting"), format!("127.0.0.1:{}", other.port()));
    let any = one.replacen("/voting", &format!(",{other}/voting"), 1);
    connect(&any).ready_to_read().await.expect("they are read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_server_that_takes_no_writes_any_more_is_left() {
    let primary = PostgresServer::start();
    let store = connect(&primary.database("voting"));
    store.migrate().await.expect("migrated");
    store.put_poll(&poll()).await.expect("stored");
    let set = |on: &str| primary.set("default_transaction_read_only", on);
    set("on");
    let one = batch(1, [ballot(1, 1)]);
    await_that("the server has read it", || {
        let ask = "SHOW default_transaction_read_only";
        PostgresServer::sql(&primary.url("voting"), ask) == Ok("on".to_owned())
    });
    let error = store.flush(&one).await.expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{}", in_words(&error));
    assert_eq!(store.dead_letters(None, 9).await.expect("none"), []);
    let error = store.ready_to_flush().await.expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{}", in_words(&error));
    set("off");
    await_that("the server has read it", || {
        let ask = "SHOW default_transaction_read_only";
        PostgresServer::sql(&primary.url("voting"), ask) == Ok("off".to_owned())
    });
    store.flush(&one).await.expect("flushed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_in_another_life_than_the_one_that_was_checked() {
    let (mut primary, standby, store) = pair().await;
    let life = store.applied().await.expect("marks").life;
    assert!(life.is_some());
    let again = store.applied().await.expect("marks").life;
    assert_eq!(life, again, "it is the same while nothing happens");
    let life = life.as_ref();
    let first = batch(1, [ballot(1, 1)]);
    store.flush_in(&first, life).await.expect("flushed");

    primary.kill_at_once();
    standby.promote();
    store.ready_to_flush().await.expect("ready");
    let second = batch(2, [ballot(2, 1)]);
    let over = |error: StoreError| {
        let said = in_words(&error);
        assert!(said.contains("a standby has taken over"), "{said}");
        assert!(error.is_retryable());
    };
    over(store.flush_in(&second, life).await.expect_err("over"));
    let done = ChangeTo::State(PollState::Final(Seals::default()));
    let done = PollChange::new(poll_id(), done);
    over(
        store
            .change_poll_in(&done, "test", life)
            .await
            .expect_err("over"),
    );
    assert_eq!(store.totals().await.expect("totals").counted, 1);
    let now = store.applied().await.expect("marks").life;
    assert!(now.is_some() && now.as_ref() != life);
    store
        .flush_in(&second, now.as_ref())
        .await
        .expect("flushed");

    // A backup that is restored, in the same server.
    let url = standby.url("voting");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    PostgresServer::backup(&url, &file);
    standby.restore_voting(&file);
    store.ready_to_flush().await.expect("ready");
    let third = batch(3, [ballot(3, 1)]);
    over(
        store
            .flush_in(&third, now.as_ref())
            .await
            .expect_err("over"),
    );
    store.flush_in(&third, None).await.expect("flushed");
    assert_eq!(votes(&store, 3).await.0, [3, 0]);
}

/// How a call ends when an operator cancels its commit while it waits for the standby.
async fn not_confirmed<T: std::fmt::Debug>(
    url: &str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> StoreError {
    let url = url.to_owned();
    let cancel = tokio::task::spawn_blocking(move || {
        let cancel =
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        await_that("a commit waits", || {
            PostgresServer::sql(&url, cancel) == Ok("t".to_owned())
        });
    });
    let (called, cancelled) = tokio::join!(call, cancel);
    cancelled.expect("cancelled");
    let error = called.expect_err("not confirmed");
    let said = in_words(&error);
    assert!(said.contains("standby has not confirmed"), "{said}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_the_synchronous_standby_has_not_confirmed_has_failed() {
    let (primary, mut standby, _) = pair().await;
    primary.wait_for_standby();
    let url = primary.url("voting");
    let store = connect(&url);
    let first = batch(1, [ballot(1, 1)]);
    store.flush(&first).await.expect("the standby confirms it");
    standby.stop();
    // Postgres says that all is well, with a warning. So it does again when nothing is left to be written.
    let second = batch(2, [ballot(2, 1)]);
    for _ in 0..2 {
        let error = not_confirmed(&url, store.flush(&second)).await;
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    let close = PollState::Closing(Seals::default());
    not_confirmed(&url, store.advance_poll(&poll_id(), &close)).await;
    standby.launch();
    await_that("it follows again", || {
        let ask = "SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        PostgresServer::sql(&url, ask) == Ok("1".to_owned())
    });
    let report = store.flush(&second).await.expect("confirmed").report;
    assert_eq!((report.counted, report.already_applied), (0, 1));
    assert_eq!(votes(&store, 2).await.0, [2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_encrypted_servers_is_verified_by_its_own_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let impostor = PostgresServer::start_encrypted(&other);
    let server = PostgresServer::start_encrypted(&authority);
    server.database("voting");
    impostor.database("voting");
    let options = |authority: &Authority| PostgresOptions {
        ca: Some(Authorities::from_pem(authority.pem().as_bytes()).expect("a certificate")),
        ..PostgresOptions::default()
    };
    let url = impostor.url_of_primary(&server, "voting");
    let store = Postgres::new(&url, options(&authority)).expect("an address");
    store
        .migrate()
        .await
        .expect("the one that is verified is used");
    assert_eq!(store.certificates().await.len(), 2);
    let url = url.replace("localhost", "127.0.0.1");
    let store = Postgres::new(&url, options(&authority)).expect("an address");
    let said = in_words(&store.migrate().await.expect_err("neither is verified"));
    for why in ["UnknownIssuer", "not valid for name"] {
        assert!(said.contains(why), "{said}");
    }
    assert!(!said.contains("pass"), "{said}");
}
