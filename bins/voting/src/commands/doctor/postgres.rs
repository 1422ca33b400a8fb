//! Postgres itself: whether it answers, keeps what it commits and has the tables of this version, and the rights of
//! the login.

use voting_core::{
    ErrorKind, StoreError,
    backends::postgres::{
        BallotTable, Failure, LoginReport, Partitions, Postgres, Room, SchemaError, ServerReport,
        TRIED_MIB,
    },
    store::PollStore,
};
use voting_service::Service;

use super::{Visit, certificate, why};
use crate::commands::report::Finding;

/// Older versions do not know all settings that the connections use.
const MIN_VERSION: u32 = 12;
/// The version with which everything is tested.
const TESTED: u32 = 15;

/// Checks the server and the login. `None` if it does not answer, has no tables that this program can read, or is not
/// in the settings.
pub(super) async fn check(visit: &mut Visit<'_>) -> Option<Postgres> {
    // The check of the settings reports faults in them.
    let postgres = visit.config.postgres().ok()?;
    let places: Vec<_> = postgres
        .endpoints()
        .iter()
        .map(ToString::to_string)
        .collect();
    let place = places.join(", ");
    // This check comes first: behind such a pooler other questions may fail without a clear reason. If it cannot be
    // made, the next question says why.
    if let Ok(false) = visit.ask(postgres.keeps_sessions()).await {
        visit.add(pooler(&place));
    }
    let timeout = visit.timeout;
    let server = match tokio::time::timeout(timeout, postgres.inspect()).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => {
            // For a certificate, the doctor can say more than that it is refused.
            if !certificate::refused(visit, "postgres", postgres.certificates()).await {
                visit.add(away(&place, &why(&error), Failure::of(&error)));
            }
            return None;
        }
        Err(_) => {
            let found = format!("no answer within {} s", timeout.as_secs());
            visit.add(away(&place, &found, None));
            return None;
        }
    };
    certificate::check(visit, "postgres", postgres.certificates()).await;
    let writes = visit.is_for(Service::Worker);
    visit.add(connection(&place, &server));
    visit.add(version(&server));
    for finding in durability(&server) {
        visit.add(finding);
    }
    if server.is_standby {
        visit.add(standby(writes));
    }
    if server.is_read_only && !server.is_standby {
        visit.add(read_only(writes));
    }
    for finding in room(&server, visit.config.postgres.connections) {
        visit.add(finding);
    }
    check_disk(visit, &postgres).await;
    if !check_tables(visit, &postgres).await {
        return None;
    }
    if let Some((table, has_copy)) = visit
        .look("postgres partitions", postgres.ballot_table())
        .await
    {
        for finding in partitions(table, has_copy) {
            visit.add(finding);
        }
    }
    let check = "postgres rights";
    if let Some(login) = visit.look(check, postgres.inspect_login()).await {
        for finding in rights(&login, &visit.services) {
            visit.add(finding);
        }
        if writes && login.worker_lacks.is_empty() {
            check_upgrade(visit, &postgres).await;
        }
    }
    Some(postgres)
}

fn connection(place: &str, server: &ServerReport) -> Finding {
    let check = "postgres";
    let found = format!("answers at {place}");
    if server.is_encrypted {
        return Finding::ok(
            check,
            format!("{found}, encrypted, and its certificate verified"),
        );
    }
    if server.is_near {
        let how = "not encrypted, which is for a network of your own";
        return Finding::ok(check, format!("{found}, {how}"));
    }
    Finding::warn(
        check,
        format!("{found}, not encrypted, and not in a private network"),
        "add ?sslmode=require to postgres.url, or set postgres.ca_file",
    )
}

fn pooler(place: &str) -> Finding {
    Finding::fail(
        "postgres pooler",
        format!(
            "at {place} is a pooler that changes sessions between transactions, as PgBouncer with \
             pool_mode = transaction: statements fail again and again"
        ),
        "set pool_mode = session there, or set postgres.url to Postgres itself: each service keeps few \
         connections (postgres.connections)",
    )
}

fn standby(writes: bool) -> Finding {
    let found = "it is a standby, which takes no writes";
    if writes {
        let todo = "give the worker the address of its primary";
        return Finding::fail("postgres", found, todo);
    }
    Finding::ok("postgres", found)
}

fn version(server: &ServerReport) -> Finding {
    let check = "postgres version";
    let found = server.version.clone();
    match server.major_version {
        ..MIN_VERSION => Finding::fail(check, found, format!("use {MIN_VERSION} or later")),
        MIN_VERSION..TESTED => {
            let todo = format!("use {TESTED} or later, which the system is tested with");
            Finding::warn(check, found, todo)
        }
        _ => Finding::ok(check, found),
    }
}

fn durability(server: &ServerReport) -> Vec<Finding> {
    let check = "postgres durability";
    let mut lacking = Vec::new();
    for (is_on, name) in [
        (server.fsync, "fsync"),
        (server.full_page_writes, "full_page_writes"),
    ] {
        if !is_on {
            lacking.push(name);
        }
    }
    let mut findings = Vec::new();
    if !lacking.is_empty() {
        findings.push(Finding::fail(
            check,
            format!(
                "it can lose or damage what it has committed: {} is off",
                lacking.join(", ")
            ),
            "set it to on in postgresql.conf and reload; a copy-on-write file system may do \
             without full_page_writes",
        ));
    }
    let own = &server.own_synchronous_commit;
    if !matches!(own.as_str(), "on" | "remote_apply") {
        findings.push(Finding::fail(
            check,
            format!("synchronous_commit is {own}, though the services ask for on"),
            "see who changes it: ballots leave Redis once a commit returns",
        ));
    }
    if findings.is_empty() {
        let found = match server.synchronous_commit.as_str() {
            "on" => "commits are on its disk before they return".to_owned(),
            other => format!(
                "commits of the services are on its disk before they return (for others, \
                 synchronous_commit is {other})"
            ),
        };
        findings.push(Finding::ok(check, found));
    }
    findings
}

fn read_only(writes: bool) -> Finding {
    let check = "postgres";
    let found = "its transactions write nothing (default_transaction_read_only is on)";
    if writes {
        let todo = "see whether somebody wants it so for a while; else set it off where it is set: in \
                    postgresql.conf, or by ALTER DATABASE or ALTER ROLE … RESET \
                    default_transaction_read_only. Until then ballots wait in Redis";
        return Finding::fail(check, found, todo);
    }
    Finding::ok(check, found)
}

fn room(server: &ServerReport, own: u32) -> Vec<Finding> {
    let check = "postgres connections";
    let mut findings = Vec::new();
    for (room, whose, todo) in [
        (
            Some(server.connections),
            "",
            "raise max_connections of the server, or lower postgres.connections of the services",
        ),
        (
            server.role_connections,
            " of this role",
            "ALTER ROLE … CONNECTION LIMIT to more, or lower postgres.connections of the services",
        ),
        (
            server.database_connections,
            " to this database",
            "ALTER DATABASE … CONNECTION LIMIT to more, or lower postgres.connections of the services",
        ),
    ] {
        let Some(Room { taken, most }) = room else {
            continue;
        };
        if taken + u64::from(own) > most {
            findings.push(Finding::warn(
                check,
                format!(
                    "{taken} of {most} connections{whose} are in use; a further service takes up to {own}"
                ),
                todo,
            ));
        }
    }
    findings
}

/// A server whose disk is full still answers and reads as usual.
async fn check_disk(visit: &mut Visit<'_>, postgres: &Postgres) {
    let check = "postgres disk";
    let finding = match tokio::time::timeout(visit.timeout, postgres.try_disk()).await {
        Ok(Ok(())) => Finding::ok(check, format!("takes {TRIED_MIB} MiB more")),
        Ok(Err(error)) if Failure::of(&error) == Some(Failure::DiskFull) => Finding::fail(
            check,
            format!("it is full, or nearly so: {}", why(&error)),
            "make room on the disk of Postgres' data; until then ballots wait in Redis",
        ),
        Ok(Err(error)) => Finding::unknown(check, format!("could not be checked: {}", why(&error))),
        Err(_) => Finding::unknown(check, "takes longer than --timeout to write a little"),
    };
    visit.add(finding);
}

/// Why there is no connection, and what to do.
fn away(place: &str, why: &str, failure: Option<Failure>) -> Finding {
    let found = match failure {
        // The server has answered.
        Some(_) => format!("refuses the connection at {place}: {why}"),
        None => format!("does not answer at {place}: {why}"),
    };
    let todo = match failure {
        Some(Failure::Password) => {
            "set the login and the password that it knows in postgres.url (or postgres.url_file); a \
             server that asks for passwords says the same of a login that there is not"
        }
        Some(Failure::NoSuchRole) => {
            "set a login that it knows in postgres.url (or postgres.url_file), or make it: CREATE ROLE … \
             LOGIN IN ROLE voting_worker (or voting_result)"
        }
        Some(Failure::NotLetIn) => {
            "let this login come from this machine in pg_hba.conf and reload; or mend postgres.url, also \
             whether it is encrypted (?sslmode=require)"
        }
        Some(Failure::NoSuchDatabase) => {
            "set a database that is there in postgres.url (or postgres.url_file), or make it: CREATE \
             DATABASE … OWNER …, then `voting migrate`"
        }
        Some(Failure::Forbidden) => {
            "GRANT CONNECT ON DATABASE … to the login, or to its role: `voting migrate --create-roles`"
        }
        Some(Failure::TooManyConnections) => {
            "raise the limit that is named: ALTER ROLE … CONNECTION LIMIT, ALTER DATABASE … CONNECTION \
             LIMIT, or max_connections; or lower postgres.connections of the services"
        }
        Some(Failure::NotUpYet) => {
            "wait: it starts, stops or recovers; if it stays so, see its log. Until then ballots wait in \
             Redis"
        }
        Some(Failure::DiskFull) => {
            "make room on the disk of Postgres' data; until then ballots wait in Redis"
        }
        Some(Failure::OutOfMemory) => "give its machine more memory, or it fewer connections",
        _ => {
            "start it, or correct postgres.url or the network between; until then ballots wait in Redis"
        }
    };
    Finding::fail("postgres", found, todo)
}

/// Checks that there are tables that this program can read.
async fn check_tables(visit: &mut Visit<'_>, postgres: &Postgres) -> bool {
    let check = "postgres tables";
    let wanted = Postgres::wanted_schema_version();
    let version = tokio::time::timeout(visit.timeout, postgres.schema_version()).await;
    let finding = match version {
        Ok(Ok(version)) if version == wanted => {
            visit.add(Finding::ok(
                check,
                format!("version {version}, which this program needs"),
            ));
            return true;
        }
        Ok(Ok(0)) => Finding::fail(
            check,
            "there are no tables",
            "run `voting migrate` as the owner of the database, or start a worker that may make them",
        ),
        Ok(Ok(version)) => Finding::fail(
            check,
            format!("version {version}; this program needs version {wanted}"),
            "run `voting migrate` as their owner",
        ),
        Ok(Err(error)) => other_tables(&error),
        Err(_) => Finding::unknown(check, "no answer in time"),
    };
    visit.add(finding);
    false
}

/// Checks that polls may use what programs of the version before do not know.
async fn check_upgrade(visit: &mut Visit<'_>, postgres: &Postgres) {
    let check = "postgres upgrade";
    match visit.look(check, postgres.upgrade_is_finished()).await {
        Some(true) => visit.add(Finding::ok(check, "finished")),
        Some(false) => visit.add(Finding::warn(
            check,
            "not finished: polls with drafts, times, codes, hidden results or a first vote that counts are refused, and no \
             poll can be deleted or have its voters forgotten",
            "once no program of an earlier version is running, run `voting migrate --finish` as the owner \
             of the database",
        )),
        None => {}
    }
}

/// Says nothing if there is a single table, which is the usual case.
fn partitions(table: BallotTable, has_copy: bool) -> Vec<Finding> {
    let check = "postgres partitions";
    let mut findings = Vec::new();
    match table {
        BallotTable::Whole(Partitions::ONE) => {}
        BallotTable::Whole(_) => {
            findings.push(Finding::ok(check, format!("the ballots are in {table}")));
        }
        BallotTable::Incomplete { .. } => findings.push(Finding::fail(
            check,
            format!("there are {table} of the ballots: ballots of some voters cannot be counted, and wait in Redis"),
            "attach the partitions that are missing: ALTER TABLE ballots ATTACH PARTITION …; if they are gone, restore a backup",
        )),
        _ => findings.push(Finding::warn(
            check,
            format!("the ballots are in {table}, which is not tested"),
            "make it one table again, then run `voting migrate --partitions N` as the owner",
        )),
    }
    if has_copy {
        findings.push(Finding::warn(
            check,
            "there is an unfinished copy of the ballots: `voting migrate --partitions` is at work, or was killed",
            "if it is not at work, run `voting migrate` as the owner, which removes the copy",
        ));
    }
    findings
}

fn other_tables(error: &StoreError) -> Finding {
    let check = "postgres tables";
    let text = why(error);
    if error.kind() == ErrorKind::Forbidden {
        let todo =
            "run `voting migrate --create-roles` as their owner, and put the login in a role";
        return Finding::fail(check, format!("their version cannot be read: {text}"), todo);
    }
    if SchemaError::of(error).is_some() {
        return Finding::fail(check, text, "use the version of the program that made them");
    }
    Finding::unknown(check, format!("could not be checked: {text}"))
}

fn rights(login: &LoginReport, services: &[Service]) -> Vec<Finding> {
    let check = "postgres rights";
    let name = &login.login;
    if login.is_superuser {
        return vec![Finding::warn(
            check,
            format!("login {name} is a superuser: whoever has it controls the whole server"),
            "make logins with few rights: `voting migrate --create-roles`, then CREATE ROLE … LOGIN \
             IN ROLE voting_worker (or voting_result)",
        )];
    }
    let mut findings = Vec::new();
    for (service, lacks, role) in [
        (Service::Worker, &login.worker_lacks, "voting_worker"),
        (Service::Result, &login.result_lacks, "voting_result"),
    ] {
        if lacks.is_empty() || !services.contains(&service) {
            continue;
        }
        findings.push(Finding::fail(
            check,
            format!("login {name} lacks rights of {}: {}", service.program(), lacks.join(", ")),
            format!(
                "`voting migrate --create-roles` as the owner, then GRANT {role} TO {name}; or give \
                 --for the service whose login it is"
            ),
        ));
    }
    if services == [Service::Result] && !login.may_write.is_empty() {
        findings.push(Finding::warn(
            check,
            format!("login {name} may write, which voting-result does not need"),
            "give voting-result a login of its own: CREATE ROLE … LOGIN IN ROLE voting_result",
        ));
    }
    if findings.is_empty() {
        let owner = if login.is_owner {
            "; it owns the tables, which the services need not"
        } else {
            ""
        };
        let found = format!("login {name} may do what is needed{owner}");
        findings.push(Finding::ok(check, found));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::Level;

    fn server() -> ServerReport {
        ServerReport {
            version: "15.8".to_owned(),
            major_version: 15,
            is_encrypted: false,
            is_near: true,
            is_standby: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            own_synchronous_commit: "on".to_owned(),
            time_ms: 0,
            is_read_only: false,
            connections: Room {
                taken: 3,
                most: 100,
            },
            role_connections: None,
            database_connections: None,
        }
    }

    #[test]
    fn versions_are_told_from_each_other() {
        let level = |major_version| {
            let server = ServerReport {
                major_version,
                ..server()
            };
            version(&server).level
        };
        assert_eq!([level(11), level(12)], [Level::Fail, Level::Warn]);
        assert_eq!([level(15), level(18)], [Level::Ok; 2]);
    }

    #[test]
    fn a_plain_connection_over_the_open_network_is_reported() {
        let level = |is_encrypted, is_near| {
            let server = ServerReport {
                is_encrypted,
                is_near,
                ..server()
            };
            connection("x", &server).level
        };
        assert_eq!(level(false, false), Level::Warn);
        assert_eq!([level(true, false), level(false, true)], [Level::Ok; 2]);
    }

    #[test]
    fn commits_that_wait_for_no_disk_are_reported() {
        let reported = |server: ServerReport| durability(&server).remove(0);
        assert_eq!(reported(server()).level, Level::Ok);
        let own = ServerReport {
            own_synchronous_commit: "off".to_owned(),
            ..server()
        };
        assert_eq!(reported(own).level, Level::Fail);
        let torn = ServerReport {
            full_page_writes: false,
            ..server()
        };
        assert_eq!(reported(torn).level, Level::Fail);
    }

    #[test]
    fn partitions_that_are_missing_are_reported() {
        let one = BallotTable::Whole(Partitions::ONE);
        assert_eq!(partitions(one, false), []);
        assert_eq!(partitions(one, true)[0].level, Level::Warn);
        let eight = BallotTable::Whole(Partitions::new(8).unwrap());
        let reported = partitions(eight, false).remove(0);
        assert_eq!(
            (reported.level, reported.found.contains("8 partitions")),
            (Level::Ok, true)
        );
        let missing = BallotTable::Incomplete { found: 7, of: 8 };
        let reported = partitions(missing, false).remove(0);
        assert_eq!(
            (reported.level, reported.found.contains("7 of 8")),
            (Level::Fail, true)
        );
    }

    #[test]
    fn a_standby_is_no_place_for_a_worker() {
        assert_eq!(standby(true).level, Level::Fail);
        assert_eq!(standby(false).level, Level::Ok);
    }

    #[test]
    fn a_server_that_is_full_is_reported() {
        assert_eq!(room(&server(), 97), []);
        assert_eq!(room(&server(), 98).len(), 1);
        let limited = ServerReport {
            role_connections: Some(Room { taken: 2, most: 3 }),
            ..server()
        };
        assert_eq!(room(&limited, 1), []);
        assert!(room(&limited, 2)[0].found.contains("of this role"));
    }
}
