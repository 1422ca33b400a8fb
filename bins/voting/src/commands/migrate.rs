//! `voting migrate`: the tables in Postgres, and the roles that services log in with.

use std::error::Error;

use clap::Args;
use voting_core::{
    ErrorKind, StoreError,
    backends::postgres::{Migrated, Roles, SchemaError},
    error::in_one_line,
};
use voting_service::{Config, Exit, StoreSettings, announce};

/// Bring the tables in Postgres up to date
///
/// It needs the login of the database's owner, in postgres.url or postgres.url_file. A worker does the same at its
/// start if its login may.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Also make the roles PREFIX_worker and PREFIX_result and give them just the rights that the
    /// worker and the result service need
    ///
    /// They cannot log in themselves; make logins in them: CREATE ROLE … LOGIN … IN ROLE
    /// voting_worker. Do it again after each migration.
    #[arg(long)]
    create_roles: bool,
    /// The names of the roles begin with this
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "voting",
        value_parser = Roles::with_prefix,
        requires = "create_roles"
    )]
    role_prefix: Roles,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrateError {
    #[error(transparent)]
    Settings(#[from] StoreSettings),
    #[error("cannot {what} at {place}: {why}. To do: {todo}")]
    Store {
        what: &'static str,
        place: String,
        why: String,
        todo: &'static str,
    },
}

/// The advice for a migration that failed.
fn todo(error: &StoreError, is_about_roles: bool) -> &'static str {
    match SchemaError::of(error) {
        Some(SchemaError::Older { .. }) => {
            return "log in as the owner of the database, in postgres.url or postgres.url_file: this \
                    login may not change the tables";
        }
        Some(SchemaError::Newer { .. }) => {
            return "use a newer version of this program; the tables are left as they are";
        }
        Some(_) => {
            return "use the version of the program that made the tables, or an empty database";
        }
        None => {}
    }
    if error.kind() == ErrorKind::Forbidden && is_about_roles {
        return "log in as a role that owns the tables and may make roles (CREATEROLE), or let somebody \
                who may make the roles, then run it again; the tables are up to date";
    }
    if error.kind() == ErrorKind::Forbidden {
        return "log in as the owner of the database, in postgres.url or postgres.url_file";
    }
    if matches!(
        error.kind(),
        ErrorKind::Unreachable | ErrorKind::Unauthenticated | ErrorKind::Full
    ) {
        return "start Postgres, or correct postgres.url or the network between; nothing was changed";
    }
    if error.kind() == ErrorKind::TimedOut {
        return "wait: another migration, or a long transaction, holds the tables; then do it again";
    }
    if error.kind() == ErrorKind::ReadOnly {
        return "give the address of the primary: this server is a standby, or read-only";
    }
    "remove the cause and run it again: a migration is done completely or not at all"
}

impl Migrate {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, MigrateError> {
        let postgres = config.postgres()?;
        let places = postgres.endpoints();
        let failed = |what: &'static str, error: &StoreError, is_about_roles| MigrateError::Store {
            what,
            place: places.first().map(ToString::to_string).unwrap_or_default(),
            // The error itself only says that the store is unavailable; its source says why.
            why: error
                .source()
                .map_or_else(|| error.to_string(), in_one_line),
            todo: todo(error, is_about_roles),
        };
        let migrated = postgres.migrate().await;
        let migrated =
            migrated.map_err(|error| failed("bring the tables up to date", &error, false))?;
        announce(&match migrated {
            Migrated { from, to } if from == to => {
                format!("The tables already have version {to}.\n")
            }
            Migrated { from: 0, to } => {
                format!("There were no tables; made them, version {to}.\n")
            }
            Migrated { from, to } => {
                format!("Brought the tables from version {from} to version {to}.\n")
            }
        });
        if self.create_roles {
            let roles = &self.role_prefix;
            let granted = postgres.grant(roles).await;
            granted.map_err(|error| failed("give the roles their rights", &error, true))?;
            announce(&format!("The roles {roles} have their rights.\n"));
        }
        Ok(Exit::Clean)
    }
}
