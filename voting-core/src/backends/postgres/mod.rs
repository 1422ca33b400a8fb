//! The store in Postgres: ballots, tallies, polls and dead letters, for any number of workers and
//! result services.
//!
//! The `postgres` client blocks while it waits for an answer. On a thread of an async runtime it then panics, even when
//! it is only dropped there. So each blocking call takes a connection, uses it and gives it back. There are never more
//! such calls at a time than the pool has connections. The pool itself is dropped on its own thread.

mod address;
mod audit;
mod connect;
mod events;
mod export;
mod failure;
mod flush;
mod inspect;
mod marks;
mod partitions;
mod polls;
mod prepared;
mod read;
mod repartition;
mod replication;
mod roles;
mod rows;
mod schema;
mod servers;
mod sessions;
mod split;
mod tokens;
mod unsigned;
mod upgrade;
mod voiding;
mod webhooks;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use ::postgres::Transaction;
use r2d2::Pool;
use tokio::sync::Semaphore;

pub use self::{
    address::InvalidAddress,
    failure::Failure,
    inspect::{LoginReport, Room, ServerReport, TRIED_MIB},
    partitions::{BallotTable, PartitionError, Partitions},
    repartition::Repartitioned,
    roles::{BadPrefix, Roles},
    schema::{Migrated, SchemaError},
    upgrade::EarlierProgram,
};
use self::{
    connect::{Connector, LastFailure, Manager},
    prepared::Connection,
};
use crate::{
    backends::{endpoint::Endpoint, tls::Authorities},
    error::{ErrorKind, StoreError},
    model::position::{EntryId, ShardId},
    store::applied::StoreLife,
};

/// The number of rows of each tally. Workers add to different rows, so they seldom wait for each other.
const STRIPES: u8 = 16;

/// Options of the store in Postgres.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The number of connections of this process. This is also the number of calls that it makes at a time.
    /// Default: 4.
    pub connections: u32,
    /// How long to wait for a connection. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a statement may take. Default: 60 s.
    pub statement_timeout: Duration,
    /// The certificate authorities for the server. If they are given, the connection is always encrypted. Otherwise
    /// it is encrypted only if the address says `sslmode=require`. The authorities are then those that the system
    /// trusts. Default: `None`.
    pub ca: Option<Authorities>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(60),
            ca: None,
        }
    }
}

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    /// `None` only while it is dropped.
    pool: Option<Pool<Manager>>,
    last_failure: LastFailure,
    connector: Connector,
    /// The addresses of the servers.
    endpoints: Vec<Endpoint>,
    calls: Arc<Semaphore>,
    /// The row of each tally to which this process adds.
    stripe: i16,
    /// The id below which this process has last folded the applied marks, for each shard.
    folded: Mutex<HashMap<ShardId, EntryId>>,
    /// The first span of the history of polls, by their keys.
    first_spans: Mutex<HashMap<i32, u64>>,
    options: PostgresOptions,
    /// Whether the version of the tables was checked and is current.
    schema_is_current: AtomicBool,
}

impl Postgres {
    /// A store at `url`, such as `postgres://user:password@host/database`. The store connects when it is first used,
    /// and again whenever a connection is lost.
    ///
    /// The connection is not encrypted, unless the address says `sslmode=require` or [`PostgresOptions::ca`] is given.
    /// An encrypted connection needs a certificate for the server's host name. So `require` means here what
    /// `verify-full` means elsewhere, and `verify-full` is accepted too. Elsewhere, `require` alone does not check the
    /// certificate, so anybody could pose as the server.
    ///
    /// # Errors
    /// [`InvalidAddress`] says how to write the address.
    pub fn new(url: &str, options: PostgresOptions) -> Result<Self, InvalidAddress> {
        let last_failure = LastFailure::default();
        let config = address::parse(url)?;
        let endpoints = servers::endpoints(&config);
        let connector = connect::connector(config, &options);
        let pool = connect::pool(connector.clone(), &options, &last_failure);
        let stripe = uuid::Uuid::now_v7().as_bytes()[15] % STRIPES;
        Ok(Self(Arc::new(Inner {
            calls: Arc::new(Semaphore::new(pool.max_size() as usize)),
            connector,
            endpoints,
            pool: Some(pool),
            last_failure,
            stripe: stripe.into(),
            folded: Mutex::default(),
            first_spans: Mutex::default(),
            options,
            schema_is_current: AtomicBool::new(false),
        })))
    }

    /// Runs `work`, which waits for the server, on a thread where it does not block the runtime.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Calls that wait for a connection must not use up the runtime's threads.
        let turn = Arc::clone(&self.0.calls).acquire_owned().await;
        let turn = turn.map_err(StoreError::unavailable)?;
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when the caller no longer waits.
            let _turn = turn;
            work(&inner)
        });
        let done = done.await;
        done.map_err(StoreError::unavailable)?
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Runs `work` once, on a connection with tables of the current version. A connection that is lost is not used
    /// again, and the pool then tests each other connection before it is used.
    fn on_connection<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.on_any_schema(|connection| {
            self.check_schema(connection)?;
            work(connection)
        })
    }

    /// Runs `work` in a transaction, and runs it again if another session got in the way, or if a pooler has given the
    /// connection another session.
    fn in_transaction<T>(
        &self,
        work: impl Fn(&mut prepared::Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.in_transaction_in(None, work)
    }

    /// The same, in this life of the store.
    fn in_transaction_in<T>(
        &self,
        life: Option<&StoreLife>,
        work: impl Fn(&mut prepared::Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.on_connection(|connection| {
            let mut retries = 0;
            loop {
                let mut transaction = flush::begin_in(connection, life)?;
                let done = work(&mut transaction).and_then(|done| {
                    transaction.commit()?;
                    Ok(done)
                });
                if matches!(done, Err(StoreError::Unavailable(_))) {
                    connection.forget_prepared();
                }
                match done {
                    Err(error) if retries < flush::RETRIES && flush::passes(&error) => retries += 1,
                    done => return done,
                }
            }
        })
    }

    /// Like [`Self::on_connection`], for tables of any version.
    fn on_any_schema<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let pool = self.pool.as_ref();
        let pool = pool.ok_or_else(|| StoreError::unavailable("the pool is closed"))?;
        let patience = self.options.connect_timeout;
        let mut connection = connect::take(pool, &self.last_failure, patience)?;
        let done = work(&mut connection);
        connection.is_lost |= done.as_ref().is_err_and(connect::is_of_no_use);
        done
    }

    /// Asks a question that changes nothing. If the connection is lost, asks once more: the server may have been
    /// restarted while nobody used the connection.
    fn ask<T>(
        &self,
        question: impl Fn(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.on_connection(&question) {
            Err(error) if connect::is_lost(&error) => self.on_connection(&question),
            answer => answer,
        }
    }

    /// Like [`Self::ask`], for tables of any version.
    fn ask_any_schema<T>(
        &self,
        question: impl Fn(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.on_any_schema(&question) {
            Err(error) if connect::is_lost(&error) => self.on_any_schema(&question),
            answer => answer,
        }
    }

    /// Asks several questions in one snapshot.
    fn read<T>(
        &self,
        questions: impl Fn(&mut Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ask(|connection| {
            let mut snapshot = connection
                .build_transaction()
                .isolation_level(::postgres::IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()?;
            let answer = questions(&mut snapshot)?;
            snapshot.commit()?;
            Ok(answer)
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let pool = self.pool.take();
        // Closing a connection blocks, and a thread of the runtime must not block.
        std::thread::spawn(move || drop(pool));
    }
}

/// The kind of an error of Postgres, of its tables, or of the connection to it.
pub(super) fn kind_of(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    if error.is::<SchemaError>() {
        return Some(ErrorKind::Schema);
    }
    if let Some(error) = error.downcast_ref::<PartitionError>() {
        return Some(error.kind());
    }
    failure::kind_of(error)
}

impl From<::postgres::Error> for StoreError {
    fn from(error: ::postgres::Error) -> Self {
        match split::Refusal::of(&error) {
            Some(refusal) => Self::unavailable(refusal),
            None => Self::unavailable(error),
        }
    }
}

/// To a signed column.
fn to_column(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is out of range")))
}

/// A limit of rows.
fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// From a signed column.
fn from_column(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is out of range")))
}
