//! The audit log.

use async_trait::async_trait;

use super::{Inner, Postgres, from_column, prepared::Transaction, to_column, to_limit};
use crate::{
    backends::stored_audit::AuditColumns,
    error::StoreError,
    store::{
        AuditLog,
        audit::{AuditEntry, AuditNote},
    },
};

const LATER: &str =
    "SELECT number, (EXTRACT(epoch FROM at) * 1000)::bigint, by, action, poll, before, after
     FROM audit_log WHERE number > $1 ORDER BY number LIMIT $2";

const EARLIER: &str =
    "SELECT number, (EXTRACT(epoch FROM at) * 1000)::bigint, by, action, poll, before, after
     FROM audit_log WHERE number < $1 ORDER BY number DESC LIMIT $2";

/// Adds a note in the transaction that does what it says.
pub(super) fn add_to_audit_log(
    transaction: &mut Transaction<'_>,
    note: &AuditNote,
) -> Result<(), StoreError> {
    // One after the other, so that whoever has read up to a number finds all later entries above it.
    transaction.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('audit log', 0))",
        &[],
    )?;
    transaction.execute(
        "INSERT INTO audit_log (by, action, poll, before, after) VALUES ($1, $2, $3, $4, $5)",
        &[
            &note.by,
            &note.action,
            &note.poll.as_ref().map(|poll| poll.as_str()),
            &note.before,
            &note.after,
        ],
    )?;
    Ok(())
}

impl Inner {
    fn add_note(&self, note: &AuditNote) -> Result<(), StoreError> {
        self.in_transaction(|transaction| add_to_audit_log(transaction, note))
    }

    /// The entries on one side of a number.
    fn notes(
        &self,
        query: &'static str,
        number: i64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let limit = to_limit(limit);
        let rows = self.ask(|connection| Ok(connection.query(query, &[&number, &limit])?))?;
        let entries = rows.iter().map(|row| {
            let columns = AuditColumns {
                number: from_column(row.get(0))?,
                at: from_column(row.get(1))?,
                by: row.get(2),
                action: row.get(3),
                poll: row.get(4),
                before: row.get(5),
                after: row.get(6),
            };
            columns.try_into()
        });
        entries.collect()
    }
}

#[async_trait]
impl AuditLog for Postgres {
    async fn add_to_audit_log(&self, note: &AuditNote) -> Result<(), StoreError> {
        let note = note.clone();
        self.call(move |inner| inner.add_note(&note)).await
    }

    async fn audit_log(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let after = to_column(after)?;
        self.call(move |inner| inner.notes(LATER, after, limit))
            .await
    }

    async fn newest_of_audit_log(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.map_or(Ok(i64::MAX), to_column)?;
        self.call(move |inner| inner.notes(EARLIER, before, limit))
            .await
    }
}
