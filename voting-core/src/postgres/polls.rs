//! The polls in the store.

use ::postgres::GenericClient;
use async_trait::async_trait;

use super::{Inner, Postgres};
use crate::{
    error::StoreError,
    id::PollId,
    poll::Poll,
    stored_json,
    traits::{PollDirectory, PollStore},
};

/// A poll and its key.
pub(super) fn read_poll(
    client: &mut impl GenericClient,
    id: &PollId,
) -> Result<Option<(i32, Poll)>, StoreError> {
    let row = client.query_opt(
        "SELECT key, definition FROM polls WHERE id = $1",
        &[&id.as_str()],
    )?;
    row.map(|row| Ok((row.get(0), stored_json::read(row.get(1))?)))
        .transpose()
}

impl Inner {
    fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let definition = stored_json::write(poll)?;
        let mut connection = self.connection()?;
        let mut transaction = connection.transaction()?;
        // The row is locked by the insert, also when it was there, so what is read then holds.
        transaction.execute(
            "INSERT INTO polls (id, definition) VALUES ($1, $2)
             ON CONFLICT (id) DO UPDATE SET definition = polls.definition",
            &[&poll.id().as_str(), &definition],
        )?;
        let stored = read_poll(&mut transaction, poll.id())?;
        if stored.is_some_and(|(_, stored)| !stored.counts_like(poll)) {
            return Err(StoreError::PollConflict(poll.id().clone()));
        }
        transaction.execute(
            "UPDATE polls SET definition = $2 WHERE id = $1",
            &[&poll.id().as_str(), &definition],
        )?;
        transaction.commit()?;
        Ok(())
    }
}

#[async_trait]
impl PollDirectory for Postgres {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let id = id.clone();
        self.call(move |inner| {
            let found = read_poll(&mut *inner.connection()?, &id)?;
            Ok(found.map(|(_, poll)| poll))
        })
        .await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.call(|inner| {
            let rows = inner
                .connection()?
                .query("SELECT definition FROM polls ORDER BY key", &[])?;
            rows.iter()
                .map(|row| stored_json::read(row.get(0)))
                .collect()
        })
        .await
    }
}

#[async_trait]
impl PollStore for Postgres {
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let poll = poll.clone();
        self.call(move |inner| inner.put_poll(&poll)).await
    }
}
