//! What an operator wants to know of the server and of the login. Only asks, never changes anything.

use ::postgres::{Client, Config, SimpleQueryMessage, config::Host};
use r2d2::ManageConnection;

use super::{Inner, Postgres, from_column, prepared::Connection, roles, schema};
use crate::{endpoint::Endpoint, error::StoreError};

/// What the server says of itself, and of the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// Such as `15.8`.
    pub version: String,
    /// Its first number.
    pub major_version: u32,
    /// Whether this connection is encrypted.
    pub is_encrypted: bool,
    /// Whether it leaves neither the machine nor a network of the operator's own, by the addresses.
    pub is_near: bool,
    /// Whether it is a standby, which takes no writes.
    pub is_standby: bool,
    /// Whether it waits for its disk.
    pub fsync: bool,
    /// Whether a page that a power cut has torn can be mended.
    pub full_page_writes: bool,
    /// What this login's commits wait for, unless the program asks for something else, which it does.
    pub synchronous_commit: String,
    /// What the commits of this connection wait for.
    pub own_synchronous_commit: String,
    /// Its clock, in milliseconds since 1970.
    pub time_ms: u64,
    /// Connections that there are, of all its clients.
    pub connections: u64,
    /// Connections that it allows.
    pub max_connections: u64,
}

/// What the login may do, by table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginReport {
    /// Its name.
    pub login: String,
    /// Whether it may do all, on the whole server.
    pub is_superuser: bool,
    /// Whether it owns the tables, and so may change and drop them.
    pub is_owner: bool,
    /// What it lacks to be the worker's, such as `INSERT on ballots`.
    pub worker_lacks: Vec<String>,
    /// What it lacks to be the result service's.
    pub result_lacks: Vec<String>,
    /// What it may write, though the result service only reads.
    pub may_write: Vec<String>,
}

/// Where the address leads, without user and password.
pub(super) fn endpoints(config: &Config) -> Vec<Endpoint> {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate();
    hosts
        .map(|(index, host)| match host {
            Host::Tcp(host) => Endpoint {
                host: host.clone(),
                port: Some(port(index)),
            },
            #[cfg(unix)]
            Host::Unix(path) => Endpoint {
                host: path.display().to_string(),
                port: None,
            },
        })
        .collect()
}

impl Inner {
    fn inspect(&self) -> Result<ServerReport, StoreError> {
        let ask =
            "SELECT split_part(current_setting('server_version'), ' ', 1),
                    current_setting('server_version_num')::integer / 10000,
                    COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
                    COALESCE(inet_server_addr() = inet_client_addr()
                             OR inet_server_addr() <<= ANY ('{10.0.0.0/8, 172.16.0.0/12,
                                192.168.0.0/16, 127.0.0.0/8, ::1/128, fc00::/7, fe80::/10}'::inet[]), true),
                    pg_is_in_recovery(),
                    current_setting('fsync')::boolean,
                    current_setting('full_page_writes')::boolean,
                    (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'),
                    current_setting('synchronous_commit'),
                    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
                    (SELECT COALESCE(SUM(numbackends), 0)::bigint FROM pg_stat_database),
                    current_setting('max_connections')::bigint";
        // As the services commit.
        let row = self.ask_any_schema(|connection| {
            let row = connection.begin()?.query_opt(ask, &[])?;
            row.ok_or_else(|| StoreError::unavailable("the server says nothing of itself"))
        })?;
        Ok(ServerReport {
            version: row.get(0),
            major_version: u32::try_from(row.get::<_, i32>(1)).unwrap_or(0),
            is_encrypted: row.get(2),
            is_near: row.get(3),
            is_standby: row.get(4),
            fsync: row.get(5),
            full_page_writes: row.get(6),
            synchronous_commit: row.get(7),
            own_synchronous_commit: row.get(8),
            time_ms: from_column(row.get(9))?,
            connections: from_column(row.get(10))?,
            max_connections: from_column(row.get(11))?,
        })
    }

    fn inspect_login(&self) -> Result<LoginReport, StoreError> {
        self.ask_any_schema(inspect_login)
    }

    fn keeps_sessions(&self) -> Result<bool, StoreError> {
        let (mut one, mut other) = (self.manager.connect()?, self.manager.connect()?);
        let process = ask_plainly(&mut one, "SELECT pg_backend_pid()")?;
        for turn in 0..LOOKS {
            one.batch_execute(&format!("SET voting.session = 'one {turn}'"))?;
            other.batch_execute(&format!("SET voting.session = 'other {turn}'"))?;
            let session = "SELECT current_setting('voting.session', true)";
            let session = ask_plainly(&mut one, session)?;
            let same = ask_plainly(&mut one, "SELECT pg_backend_pid()")? == process;
            if !same || session != Some(format!("one {turn}")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn dead_letter_reasons(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.ask(|connection| {
            let rows = connection.query(
                "SELECT reason, COUNT(*) FROM dead_letters GROUP BY reason ORDER BY reason",
                &[],
            )?;
            let rows = rows.iter();
            rows.map(|row| Ok((row.get(0), from_column(row.get(1))?)))
                .collect()
        })
    }
}

/// How often it is looked whether a connection keeps its session.
const LOOKS: usize = 3;

/// Asks for one value, without a prepared statement, which a pooler may mislay.
fn ask_plainly(client: &mut Client, question: &str) -> Result<Option<String>, StoreError> {
    let rows = client.simple_query(question)?;
    let value = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(value.map(str::to_owned))
}

fn inspect_login(connection: &mut Connection) -> Result<LoginReport, StoreError> {
    let row = connection.query_one(
        "SELECT current_user::text, rolsuper,
                    COALESCE((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
                              WHERE oid = to_regclass('ballots')), false)
             FROM pg_roles WHERE rolname = current_user",
        &[],
    )?;
    let mut report = LoginReport {
        login: row.get(0),
        is_superuser: row.get(1),
        is_owner: row.get(2),
        ..LoginReport::default()
    };
    let mut may = |right: &roles::Right<'_>| -> Result<bool, StoreError> {
        let Some(column) = right.column else {
            let ask = "SELECT has_table_privilege($1, $2)";
            let row = connection.query_one(ask, &[&right.table, &right.action])?;
            return Ok(row.get(0));
        };
        let ask = "SELECT has_column_privilege($1, $2, $3)";
        let row = connection.query_one(ask, &[&right.table, &column, &right.action])?;
        Ok(row.get(0))
    };
    for right in roles::of_worker() {
        if !may(&right)? {
            report.worker_lacks.push(right.to_string());
        } else if right.action != "SELECT" {
            report.may_write.push(right.to_string());
        }
    }
    for right in roles::of_result() {
        if !may(&right)? {
            report.result_lacks.push(right.to_string());
        }
    }
    Ok(report)
}

impl Postgres {
    /// Where it is, without user and password.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.0.endpoints.clone()
    }

    /// What the server says of itself. Needs no right, and no tables.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn inspect(&self) -> Result<ServerReport, StoreError> {
        self.call(|inner| inner.inspect()).await
    }

    /// Whether a connection stays with one session of the server. A pooler that gives sessions to others
    /// between transactions, as PgBouncer does with `pool_mode = transaction`, takes from the services the
    /// settings and the prepared statements of theirs. It is tried with two connections beside the pool's.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn keeps_sessions(&self) -> Result<bool, StoreError> {
        self.call(|inner| inner.keeps_sessions()).await
    }

    /// What the login may do. Needs no right, but there must be tables.
    ///
    /// # Errors
    /// The server does not answer, or there are no tables.
    pub async fn inspect_login(&self) -> Result<LoginReport, StoreError> {
        self.call(|inner| inner.inspect_login()).await
    }

    /// The dead letters, counted by reason. The result service's login may ask for it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn dead_letter_reasons(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.call(|inner| inner.dead_letter_reasons()).await
    }
}

/// Whether Postgres said no because the login may not do what was asked.
pub fn is_forbidden(error: &StoreError) -> bool {
    schema::is_forbidden(error)
}
