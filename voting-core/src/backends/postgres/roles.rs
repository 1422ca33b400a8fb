//! Roles with just the rights that the services need, for logins to be in.

use std::fmt;

use ::postgres::{Client, error::SqlState};

use super::{Inner, Postgres, schema::HISTORY};
use crate::error::StoreError;

/// What the worker and the result service do with each table. A migration that adds a table adds
/// a line here; a test sees to it.
const RIGHTS: [(&str, &str, &str); 23] = [
    (HISTORY, "SELECT", "SELECT"),
    ("polls", "SELECT, INSERT, UPDATE", "SELECT"),
    (
        "ballots",
        "SELECT, INSERT, UPDATE",
        // Not the choices: of a voter it says where the ballot is, of a poll it has the tally.
        "SELECT (poll, voter, shard, ms, n, source)",
    ),
    ("tallies", "SELECT, INSERT, UPDATE", "SELECT"),
    ("turnouts", "SELECT, INSERT, UPDATE", "SELECT"),
    ("superseded", "SELECT, INSERT, UPDATE", ""),
    ("new_voters", "SELECT, INSERT, UPDATE", ""),
    ("vote_history", "SELECT, INSERT, UPDATE", "SELECT"),
    // Dead letters contain ballots as they were cast.
    (
        "dead_letters",
        "SELECT, INSERT, DELETE",
        "SELECT (shard, ms, n, reason)",
    ),
    // Filled by the functions below. The result service tells who has a receipt that the poll was deleted.
    ("deleted_polls", "SELECT", "SELECT (id)"),
    ("ballots_without_voters", "SELECT", ""),
    // Nobody may change it, also not the worker; and the server says when something was done.
    (
        "audit_log",
        "SELECT, INSERT (by, action, poll, before, after)",
        "",
    ),
    ("events", "SELECT, INSERT, UPDATE (number), DELETE", ""),
    ("event_numbers", "SELECT, UPDATE", ""),
    ("event_marks", "SELECT, INSERT, UPDATE", ""),
    ("webhooks", "SELECT, INSERT, UPDATE, DELETE", ""),
    ("deliveries", "SELECT, INSERT, UPDATE, DELETE", ""),
    ("tokens", "SELECT, INSERT, DELETE", ""),
    (
        "host_sessions",
        "SELECT, INSERT, UPDATE (used_at, has_ended), DELETE",
        "",
    ),
    ("upgrades", "SELECT", ""),
    ("unsigned_until", "SELECT, INSERT", ""),
    ("applied", "SELECT, INSERT, DELETE", ""),
    // To lock a row for a share needs the right to change it.
    ("applied_below", "SELECT, INSERT, UPDATE", ""),
];

/// What the worker calls. These functions have the rights of the tables' owner, and check what they do.
pub(super) const WORKERS_FUNCTIONS: [&str; 2] = ["delete_poll(text)", "forget_voters(text)"];

/// One right.
pub(super) struct Right<'a> {
    pub(super) table: &'a str,
    /// The whole table unless given.
    pub(super) column: Option<&'a str>,
    /// Such as `SELECT`.
    pub(super) action: &'a str,
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.table)?;
        match self.column {
            Some(column) => write!(f, " ({column})"),
            None => Ok(()),
        }
    }
}

/// The rights that the worker needs, one by one.
pub(super) fn of_worker() -> Vec<Right<'static>> {
    let each = RIGHTS.iter();
    each.flat_map(|(table, workers, _)| split(table, workers))
        .collect()
}

/// The rights that the result service needs, one by one.
pub(super) fn of_result() -> Vec<Right<'static>> {
    let each = RIGHTS.iter();
    each.flat_map(|(table, _, results)| split(table, results))
        .collect()
}

/// From `SELECT, INSERT` or `SELECT, INSERT (a, b)`.
fn split<'a>(table: &'a str, rights: &'a str) -> Vec<Right<'a>> {
    let mut found = Vec::new();
    let mut rest = rights;
    while !rest.is_empty() {
        let (action, after) = rest.split_at(rest.find([',', '(']).unwrap_or(rest.len()));
        let (columns, after) = match after.strip_prefix('(') {
            Some(after) => after.split_once(')').unwrap_or((after, "")),
            None => ("", after),
        };
        rest = after.trim_start_matches([',', ' ']);
        let action = action.trim_end();
        let right = |column| Right {
            table,
            column,
            action,
        };
        if columns.is_empty() {
            found.push(right(None));
        } else {
            found.extend(columns.split(", ").map(|column| right(Some(column))));
        }
    }
    found
}

/// The names of the two roles. Roles are the server's, not the database's: two voting systems on
/// one server need different ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    worker: String,
    result: String,
}

/// That cannot begin a role's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not 1 to 40 of a-z, 0-9 and _, the first one a letter")]
pub struct BadPrefix(String);

impl Roles {
    /// `<prefix>_worker` and `<prefix>_result`.
    ///
    /// # Errors
    /// The prefix is not 1 to 40 of a-z, 0-9 and `_`, the first one a letter.
    pub fn with_prefix(prefix: &str) -> Result<Self, BadPrefix> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        let first = prefix.bytes().next();
        let is_good = first.is_some_and(|c| c.is_ascii_lowercase())
            && prefix.len() <= 40
            && prefix.bytes().all(fits);
        // Postgres keeps these for itself.
        if !is_good || prefix.starts_with("pg_") {
            return Err(BadPrefix(prefix.to_owned()));
        }
        Ok(Self {
            worker: format!("{prefix}_worker"),
            result: format!("{prefix}_result"),
        })
    }

    /// The role of the worker, which writes.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// The role of the result service, which only reads.
    pub fn result(&self) -> &str {
        &self.result
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            worker: "voting_worker".to_owned(),
            result: "voting_result".to_owned(),
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.worker, self.result)
    }
}

impl Inner {
    fn grant(&self, roles: &Roles) -> Result<(), StoreError> {
        self.on_connection(|connection| self.alone(connection, |client| grant(client, roles)))
    }
}

fn grant(client: &mut Client, roles: &Roles) -> Result<(), StoreError> {
    for role in [&roles.worker, &roles.result] {
        let there = "SELECT FROM pg_roles WHERE rolname = $1";
        if client.query_opt(there, &[role])?.is_some() {
            continue;
        }
        match client.batch_execute(&format!("CREATE ROLE {role} NOLOGIN")) {
            // Made meanwhile, for another database.
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => {}
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            made => made?,
        }
    }
    let names = "SELECT quote_ident(current_schema()), quote_ident(current_database())";
    let row = client.query_one(names, &[])?;
    let (schema, database): (String, String) = (row.get(0), row.get(1));
    let Roles { worker, result } = roles;
    let mut transaction = client.transaction()?;
    // The roles have all rights of `PUBLIC`, so these are revoked from `PUBLIC`.
    transaction.batch_execute(&format!(
        "REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;
         REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {database} TO {worker}, {result};
         GRANT USAGE ON SCHEMA {schema} TO {worker}, {result}"
    ))?;
    for (table, workers, results) in RIGHTS {
        transaction.batch_execute(&format!(
            "REVOKE ALL ON TABLE {schema}.{table} FROM PUBLIC, {worker}, {result}"
        ))?;
        for (rights, role) in [(workers, worker), (results, result)] {
            if !rights.is_empty() {
                let grant = format!("GRANT {rights} ON TABLE {schema}.{table} TO {role}");
                transaction.batch_execute(&grant)?;
            }
        }
    }
    for function in WORKERS_FUNCTIONS {
        transaction.batch_execute(&format!(
            "REVOKE ALL ON FUNCTION {schema}.{function} FROM PUBLIC, {worker}, {result};
             GRANT EXECUTE ON FUNCTION {schema}.{function} TO {worker}"
        ))?;
    }
    transaction.commit()?;
    Ok(())
}

impl Postgres {
    /// Makes the roles if they are missing, without a login, and gives them the rights that the
    /// services need in this database, no fewer and no more. Nobody but the owner and who is given
    /// the right by name can make tables there any more. Do it again after a migration.
    ///
    /// # Errors
    /// The store does not answer, the tables are not this version's, or the login may not do so: it
    /// must own the tables, and make roles unless they are there.
    pub async fn grant(&self, roles: &Roles) -> Result<(), StoreError> {
        let roles = roles.clone();
        self.call(move |inner| inner.grant(&roles)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_reported_one_by_one() {
        let reported = |rights| {
            let rights = split("t", rights).into_iter();
            rights.map(|right| right.to_string()).collect::<Vec<_>>()
        };
        assert!(reported("").is_empty());
        assert_eq!(reported("SELECT, INSERT"), ["SELECT on t", "INSERT on t"]);
        assert_eq!(
            reported("SELECT (a, b)"),
            ["SELECT on t (a)", "SELECT on t (b)"]
        );
        assert_eq!(
            reported("SELECT, INSERT (a, b), DELETE"),
            [
                "SELECT on t",
                "INSERT on t (a)",
                "INSERT on t (b)",
                "DELETE on t"
            ]
        );
    }

    #[test]
    fn a_prefix_is_a_plain_name() {
        let roles = Roles::with_prefix("voting").unwrap();
        assert_eq!(roles, Roles::default());
        for bad in [
            "",
            "Voting",
            "1",
            "a b",
            "a\"b",
            "a;b",
            "pg_x",
            &"a".repeat(41),
        ] {
            assert!(Roles::with_prefix(bad).is_err(), "{bad}");
        }
    }
}
