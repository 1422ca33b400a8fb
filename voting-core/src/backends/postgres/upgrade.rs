//! Finishing an upgrade: once no program of an earlier version is at work, polls may use what such programs do not
//! know.

use ::postgres::Client;

use super::{Inner, Postgres, prepared::Transaction};
use crate::{error::StoreError, model::id::PollId};

/// The version of the tables whose programs know all that a poll can be.
const KNOWS_EXTRAS: i32 = 3;

/// A connection of a program of an earlier version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlierProgram {
    /// The number of the server's process that serves it.
    pub process: i32,
    /// Its login.
    pub login: String,
    /// Where it comes from; `None` if that is not known: over a socket of the machine, or to a login without the right.
    pub address: Option<String>,
}

/// What programs before version 0.2 call themselves. Later ones add their version.
const EARLIER: &str = "
    SELECT pid, COALESCE(usename::text, ''), host(client_addr) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'voting'
    ORDER BY pid";

fn finish(client: &mut Client) -> Result<bool, StoreError> {
    let changed = client.execute(
        "UPDATE upgrades SET finished = $1 WHERE finished < $1",
        &[&KNOWS_EXTRAS],
    )?;
    Ok(changed > 0)
}

impl Inner {
    /// Whether it was said that no program of an earlier version is at work, see [`Postgres::finish_upgrade`]. Tables that
    /// this version made are so from the beginning.
    pub(super) fn upgrade_is_finished(&self) -> Result<bool, StoreError> {
        self.ask(|connection| {
            let row = connection.query_opt("SELECT finished FROM upgrades", &[])?;
            Ok(row.is_some_and(|row| row.get::<_, i32>(0) >= KNOWS_EXTRAS))
        })
    }

    fn earlier_programs(&self) -> Result<Vec<EarlierProgram>, StoreError> {
        self.ask(|connection| {
            let rows = connection.query(EARLIER, &[])?;
            let program = |row: &::postgres::Row| EarlierProgram {
                process: row.get(0),
                login: row.get(1),
                address: row.get(2),
            };
            Ok(rows.iter().map(program).collect())
        })
    }
}

/// Refuses a change of this poll that programs of an earlier version would not understand, until none of them is at
/// work.
pub(super) fn must_be_finished(
    transaction: &mut Transaction<'_>,
    poll: &PollId,
) -> Result<(), StoreError> {
    let row = transaction.query_opt("SELECT finished FROM upgrades", &[])?;
    if row.is_none_or(|row| row.get::<_, i32>(0) < KNOWS_EXTRAS) {
        return Err(StoreError::UpgradeUnfinished(poll.clone()));
    }
    Ok(())
}

impl Postgres {
    /// The connections of programs of an earlier version to this database. A program that has lost its connection is not
    /// found, nor one behind a pooler that has given its connection to another one.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn earlier_programs(&self) -> Result<Vec<EarlierProgram>, StoreError> {
        self.call(Inner::earlier_programs).await
    }

    /// From now on polls may be stored that programs of an earlier version would not understand, and polls may be
    /// deleted. First see to it that no such program is at work: it would count by other rules. Returns whether
    /// anything has changed.
    ///
    /// # Errors
    /// The store does not answer, or the login may not do so: it must own the tables.
    pub async fn finish_upgrade(&self) -> Result<bool, StoreError> {
        self.call(|inner| inner.on_connection(|connection| inner.alone(connection, finish)))
            .await
    }
}
