//! The audit log.

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, params};

use super::{Inner, Sqlite, begin, lock};
use crate::{
    backends::stored_audit::AuditColumns,
    error::StoreError,
    model::moment::Moment,
    store::{
        AuditLog,
        audit::{AuditEntry, AuditNote},
    },
};

/// Adds a note in the transaction that does what it says.
pub(super) fn add_to_audit_log(
    transaction: &Transaction<'_>,
    note: &AuditNote,
) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO audit_log (at, by, action, poll, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            Moment::now().unix_ms(),
            note.by,
            note.action,
            note.poll.as_ref().map(|poll| poll.as_str()),
            note.before,
            note.after,
        ],
    )?;
    Ok(())
}

const LATER: &str = "SELECT number, at, by, action, poll, before, after FROM audit_log
     WHERE number > ?1 ORDER BY number LIMIT ?2";

const EARLIER: &str = "SELECT number, at, by, action, poll, before, after FROM audit_log
     WHERE number < ?1 ORDER BY number DESC LIMIT ?2";

/// The entries on one side of a number.
fn notes(
    reader: &Connection,
    query: &str,
    number: u64,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut query = reader.prepare_cached(query)?;
    let rows = query.query_map(params![number, limit], |row| {
        Ok(AuditColumns {
            number: row.get(0)?,
            at: row.get(1)?,
            by: row.get(2)?,
            action: row.get(3)?,
            poll: row.get(4)?,
            before: row.get(5)?,
            after: row.get(6)?,
        })
    })?;
    rows.map(|row| row?.try_into()).collect()
}

impl Inner {
    fn add_note(&self, note: &AuditNote) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        add_to_audit_log(&transaction, note)?;
        Ok(self.commit(transaction)?)
    }
}

#[async_trait]
impl AuditLog for Sqlite {
    async fn add_to_audit_log(&self, note: &AuditNote) -> Result<(), StoreError> {
        let note = note.clone();
        self.blocking(move |inner| inner.add_note(&note)).await
    }

    async fn audit_log(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.reading(move |inner| notes(&lock(&inner.reader), LATER, after, limit))
            .await
    }

    async fn newest_of_audit_log(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.unwrap_or(i64::MAX.unsigned_abs());
        self.reading(move |inner| notes(&lock(&inner.reader), EARLIER, before, limit))
            .await
    }
}
