//! Connections on which the statements of a flush stay prepared: the server parses and plans each once,
//! not once a batch, and is asked once instead of twice.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
};

use ::postgres::{Client, Error, Row, SimpleQueryMessage, Statement, types::ToSql};

use super::replication::Unconfirmed;
use crate::error::StoreError;

/// By their text, of which there are only as many as stand in this code.
type Statements = HashMap<&'static str, Statement>;

type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// A connection, with what is prepared on it.
pub(super) struct Connection {
    client: Client,
    statements: Statements,
    /// How many connections had been lost when this one was last known to be well.
    pub(super) trusted_at: u64,
    /// It is not to be used again.
    pub(super) is_lost: bool,
    /// Whether a commit was not confirmed by the standby.
    unconfirmed: Unconfirmed,
}

impl Connection {
    pub(super) fn new(client: Client, trusted_at: u64, unconfirmed: Unconfirmed) -> Self {
        Self {
            client,
            statements: Statements::new(),
            trusted_at,
            is_lost: false,
            unconfirmed,
        }
    }

    /// A connection that is in no pool, and commits nothing.
    pub(super) fn alone(client: Client) -> Self {
        Self::new(client, 0, Unconfirmed::default())
    }

    /// Begins a transaction whose statements stay prepared, and whose commit waits for the disk, and for the standby if
    /// there is a synchronous one.
    ///
    /// That is asked for in the transaction itself, though the session was told: behind a pooler the
    /// transaction may run in another session. With the `BEGIN` it takes no round trip of its own, which is
    /// why this is not the client's own transaction.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        let mut transaction = self.transaction();
        transaction.batch_execute(BEGIN)?;
        Ok(transaction)
    }

    /// The same, and asks for one text first, which takes no round trip of its own.
    pub(super) fn begin_and_ask(
        &mut self,
        question: &str,
    ) -> Result<(Transaction<'_>, Option<String>), Error> {
        let transaction = self.transaction();
        let reported = transaction
            .client
            .simple_query(&format!("{BEGIN}; {question}"))?;
        let text = reported.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok((transaction, text.map(str::to_owned)))
    }

    fn transaction(&mut self) -> Transaction<'_> {
        Transaction {
            client: &mut self.client,
            statements: &mut self.statements,
            is_lost: &mut self.is_lost,
            unconfirmed: &self.unconfirmed,
            depth: 0,
            is_over: false,
        }
    }

    /// After a failure. It may be due to what is prepared: a table has changed, or the server has
    /// forgotten the statement. It would then fail again and again.
    pub(super) fn forget_prepared(&mut self) {
        self.statements.clear();
    }
}

const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = on";

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// A transaction, or a savepoint in one. It is rolled back if it is dropped.
pub(super) struct Transaction<'a> {
    client: &'a mut Client,
    statements: &'a mut Statements,
    is_lost: &'a mut bool,
    unconfirmed: &'a Unconfirmed,
    /// The savepoints that it is in.
    depth: u32,
    is_over: bool,
}

impl Transaction<'_> {
    pub(super) fn query(
        &mut self,
        text: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(text)?;
        self.client.query(&statement, parameters)
    }

    pub(super) fn query_opt(
        &mut self,
        text: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        let statement = self.prepared(text)?;
        self.client.query_opt(&statement, parameters)
    }

    pub(super) fn execute(
        &mut self,
        text: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<u64, Error> {
        let statement = self.prepared(text)?;
        self.client.execute(&statement, parameters)
    }

    /// Statements without parameters, for once.
    pub(super) fn batch_execute(&mut self, text: &str) -> Result<(), Error> {
        self.client.batch_execute(text)
    }

    pub(super) fn savepoint(&mut self) -> Result<Transaction<'_>, Error> {
        let depth = self.depth + 1;
        self.client.batch_execute(&format!("SAVEPOINT s{depth}"))?;
        Ok(Transaction {
            client: self.client,
            statements: self.statements,
            is_lost: self.is_lost,
            unconfirmed: self.unconfirmed,
            depth,
            is_over: false,
        })
    }

    /// # Errors
    /// Also if the transaction is committed, and the synchronous standby has not confirmed it.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        self.is_over = true;
        let commit = match self.depth {
            0 => "COMMIT".to_owned(),
            depth => format!("RELEASE s{depth}"),
        };
        self.unconfirmed.forget();
        self.client.batch_execute(&commit)?;
        self.unconfirmed.check()
    }

    pub(super) fn rollback(mut self) -> Result<(), Error> {
        self.is_over = true;
        self.undo()
    }

    fn undo(&mut self) -> Result<(), Error> {
        let undo = match self.depth {
            0 => "ROLLBACK".to_owned(),
            depth => format!("ROLLBACK TO s{depth}"),
        };
        self.client.batch_execute(&undo)
    }

    fn prepared(&mut self, text: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(text)?;
        self.statements.insert(text, statement.clone());
        Ok(statement)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // Whoever comes next must not find themselves in it.
        if !self.is_over && self.undo().is_err() {
            *self.is_lost = true;
        }
    }
}
