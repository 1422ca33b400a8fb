//! Migrations, and the roles that services log in with.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use support::{
    Database, at, ballot, batch, connect, in_words, poll, poll_id, poll_named, receipt, votes,
};
use voting_core::{
    BatchFlusher, DeadLetterStore, PollDirectory, PollState, PollStore, ReceiptState, StoreError,
    TallyStore,
    backends::postgres::{Migrated, Postgres, PostgresOptions, Roles},
    model::{
        poll::{ChangeTo, PollChange},
        poll_state::Seals,
        position::ShardId,
        rejection::RejectReason,
    },
    store::{AppliedStore, AuditLog, dead_letter::DeadLetter},
};
use voting_testing::PostgresServer;

fn current() -> u32 {
    Postgres::wanted_schema_version()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_migrate_at_once_one_does_it() {
    let database = Database::new();
    assert_eq!(
        database.store().schema_version().await.expect("a version"),
        0
    );
    let migrations: Vec<_> = (0..12)
        .map(|_| {
            let store = database.store();
            tokio::spawn(async move { store.migrate().await.expect("migrated") })
        })
        .collect();
    let mut from_nothing = 0;
    for migration in migrations {
        let Migrated { from, to } = migration.await.expect("no panic");
        assert_eq!(to, current());
        assert!(from == 0 || from == to);
        from_nothing += u32::from(from == 0);
    }
    assert_eq!(from_nothing, 1);
    let store = database.store();
    assert_eq!(store.schema_version().await.expect("a version"), current());
    store.ready_to_read().await.expect("usable");
}

fn says(answer: Result<impl std::fmt::Debug, StoreError>, what: &str) {
    let error = in_words(&answer.expect_err("refused"));
    assert!(error.contains(what), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_change_tables_needs_current_ones() {
    let database = Database::new();
    let owner = database.store();
    // Roles are not made before there are tables.
    says(owner.grant(&Roles::default()).await, "version 0");
    let early = connect(&database.login(None));
    for _ in 0..2 {
        says(early.migrate().await, "run `voting migrate`");
        says(early.ready_to_read().await, "version 0");
        says(early.flush(&batch(1, [])).await, "run `voting migrate`");
    }
    owner.migrate().await.expect("migrated");
    owner.grant(&Roles::default()).await.expect("granted");
    let worker = connect(&database.login(Some("voting_worker")));
    let (from, to) = (current(), current());
    assert_eq!(
        worker.migrate().await.expect("nothing to do"),
        Migrated { from, to }
    );
    worker.ready_to_read().await.expect("usable");
    let result = connect(&database.login(Some("voting_result")));
    result.ready_to_read().await.expect("usable");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_version_are_not_touched() {
    let database = Database::new();
    let store = database.with_poll().await;
    let newest = current();
    let history = "refinery_schema_history";
    database.sql(&format!(
        "INSERT INTO {history} SELECT {newest} + 1, 'later', applied_on, checksum FROM {history}
         WHERE version = {newest}"
    ));
    // Whoever runs goes on, whoever starts does not.
    store.ready_to_read().await.expect("usable");
    for _ in 0..2 {
        let late = database.store();
        says(late.migrate().await, "use a newer version of the program");
        says(
            late.ready_to_read().await,
            &format!("version {}", newest + 1),
        );
        says(late.flush(&batch(1, [ballot(1, 1)])).await, "newer version");
    }
    database.sql(&format!(
        "DELETE FROM {history} WHERE version > {newest};
         UPDATE {history} SET checksum = '1' WHERE version = 1"
    ));
    says(
        database.store().ready_to_read().await,
        "made by other statements",
    );
}

fn locks(database: &Database) -> String {
    database.sql(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
         WHERE locktype = 'advisory' AND datname = current_database()",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_leaves_no_tables_and_no_lock() {
    let database = Database::new();
    database.sql("CREATE TABLE ballots (mine integer)");
    let store = database.store();
    says(store.migrate().await, "already exists");
    assert_eq!(locks(&database), "0");
    assert_eq!(store.schema_version().await.expect("a version"), 0);
    let tables = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables
                  WHERE schemaname = 'public'";
    assert_eq!(database.sql(tables), "ballots refinery_schema_history");
    database.sql("DROP TABLE ballots");
    database.store().migrate().await.expect("migrated");
    assert_eq!(locks(&database), "0");
    store.ready_to_read().await.expect("usable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_not_waited_for_for_ever_and_is_gone_with_its_process() {
    let database = Database::new();
    let mut psql = PostgresServer::psql(&database.url);
    let holder = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut holder = holder.expect("psql is there");
    let mut input = holder.stdin.take().expect("its input");
    let hold = "SELECT 'held' FROM pg_advisory_lock(x'766f74696e67'::bigint);\n";
    input.write_all(hold.as_bytes()).expect("written");
    let mut said = String::new();
    let mut output = BufReader::new(holder.stdout.take().expect("its output"));
    output.read_line(&mut said).expect("a line");
    assert_eq!(said, "held\n");
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(300),
        ..PostgresOptions::default()
    };
    let hasty = Postgres::new(&database.url, options).expect("an address");
    says(hasty.migrate().await, "lock timeout");
    let patient = database.store();
    let waiting = tokio::spawn(async move { patient.migrate().await });
    holder.kill().expect("killed");
    holder.wait().expect("gone");
    waiting.await.expect("no panic").expect("migrated");
    hasty.migrate().await.expect("nothing to do");
}

/// Statements that these logins are refused, each for want of a right.
fn is_refused(url: &str, statements: impl IntoIterator<Item = String>) {
    for statement in statements {
        let error = PostgresServer::sql(url, &statement).expect_err(&statement);
        let refused = error.contains("permission denied") || error.contains("must be owner");
        assert!(refused, "{statement}: {error}");
    }
}

const TABLES: [&str; 22] = [
    "refinery_schema_history",
    "polls",
    "ballots",
    "tallies",
    "turnouts",
    "superseded",
    "dead_letters",
    "applied",
    "applied_below",
    "deleted_polls",
    "ballots_without_voters",
    "new_voters",
    "vote_history",
    "audit_log",
    "events",
    "webhooks",
    "deliveries",
    "event_numbers",
    "event_marks",
    "tokens",
    "host_sessions",
    "upgrades",
];

/// What no service may do.
fn of_the_owner() -> impl Iterator<Item = String> {
    let once = [
        "CREATE TABLE mine ()",
        "CREATE TEMPORARY TABLE mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE INDEX ON ballots (ms)",
        "SET ROLE postgres",
        "DELETE FROM ballots",
        "DELETE FROM polls",
        "DELETE FROM tallies",
        "DELETE FROM turnouts",
        "DELETE FROM superseded",
        "DELETE FROM applied_below",
        "DELETE FROM refinery_schema_history",
        "UPDATE dead_letters SET reason = ''",
        "UPDATE applied SET ms = 0",
        "UPDATE audit_log SET by = 'somebody else'",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log (by, action, at) VALUES ('a', 'b', '2020-01-01')",
        "INSERT INTO audit_log (number, by, action) OVERRIDING SYSTEM VALUE VALUES (1, 'a', 'b')",
        "UPDATE tokens SET role = 'operator'",
        "UPDATE host_sessions SET role = 'operator'",
        "UPDATE upgrades SET finished = 99",
        "INSERT INTO deleted_polls (id, state, voters) VALUES ('drinks', '', 0)",
        "UPDATE deleted_polls SET voters = 0",
        "DELETE FROM deleted_polls",
        "CREATE OR REPLACE FUNCTION delete_poll(text) RETURNS void LANGUAGE sql AS ''",
        "INSERT INTO ballots_without_voters VALUES (1, 1, 1)",
        "UPDATE ballots_without_voters SET ballots = 9",
        "DELETE FROM ballots_without_voters",
        "CREATE OR REPLACE FUNCTION forget_voters(text) RETURNS void LANGUAGE sql AS ''",
        "INSERT INTO refinery_schema_history VALUES (99, '', '', '')",
        "UPDATE refinery_schema_history SET version = 0",
    ];
    let once = once.into_iter().map(str::to_owned);
    once.chain(TABLES.into_iter().flat_map(|table| {
        [
            format!("ALTER TABLE {table} ADD COLUMN mine integer"),
            format!("DROP TABLE {table}"),
            format!("TRUNCATE {table} CASCADE"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
        ]
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_role_is_enough_for_the_worker_and_for_nothing_else() {
    let database = Database::new();
    let owner = database.store();
    owner.migrate().await.expect("migrated");
    owner.grant(&Roles::default()).await.expect("granted");
    let url = database.login(Some("voting_worker"));
    let worker = connect(&url);
    worker.migrate().await.expect("nothing to do");
    worker.put_poll(&poll()).await.expect("stored");
    worker.put_poll(&poll()).await.expect("stored again");
    let mut first = batch(1, (1..=5).map(|voter| ballot(voter, 0b01)));
    first.dead_letters.push(DeadLetter {
        position: at(9),
        reason: RejectReason::Malformed,
        detail: "unreadable".to_owned(),
        payload: vec![1],
        ballots: 1,
    });
    first.entries.push(((ShardId(0), at(9).entry()), 0));
    worker.flush(&first).await.expect("flushed");
    worker.flush(&first).await.expect("flushed again");
    let mut second = batch(11, (4..=8).map(|voter| ballot(voter, 0b10)));
    second.acknowledged_below.insert(ShardId(0), at(11).entry());
    worker.flush(&second).await.expect("flushed");
    assert_eq!(database.sql("SELECT count(*) FROM applied"), "5", "folded");
    assert_eq!(votes(&worker, 11).await.0, [3, 5]);
    assert_eq!(
        worker.newest_applied().await.expect("an id"),
        at(15).entry()
    );
    assert_eq!(worker.dead_letters(None, 9).await.expect("one").len(), 1);
    // One that is refused, with all that this takes.
    database.sql("ALTER TABLE ballots ADD CHECK (ms <> 23)");
    let third = batch(21, (10..=14).map(|voter| ballot(voter, 0b10)));
    worker.flush(&third).await.expect("flushed");
    assert_eq!(votes(&worker, 16).await.0, [3, 9]);
    is_refused(&url, of_the_owner());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_deletes_polls_and_only_those_that_are_final_or_drafts() {
    let database = Database::new();
    let owner = database.with_poll().await;
    owner.grant(&Roles::default()).await.expect("granted");
    let url = database.login(Some("voting_worker"));
    let worker = connect(&url);
    let votes = batch(1, (1..=5).map(|voter| ballot(voter, 0b01)));
    worker.flush(&votes).await.expect("flushed");
    // The function has the owner's rights, so it looks for itself.
    for state in [PollState::Open, PollState::Closing(Seals::default())] {
        let there = worker.advance_poll(&poll_id(), &state).await;
        assert_eq!(there.expect("stored"), Some(state));
        let called = PostgresServer::sql(&url, "SELECT delete_poll('p')");
        let error = called.expect_err("refused");
        assert!(error.contains("neither a draft nor final"), "{error}");
    }
    let result = database.login(Some("voting_result"));
    is_refused(&result, ["SELECT delete_poll('p')".to_owned()]);
    is_refused(
        &database.login(None),
        ["SELECT delete_poll('p')".to_owned()],
    );
    let done = PollState::Final(Seals::default());
    let there = worker.advance_poll(&poll_id(), &done).await;
    there.expect("stored");
    let delete = PollChange::new(poll_id(), ChangeTo::Deleted);
    let deleted = worker.change_poll(&delete, "operator").await;
    assert_eq!(deleted.expect("deleted"), None);
    for table in ["polls", "ballots", "tallies", "turnouts"] {
        let left = database.sql(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(left, "0", "{table}");
    }
    assert_eq!(worker.totals().await.expect("totals").counted, 5);
    let audit = worker.audit_log(0, 9).await.expect("the log");
    assert_eq!(audit.last().expect("a note").note.action, "poll.deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_forgets_voters_and_only_those_of_final_polls() {
    let database = Database::new();
    let owner = database.with_poll().await;
    owner.grant(&Roles::default()).await.expect("granted");
    let url = database.login(Some("voting_worker"));
    let worker = connect(&url);
    let votes = batch(1, (1..=5).map(|voter| ballot(voter, 0b01)));
    worker.flush(&votes).await.expect("flushed");
    // The function has the owner's rights, so it looks for itself.
    for state in [PollState::Open, PollState::Closing(Seals::default())] {
        let there = worker.advance_poll(&poll_id(), &state).await;
        assert_eq!(there.expect("stored"), Some(state));
        let called = PostgresServer::sql(&url, "SELECT forget_voters('p')");
        let error = called.expect_err("refused");
        assert!(error.contains("is not final"), "{error}");
    }
    let call = || ["SELECT forget_voters('p')".to_owned()];
    is_refused(&database.login(Some("voting_result")), call());
    is_refused(&database.login(None), call());
    let done = PollState::Final(Seals::default());
    let there = worker.advance_poll(&poll_id(), &done).await;
    there.expect("stored");
    let forget = PollChange::new(poll_id(), ChangeTo::VotersForgotten);
    database.sql("UPDATE upgrades SET finished = 2");
    let refused = worker.change_poll(&forget, "operator").await;
    assert!(matches!(refused, Err(StoreError::UpgradeUnfinished(_))));
    assert_eq!(database.sql("SELECT count(*) FROM ballots"), "5");
    database.sql("UPDATE upgrades SET finished = 3");
    let forgotten = worker.change_poll(&forget, "operator").await;
    assert!(
        forgotten
            .expect("forgotten")
            .expect("the poll")
            .voters_are_forgotten()
    );
    assert_eq!(database.sql("SELECT count(*) FROM ballots"), "0");
    let kept = "SELECT choices, ballots FROM ballots_without_voters";
    assert_eq!(database.sql(kept), "1|5");
    assert_eq!(worker.totals().await.expect("totals").counted, 5);
}

/// A database with tables of the version before, and a poll in them, is migrated.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_while_programs_of_the_version_before_may_be_at_work() {
    let database = Database::new();
    let store = database.with_poll().await;
    database.sql("UPDATE upgrades SET finished = 2");
    let done = PollState::Final(Seals::default());
    let there = store.advance_poll(&poll_id(), &done).await;
    there.expect("stored");
    let delete = PollChange::new(poll_id(), ChangeTo::Deleted);
    let refused = store.change_poll(&delete, "operator").await;
    assert!(matches!(refused, Err(StoreError::UpgradeUnfinished(_))));
    let draft = PollChange::put(poll_named("q").as_draft());
    let refused = store.change_poll(&draft, "operator").await;
    assert!(matches!(refused, Err(StoreError::UpgradeUnfinished(_))));
    assert_eq!(store.polls().await.expect("polls").len(), 1);
    database.sql("UPDATE upgrades SET finished = 3");
    let deleted = store.change_poll(&delete, "operator").await;
    assert_eq!(deleted.expect("deleted"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_results_role_reads_what_it_shows_and_nothing_else() {
    let database = Database::new();
    let owner = database.with_poll().await;
    owner.grant(&Roles::default()).await.expect("granted");
    let mut batch = batch(1, (1..=5).map(|voter| ballot(voter, 0b01)));
    batch.dead_letters.push(DeadLetter {
        position: at(9),
        reason: RejectReason::UnknownOption,
        detail: "none".to_owned(),
        payload: vec![1],
        ballots: 1,
    });
    owner.flush(&batch).await.expect("flushed");
    let url = database.login(Some("voting_result"));
    let result = connect(&url);
    result.ready_to_read().await.expect("usable");
    assert_eq!(result.polls().await.expect("polls"), [poll()]);
    assert_eq!(result.poll(&poll_id()).await.expect("a poll"), Some(poll()));
    let tally = result.tally(&poll_id()).await.expect("a tally");
    assert_eq!(tally.expect("the poll").votes, [5, 0]);
    let state = async |voter, ms| {
        let state = result.receipt_state(&receipt(voter, ms)).await;
        state.expect("a state")
    };
    assert_eq!(state(1, 1).await, ReceiptState::Counted);
    assert_eq!(state(6, 8).await, ReceiptState::Pending);
    let rejected = ReceiptState::Rejected(RejectReason::UnknownOption);
    assert_eq!(state(6, 9).await, rejected);

    // To count the ballots takes their choices.
    says(result.recount(&poll_id()).await, "permission denied");
    says(result.put_poll(&poll()).await, "permission denied");
    says(result.flush(&batch).await, "permission denied");
    is_refused(&url, of_the_owner());
    is_refused(
        &url,
        TABLES.map(|table| {
            format!("INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table}")
        }),
    );
    let others = [
        "UPDATE polls SET definition = ''",
        "UPDATE ballots SET choices = 1",
        "UPDATE tallies SET votes = 0",
        "UPDATE turnouts SET voters = 0",
        "UPDATE superseded SET ballots = 0",
        "UPDATE applied_below SET ms = 0",
        "DELETE FROM applied",
        "SELECT voter, choices FROM ballots",
        "SELECT choices FROM ballots WHERE false",
        "SELECT prev FROM ballots",
        "SELECT 1 FROM ballots WHERE choices = 1",
        "SELECT payload FROM dead_letters",
        "SELECT detail FROM dead_letters",
        "SELECT * FROM applied",
        "SELECT * FROM ballots_without_voters",
        "SELECT state FROM deleted_polls",
        "SELECT 1 FROM polls FOR SHARE",
    ];
    is_refused(&url, others.map(str::to_owned));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_thought_of_in_the_rights() {
    let database = Database::new();
    let owner = database.with_poll().await;
    owner.grant(&Roles::default()).await.expect("granted");
    let unreadable = database.sql(
        "SELECT string_agg(relname, ' ') FROM pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
         AND NOT has_any_column_privilege('voting_worker', oid, 'SELECT')",
    );
    assert_eq!(unreadable, "", "tables without a line in postgres/roles.rs");
}

#[tokio::test(flavor = "multi_thread")]
async fn granting_again_mends_the_rights() {
    let database = Database::new();
    let owner = database.with_poll().await;
    let roles = Roles::with_prefix("other").expect("a prefix");
    // Roles may be there already; these have too few rights in this database, and too many.
    for _ in 0..2 {
        owner.grant(&roles).await.expect("granted");
        let url = database.login(Some("other_result"));
        connect(&url).tally(&poll_id()).await.expect("a tally");
        is_refused(&url, ["DELETE FROM ballots".to_owned()]);
        is_refused(&url, ["SELECT choices FROM ballots".to_owned()]);
        database.sql(
            "GRANT ALL ON ballots TO other_result; GRANT SELECT (choices) ON ballots TO other_result;
             GRANT DELETE ON ballots TO PUBLIC;
             REVOKE ALL ON polls FROM other_result",
        );
        PostgresServer::sql(&url, "DELETE FROM ballots").expect("too many");
        says(connect(&url).polls().await, "permission denied");
    }
    // They are for others to log in with.
    let logins = "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname ~ '^other_'";
    assert_eq!(database.sql(logins), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_make_roles_is_reported() {
    let database = Database::new();
    database.with_poll().await;
    let plain = connect(&database.login(Some("pg_read_all_data")));
    let roles = Roles::with_prefix("never").expect("a prefix");
    says(
        plain.grant(&roles).await,
        "permission denied to create role",
    );
    assert_eq!(locks(&database), "0");
}

/// A migration that is under way when its process is killed holds up the next one only until the
/// server has noticed, though the statement that it was in would go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_whose_process_was_killed_gives_way() {
    let database = Database::new();
    database.sql(
        "CREATE FUNCTION stall() RETURNS event_trigger LANGUAGE plpgsql
             AS $$ BEGIN PERFORM pg_sleep(600); END $$;
         CREATE EVENT TRIGGER stall ON ddl_command_start WHEN TAG IN ('CREATE TABLE')
             EXECUTE FUNCTION stall()",
    );
    let url = database.url.clone();
    let mut stalled = std::process::Command::new(std::env::current_exe().expect("this program"));
    stalled.args(["--exact", "migrate_where_the_environment_says", "--ignored"]);
    let mut stalled = stalled.env("MIGRATE", url).spawn().expect("started");
    let began = Instant::now();
    while locks(&database) == "0" {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it takes no lock"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stalled.kill().expect("killed");
    stalled.wait().expect("gone");
    database.sql("DROP EVENT TRIGGER stall");
    let began = Instant::now();
    database.store().migrate().await.expect("migrated");
    assert!(began.elapsed() < Duration::from_secs(40), "{began:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of another test"]
async fn migrate_where_the_environment_says() {
    let url = std::env::var("MIGRATE").expect("an address");
    connect(&url).migrate().await.expect("migrated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_under_prepared_statements_costs_one_attempt() {
    let database = Database::new();
    let options = PostgresOptions {
        connections: 1,
        ..PostgresOptions::default()
    };
    let store = Postgres::new(&database.url, options).expect("an address");
    store.migrate().await.expect("migrated");
    store.put_poll(&poll()).await.expect("stored");
    store
        .flush(&batch(1, [ballot(1, 1)]))
        .await
        .expect("flushed");
    // Rows of the statement that reads it are now of another type.
    database.sql("ALTER TABLE polls ALTER state TYPE varchar");
    let second = batch(2, [ballot(2, 1)]);
    says(store.flush(&second).await, "must not change result type");
    store.flush(&second).await.expect("flushed");
    assert_eq!(votes(&store, 2).await.0, [2, 0]);
}
