//! Postgres itself: whether it answers, keeps what it commits, has this version's tables, and what the
//! login may do.

use voting_core::{
    StoreError,
    postgres::{LoginReport, Postgres, SchemaError, ServerReport},
};
use voting_service::Service;

use super::{Visit, why};
use crate::report::Finding;

/// Older ones do not know all settings that connections are given.
const MIN_VERSION: u32 = 12;
/// The one that all is tested with.
const TESTED: u32 = 15;

/// Looks at the server and the login. `None` if it does not answer, has no tables that this program can
/// read, or the settings name none.
pub(super) async fn check(visit: &mut Visit<'_>) -> Option<Postgres> {
    // What is wrong with the settings is told with them.
    let postgres = visit.config.postgres().ok()?;
    let places: Vec<_> = postgres
        .endpoints()
        .iter()
        .map(ToString::to_string)
        .collect();
    let place = places.join(", ");
    // First: behind such a pooler other questions may fail, and the reason would not be told. If it cannot
    // be tried, the next question says why.
    if let Ok(false) = visit.ask(postgres.keeps_sessions()).await {
        visit.add(pooler(&place));
    }
    let server = match visit.ask(postgres.inspect()).await {
        Ok(server) => server,
        Err(why) => {
            let refused = ["assword", "authentication", "pg_hba", "does not exist"];
            let todo = if refused.iter().any(|word| why.contains(word)) {
                "set a login, its password and a database that it knows in postgres.url (or \
                 postgres.url_file)"
            } else {
                "start it, or mend postgres.url and the way there; until then ballots wait in Redis"
            };
            let found = format!("does not answer at {place}: {why}");
            visit.add(Finding::fail("postgres", found, todo));
            return None;
        }
    };
    let writes = visit.is_for(Service::Worker);
    visit.add(connection(&place, &server));
    visit.add(version(&server));
    for finding in durability(&server) {
        visit.add(finding);
    }
    if server.is_standby {
        visit.add(standby(writes));
    }
    if let Some(finding) = room(&server, visit.config.postgres.connections) {
        visit.add(finding);
    }
    if !check_tables(visit, &postgres).await {
        return None;
    }
    let check = "postgres rights";
    if let Some(login) = visit.look(check, postgres.inspect_login()).await {
        for finding in rights(&login, &visit.services) {
            visit.add(finding);
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
            let todo = format!("the system is tested with {TESTED}: rather use that or later");
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

fn room(server: &ServerReport, own: u32) -> Option<Finding> {
    let (used, max) = (server.connections, server.max_connections);
    if used + u64::from(own) <= max {
        return None;
    }
    Some(Finding::warn(
        "postgres connections",
        format!("{used} of {max} are in use; a further service takes up to {own}"),
        "raise max_connections, or lower postgres.connections",
    ))
}

/// Whether there are tables that this program can read.
async fn check_tables(visit: &mut Visit<'_>, postgres: &Postgres) -> bool {
    let check = "postgres tables";
    let wanted = Postgres::wanted_schema_version();
    let version = tokio::time::timeout(visit.patience, postgres.schema_version()).await;
    let finding = match version {
        Ok(Ok(version)) if version == wanted => {
            visit.add(Finding::ok(
                check,
                format!("of version {version}, as this program's"),
            ));
            return true;
        }
        Ok(Ok(0)) => Finding::fail(
            check,
            "there are none",
            "run `voting migrate` as the owner of the database, or start a worker that may make them",
        ),
        Ok(Ok(version)) => Finding::fail(
            check,
            format!("of version {version}; this program needs version {wanted}"),
            "run `voting migrate` as their owner",
        ),
        Ok(Err(error)) => other_tables(&error),
        Err(_) => Finding::unknown(check, "no answer in time"),
    };
    visit.add(finding);
    false
}

fn other_tables(error: &StoreError) -> Finding {
    let check = "postgres tables";
    let text = why(error);
    if voting_core::postgres::is_forbidden(error) {
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
            format!("login {name} is a superuser: who has it has the whole server"),
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
            format!("login {name} may write, which voting-result need not"),
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
    use crate::report::Level;

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
            connections: 3,
            max_connections: 100,
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
    fn a_plain_connection_over_the_open_network_is_told() {
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
    fn commits_that_wait_for_no_disk_are_told() {
        let told = |server: ServerReport| durability(&server).remove(0);
        assert_eq!(told(server()).level, Level::Ok);
        let own = ServerReport {
            own_synchronous_commit: "off".to_owned(),
            ..server()
        };
        assert_eq!(told(own).level, Level::Fail);
        let torn = ServerReport {
            full_page_writes: false,
            ..server()
        };
        assert_eq!(told(torn).level, Level::Fail);
    }

    #[test]
    fn a_standby_is_no_place_for_a_worker() {
        assert_eq!(standby(true).level, Level::Fail);
        assert_eq!(standby(false).level, Level::Ok);
    }

    #[test]
    fn a_server_that_is_full_is_told() {
        assert_eq!(room(&server(), 97), None);
        assert!(room(&server(), 98).is_some());
    }
}
