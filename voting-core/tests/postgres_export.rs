//! Exports from Postgres: what is left at the server when a reader is slow or goes away.

mod support;

use std::time::{Duration, Instant};

use support::{Database, ballot, batch, connect, poll, poll_id};
use voting_core::{
    BatchFlusher, ExportStore, PollState, PollStore, StoreError, backends::postgres::Postgres,
    model::poll_state::Seals, store::export::BallotExport,
};
use voting_testing::{PgBouncer, PostgresServer};

/// More than are on their way to a reader.
const MANY: u64 = 100_000;

async fn close(store: &Postgres) {
    let done = PollState::Final(Seals::default());
    let advanced = store.advance_poll(&poll_id(), &done).await;
    advanced.expect("stored");
}

/// A final poll with many ballots.
async fn many_voted(store: &Postgres) {
    for from in (0..MANY).step_by(20_000) {
        let ballots = (from..from + 20_000).map(|number| ballot(number.into(), 1 + number % 2));
        let flushed = store.flush(&batch(from + 1, ballots)).await;
        flushed.expect("flushed");
    }
    close(store).await;
}

async fn read(mut export: BallotExport) -> Result<u64, StoreError> {
    let mut ballots = 0;
    while let Some(chunk) = export.next().await {
        ballots += chunk?.len() as u64;
    }
    Ok(ballots)
}

/// Asks until the answer is this one.
async fn until(ask: impl Fn() -> String, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask();
        if answer.trim() == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{answer} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many transactions of exports there are at the server.
const EXPORTS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name LIKE 'voting%' AND xact_start IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_transaction_and_a_slow_one_does_not() {
    let database = Database::new();
    let store = database.with_poll().await;
    many_voted(&store).await;
    let mut slow = store.export_ballots(&poll_id()).await.expect("an export");
    let first = slow.next().await.expect("a chunk").expect("a chunk").len() as u64;
    let dropped = store.export_ballots(&poll_id()).await.expect("an export");
    until(|| database.sql(EXPORTS), "2").await;
    drop(dropped);
    until(|| database.sql(EXPORTS), "1").await;
    // While nobody reads, the transaction stays alive by asking something.
    let asking = format!("{EXPORTS} AND query = 'SELECT 1'");
    until(|| database.sql(&asking), "1").await;
    assert_eq!(read(slow).await.expect("all"), MANY - first);
    until(|| database.sql(EXPORTS), "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_no_longer_waits_stops_the_sorting() {
    let database = Database::new();
    let store = database.with_poll().await;
    store
        .flush(&batch(1, [ballot(1, 1)]))
        .await
        .expect("flushed");
    close(&store).await;
    // The export waits for this lock as it would for the end of a long sort.
    let mut locker = tokio::task::JoinSet::new();
    let url = database.url.clone();
    locker.spawn_blocking(move || {
        let locked = "BEGIN; LOCK TABLE ballots; SELECT pg_sleep(60)";
        // It is ended below.
        let _ = PostgresServer::sql(&url, locked);
    });
    let locks = "SELECT count(*) FROM pg_locks WHERE relation = 'ballots'::regclass AND granted
        AND mode = 'AccessExclusiveLock'";
    until(|| database.sql(locks), "1").await;
    let asking = store.clone();
    let waiting = tokio::spawn(async move { asking.export_ballots(&poll_id()).await.map(|_| ()) });
    until(|| database.sql(EXPORTS), "1").await;
    waiting.abort();
    until(|| database.sql(EXPORTS), "0").await;
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
    );
    locker.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_works_behind_a_pooler_and_a_lost_connection_is_reported() {
    let server = PostgresServer::start();
    let url = server.database("voting");
    let pooler = PgBouncer::start(&server, "transaction");
    connect(&url).migrate().await.expect("migrated");
    let store = connect(&pooler.url("voting"));
    store.put_poll(&poll()).await.expect("stored");
    many_voted(&store).await;
    let export = store.export_ballots(&poll_id()).await.expect("an export");
    assert_eq!(read(export).await.expect("all"), MANY);
    let export = store.export_ballots(&poll_id()).await.expect("an export");
    let end = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
        WHERE datname = 'voting' AND pid <> pg_backend_pid()";
    PostgresServer::sql(&url, end).expect("done");
    assert!(read(export).await.is_err());
}
