//! The sessions at the host's pages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Inner, audit::add_to_audit_log, begin};
use crate::{
    error::StoreError,
    model::moment::Moment,
    store::{sessions::HostSession, tokens::TokenHash},
};

type Columns = ([u8; 32], String, String, u64, u64, u64, bool);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
    ))
}

fn to_session(columns: Columns) -> Result<HostSession, StoreError> {
    let (hash, name, role, began_at, used_at, until, has_ended) = columns;
    let corrupt = || StoreError::Corrupt(format!("session of {name:?}"));
    let moment = |ms| Moment::from_unix_ms(ms).ok_or_else(corrupt);
    Ok(HostSession {
        hash: TokenHash::from_bytes(hash),
        role: role.parse().map_err(|_| corrupt())?,
        began_at: moment(began_at)?,
        used_at: moment(used_at)?,
        until: moment(until)?,
        has_ended,
        name,
    })
}

const ALL: &str = "hash, name, role, began_at, used_at, until, has_ended";

pub(super) fn session(
    reader: &Connection,
    hash: TokenHash,
) -> Result<Option<HostSession>, StoreError> {
    let one = format!("SELECT {ALL} FROM host_sessions WHERE hash = ?1");
    let mut query = reader.prepare_cached(&one)?;
    let found = query.query_row([hash.as_bytes()], columns).optional()?;
    found.map(to_session).transpose()
}

impl Inner {
    pub(super) fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        transaction.execute(
            "DELETE FROM host_sessions WHERE until < ?1",
            [session.removes_before().unix_ms()],
        )?;
        let added = transaction.execute(
            "INSERT INTO host_sessions (hash, name, role, began_at, used_at, until, has_ended)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hash) DO NOTHING",
            params![
                session.hash.as_bytes(),
                session.name,
                session.role.as_str(),
                session.began_at.unix_ms(),
                session.used_at.unix_ms(),
                session.until.unix_ms(),
                session.has_ended,
            ],
        )?;
        if added > 0 {
            add_to_audit_log(&transaction, &session.began_note())?;
        }
        self.commit(transaction)?;
        Ok(added > 0)
    }

    pub(super) fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        transaction.execute(
            "UPDATE host_sessions SET used_at = max(used_at, ?2) WHERE hash = ?1 AND NOT has_ended",
            params![hash.as_bytes(), at.unix_ms()],
        )?;
        self.commit(transaction)?;
        Ok(())
    }

    pub(super) fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let end = format!(
            "UPDATE host_sessions SET has_ended = TRUE WHERE hash = ?1 AND NOT has_ended RETURNING {ALL}"
        );
        let ended = transaction.query_row(&end, [hash.as_bytes()], columns);
        let Some(ended) = ended.optional()? else {
            return Ok(false);
        };
        add_to_audit_log(&transaction, &to_session(ended)?.ended_note())?;
        self.commit(transaction)?;
        Ok(true)
    }
}
