//! The tokens that have names.

use ::postgres::Row;
use async_trait::async_trait;

use super::{Inner, Postgres, audit::add_to_audit_log, from_column, to_column};
use crate::{
    error::StoreError,
    model::{id::TokenName, moment::Moment},
    store::{
        TokenStore,
        sessions::HostSession,
        tokens::{NamedToken, TokenHash},
    },
};

/// From `name, role, hash, created_at`.
fn to_token(row: &Row) -> Result<NamedToken, StoreError> {
    let name: String = row.get(0);
    let corrupt = || StoreError::Corrupt(format!("token {name:?}"));
    let hash: &[u8] = row.get(2);
    let created_at = Moment::from_unix_ms(from_column(row.get(3))?);
    Ok(NamedToken {
        name: name.parse().map_err(|_| corrupt())?,
        role: row.get::<_, &str>(1).parse().map_err(|_| corrupt())?,
        hash: TokenHash::from_bytes(hash.try_into().map_err(|_| corrupt())?),
        created_at: created_at.ok_or_else(corrupt)?,
    })
}

impl Inner {
    fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        let created_at = to_column(token.created_at.unix_ms())?;
        self.in_transaction(|transaction| {
            let added = transaction.execute(
                "INSERT INTO tokens (name, role, hash, created_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (name) DO NOTHING",
                &[
                    &token.name.as_str(),
                    &token.role.as_str(),
                    &token.hash.as_bytes().as_slice(),
                    &created_at,
                ],
            )?;
            if added == 0 {
                return Ok(false);
            }
            add_to_audit_log(transaction, &token.added_note(by))?;
            Ok(true)
        })
    }

    fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        self.in_transaction(|transaction| {
            let row = transaction.query_opt(
                "DELETE FROM tokens WHERE name = $1 RETURNING name, role, hash, created_at",
                &[&name.as_str()],
            )?;
            let Some(row) = row else { return Ok(false) };
            add_to_audit_log(transaction, &to_token(&row)?.revoked_note(by))?;
            Ok(true)
        })
    }
}

#[async_trait]
impl TokenStore for Postgres {
    async fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        let (token, by) = (token.clone(), by.to_owned());
        self.call(move |inner| inner.add_token(&token, &by)).await
    }

    async fn tokens(&self) -> Result<Vec<NamedToken>, StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                let all =
                    "SELECT name, role, hash, created_at FROM tokens ORDER BY name COLLATE \"C\"";
                connection.query(all, &[])?.iter().map(to_token).collect()
            })
        })
        .await
    }

    async fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        let (name, by) = (name.clone(), by.to_owned());
        self.call(move |inner| inner.revoke_token(&name, &by)).await
    }

    async fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let session = session.clone();
        self.call(move |inner| inner.add_session(&session)).await
    }

    async fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError> {
        self.call(move |inner| inner.session(hash)).await
    }

    async fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        self.call(move |inner| inner.use_session(hash, at)).await
    }

    async fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        self.call(move |inner| inner.end_session(hash)).await
    }
}
