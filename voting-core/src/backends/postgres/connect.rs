//! Connecting to the server: time-outs, keepalive, encryption, and what each connection is told first.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::postgres::{
    CancelToken, Client, Config,
    config::{SslMode, TargetSessionAttrs},
};
use r2d2::{ManageConnection, Pool, PooledConnection};
use r2d2_postgres::PostgresConnectionManager;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    PostgresOptions, failure::CannotConnect, prepared::Connection, replication::Unconfirmed,
    servers::Servers,
};
use crate::{
    backends::{PROGRAM_VERSION, tls},
    error::{ErrorKind, StoreError},
};

/// How to connect to the servers of an address.
#[derive(Clone)]
pub(super) struct Connector {
    servers: Servers,
    /// Whether the address asks for a server that takes writes.
    writes: bool,
    tls: MakeRustlsConnect,
    /// The authorities that are trusted, if the connection is encrypted.
    pub(super) roots: Option<Arc<RootCertStore>>,
}

impl Connector {
    /// Connects once, and returns at once the reason if this fails. The pool would try again until its time-out.
    pub(super) fn connect(&self, statement_timeout: Duration) -> Result<Client, StoreError> {
        let client = self
            .servers
            .first(|config| config.connect(self.tls.clone()));
        let mut client = client.map_err(CannotConnect::into_error)?;
        set_up(&mut client, statement_timeout)?;
        Ok(client)
    }

    /// A connection that notices commits which the standby has not confirmed.
    fn connect_to_write(&self) -> Result<(Client, Unconfirmed), CannotConnect> {
        self.servers.first(|config| {
            let mut config = config.clone();
            let unconfirmed = Unconfirmed::noticed_by(&mut config);
            let manager = PostgresConnectionManager::new(config, self.tls.clone());
            Ok((manager.connect()?, unconfirmed))
        })
    }

    /// Stops what the server does for a connection.
    pub(super) fn cancel(&self, running: &CancelToken) -> Result<(), ::postgres::Error> {
        running.cancel_query(self.tls.clone())
    }
}

/// Makes connections, of one type whether they are encrypted or not.
pub(super) struct Manager {
    connector: Connector,
    /// How many connections were lost. If one was, the others may be, too, as when the server was started
    /// anew: each is tried before it is used again.
    lost: Arc<AtomicU64>,
}

/// How long a connection that is tried may take to answer.
const TRIED_FOR: Duration = Duration::from_secs(1);

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = CannotConnect;

    fn connect(&self) -> Result<Connection, CannotConnect> {
        // Before it connects: what is lost meanwhile may be lost to this one, too.
        let lost = self.lost.load(Ordering::Acquire);
        let (client, unconfirmed) = self.connector.connect_to_write()?;
        Ok(Connection::new(client, lost, unconfirmed))
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), CannotConnect> {
        let lost = self.lost.load(Ordering::Acquire);
        if connection.trusted_at != lost {
            let answers = connection.is_valid(TRIED_FOR);
            answers.map_err(|error| CannotConnect::by(&error))?;
            if self.connector.writes && !takes_writes(connection)? {
                return Err(CannotConnect::read_only());
            }
            connection.trusted_at = lost;
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        let is_lost = connection.is_lost || connection.is_closed();
        if is_lost {
            self.lost.fetch_add(1, Ordering::AcqRel);
        }
        is_lost
    }
}

/// Behind a proxy, the server of a connection may have become another one.
fn takes_writes(connection: &mut Client) -> Result<bool, CannotConnect> {
    let asked = connection.simple_query("SHOW transaction_read_only");
    let asked = asked.map_err(|error| CannotConnect::by(&error))?;
    Ok(asked.iter().any(|message| {
        matches!(message, ::postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("off"))
    }))
}

/// Whether a connection is not to be used again after this error. A server that takes no writes is left, too: another server
/// may have taken over, and a new session may be allowed what this one is not.
pub(super) fn is_of_no_use(error: &StoreError) -> bool {
    is_lost(error) || error.kind() == ErrorKind::ReadOnly
}

/// Whether the server has ended the connection, or it was cut: nothing is wrong with what was asked.
pub(super) fn is_lost(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else {
        return false;
    };
    let Some(error) =
        crate::error::causes(source.as_ref()).find_map(|e| e.downcast_ref::<::postgres::Error>())
    else {
        return false;
    };
    super::failure::is_lost(error)
}

/// After so long without a word, the server is asked for one, so often, so many times: half a minute
/// after it has vanished at the latest, a connection is given up.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// A server that accepts no data for this long is gone. This is longer than a busy server may take.
const GONE_AFTER: Duration = Duration::from_secs(30);

/// Knows how to connect to the server of an address.
pub(super) fn connector(mut config: Config, options: &PostgresOptions) -> Connector {
    // The client's own default, `prefer`, gives in to whoever says that there is no encryption, and
    // takes any certificate elsewhere: it protects nothing, so it is not used at all.
    let encrypted = options.ca.is_some() || config.get_ssl_mode() == SslMode::Require;
    let mode = if encrypted {
        SslMode::Require
    } else {
        SslMode::Disable
    };
    config
        .ssl_mode(mode)
        .connect_timeout(options.connect_timeout)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(GONE_AFTER)
        .application_name(&format!("voting {PROGRAM_VERSION}"));
    let roots = match &options.ca {
        Some(ca) => ca.roots(),
        None if encrypted => Arc::new(tls::trusted_by_the_system()),
        None => Arc::new(RootCertStore::empty()),
    };
    let tls = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the versions of TLS that this is built with")
        .with_root_certificates(Arc::clone(&roots))
        .with_no_client_auth();
    Connector {
        servers: Servers::new(&config),
        writes: config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite,
        tls: MakeRustlsConnect::new(tls),
        roots: encrypted.then_some(roots),
    }
}

pub(super) fn pool(
    connector: Connector,
    options: &PostgresOptions,
    last_failure: &LastFailure,
) -> Pool<Manager> {
    Pool::builder()
        .max_size(options.connections.max(1))
        .min_idle(Some(0))
        .connection_timeout(options.connect_timeout)
        // Asks nothing unless another connection was lost.
        .test_on_check_out(true)
        .connection_customizer(Box::new(SetUp {
            statement_timeout: options.statement_timeout,
            last_failure: last_failure.clone(),
        }))
        .error_handler(Box::new(last_failure.clone()))
        .build_unchecked(Manager {
            connector,
            lost: Arc::default(),
        })
}

/// Who asks whether the store answers does not wait longer than this for the reason why it does not; a server
/// that is started anew is mostly back by then.
const REASON_AFTER: Duration = Duration::from_millis(1500);

/// A connection, or why there is none. While none at all can be made, that is told before the time is over: the
/// pool goes on trying by itself.
pub(super) fn take(
    pool: &Pool<Manager>,
    last_failure: &LastFailure,
    timeout: Duration,
) -> Result<PooledConnection<Manager>, StoreError> {
    let first = timeout.min(REASON_AFTER);
    let taken = pool.get_timeout(first);
    let is_hopeless = || pool.state().connections == 0 && last_failure.is_known();
    let taken = match taken {
        Err(_) if first < timeout && !is_hopeless() => pool.get_timeout(timeout - first),
        taken => taken,
    };
    taken.map_err(|error| last_failure.explain(error))
}

/// Why it was last impossible to connect. The pool itself keeps the headline only, and not that it was
/// the certificate.
#[derive(Debug, Clone, Default)]
pub(super) struct LastFailure(Arc<Mutex<Option<CannotConnect>>>);

impl LastFailure {
    fn set(&self, reason: Option<CannotConnect>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn is_known(&self) -> bool {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason.is_some()
    }

    /// What the pool says, with the reason.
    fn explain(&self, error: r2d2::Error) -> StoreError {
        let reason = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match reason {
            Some(reason) => reason.into_error(),
            None => StoreError::unavailable(error),
        }
    }
}

impl r2d2::HandleError<CannotConnect> for LastFailure {
    fn handle_error(&self, error: CannotConnect) {
        self.set(Some(error));
    }
}

/// Sets up each new connection of the pool.
#[derive(Debug)]
struct SetUp {
    statement_timeout: Duration,
    last_failure: LastFailure,
}

impl r2d2::CustomizeConnection<Connection, CannotConnect> for SetUp {
    fn on_acquire(&self, connection: &mut Connection) -> Result<(), CannotConnect> {
        self.last_failure.set(None);
        set_up(connection, self.statement_timeout).map_err(|error| CannotConnect::by(&error))
    }
}

/// Sends the settings of a new connection.
pub(super) fn set_up(
    connection: &mut Client,
    statement_timeout: Duration,
) -> Result<(), ::postgres::Error> {
    // A ballot leaves the log once its commit returns, so that must mean it is on the disk,
    // whatever the server's default is.
    connection.batch_execute(&format!(
        "SET synchronous_commit = on; SET statement_timeout = {};
         -- A client whose machine is gone must not keep its locks: the server gives it up.
         SET idle_in_transaction_session_timeout = '10s';
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;
         SET tcp_keepalives_count = 3; SET tcp_user_timeout = '20s'",
        statement_timeout.as_millis()
    ))
}
