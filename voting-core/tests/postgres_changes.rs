//! A Postgres that is started anew, takes no writes or connections any more, or is behind a pooler.

mod support;

use std::time::{Duration, Instant};

use support::{Database, ballot, batch, connect, in_words, poll, poll_id, receipt, votes};
use tokio::task::JoinSet;
use voting_core::{
    BatchFlusher, DeadLetterStore, PollDirectory, PollState, PollStore, ReceiptState, StoreError,
    TallyStore, backends::postgres::Postgres, model::position::ShardId, store::AppliedStore,
};
use voting_testing::{PgBouncer, PostgresServer};

/// Asks everything that can be asked.
async fn ask_all(store: &Postgres) -> Result<(), StoreError> {
    store.ready_to_read().await?;
    store.ready_to_flush().await?;
    assert_eq!(store.polls().await?.len(), 1);
    assert!(store.poll(&poll_id()).await?.is_some());
    assert_eq!(store.tally(&poll_id()).await?.expect("the poll").voters, 1);
    assert!(store.recount(&poll_id()).await?.expect("the poll").agrees());
    let state = store.receipt_state(&receipt(1, 1)).await?;
    assert_eq!(state, ReceiptState::Counted);
    assert_eq!(store.totals().await?.counted, 1);
    assert!(store.dead_letters(None, 9).await?.is_empty());
    assert!(store.dead_letter(support::at(1)).await?.is_none());
    store.newest_applied().await?;
    store.schema_version().await?;
    store.inspect().await?;
    store.inspect_login().await?;
    assert!(store.dead_letter_reasons().await?.is_empty());
    Ok(())
}

/// All connections of the store are used.
async fn fill(store: &Postgres) {
    let mut asked = JoinSet::new();
    for _ in 0..60 {
        let store = store.clone();
        asked.spawn(async move { store.receipt_state(&receipt(1, 1)).await });
    }
    for state in asked.join_all().await {
        assert_eq!(state.expect("an answer"), ReceiptState::Counted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_no_question_fails_for_a_connection_that_was_lost() {
    let mut server = PostgresServer::start();
    let store = connect(&server.database("voting"));
    store.migrate().await.expect("migrated");
    store.put_poll(&poll()).await.expect("stored");
    store
        .flush(&batch(1, [ballot(1, 1)]))
        .await
        .expect("flushed");
    for _ in 0..2 {
        fill(&store).await;
        server.stop();
        server.launch();
        // Each with connections of the pool that are lost.
        ask_all(&store).await.expect("asked again");
        fill(&store).await;
        server.kill();
        server.launch();
        fill(&store).await;
    }
    // A connection that is lost under a flush costs one attempt: it may have been carried out.
    server.stop();
    server.launch();
    let second = batch(2, [ballot(2, 1)]);
    if store.flush(&second).await.is_err() {
        store.flush(&second).await.expect("flushed");
    }
    assert_eq!(votes(&store, 2).await.0, [2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_ends_fails_no_question() {
    let database = Database::new();
    let store = database.with_poll().await;
    store
        .flush(&batch(1, [ballot(1, 1)]))
        .await
        .expect("flushed");
    let end = || {
        let ended = database.sql(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        assert_ne!(ended, "0");
    };
    fill(&store).await;
    end();
    ask_all(&store).await.expect("asked again");
    // Nor the first one if that is which tables there are.
    fill(&store).await;
    end();
    store.schema_version().await.expect("asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_not_ready_for_a_flush() {
    let database = Database::new();
    let store = database.with_poll().await;
    store.ready_to_flush().await.expect("ready");
    let name = &database.name;
    database.sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    let store = database.store();
    store.ready_to_read().await.expect("it can be read");
    let error = in_words(&store.ready_to_flush().await.expect_err("no writes"));
    assert!(error.contains("default_transaction_read_only"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_and_takes_a_flush_once_it_was_promoted() {
    let primary = PostgresServer::start();
    let url = primary.database("voting");
    let store = connect(&url);
    store.migrate().await.expect("migrated");
    store.put_poll(&poll()).await.expect("stored");
    store
        .flush(&batch(1, [ballot(1, 1)]))
        .await
        .expect("flushed");
    let server = primary.standby();
    let standby = connect(&server.url("voting"));
    let reads = async || {
        standby.ready_to_read().await.expect("it answers");
        assert_eq!(standby.polls().await.expect("polls").len(), 1);
        let counted = standby.recount(&poll_id()).await.expect("a recount");
        assert!(counted.expect("the poll").agrees());
        let state = standby.receipt_state(&receipt(1, 1)).await;
        assert_eq!(state.expect("a state"), ReceiptState::Counted);
        assert_eq!(standby.totals().await.expect("totals").counted, 1);
        let tally = standby.tally(&poll_id()).await.expect("a tally");
        assert_eq!(tally.expect("the poll").votes, [1, 0]);
    };
    reads().await;
    let report = standby.inspect().await.expect("a report");
    assert!(report.is_standby, "{report:?}");
    let second = batch(2, [ballot(2, 1)]);
    let error = in_words(&standby.ready_to_flush().await.expect_err("no writes"));
    assert!(error.contains("it is a standby"), "{error}");
    standby.flush(&second).await.expect_err("no writes");
    // Its tables are there, so there is nothing to do for a worker that starts.
    standby.migrate().await.expect("they are current");
    reads().await;

    PostgresServer::sql(&server.url("voting"), "SELECT pg_promote()").expect("promoted");
    standby.ready_to_flush().await.expect("it takes writes");
    standby.flush(&second).await.expect("flushed");
    assert_eq!(votes(&standby, 2).await.0, [2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_there_is_no_connection_is_known_before_readiness_gives_up() {
    let database = Database::new();
    database.with_poll().await;
    let url = database.login(Some("pg_read_all_data"));
    let login = url.split(['/', '@']).nth(2).expect("a login").to_owned();
    database.sql(&format!("ALTER ROLE {login} CONNECTION LIMIT 0"));
    let wrong = database.url.replace(&database.name, "none_such");
    for (url, reason) in [(url, "too many connections"), (wrong, "does not exist")] {
        let begun = Instant::now();
        let error = in_words(
            &connect(&url)
                .ready_to_read()
                .await
                .expect_err("no connection"),
        );
        assert!(error.contains(reason), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{begun:?}");
    }
}

/// A pooler that has not seen yet that its session is gone gives it to somebody: that costs one attempt.
async fn once_more<T>(attempt: impl AsyncFn() -> Result<T, StoreError>) {
    let is_gone = |error: &StoreError| {
        let said = in_words(error);
        let lost = [
            "terminating connection",
            "connection closed",
            "server conn crashed",
        ];
        lost.iter().any(|lost| said.contains(lost))
    };
    match attempt().await {
        Err(error) if is_gone(&error) => _ = attempt().await.expect("done"),
        done => _ = done.expect("done"),
    }
}

/// What each commit waits for is noted by triggers.
#[tokio::test(flavor = "multi_thread")]
async fn each_commit_waits_for_the_disk_also_behind_a_pooler_that_changes_sessions() {
    let server = PostgresServer::start();
    let url = server.database("voting");
    let sql = |statements: &str| PostgresServer::sql(&url, statements).expect("done");
    let pooler = PgBouncer::start(&server, "transaction");
    connect(&url).migrate().await.expect("migrated");
    sql("ALTER DATABASE voting SET synchronous_commit = off;
         CREATE TABLE noted (by text, waits text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO noted VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
             RETURN NULL; END $$;
         CREATE TRIGGER note AFTER INSERT OR UPDATE ON polls EXECUTE FUNCTION note();
         CREATE TRIGGER note AFTER INSERT OR UPDATE ON ballots EXECUTE FUNCTION note();
         CREATE TRIGGER note AFTER INSERT OR UPDATE ON applied_below EXECUTE FUNCTION note()");
    let store = connect(&pooler.url("voting"));
    store.ready_to_read().await.expect("it answers");
    // The sessions that were told end, and are gone then; the pooler makes others.
    let end = || {
        sql(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
             WHERE datname = 'voting' AND pid <> pg_backend_pid()",
        )
    };
    end();
    once_more(async || store.put_poll(&poll()).await).await;
    end();
    let mut first = batch(1, [ballot(1, 1)]);
    first
        .acknowledged_below
        .insert(ShardId(0), support::at(1).entry());
    // A statement that was prepared in another session is prepared anew.
    once_more(async || store.flush(&first).await).await;
    end();
    let closing = PollState::Closing(Default::default());
    once_more(async || store.advance_poll(&poll_id(), &closing).await).await;
    let noted = sql("SELECT DISTINCT by, waits FROM noted ORDER BY by");
    assert_eq!(noted, "applied_below|on\nballots|on\npolls|on");
    assert!(!store.keeps_sessions().await.expect("an answer"));

    let direct = connect(&url);
    assert!(direct.keeps_sessions().await.expect("an answer"));
    let report = direct.inspect().await.expect("a report");
    assert_eq!(report.synchronous_commit, "off");
    assert_eq!(report.own_synchronous_commit, "on");
    let by_session = PgBouncer::start(&server, "session");
    let by_session = connect(&by_session.url("voting"));
    assert!(by_session.keeps_sessions().await.expect("an answer"));
}
