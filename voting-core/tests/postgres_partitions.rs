//! The ballots move into partitions and back, while others read and write them.

mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use support::{
    Database, ballot, batch, connect, in_words, poll, poll_id, poll_named, receipt, votes,
};
use voting_core::{
    BatchFlusher, DeadLetterStore, ErrorKind, PollState, PollStore, ReceiptState, StoreError,
    TallyStore,
    backends::postgres::{
        BallotTable, PartitionError, Partitions, Postgres, PostgresOptions, Roles,
    },
    model::{
        poll::{ChangeTo, PollChange},
        poll_state::Seals,
    },
};
use voting_testing::{PostgresServer, await_that};

fn parts(count: u16) -> Partitions {
    Partitions::new(count).expect("not too many")
}

/// Moves the ballots, and returns how many.
async fn move_into(store: &Postgres, count: u16) -> Option<u64> {
    let done = store.repartition(parts(count)).await.expect("moved");
    let (table, has_copy) = store.ballot_table().await.expect("told");
    assert_eq!(table, BallotTable::Whole(parts(count)));
    assert!(!has_copy);
    done.ballots
}

/// Whoever owns the tables is no superuser, so it sees less of other sessions. Its address, and its store.
async fn owned(database: &Database) -> (String, Postgres) {
    let url = database.login(None);
    let login = url["postgres://".len()..]
        .split('@')
        .next()
        .expect("a login");
    database.sql(&format!(
        "ALTER DATABASE {} OWNER TO {login}",
        database.name
    ));
    let store = connect(&url);
    store.migrate().await.expect("migrated");
    store.put_poll(&poll()).await.expect("stored");
    (url, store)
}

/// All that a table has beside its rows: its columns, its constraints and indexes, its rights, its owner.
fn described(database: &Database) -> String {
    database.sql(
        "SELECT attname, attnum, format_type(atttypid, atttypmod), attnotnull, attacl FROM pg_attribute
         WHERE attrelid = 'ballots'::regclass AND attnum > 0 ORDER BY attnum;
         SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ballots'::regclass ORDER BY 1;
         SELECT indexrelid::regclass, indisprimary, indisvalid FROM pg_index WHERE indrelid = 'ballots'::regclass;
         SELECT relname, relowner::regrole, relacl, obj_description(oid) FROM pg_class WHERE oid = 'ballots'::regclass",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_partitions_has_all_that_the_one_table_had() {
    let database = Database::new();
    let (url, owner) = owned(&database).await;
    let superuser = database.store();
    superuser.grant(&Roles::default()).await.expect("granted");
    database.sql(
        "ALTER TABLE ballots SET (autovacuum_vacuum_scale_factor = 0.05);
         ALTER TABLE ballots ADD CONSTRAINT mine CHECK (ms > 0);
         CREATE ROLE reader; GRANT SELECT (ms), SELECT ON ballots TO reader WITH GRANT OPTION",
    );
    // What new tables let others do is no right to the ballots.
    PostgresServer::sql(
        &url,
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
    )
    .expect("done");
    let first = batch(1, (1..=100).map(|voter| ballot(voter, 0b01)));
    owner.flush(&first).await.expect("flushed");
    let before = described(&database);
    let options = "SELECT DISTINCT array_to_string(reloptions, ' ') FROM pg_class
                   WHERE relkind = 'r' AND (relname = 'ballots' OR relname ~ '^ballots_[0-9]')";
    let own_options = "fillfactor=80 autovacuum_vacuum_scale_factor=0.05";
    let result = database.login(Some("voting_result"));
    let mut ms = 101;
    // Both may do it: the owner, and a superuser for the owner.
    for (store, count) in [(&owner, 8), (&superuser, 3), (&owner, 16), (&superuser, 1)] {
        assert_eq!(move_into(store, count).await, Some(100));
        assert_eq!(move_into(store, count).await, None, "it is so already");
        assert_eq!(described(&database), before);
        assert_eq!(database.sql(options), own_options);
        let rows = "SELECT count(*), count(DISTINCT tableoid) FROM ballots";
        assert_eq!(database.sql(rows), format!("100|{count}"));
        // `reader` has what everybody has, so this finds rights of both.
        let others = "SELECT count(*) FROM pg_class WHERE relname ~ '^ballots_[0-9]+_[0-9]+$'
                      AND has_any_column_privilege('reader', oid, 'SELECT, INSERT, UPDATE')";
        assert_eq!(database.sql(others), "0");
        // Half of the voters change their vote, with the rights of the worker.
        let worker = connect(&database.login(Some("voting_worker")));
        let changed = batch(ms, (1..=50).map(|voter| ballot(voter, 0b10)));
        worker.flush(&changed).await.expect("flushed");
        ms += 50;
        assert_eq!(votes(&owner, ms - 1).await.0, [50, 50]);
        let state = connect(&result).receipt_state(&receipt(1, ms - 50)).await;
        assert_eq!(state.expect("a state"), ReceiptState::Counted);
        for forbidden in ["SELECT choices FROM ballots", "DELETE FROM ballots"] {
            let refused = PostgresServer::sql(&result, forbidden).expect_err("refused");
            assert!(refused.contains("permission denied"), "{refused}");
        }
    }
}

/// Statements of version 0.1, which knows neither voided ballots nor sources.
const EARLIER: &str = "
    INSERT INTO ballots AS b (poll, voter, choices, prev, shard, ms, n)
    SELECT unnest('{1,1}'::integer[]), unnest(ARRAY[lpad('1', 32, '0'), lpad('a', 32, '0')]::uuid[]),
           unnest('{2,2}'::bigint[]), NULL::bigint, unnest('{0,0}'::integer[]), unnest('{9,9}'::bigint[]),
           unnest('{0,0}'::bigint[])
    ON CONFLICT (poll, voter) DO UPDATE
    SET prev = b.choices, choices = excluded.choices, shard = excluded.shard, ms = excluded.ms, n = excluded.n
    WHERE (excluded.ms, excluded.n, excluded.shard) > (b.ms, b.n, b.shard)
    RETURNING poll, voter, prev";

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_the_version_before_writes_into_partitions_too() {
    let database = Database::new();
    let store = database.with_poll().await;
    store.grant(&Roles::default()).await.expect("granted");
    let first = batch(1, [ballot(1, 0b01), ballot(2, 0b01)]);
    store.flush(&first).await.expect("flushed");
    move_into(&store, 8).await;
    let url = database.login(Some("voting_worker"));
    let written = PostgresServer::sql(&url, EARLIER).expect("written");
    let written: BTreeSet<_> = written.lines().collect();
    assert_eq!(
        written.into_iter().collect::<Vec<_>>(),
        [
            "1|00000000-0000-0000-0000-000000000001|1",
            "1|00000000-0000-0000-0000-00000000000a|"
        ]
    );
    // A second time nothing is newer.
    assert_eq!(PostgresServer::sql(&url, EARLIER).expect("nothing"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_in_partitions_are_deleted_and_their_voters_forgotten() {
    let database = Database::new();
    let store = database.with_poll().await;
    store.grant(&Roles::default()).await.expect("granted");
    // What the functions have prepared is about the one table.
    let one = PostgresOptions {
        connections: 1,
        ..PostgresOptions::default()
    };
    let url = database.login(Some("voting_worker"));
    let worker = Postgres::new(&url, one).expect("an address");
    let forget_and_delete = async |from: u64| {
        let votes = batch(from, (1..=9).map(|voter| ballot(voter, 0b01)));
        worker.flush(&votes).await.expect("flushed");
        let done = PollState::Final(Seals::default());
        worker.advance_poll(&poll_id(), &done).await.expect("final");
        for change in [ChangeTo::VotersForgotten, ChangeTo::Deleted] {
            let change = PollChange::new(poll_id(), change);
            worker.change_poll(&change, "operator").await.expect("done");
            assert_eq!(database.sql("SELECT count(*) FROM ballots"), "0");
        }
        database.sql("DELETE FROM deleted_polls");
        worker.put_poll(&poll()).await.expect("stored");
    };
    forget_and_delete(1).await;
    move_into(&store, 4).await;
    forget_and_delete(11).await;
    move_into(&store, 1).await;
    forget_and_delete(21).await;
}

/// Ballots are written and counted all the time, over connections that have prepared their statements before.
#[tokio::test(flavor = "multi_thread")]
async fn workers_and_readers_go_on_while_the_ballots_move() {
    let database = Database::new();
    let (_, owner) = owned(&database).await;
    let worker = database.store();
    // So many that the copy takes a moment.
    let begin = batch(1, (1..=20_000).map(|voter| ballot(voter, 0b01)));
    worker.flush(&begin).await.expect("flushed");
    let over = AtomicBool::new(false);
    let writes = async |worker: &Postgres, first: u128| {
        let mut flushed = 0;
        while !over.load(Ordering::Relaxed) {
            // Of ten ballots, nine change a vote.
            let ms = 20_001 + u64::try_from(first).expect("small") + flushed * 10;
            let voters = (0..10).map(|n| match n {
                0 => 1_000_000 * first + u128::from(flushed),
                n => first + u128::from(flushed % 1000) * 20 + n,
            });
            let voters: BTreeSet<_> = voters.collect();
            let batch = batch(
                ms * 1000,
                voters.into_iter().map(|voter| ballot(voter, 0b10)),
            );
            worker.flush(&batch).await.expect("flushed");
            flushed += 1;
        }
        flushed * 10
    };
    let reads = async |reader: &Postgres| {
        let mut reads = 0;
        while !over.load(Ordering::Relaxed) {
            let recount = reader.recount(&poll_id()).await.expect("a recount");
            let recount = recount.expect("the poll");
            assert!(recount.agrees(), "{recount:?}");
            assert!(recount.kept.voters >= 20_000, "{recount:?}");
            let state = reader.receipt_state(&receipt(20_000, 20_000)).await;
            assert_ne!(state.expect("a state"), ReceiptState::Pending);
            reads += 1;
        }
        reads
    };
    let moves = async {
        for count in [4, 16, 1, 2, 1] {
            move_into(&owner, count).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let (other, reader) = (database.store(), database.store());
    let (one, two, reads, ()) =
        tokio::join!(writes(&worker, 3), writes(&other, 7), reads(&reader), moves);
    assert!(one > 0 && two > 0 && reads > 0, "{one} {two} {reads}");
    assert_eq!(worker.dead_letters(None, 9).await.expect("none"), []);
    let (_, totals) = votes(&worker, 20_000 + one + two).await;
    let rows = database.sql("SELECT count(*) FROM ballots");
    assert_eq!(rows, totals.counted.to_string());
}

/// A session that reads, and goes on reading what it saw at first.
struct Reader(Child, BufReader<std::process::ChildStdout>);

impl Reader {
    fn of(url: &str) -> Self {
        let mut psql = PostgresServer::psql(url);
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut psql = psql.expect("psql is there");
        let output = BufReader::new(psql.stdout.take().expect("its output"));
        let mut reader = Self(psql, output);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM polls;";
        assert_eq!(reader.ask(begin), "1");
        reader
    }

    fn ask(&mut self, question: &str) -> String {
        let input = self.0.stdin.as_mut().expect("its input");
        writeln!(input, "{question}").expect("written");
        let mut answer = String::new();
        self.1.read_line(&mut answer).expect("a line");
        answer.trim().to_owned()
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("gone");
    }
}

fn hasty(url: &str) -> Postgres {
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(500),
        ..PostgresOptions::default()
    };
    Postgres::new(url, options).expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_reads_on_finds_the_new_table_empty() {
    let database = Database::new();
    let (url, owner) = owned(&database).await;
    let votes = batch(1, (1..=9).map(|voter| ballot(voter, 0b01)));
    owner.flush(&votes).await.expect("flushed");
    let mut reader = Reader::of(&database.url);
    let error = hasty(&url).repartition(parts(4)).await;
    let error = error.expect_err("somebody reads");
    assert!(matches!(
        PartitionError::of(&error),
        Some(PartitionError::Readers(_))
    ));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let one = (BallotTable::Whole(Partitions::ONE), false);
    assert_eq!(owner.ballot_table().await.expect("told"), one);
    let moving = tokio::spawn({
        let owner = owner.clone();
        async move { move_into(&owner, 4).await }
    });
    await_that("the copy is made", || {
        database.sql("SELECT to_regclass('ballots_next') IS NOT NULL") == "t"
    });
    // Nobody has to wait to read, and who waits to write hinders nothing.
    let writing = tokio::spawn({
        let worker = database.store();
        async move { worker.flush(&batch(10, [ballot(9, 0b10)])).await }
    });
    assert_eq!(reader.ask("SELECT count(*) FROM ballots;"), "9");
    assert!(!moving.is_finished());
    reader.end();
    assert_eq!(moving.await.expect("no panic"), Some(9));
    writing.await.expect("no panic").expect("flushed");
    assert_eq!(support::votes(&owner, 10).await.0, [8, 1]);
}

/// A change that is under way when its process is killed leaves the table as it was, and its lock is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_process_was_killed_is_made_again() {
    let database = Database::new();
    let (url, owner) = owned(&database).await;
    let nine = batch(1, (1..=9).map(|voter| ballot(voter, 0b01)));
    owner.flush(&nine).await.expect("flushed");
    // At this point the copy is complete.
    let reader = Reader::of(&database.url);
    for again in [false, true] {
        let mut moving = std::process::Command::new(std::env::current_exe().expect("this program"));
        moving.args(["--exact", "move_where_the_environment_says", "--ignored"]);
        let mut moving = moving.env("MOVE", &url).spawn().expect("started");
        await_that("the copy is made", || {
            database.sql("SELECT to_regclass('ballots_next') IS NOT NULL") == "t"
        });
        moving.kill().expect("killed");
        moving.wait().expect("gone");
        let ms = if again { 11 } else { 10 };
        let next = batch(ms, [ballot(u128::from(ms), 0b10)]);
        owner.flush(&next).await.expect("flushed");
        let left = (BallotTable::Whole(Partitions::ONE), true);
        assert_eq!(owner.ballot_table().await.expect("told"), left);
        if !again {
            assert!(owner.remove_unfinished_copy().await.expect("removed"));
            assert!(!owner.remove_unfinished_copy().await.expect("gone"));
        }
    }
    reader.end();
    assert_eq!(move_into(&owner, 4).await, Some(11));
    assert_eq!(votes(&owner, 11).await.0, [9, 2]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of another test"]
async fn move_where_the_environment_says() {
    let url = std::env::var("MOVE").expect("an address");
    connect(&url).repartition(parts(4)).await.expect("moved");
}

fn refused(answer: Result<impl std::fmt::Debug, StoreError>, what: &str) {
    let error = in_words(&answer.expect_err("refused"));
    assert!(error.contains(what), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_which_a_copy_would_lose_something_is_left_as_it_is() {
    let database = Database::new();
    let store = database.with_poll().await;
    for (make, named, end) in [
        ("CREATE INDEX mine ON ballots (ms)", "index mine", "DROP INDEX mine"),
        (
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
             CREATE TRIGGER mine AFTER INSERT ON ballots EXECUTE FUNCTION mine()",
            "trigger mine",
            "DROP TRIGGER mine ON ballots",
        ),
        (
            "CREATE TABLE other (poll integer, voter uuid,
                 CONSTRAINT mine FOREIGN KEY (poll, voter) REFERENCES ballots)",
            "foreign key mine",
            "DROP TABLE other",
        ),
        ("CREATE VIEW mine AS SELECT poll FROM ballots", "view or rule mine", "DROP VIEW mine"),
        ("CREATE POLICY mine ON ballots", "policy mine", "DROP POLICY mine ON ballots"),
        (
            "ALTER TABLE ballots ENABLE ROW LEVEL SECURITY",
            "row security",
            "ALTER TABLE ballots DISABLE ROW LEVEL SECURITY",
        ),
        ("CREATE PUBLICATION mine FOR TABLE ballots", "publication mine", "DROP PUBLICATION mine"),
    ] {
        database.sql(make);
        refused(store.repartition(parts(4)).await, named);
        database.sql(end);
    }
    database.sql("CREATE TABLE ballots_next (mine integer)");
    refused(
        store.repartition(parts(4)).await,
        "there is a table ballots_next",
    );
    assert!(!store.remove_unfinished_copy().await.expect("not ours"));
    assert_eq!(database.sql("SELECT count(mine) FROM ballots_next"), "0");
    database.sql("DROP TABLE ballots_next");
    store.grant(&Roles::default()).await.expect("granted");
    let worker = connect(&database.login(Some("voting_worker")));
    refused(worker.repartition(parts(4)).await, "permission denied");
    let one = (BallotTable::Whole(Partitions::ONE), false);
    assert_eq!(worker.ballot_table().await.expect("told"), one);
    move_into(&store, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_whose_partition_is_missing_waits() {
    let database = Database::new();
    let store = database.with_poll().await;
    store.put_poll(&poll_named("q")).await.expect("stored");
    move_into(&store, 4).await;
    let all = batch(1, (1..=100).map(|voter| ballot(voter, 0b01)));
    database.sql("ALTER TABLE ballots DETACH PARTITION ballots_4_2");
    let table = store.ballot_table().await.expect("told").0;
    assert_eq!(table, BallotTable::Incomplete { found: 3, of: 4 });
    refused(
        store.repartition(Partitions::ONE).await,
        "3 of 4 partitions",
    );
    refused(store.flush(&all).await, "no partition of relation");
    database.sql(
        "ALTER TABLE ballots ATTACH PARTITION ballots_4_2 FOR VALUES WITH (MODULUS 4, REMAINDER 2)",
    );
    store.flush(&all).await.expect("flushed");
    assert_eq!(votes(&store, 100).await.0, [100, 0]);
    assert_eq!(store.dead_letters(None, 9).await.expect("none"), []);
}
