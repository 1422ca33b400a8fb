//! The polls in the file.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Inner, Sqlite, begin, lock};
use crate::{
    error::StoreError,
    id::PollId,
    poll::Poll,
    stored_json,
    traits::{PollDirectory, PollStore},
};

pub(super) fn read_poll(connection: &Connection, id: &PollId) -> Result<Option<Poll>, StoreError> {
    let definition: Option<String> = connection
        .prepare_cached("SELECT definition FROM polls WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    definition.as_deref().map(stored_json::read).transpose()
}

impl Inner {
    fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        let reader = lock(&self.reader);
        let mut query = reader.prepare_cached("SELECT definition FROM polls ORDER BY key")?;
        let definitions = query.query_map([], |row| row.get::<_, String>(0))?;
        definitions
            .map(|definition| stored_json::read(&definition?))
            .collect()
    }

    fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let definition = stored_json::write(poll)?;
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        if read_poll(&transaction, poll.id())?.is_some_and(|stored| !stored.counts_like(poll)) {
            return Err(StoreError::PollConflict(poll.id().clone()));
        }
        transaction.execute(
            "INSERT INTO polls (id, definition) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET definition = excluded.definition",
            params![poll.id().as_str(), definition],
        )?;
        self.commit(transaction)?;
        Ok(())
    }
}

#[async_trait]
impl PollDirectory for Sqlite {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let id = id.clone();
        self.reading(move |inner| read_poll(&lock(&inner.reader), &id))
            .await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.reading(Inner::polls).await
    }
}

#[async_trait]
impl PollStore for Sqlite {
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let poll = poll.clone();
        self.blocking(move |inner| inner.put_poll(&poll)).await
    }
}
