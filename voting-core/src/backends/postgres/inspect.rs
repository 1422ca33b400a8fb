//! What an operator wants to know of the server and of the login. Only asks, never changes anything.

use std::io;

use ::postgres::{Client, SimpleQueryMessage, error::SqlState};

use super::{Inner, Postgres, from_column, prepared::Connection, roles};
use crate::{
    backends::{
        certificate::{self, Begin, Certificate},
        endpoint::Endpoint,
    },
    error::StoreError,
};

/// The free space on the disk that is looked for, in MiB.
pub const TRIED_MIB: i32 = 16;

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
    /// Whether it begins transactions that write nothing, unless they ask for something else.
    pub is_read_only: bool,
    /// Connections that there are.
    pub connections: Room,
    /// Those of this login's role, if it has a limit.
    pub role_connections: Option<Room>,
    /// Those to this database, if it has a limit.
    pub database_connections: Option<Room>,
}

/// Connections that are taken, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// That there are, this one included.
    pub taken: u64,
    /// That there may be.
    pub most: u64,
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

impl Inner {
    fn inspect(&self) -> Result<ServerReport, StoreError> {
        let patience = self.options.statement_timeout;
        let mut connection = Connection::alone(self.connector.connect(patience)?);
        // The services commit with the same settings.
        let row = connection.begin()?.query_opt(
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
                    -- Some are kept for those who mend it.
                    current_setting('max_connections')::bigint
                        - CASE WHEN own.rolsuper THEN 0 ELSE
                            current_setting('superuser_reserved_connections')::bigint
                            + COALESCE(current_setting('reserved_connections', true)::bigint, 0) END,
                    current_setting('default_transaction_read_only')::boolean,
                    (SELECT COUNT(*) FROM pg_stat_activity WHERE usename = session_user),
                    CASE WHEN own.rolsuper THEN -1 ELSE own.rolconnlimit END::bigint,
                    (SELECT COUNT(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND backend_type = 'client backend'),
                    CASE WHEN own.rolsuper THEN -1 ELSE this.datconnlimit END::bigint
             FROM pg_roles AS own, pg_database AS this
             WHERE own.rolname = session_user AND this.datname = current_database()",
            &[],
        )?;
        let row =
            row.ok_or_else(|| StoreError::unavailable("the server says nothing of itself"))?;
        let limited = |taken: i64, most: i64| -> Result<Option<Room>, StoreError> {
            let Ok(most) = u64::try_from(most) else {
                return Ok(None);
            };
            let taken = from_column(taken)?;
            Ok(Some(Room { taken, most }))
        };
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
            connections: Room {
                taken: from_column(row.get(10))?,
                most: from_column(row.get(11))?,
            },
            is_read_only: row.get(12),
            role_connections: limited(row.get(13), row.get(14))?,
            database_connections: limited(row.get(15), row.get(16))?,
        })
    }

    fn inspect_login(&self) -> Result<LoginReport, StoreError> {
        self.ask_any_schema(inspect_login)
    }

    fn keeps_sessions(&self) -> Result<bool, StoreError> {
        let connect = || self.connector.connect(self.options.statement_timeout);
        let (mut one, mut other) = (connect()?, connect()?);
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

    fn try_disk(&self) -> Result<(), StoreError> {
        let patience = self.options.statement_timeout;
        let mut connection = self.connector.connect(patience)?;
        let mut transaction = connection.build_transaction().read_only(true).start()?;
        // What does not fit in so little memory is sorted on the disk of the database, and then gone.
        transaction
            .batch_execute("SET LOCAL work_mem = '64kB'; SET LOCAL temp_tablespaces = ''")?;
        let tried = transaction.execute(
            "SELECT COUNT(*) FROM (SELECT repeat('x', 1000) || n FROM generate_series(1, $1) AS n
                                   ORDER BY 1 OFFSET 0) AS sorted",
            &[&(TRIED_MIB * 1024)],
        );
        match tried {
            // An operator has limited it.
            Err(error) if error.code() == Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => Ok(()),
            tried => Ok(tried.map(|_| ())?),
        }
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
    for function in roles::WORKERS_FUNCTIONS {
        let ask = "SELECT has_function_privilege($1, 'EXECUTE')";
        if !connection.query_one(ask, &[&function])?.get::<_, bool>(0) {
            report.worker_lacks.push(format!("EXECUTE on {function}"));
        } else {
            report.may_write.push(format!("EXECUTE on {function}"));
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

    /// Whether the disk of the database takes some more, [`TRIED_MIB`] MiB, which are given back at once.
    /// Needs no right, and no tables.
    ///
    /// # Errors
    /// [`Failure::DiskFull`](super::Failure::DiskFull), or the server does not answer.
    pub async fn try_disk(&self) -> Result<(), StoreError> {
        self.call(|inner| inner.try_disk()).await
    }

    /// How it stands with the certificate of each server; none if the connection is not encrypted.
    pub async fn certificates(&self) -> Vec<(Endpoint, io::Result<Certificate>)> {
        let Some(roots) = self.0.connector.roots.clone() else {
            return Vec::new();
        };
        let patience = self.0.options.connect_timeout;
        certificate::look_at_each(self.endpoints(), Begin::AskPostgres, roots, patience).await
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
