//! `voting migrate`: the tables in Postgres, and the roles that services log in with.

use clap::Args;
use voting_core::{
    StoreError,
    postgres::{Migrated, Roles},
};
use voting_service::{Config, Exit, StoreSettings, announce};

/// Bring the tables in Postgres up to date
///
/// Takes a login that owns the database, in postgres.url or postgres.url_file. The worker does the
/// same at its start if its login may.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Also make the roles PREFIX_worker and PREFIX_result and give them just the rights that the
    /// worker and the result service need
    ///
    /// They cannot log in themselves; make logins in them: CREATE ROLE … LOGIN … IN ROLE
    /// voting_worker. Do it again after each migration.
    #[arg(long)]
    create_roles: bool,
    /// Begins the names of the roles
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
    #[error("cannot bring the tables up to date")]
    Migrate(#[source] StoreError),
    #[error("cannot give the roles their rights")]
    Grant(#[source] StoreError),
}

impl Migrate {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, MigrateError> {
        let postgres = config.postgres()?;
        let migrated = postgres.migrate().await.map_err(MigrateError::Migrate)?;
        announce(&match migrated {
            Migrated { from, to } if from == to => {
                format!("The tables are of version {to} already.\n")
            }
            Migrated { from: 0, to } => {
                format!("There were no tables; they are made, of version {to}.\n")
            }
            Migrated { from, to } => {
                format!("The tables were of version {from} and are of version {to} now.\n")
            }
        });
        if self.create_roles {
            let roles = &self.role_prefix;
            postgres.grant(roles).await.map_err(MigrateError::Grant)?;
            announce(&format!("The roles {roles} have their rights.\n"));
        }
        Ok(Exit::Clean)
    }
}
