//! The tokens that have names.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Inner, Sqlite, audit::add_to_audit_log, begin, lock, sessions};
use crate::{
    error::StoreError,
    model::{id::TokenName, moment::Moment},
    store::{
        TokenStore,
        sessions::HostSession,
        tokens::{NamedToken, TokenHash},
    },
};

type Columns = (String, String, [u8; 32], u64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn to_token((name, role, hash, created_at): Columns) -> Result<NamedToken, StoreError> {
    let corrupt = || StoreError::Corrupt(format!("token {name:?}"));
    Ok(NamedToken {
        name: name.parse().map_err(|_| corrupt())?,
        role: role.parse().map_err(|_| corrupt())?,
        hash: TokenHash::from_bytes(hash),
        created_at: Moment::from_unix_ms(created_at).ok_or_else(corrupt)?,
    })
}

fn tokens(reader: &Connection) -> Result<Vec<NamedToken>, StoreError> {
    let all = "SELECT name, role, hash, created_at FROM tokens ORDER BY name";
    let mut query = reader.prepare_cached(all)?;
    let rows = query.query_map([], columns)?;
    rows.map(|row| to_token(row?)).collect()
}

impl Inner {
    fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let added = transaction.execute(
            "INSERT INTO tokens (name, role, hash, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO NOTHING",
            params![
                token.name.as_str(),
                token.role.as_str(),
                token.hash.as_bytes(),
                token.created_at.unix_ms(),
            ],
        )?;
        if added == 0 {
            return Ok(false);
        }
        add_to_audit_log(&transaction, &token.added_note(by))?;
        self.commit(transaction)?;
        Ok(true)
    }

    fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let revoke = "DELETE FROM tokens WHERE name = ?1 RETURNING name, role, hash, created_at";
        let revoked = transaction.query_row(revoke, [name.as_str()], columns);
        let Some(revoked) = revoked.optional()? else {
            return Ok(false);
        };
        add_to_audit_log(&transaction, &to_token(revoked)?.revoked_note(by))?;
        self.commit(transaction)?;
        Ok(true)
    }
}

#[async_trait]
impl TokenStore for Sqlite {
    async fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        let (token, by) = (token.clone(), by.to_owned());
        self.blocking(move |inner| inner.add_token(&token, &by))
            .await
    }

    async fn tokens(&self) -> Result<Vec<NamedToken>, StoreError> {
        self.reading(|inner| tokens(&lock(&inner.reader))).await
    }

    async fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        let (name, by) = (name.clone(), by.to_owned());
        self.blocking(move |inner| inner.revoke_token(&name, &by))
            .await
    }

    async fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let session = session.clone();
        self.blocking(move |inner| inner.add_session(&session))
            .await
    }

    async fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError> {
        self.reading(move |inner| sessions::session(&lock(&inner.reader), hash))
            .await
    }

    async fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.use_session(hash, at))
            .await
    }

    async fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        self.blocking(move |inner| inner.end_session(hash)).await
    }
}
