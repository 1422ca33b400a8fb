//! Changing in how many partitions the ballots are, while workers and result services run.
//!
//! One session holds writers up, so that the table stays as it is. Another one makes a copy and commits it. Then the first
//! one puts the copy in the place of the table. It cannot be done in one transaction: a reader that took its snapshot
//! before the end of it would find the new table empty. So the copy is committed first, and the exchange waits until all
//! older snapshots are gone.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use ::postgres::{Client, GenericClient, IsolationLevel, Transaction};

use super::{
    Inner, Postgres,
    partitions::{BallotTable, COPY, COPY_MARK, PartitionError, Partitions, has_copy, table},
};
use crate::error::{StoreError, in_one_line};

/// What a change of the partitions did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repartitioned {
    /// How the ballots were kept before.
    pub from: BallotTable,
    /// The number of rows that were moved; `None`: they were kept so already, and nothing was done.
    pub ballots: Option<u64>,
}

/// How often the session that blocks writers sends a sign of life. The server would end it after 10 s.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// How often it is looked whether older snapshots are gone.
const LOOK: Duration = Duration::from_millis(50);

/// What hangs on the table, or on a part of it, and what a copy would not have.
const EXTRAS: &str = "
    WITH tables AS (
        SELECT to_regclass('ballots')::oid AS id
        UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('ballots')
    )
    SELECT string_agg(DISTINCT extra, ', ') FROM (
        SELECT 'index ' || indexrelid::regclass FROM pg_index JOIN tables ON id = indrelid WHERE NOT indisprimary
        UNION ALL
        SELECT 'trigger ' || tgname FROM pg_trigger JOIN tables ON id = tgrelid WHERE NOT tgisinternal
        UNION ALL
        SELECT 'foreign key ' || conname FROM pg_constraint JOIN tables ON id IN (conrelid, confrelid)
        WHERE contype = 'f'
        UNION ALL
        SELECT 'view or rule ' || ev_class::regclass FROM pg_depend
        JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN tables ON id = refobjid
        WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass
        UNION ALL
        SELECT 'policy ' || polname FROM pg_policy JOIN tables ON id = polrelid
        UNION ALL
        SELECT 'row security' FROM pg_class JOIN tables ON id = oid WHERE relrowsecurity
        UNION ALL
        SELECT 'publication ' || pubname FROM pg_publication_rel JOIN tables ON id = prrelid
        JOIN pg_publication ON pg_publication.oid = prpubid
    ) AS extras (extra)";

/// Schema, owner, whether that is this login, storage parameters, and the primary key: name and definition. A table in
/// partitions has its storage parameters in these.
const DEFINITION: &str = "
    SELECT quote_ident(nspname), quote_ident(rolname), rolname = current_user,
           (SELECT string_agg(split_part(option, '=', 1) || ' = '
                              || quote_literal(substr(option, strpos(option, '=') + 1)), ', ')
            FROM unnest(COALESCE(c.reloptions, (SELECT part.reloptions FROM pg_inherits
                                                JOIN pg_class AS part ON part.oid = inhrelid
                                                WHERE inhparent = c.oid LIMIT 1))) AS option),
           quote_ident(conname), pg_get_constraintdef(k.oid)
    FROM pg_class AS c JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_roles ON pg_roles.oid = relowner
    JOIN pg_constraint AS k ON conrelid = c.oid AND contype = 'p'
    WHERE c.oid = to_regclass('ballots')";

/// The rights of others than the owner: right, column, to whom, and whether they may give it away.
const RIGHTS: &str = "
    SELECT privilege_type, NULL, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
           is_grantable
    FROM pg_class, aclexplode(relacl)
    WHERE oid = to_regclass('ballots') AND grantee <> relowner
    UNION ALL
    SELECT privilege_type, quote_ident(attname),
           CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, is_grantable
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl)
    WHERE attrelid = to_regclass('ballots') AND grantee <> relowner AND NOT attisdropped";

/// The rights that others have to new tables by default, as statements that take them away.
const NO_RIGHTS: &str = "
    SELECT DISTINCT 'REVOKE ALL ON ' || pg_class.oid::regclass || ' FROM '
           || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    FROM pg_class, aclexplode(relacl)
    WHERE (pg_class.oid = to_regclass($1)
           OR pg_class.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1)))
      AND grantee <> relowner";

/// The transactions of other sessions of this database that have a snapshot, with the sessions' processes. Left out are
/// those that have written something: a flush has a new snapshot for each statement, and may wait for this very change.
const SNAPSHOTS: &str = "
    SELECT virtualxid, activity.pid FROM pg_stat_activity AS activity
    JOIN pg_locks ON pg_locks.pid = activity.pid AND locktype = 'virtualxid' AND virtualxid = virtualtransaction
    WHERE datname = current_database() AND usename IS NOT NULL
      AND backend_xmin IS NOT NULL AND backend_xid IS NULL
      AND activity.pid NOT IN (pg_backend_pid(), $1)";

/// How the new table is made.
struct Plan {
    wanted: Partitions,
    schema: String,
    /// `None`: this login.
    owner: Option<String>,
    options: Option<String>,
    key_name: String,
    key: String,
    grants: Vec<String>,
}

impl Plan {
    /// Reads it from the table that there is.
    fn of(transaction: &mut Transaction<'_>, wanted: Partitions) -> Result<Self, StoreError> {
        let row = transaction.query_opt(DEFINITION, &[])?;
        let row = row.ok_or(PartitionError::Table(BallotTable::OtherWay))?;
        let rights = transaction.query(RIGHTS, &[])?;
        let schema: String = row.get(0);
        let grants = rights.iter().map(|row| {
            let (right, column, to): (String, Option<String>, String) =
                (row.get(0), row.get(1), row.get(2));
            let column = column.map_or(String::new(), |column| format!(" ({column})"));
            let more = if row.get(3) { " WITH GRANT OPTION" } else { "" };
            format!("GRANT {right}{column} ON {schema}.{COPY} TO {to}{more}")
        });
        Ok(Self {
            wanted,
            grants: grants.collect(),
            owner: (!row.get::<_, bool>(2)).then(|| row.get(1)),
            options: row.get(3),
            key_name: row.get(4),
            key: row.get(5),
            schema,
        })
    }

    /// The statements that make the tables, without ballots and without the key: it is made faster afterwards.
    fn tables(&self) -> Vec<String> {
        let Self { schema, wanted, .. } = self;
        let options = self.options.as_ref();
        let with = options.map_or(String::new(), |options| format!(" WITH ({options})"));
        let like = format!(
            "CREATE TABLE {schema}.{COPY} (LIKE {schema}.ballots INCLUDING ALL EXCLUDING INDEXES)"
        );
        let mut tables = vec![COPY.to_owned()];
        let mut statements = Vec::new();
        if *wanted == Partitions::ONE {
            statements.push(format!("{like}{with}"));
        } else {
            let of = wanted.count();
            statements.push(format!("{like} PARTITION BY HASH (voter)"));
            for at in 0..of {
                let part = format!("ballots_{of}_{at}");
                statements.push(format!(
                    "CREATE TABLE {schema}.{part} PARTITION OF {schema}.{COPY}
                     FOR VALUES WITH (MODULUS {of}, REMAINDER {at}){with}"
                ));
                tables.push(part);
            }
        }
        if let Some(owner) = &self.owner {
            let owned = tables.iter();
            statements.extend(
                owned.map(|table| format!("ALTER TABLE {schema}.{table} OWNER TO {owner}")),
            );
        }
        statements.push(format!("COMMENT ON TABLE {schema}.{COPY} IS '{COPY_MARK}'"));
        statements
    }

    /// Makes the new table, and returns how many ballots were copied.
    fn copy(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let Self { schema, key, .. } = self;
        for statement in self.tables() {
            transaction.batch_execute(&statement)?;
        }
        let copy = format!("{schema}.{COPY}");
        for row in transaction.query(NO_RIGHTS, &[&copy])? {
            transaction.batch_execute(row.get(0))?;
        }
        let ballots = transaction.execute(
            &format!("INSERT INTO {copy} SELECT * FROM {schema}.ballots"),
            &[],
        )?;
        transaction.batch_execute(&format!(
            "ALTER TABLE {copy} ADD CONSTRAINT {COPY}_pkey {key}; ANALYZE {copy}"
        ))?;
        for grant in &self.grants {
            transaction.batch_execute(grant)?;
        }
        Ok(ballots)
    }

    /// Puts the copy in the table's place.
    fn exchange(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let Self {
            schema, key_name, ..
        } = self;
        transaction.batch_execute(&format!(
            "LOCK TABLE {schema}.ballots IN ACCESS EXCLUSIVE MODE;
             COMMENT ON TABLE {schema}.{COPY} IS NULL;
             DROP TABLE {schema}.ballots;
             ALTER TABLE {schema}.{COPY} RENAME TO ballots;
             ALTER INDEX {schema}.{COPY}_pkey RENAME TO {key_name}"
        ))?;
        Ok(())
    }
}

fn own_process(client: &mut impl GenericClient) -> Result<i32, StoreError> {
    Ok(client.query_one("SELECT pg_backend_pid()", &[])?.get(0))
}

/// Waits until no transaction is left whose snapshot is older than now.
fn await_older_snapshots(
    client: &mut Client,
    holder: i32,
    patience: Duration,
) -> Result<(), StoreError> {
    let begun = Instant::now();
    let snapshots = |client: &mut Client| -> Result<Vec<(String, i32)>, StoreError> {
        let rows = client.query(SNAPSHOTS, &[&holder])?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    };
    let mut older = snapshots(client)?;
    while !older.is_empty() {
        if begun.elapsed() > patience {
            let processes: Vec<_> = older.iter().map(|(_, pid)| pid.to_string()).collect();
            return Err(PartitionError::Readers(processes.join(", ")).into());
        }
        std::thread::sleep(LOOK);
        let now = snapshots(client)?;
        older.retain(|transaction| now.contains(transaction));
    }
    Ok(())
}

/// Removes a copy that was not finished. Says whether there was one.
fn remove_copy(client: &mut Client) -> Result<bool, StoreError> {
    if !has_copy(client)? {
        return Ok(false);
    }
    client.batch_execute(&format!("DROP TABLE {COPY}"))?;
    Ok(true)
}

impl Inner {
    fn repartition(&self, wanted: Partitions) -> Result<Repartitioned, StoreError> {
        self.on_connection(|connection| {
            self.alone(connection, |client| {
                remove_copy(client)?;
                let done = self.change(client, wanted);
                if done.is_err() {
                    // The table is as before. The next migration removes what is left now.
                    if let Err(error) = remove_copy(client) {
                        let error = in_one_line(&error);
                        tracing::warn!(error, "an unfinished copy of the ballots is left");
                    }
                }
                done
            })
        })
    }

    fn change(&self, client: &mut Client, wanted: Partitions) -> Result<Repartitioned, StoreError> {
        let from = table(client)?;
        if from == BallotTable::Whole(wanted) {
            let ballots = None;
            return Ok(Repartitioned { from, ballots });
        }
        // A later statement must see what was written before the lock was there.
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()?;
        // Ballots can be read meanwhile, and not be written.
        transaction.batch_execute("LOCK TABLE ballots IN SHARE ROW EXCLUSIVE MODE")?;
        let from = table(&mut transaction)?;
        if !matches!(from, BallotTable::Whole(_)) {
            return Err(PartitionError::Table(from).into());
        }
        if let Some(extras) = transaction.query_one(EXTRAS, &[])?.get(0) {
            return Err(PartitionError::Extras(extras).into());
        }
        let plan = Plan::of(&mut transaction, wanted)?;
        let ballots = self.copy_beside(&mut transaction, &plan)?;
        plan.exchange(&mut transaction)?;
        transaction.commit()?;
        let ballots = Some(ballots);
        Ok(Repartitioned { from, ballots })
    }

    /// Makes the copy in another session, while this one keeps its lock.
    fn copy_beside(&self, holder: &mut Transaction<'_>, plan: &Plan) -> Result<u64, StoreError> {
        let patience = self.options.statement_timeout;
        let process = own_process(holder)?;
        let mut client = self.connector.connect(patience)?;
        let running = client.cancel_token();
        let mut copy = move || {
            // The copy may take any time, but it must end with this process.
            client.batch_execute(&format!(
                "SET statement_timeout = 0; SET lock_timeout = {};
                 SELECT set_config(name, '5s', false) FROM pg_settings
                 WHERE name = 'client_connection_check_interval'",
                patience.as_millis()
            ))?;
            let mut transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::ReadCommitted)
                .start()?;
            let ballots = plan.copy(&mut transaction)?;
            transaction.commit()?;
            await_older_snapshots(&mut client, process, patience)?;
            Ok(ballots)
        };
        std::thread::scope(|scope| {
            let (done, copied) = channel();
            scope.spawn(move || {
                // Somebody waits for it, unless the lock is lost.
                let _ = done.send(copy());
            });
            loop {
                match copied.recv_timeout(SIGN_OF_LIFE) {
                    Ok(copied) => return copied,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(StoreError::unavailable("the copy was given up"));
                    }
                }
                if let Err(error) = holder.batch_execute("SELECT 1") {
                    if let Err(error) = self.connector.cancel(&running) {
                        tracing::warn!(%error, "cannot stop a copy of the ballots");
                    }
                    return Err(error.into());
                }
            }
        })
    }

    fn remove_unfinished_copy(&self) -> Result<bool, StoreError> {
        let is_there = self.ask(|connection| match has_copy(&mut **connection) {
            Err(error) if PartitionError::of(&error).is_some() => Ok(false),
            answer => answer,
        })?;
        if !is_there {
            return Ok(false);
        }
        self.on_connection(|connection| self.alone(connection, remove_copy))
    }
}

impl Postgres {
    /// Keeps the ballots in so many partitions, by a hash of the voter, or in one table. The statements of all programs, also
    /// of earlier versions, stay the same.
    ///
    /// Workers and result services may run. Until the ballots are copied, they can be read, and no ballot can be written:
    /// a worker tries again until it can. The copy needs as much room on the disk as the ballots. If it fails, or the process
    /// is killed, everything is as before, except that a copy may be left over: see [`Postgres::remove_unfinished_copy`].
    ///
    /// # Errors
    /// The store does not answer, the login does not own the tables, or [`PartitionError`] as a source.
    pub async fn repartition(&self, wanted: Partitions) -> Result<Repartitioned, StoreError> {
        self.call(move |inner| inner.repartition(wanted)).await
    }

    /// Removes the copy of the ballots that [`Postgres::repartition`] has left if its process was killed. Says whether there
    /// was one.
    ///
    /// # Errors
    /// The store does not answer, or the login does not own the tables.
    pub async fn remove_unfinished_copy(&self) -> Result<bool, StoreError> {
        self.call(|inner| inner.remove_unfinished_copy()).await
    }
}
