//! `voting migrate`: the tables in Postgres, and the roles that services log in with.

use std::error::Error;

use clap::Args;
use voting_core::{
    ErrorKind, StoreError,
    backends::{
        self,
        postgres::{
            BallotTable, Migrated, PartitionError, Partitions, Postgres, Roles, SchemaError,
        },
        redis::Redis,
    },
    error::in_one_line,
    store::PollStore,
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
    /// Finish an upgrade, once no program of the earlier version is running: allow what such a program would not
    /// understand
    ///
    /// From then on polls can be drafts, open and close at set times, hide their results, count the first vote, and be
    /// deleted. The command first looks for connections of such programs to Postgres and Redis, and changes nothing if
    /// it finds one. It needs redis.url as well, with a user that may send CLIENT LIST.
    #[arg(long)]
    finish: bool,
    /// Finish although connections were found, because they belong to other programs
    #[arg(long, requires = "finish")]
    anyway: bool,
    /// Also keep the ballots in this many partitions, by a hash of the voter; 1 means one table
    ///
    /// The ballots are copied. People can vote and see results meanwhile, but no ballot is counted until it is done: ballots
    /// wait in the log. The copy needs as much room on the disk of Postgres as the ballots. If the command is killed, the
    /// ballots are as before; run it again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(Partitions::MOST)))]
    partitions: Option<u16>,
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
    #[error(
        "cannot see which programs use Redis: {why}. To do: start Redis, or give a user that may send CLIENT LIST in \
         redis.url or redis.url_file"
    )]
    Redis { why: String },
    #[error(
        "programs of an earlier version may be running; nothing was changed. Connected are: {}. To do: stop \
         them, or restart them with the new version, then run this again. If these connections \
         belong to other programs, add --anyway", .0.join("; ")
    )]
    AtWork(Vec<String>),
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
    if let Some(error) = PartitionError::of(error) {
        return todo_about_partitions(error);
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

/// The advice where the partitions were not changed.
fn todo_about_partitions(error: &PartitionError) -> &'static str {
    match error {
        PartitionError::Table(BallotTable::Incomplete { .. }) => {
            "attach the partitions that are missing (ALTER TABLE ballots ATTACH PARTITION …), or restore a backup; nothing \
             was changed"
        }
        PartitionError::Table(_) => {
            "make it one table again in the way in which it was partitioned; nothing was changed"
        }
        PartitionError::Extras(_) => {
            "drop them, run it again, and make them anew; nothing was changed"
        }
        PartitionError::Readers(_) => {
            "wait until they are done, as exports and backups, then run it again; nothing was changed"
        }
        PartitionError::ForeignCopy => {
            "rename or drop this table, then run it again; nothing was changed"
        }
        _ => "remove the cause and run it again; nothing was changed",
    }
}

/// Moves the ballots into this many partitions. Without a number, only removes what an earlier attempt has left.
async fn partition(postgres: &Postgres, count: Option<Partitions>) -> Result<(), StoreError> {
    let Some(count) = count else {
        if postgres.remove_unfinished_copy().await? {
            announce("Removed an unfinished copy of the ballots.\n");
        }
        return Ok(());
    };
    let done = postgres.repartition(count).await?;
    let now = BallotTable::Whole(count);
    announce(&match done.ballots {
        Some(ballots) => {
            let from = done.from;
            format!("Moved {ballots} ballots from {from} to {now}.\n")
        }
        None => format!("The ballots are in {now} already.\n"),
    });
    Ok(())
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
        let partitioned = partition(&postgres, self.partitions.and_then(Partitions::new)).await;
        partitioned.map_err(|error| failed("change the partitions", &error, false))?;
        if self.create_roles {
            let roles = &self.role_prefix;
            let granted = postgres.grant(roles).await;
            granted.map_err(|error| failed("give the roles their rights", &error, true))?;
            announce(&format!("The roles {roles} have their rights.\n"));
        }
        // A login that may not read it is not told: it could not finish the upgrade either.
        let is_finished = postgres.upgrade_is_finished().await.unwrap_or(true);
        if !self.finish {
            if !is_finished {
                announce(UNFINISHED);
            }
            return Ok(Exit::Clean);
        }
        if is_finished {
            announce("The upgrade is finished already.\n");
            return Ok(Exit::Clean);
        }
        if !self.anyway {
            let look = "look for programs of an earlier version";
            let found = postgres.earlier_programs().await;
            let found = found.map_err(|error| failed(look, &error, false))?;
            let mut at_work: Vec<_> = found.iter().map(in_postgres).collect();
            at_work.extend(in_redis(&config.redis()?).await?);
            if !at_work.is_empty() {
                return Err(MigrateError::AtWork(at_work));
            }
        }
        let finished = postgres.finish_upgrade().await;
        finished.map_err(|error| failed("finish the upgrade", &error, false))?;
        announce(
            "The upgrade is finished. Polls can now have all settings, and final ones can be deleted.\n",
        );
        Ok(Exit::Clean)
    }
}

/// What is to be done after an upgrade.
const UNFINISHED: &str = "Programs of an earlier version can keep running for now. Until they are replaced, \
    no poll can be a \
    draft, have times, hide its result, count the first vote, or be deleted. Once they are, run \
                          `voting migrate --finish`.\n";

fn in_postgres(program: &backends::postgres::EarlierProgram) -> String {
    let address = program.address.as_deref().unwrap_or("this machine");
    format!(
        "{} from {address} to Postgres (process {})",
        program.login, program.process
    )
}

async fn in_redis(redis: &Redis) -> Result<Vec<String>, MigrateError> {
    let cannot = |error: &StoreError| MigrateError::Redis {
        why: error
            .source()
            .map_or_else(|| error.to_string(), in_one_line),
    };
    let nodes = redis.nodes().await.map_err(|error| cannot(&error))?;
    let mut found = Vec::new();
    for node in nodes {
        let clients = node.earlier_programs().await;
        for client in clients.map_err(|error| cannot(&error))? {
            found.push(format!(
                "{} from {} to {}, whose last command was {}",
                client.user, client.address, node.name, client.command
            ));
        }
    }
    Ok(found)
}
