//! The tables: which version of them there is, and bringing them up to date.

use std::{error::Error, sync::atomic::Ordering};

use ::postgres::{Client, error::SqlState};

use super::{Inner, Postgres, connect::set_up};
use crate::error::{StoreError, causes, in_one_line};

mod embedded {
    #![allow(missing_docs, reason = "the macro writes no documentation")]

    refinery::embed_migrations!("src/backends/postgres/migrations");
}

/// Serialises migrations: any number, so long as nothing else uses it.
const MIGRATION_LOCK: i64 = 0x766f_7469_6e67;

/// Where it is kept which migrations there were.
pub(super) const HISTORY: &str = "refinery_schema_history";

/// The tables are not those that this program is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// They are older, and the login may not change them, or nobody has done so yet. Version 0 is
    /// a database without tables.
    #[error(
        "the tables are of version {found}, this program needs version {wanted}; \
         run `voting migrate` as their owner"
    )]
    Older {
        /// The version of the tables.
        found: u32,
        /// The version of the program.
        wanted: u32,
    },
    /// They are newer.
    #[error(
        "the tables are of version {found}, this program knows version {wanted} at most; \
         use a newer version of the program"
    )]
    Newer {
        /// The version of the tables.
        found: u32,
        /// The version of the program.
        wanted: u32,
    },
    /// They were not made by this program's migrations.
    #[error("version {version} of the tables was made by other statements than this program's")]
    Other {
        /// The first version that differs.
        version: u32,
    },
}

impl SchemaError {
    /// The one that is behind an error of the store, if there is one.
    pub fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Unavailable(source) => source.downcast_ref().copied(),
            _ => None,
        }
    }
}

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version before; 0 is a database without tables.
    pub from: u32,
    /// The version now. The same one, if there was nothing to do.
    pub to: u32,
}

/// The version that this program is made for.
fn wanted() -> u32 {
    let runner = embedded::migrations::runner();
    let versions = runner.get_migrations().iter().map(|m| version(m.version()));
    versions.max().unwrap_or(0)
}

/// The migrations are numbered from 1.
fn version(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

/// The version of the tables, which is no newer than the program's. Needs no right but to read.
fn found(client: &mut Client) -> Result<u32, StoreError> {
    let row = client.query_one("SELECT to_regclass($1)::text", &[&HISTORY])?;
    if row.get::<_, Option<String>>(0).is_none() {
        return Ok(0);
    }
    let runner = embedded::migrations::runner();
    let applied = runner.get_applied_migrations(client);
    let applied = applied.map_err(StoreError::unavailable)?;
    let found = applied.iter().map(|m| version(m.version())).max();
    let (found, wanted) = (found.unwrap_or(0), wanted());
    if found > wanted {
        let newer = SchemaError::Newer { found, wanted };
        return Err(StoreError::unavailable(newer));
    }
    for (applied, own) in applied.iter().zip(runner.get_migrations()) {
        if applied.version() != own.version() || applied.checksum() != own.checksum() {
            let version = version(own.version());
            return Err(StoreError::unavailable(SchemaError::Other { version }));
        }
    }
    Ok(found)
}

/// Whether the login may not do what it tried.
pub(super) fn is_forbidden(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .filter_map(|error| error.downcast_ref::<::postgres::Error>()?.code())
        .any(|code| *code == SqlState::INSUFFICIENT_PRIVILEGE)
}

fn bring_up_to_date(client: &mut Client) -> Result<Migrated, StoreError> {
    // Others may have been faster.
    let (from, wanted) = (found(client)?, wanted());
    // All or nothing, with what is noted of it.
    let runner = embedded::migrations::runner().set_grouped(true);
    match runner.run(client) {
        Ok(_) => Ok(Migrated { from, to: wanted }),
        Err(error) if is_forbidden(&error) => {
            let found = from;
            tracing::debug!(error = in_one_line(&error), "may not change the tables");
            let older = SchemaError::Older { found, wanted };
            Err(StoreError::unavailable(older))
        }
        Err(error) => Err(StoreError::unavailable(error)),
    }
}

impl Inner {
    /// Refuses tables that the program is not made for.
    pub(super) fn check_schema(&self, client: &mut Client) -> Result<(), StoreError> {
        // They are not changed under a running program so that it could not go on.
        if self.schema_is_current.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (found, wanted) = (found(client)?, wanted());
        if found < wanted {
            let older = SchemaError::Older { found, wanted };
            return Err(StoreError::unavailable(older));
        }
        self.schema_is_current.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn migrate(&self) -> Result<Migrated, StoreError> {
        let (from, wanted) = (self.ask_any_schema(|c| found(c))?, wanted());
        if from == wanted {
            return Ok(Migrated { from, to: from });
        }
        self.on_any_schema(|connection| self.alone(connection, bring_up_to_date))
    }

    /// Does `work` while nobody else does so in this database. The statements of it take as long as
    /// they take, but wait no longer for others than a statement may usually take.
    pub(super) fn alone<T>(
        &self,
        client: &mut Client,
        work: impl FnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let patience = self.options.statement_timeout.as_millis();
        let done = client
            .batch_execute(&format!(
                "SET statement_timeout = 0; SET lock_timeout = {patience};
                 -- The lock is the session's. A process that stands still or is gone must not keep
                 -- it; servers before version 14 notice only when its machine answers no more.
                 SELECT set_config(name, '5s', false) FROM pg_settings
                 WHERE name = 'client_connection_check_interval';
                 SELECT set_config(name, '30s', false) FROM pg_settings
                 WHERE name = 'idle_session_timeout'"
            ))
            .and_then(|()| client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]))
            .map_err(StoreError::from)
            .and_then(|_| work(client));
        // The connection is used on, whatever came of it. If this fails it is lost, and its lock.
        client.batch_execute("SELECT pg_advisory_unlock_all(); RESET ALL")?;
        set_up(client, self.options.statement_timeout)?;
        done
    }
}

impl Postgres {
    /// The version of the tables that this program is made for.
    pub fn wanted_schema_version() -> u32 {
        wanted()
    }

    /// The version of the tables; 0 is a database without any.
    ///
    /// # Errors
    /// The store does not answer, or [`SchemaError`] as a source: the tables are newer or others.
    pub async fn schema_version(&self) -> Result<u32, StoreError> {
        self.call(|inner| inner.ask_any_schema(|connection| found(connection)))
            .await
    }

    /// Brings the tables to this version's. Any number of processes may do so at once. A login that
    /// may not change tables is good enough when there is nothing to do.
    ///
    /// # Errors
    /// The store does not answer, or [`SchemaError`] as a source: the login may not change the
    /// tables, or they are newer or others.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        self.call(Inner::migrate).await
    }
}
