//! `voting migrate` in cases where it fails: it says what to do.

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    sync::Arc,
};

use support::deployment::Told;
use voting_core::{
    BallotLog, Poll, PollDirectory, PollStore, StoreError,
    backends::{
        postgres::{Postgres, PostgresOptions},
        redis::{Redis, RedisOptions},
    },
    log::{Log, SeparateLog},
    model::poll::PollChange,
    pipeline::coordinator::Coordinator,
    store::SeparateStore,
};
use voting_service::cats_vs_dogs;
use voting_testing::{PostgresServer, RedisServer};

fn migrate(url: &str, more: &[&str]) -> Told {
    let settings = [("VOTING_POSTGRES__URL", url.to_owned())];
    let mut arguments = vec!["migrate"];
    arguments.extend(more);
    Told::by(&settings, &arguments)
}

#[track_caller]
fn refuses(told: &Told, parts: &[&str]) {
    told.ended(1);
    for part in parts {
        assert!(told.errors.contains(part), "no {part} in\n{told}");
    }
    assert_eq!(told.errors.lines().count(), 1, "{told}");
}

#[test]
fn who_cannot_migrate_learns_what_to_do() {
    let mut server = PostgresServer::start();
    let owner = server.database("voting");
    let sql = |statements: &str| PostgresServer::sql(&owner, statements).expect("done");
    sql("CREATE ROLE stranger LOGIN; CREATE ROLE small LOGIN;
         REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT CREATE ON SCHEMA public TO small");
    let stranger = server.url_as("stranger", "voting");
    refuses(
        &migrate(&stranger, &[]),
        &[
            "at 127.0.0.1:",
            "version 0",
            "To do: log in as the owner of the database",
        ],
    );
    // This login may make tables, but no roles.
    let small = server.url_as("small", "voting");
    let told = migrate(&small, &["--create-roles"]);
    refuses(&told, &["give the roles their rights", "CREATEROLE"]);
    assert!(told.text.contains("There were no tables"), "{told}");
    migrate(&small, &[]).ended(0);
    let nowhere = server.url_as("small", "nowhere");
    refuses(
        &migrate(&nowhere, &[]),
        &["database \"nowhere\" does not exist", "To do: "],
    );
    sql("ALTER DATABASE voting SET default_transaction_read_only = on");
    let newest = "SELECT max(version) FROM refinery_schema_history";
    let delete = format!("DELETE FROM refinery_schema_history WHERE version = ({newest})");
    sql(&format!("BEGIN READ WRITE; {delete}; COMMIT"));
    refuses(
        &migrate(&small, &[]),
        &["read-only", "To do: give the address of the primary"],
    );
    sql("BEGIN READ WRITE;
         INSERT INTO refinery_schema_history
         SELECT 999, 'later', applied_on, checksum FROM refinery_schema_history LIMIT 1;
         COMMIT");
    refuses(
        &migrate(&owner, &[]),
        &["of version 999", "To do: use a newer version"],
    );
    server.kill();
    refuses(
        &migrate(&owner, &[]),
        &[
            "cannot connect",
            "To do: start Postgres, or correct postgres.url",
        ],
    );
    let told = Told::by(&[], &["migrate"]);
    refuses(
        &told,
        &["postgres.url is not set; set it, or postgres.url_file"],
    );
}

/// A connection to Postgres that calls itself as programs before version 0.2 did.
fn earlier_program(url: &str) -> Child {
    let mut psql = PostgresServer::psql(url);
    let psql = psql.env("PGAPPNAME", "voting");
    let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut psql = psql.spawn().expect("psql is there");
    let input = psql.stdin.as_mut().expect("its input");
    input.write_all(b"SELECT 'there';\n").expect("written");
    let mut said = String::new();
    let mut output = BufReader::new(psql.stdout.as_mut().expect("its output"));
    output.read_line(&mut said).expect("a line");
    assert_eq!(said, "there\n");
    psql
}

/// A connection to Redis that has sent this command.
fn client_of_redis(server: &RedisServer, name: Option<&str>, command: &str) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
    let name = name.map_or(String::new(), |name| format!("CLIENT SETNAME {name}\r\n"));
    let commands = format!("{name}{command}\r\nECHO there\r\n{command}\r\n");
    client.write_all(commands.as_bytes()).expect("written");
    let mut said = Vec::new();
    while !said.ends_with(b"there\r\n$-1\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("an answer");
        said.push(byte[0]);
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_finished_once_no_program_of_before_is_at_work() {
    let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
    let owner = postgres.database("voting");
    let finish = |url: &str, more: &[&str]| {
        let settings = [
            ("VOTING_POSTGRES__URL", url.to_owned()),
            ("VOTING_REDIS__URL", redis.url()),
        ];
        let mut arguments = vec!["migrate", "--finish"];
        arguments.extend(more);
        Told::by(&settings, &arguments)
    };
    let finished = || {
        let asked = PostgresServer::sql(&owner, "SELECT finished FROM upgrades");
        asked.expect("an answer")
    };
    // There is nothing to upgrade in new tables.
    let new = migrate(&owner, &[]);
    new.ended(0);
    assert!(!new.text.contains("--finish"), "{new}");
    let told = finish(&owner, &[]);
    told.ended(0);
    assert!(told.text.contains("finished already"), "{told}");
    PostgresServer::sql(&owner, "UPDATE upgrades SET finished = 2").expect("done");
    let told = migrate(&owner, &[]);
    told.ended(0);
    assert!(
        told.text.contains("run `voting migrate --finish`"),
        "{told}"
    );

    // Those of this version do not count, nor what has nothing to do with voting.
    let store = Postgres::new(&owner, PostgresOptions::default()).expect("an address");
    let draft = PollChange::put(cats_vs_dogs().as_draft());
    let refused = store.change_poll(&draft, "operator").await;
    assert!(
        matches!(refused, Err(StoreError::UpgradeUnfinished(_))),
        "{refused:?}"
    );
    let log = Redis::new(&redis.url(), RedisOptions::default()).expect("an address");
    log.ready_to_append().await.expect("ready");
    // A worker of before would set ballots aside that take one back.
    let queue = log.reader();
    let (log, separate): (Arc<dyn SeparateLog>, Arc<dyn SeparateStore>) =
        (Arc::new(log), Arc::new(store.clone()));
    let coordinator = Coordinator::new(Arc::clone(&log), queue, separate);
    let open = PollChange::put(cats_vs_dogs());
    let open = store.change_poll(&open, "operator").await;
    open.expect("stored").expect("a poll");
    let takes_back = async || {
        coordinator.round().await.expect("a round");
        let polls = log.polls().await.expect("polls");
        !polls[0].keeps_ballots()
    };
    assert!(!takes_back().await);
    let _named = client_of_redis(&redis, Some("exporter"), "GET x");
    let _other = client_of_redis(&redis, None, "LPOP x");

    let mut program = earlier_program(&owner);
    let told = finish(&owner, &[]);
    refuses(
        &told,
        &[
            "nothing was changed",
            "to Postgres (process ",
            "To do: stop them",
        ],
    );
    assert!(!told.errors.contains("last command"), "{told}");
    program.kill().expect("killed");
    program.wait().expect("gone");
    let program = client_of_redis(&redis, None, "GET x");
    let place = program.local_addr().expect("an address").to_string();
    // Postgres has noticed by then that the other one is gone, or has not.
    let told = finish(&owner, &[]);
    refuses(&told, &[&place, "whose last command was get"]);
    assert_eq!(finished(), "2");
    PostgresServer::sql(&owner, "CREATE ROLE stranger LOGIN").expect("done");
    let told = finish(&postgres.url_as("stranger", "voting"), &["--anyway"]);
    assert_eq!(finished(), "2", "{told}");
    drop(program);
    voting_testing::await_that("nobody is there", || {
        let told = finish(&owner, &[]);
        told.code == 0 && told.text.contains("The upgrade is finished.")
    });
    assert_eq!(finished(), "3");
    let told = finish(&owner, &[]);
    told.ended(0);
    assert!(told.text.contains("finished already"), "{told}");
    assert!(takes_back().await);
    let draft = Poll::builder("draft", "Later?").option("a", "A");
    let draft = draft.option("b", "B").build().expect("a poll");
    let draft = PollChange::put(draft.as_draft());
    let stored = store.change_poll(&draft, "operator").await;
    assert!(stored.expect("stored").expect("a poll").is_draft());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ballots_move_into_partitions_and_back() {
    let server = PostgresServer::start();
    let owner = server.database("voting");
    let sql = |statements: &str| PostgresServer::sql(&owner, statements).expect("done");
    let told = migrate(&owner, &["--create-roles", "--partitions", "8"]);
    told.ended(0);
    assert!(
        told.text
            .contains("Moved 0 ballots from one table to 8 partitions."),
        "{told}"
    );
    let again = migrate(&owner, &["--partitions", "8"]);
    again.ended(0);
    assert!(
        again
            .text
            .contains("The ballots are in 8 partitions already."),
        "{again}"
    );
    // Other migrations leave it so.
    migrate(&owner, &["--create-roles"]).ended(0);
    let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ballots'::regclass";
    assert_eq!(sql(parts), "8");
    sql("CREATE VIEW mine AS SELECT poll FROM ballots");
    refuses(
        &migrate(&owner, &["--partitions", "1"]),
        &[
            "change the partitions",
            "view or rule mine",
            "To do: drop them",
        ],
    );
    sql("DROP VIEW mine; CREATE ROLE stranger LOGIN IN ROLE voting_worker");
    refuses(
        &migrate(&server.url_as("stranger", "voting"), &["--partitions", "1"]),
        &[
            "permission denied",
            "To do: log in as the owner of the database",
        ],
    );
    // A dump has them, too.
    let folder = tempfile::tempdir().expect("a folder");
    let dump = folder.path().join("voting.dump");
    PostgresServer::backup(&owner, &dump);
    let copy = server.database("copy");
    server.restore(&dump, "copy");
    let told = migrate(&copy, &["--partitions", "1"]);
    told.ended(0);
    assert!(
        told.text.contains("from 8 partitions to one table."),
        "{told}"
    );
    sql("CREATE TABLE ballots_next ();
         COMMENT ON TABLE ballots_next IS 'An unfinished copy of ballots; `voting migrate` removes it again'");
    let told = migrate(&owner, &[]);
    told.ended(0);
    assert!(told.text.contains("Removed an unfinished copy"), "{told}");
    for none in ["0", "65", "many"] {
        migrate(&owner, &["--partitions", none]).ended(2);
    }
}
