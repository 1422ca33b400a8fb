//! `voting migrate` in cases where it fails: it says what to do.

mod support;

use support::deployment::Told;
use voting_testing::PostgresServer;

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
fn who_cannot_migrate_is_told_what_to_do() {
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
    let delete = "DELETE FROM refinery_schema_history WHERE version = 2";
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
