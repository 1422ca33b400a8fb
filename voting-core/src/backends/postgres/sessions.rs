//! The sessions at the host's pages.

use ::postgres::Row;

use super::{Inner, audit::add_to_audit_log, from_column, to_column};
use crate::{
    error::StoreError,
    model::moment::Moment,
    store::{sessions::HostSession, tokens::TokenHash},
};

/// From `hash, name, role, began_at, used_at, until, has_ended`.
fn to_session(row: &Row) -> Result<HostSession, StoreError> {
    let name: String = row.get(1);
    let corrupt = || StoreError::Corrupt(format!("session of {name:?}"));
    let hash: &[u8] = row.get(0);
    let moment = |column| {
        let ms = from_column(row.get(column))?;
        Moment::from_unix_ms(ms).ok_or_else(corrupt)
    };
    Ok(HostSession {
        hash: TokenHash::from_bytes(hash.try_into().map_err(|_| corrupt())?),
        role: row.get::<_, &str>(2).parse().map_err(|_| corrupt())?,
        began_at: moment(3)?,
        used_at: moment(4)?,
        until: moment(5)?,
        has_ended: row.get(6),
        name,
    })
}

impl Inner {
    pub(super) fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let oldest = to_column(session.removes_before().unix_ms())?;
        let began_at = to_column(session.began_at.unix_ms())?;
        let used_at = to_column(session.used_at.unix_ms())?;
        let until = to_column(session.until.unix_ms())?;
        self.in_transaction(|transaction| {
            transaction.execute("DELETE FROM host_sessions WHERE until < $1", &[&oldest])?;
            let added = transaction.execute(
                "INSERT INTO host_sessions (hash, name, role, began_at, used_at, until, has_ended)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (hash) DO NOTHING",
                &[
                    &session.hash.as_bytes().as_slice(),
                    &session.name,
                    &session.role.as_str(),
                    &began_at,
                    &used_at,
                    &until,
                    &session.has_ended,
                ],
            )?;
            if added > 0 {
                add_to_audit_log(transaction, &session.began_note())?;
            }
            Ok(added > 0)
        })
    }

    pub(super) fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError> {
        self.ask(|connection| {
            let rows = connection.query(
                "SELECT hash, name, role, began_at, used_at, until, has_ended
                 FROM host_sessions WHERE hash = $1",
                &[&hash.as_bytes().as_slice()],
            )?;
            rows.first().map(to_session).transpose()
        })
    }

    pub(super) fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        let at = to_column(at.unix_ms())?;
        self.in_transaction(|transaction| {
            transaction.execute(
                "UPDATE host_sessions SET used_at = GREATEST(used_at, $2)
                 WHERE hash = $1 AND NOT has_ended",
                &[&hash.as_bytes().as_slice(), &at],
            )?;
            Ok(())
        })
    }

    pub(super) fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        self.in_transaction(|transaction| {
            let row = transaction.query_opt(
                "UPDATE host_sessions SET has_ended = TRUE WHERE hash = $1 AND NOT has_ended
                 RETURNING hash, name, role, began_at, used_at, until, has_ended",
                &[&hash.as_bytes().as_slice()],
            )?;
            let Some(row) = row else { return Ok(false) };
            add_to_audit_log(transaction, &to_session(&row)?.ended_note())?;
            Ok(true)
        })
    }
}
