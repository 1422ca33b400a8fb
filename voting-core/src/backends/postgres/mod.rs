//! The store in Postgres: ballots, tallies, polls and dead letters, for any number of workers and
//! result services.
//!
//! The `postgres` client waits for its answers, and panics when it does so on a thread of an
//! async runtime, even when it is dropped there. So a connection is taken, used and given back
//! inside one blocking call, no more of them at a time than the pool has connections, and the
//! pool itself is dropped on a thread of its own.

mod address;
mod connect;
mod failure;
mod flush;
mod inspect;
mod marks;
mod polls;
mod prepared;
mod read;
mod roles;
mod schema;
mod split;

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
    roles::{BadPrefix, Roles},
    schema::{Migrated, SchemaError},
};
use self::{
    connect::{Connector, LastFailure, Manager},
    prepared::Connection,
};
use crate::{
    backends::{endpoint::Endpoint, tls::Authorities},
    error::{ErrorKind, StoreError},
    model::position::{EntryId, ShardId},
};

/// Tallies are spread over so many rows, so that workers seldom wait for each other.
const STRIPES: u8 = 16;

/// How the store is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The connections of this process, and so the calls that it makes at a time.
    pub connections: u32,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// Who vouches for the server; the connection is then always encrypted. Without, it is when the
    /// address says `sslmode=require`, and those whom the system trusts vouch for it.
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
    /// Where the servers are.
    endpoints: Vec<Endpoint>,
    calls: Arc<Semaphore>,
    /// Of the tallies, the row that this process adds to.
    stripe: i16,
    /// Up to where this process has last folded the marks of applied entries.
    folded: Mutex<HashMap<ShardId, EntryId>>,
    options: PostgresOptions,
    /// Whether it was seen to be so.
    schema_is_current: AtomicBool,
}

impl Postgres {
    /// A store at `url`, such as `postgres://user:password@host/database`. It connects when it is
    /// first used, and again whenever a connection is lost.
    ///
    /// The connection is plain, unless the address says `sslmode=require` or
    /// [`PostgresOptions::ca`] is given. Then it is encrypted, and the server must show a certificate
    /// that is made out to its host name: what `verify-full` means elsewhere, and is taken for here; with
    /// `require` alone anybody may stand in for the server there.
    ///
    /// # Errors
    /// [`InvalidAddress`] says how to write it.
    pub fn new(url: &str, options: PostgresOptions) -> Result<Self, InvalidAddress> {
        let last_failure = LastFailure::default();
        let config = address::parse(url)?;
        let endpoints = inspect::endpoints(&config);
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
            options,
            schema_is_current: AtomicBool::new(false),
        })))
    }

    /// Runs `work`, which waits for the server, where it does not hold up the runtime.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Waiting calls must not take all the runtime's threads.
        let turn = Arc::clone(&self.0.calls).acquire_owned().await;
        let turn = turn.map_err(StoreError::unavailable)?;
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            // Kept until it is done, also when nobody waits for it any more.
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
    /// Does something on a connection, once. If the connection is lost, it is not used again, and the
    /// others are tried before they are.
    fn on_connection<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.on_any_schema(|connection| {
            self.check_schema(connection)?;
            work(connection)
        })
    }

    /// The same, whatever version the tables are of.
    fn on_any_schema<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let pool = self.pool.as_ref();
        let pool = pool.ok_or_else(|| StoreError::unavailable("the pool is closed"))?;
        let patience = self.options.connect_timeout;
        let mut connection = connect::take(pool, &self.last_failure, patience)?;
        let done = work(&mut connection);
        connection.is_lost |= done.as_ref().is_err_and(connect::is_lost);
        done
    }

    /// Asks something that changes nothing: once more if the connection is lost, as after the server was
    /// started anew while nobody asked it anything.
    fn ask<T>(
        &self,
        question: impl Fn(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.on_connection(&question) {
            Err(error) if connect::is_lost(&error) => self.on_connection(&question),
            answer => answer,
        }
    }

    /// The same, whatever version the tables are of.
    fn ask_any_schema<T>(
        &self,
        question: impl Fn(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.on_any_schema(&question) {
            Err(error) if connect::is_lost(&error) => self.on_any_schema(&question),
            answer => answer,
        }
    }

    /// One snapshot for several questions.
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
        // Closing a connection waits, which a thread of the runtime must not.
        std::thread::spawn(move || drop(pool));
    }
}

/// The kind of an error of Postgres, of its tables, or of the way to it.
pub(super) fn kind_of(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    if error.is::<SchemaError>() {
        return Some(ErrorKind::Schema);
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

/// From a signed column.
fn from_column(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is out of range")))
}
