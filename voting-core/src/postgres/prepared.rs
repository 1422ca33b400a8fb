//! Connections on which the statements of a flush stay prepared: the server parses and plans each once,
//! not once a batch, and is asked once instead of twice.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
};

use ::postgres::{Client, Error, Row, Statement, types::ToSql};

/// By their text, of which there are only as many as stand in this code.
type Statements = HashMap<&'static str, Statement>;

type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// A connection, with what is prepared on it.
pub(super) struct Connection {
    client: Client,
    statements: Statements,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            statements: Statements::new(),
        }
    }

    /// Begins a transaction whose statements stay prepared.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction {
            inner: self.client.transaction()?,
            statements: &mut self.statements,
        })
    }

    /// After a failure. It may be due to what is prepared: a table has changed, or the server has
    /// forgotten the statement. It would then fail again and again.
    pub(super) fn forget_prepared(&mut self) {
        self.statements.clear();
    }
}

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

/// A transaction, or a savepoint in one.
pub(super) struct Transaction<'a> {
    inner: ::postgres::Transaction<'a>,
    statements: &'a mut Statements,
}

impl Transaction<'_> {
    pub(super) fn query(
        &mut self,
        text: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(text)?;
        self.inner.query(&statement, parameters)
    }

    pub(super) fn query_opt(
        &mut self,
        text: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        let statement = self.prepared(text)?;
        self.inner.query_opt(&statement, parameters)
    }

    pub(super) fn execute(
        &mut self,
        text: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<u64, Error> {
        let statement = self.prepared(text)?;
        self.inner.execute(&statement, parameters)
    }

    /// Statements without parameters, for once.
    pub(super) fn batch_execute(&mut self, text: &str) -> Result<(), Error> {
        self.inner.batch_execute(text)
    }

    pub(super) fn savepoint(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction {
            inner: self.inner.transaction()?,
            statements: self.statements,
        })
    }

    pub(super) fn commit(self) -> Result<(), Error> {
        self.inner.commit()
    }

    pub(super) fn rollback(self) -> Result<(), Error> {
        self.inner.rollback()
    }

    fn prepared(&mut self, text: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let statement = self.inner.prepare(text)?;
        self.statements.insert(text, statement.clone());
        Ok(statement)
    }
}
