//! The polls in the store.

use ::postgres::{GenericClient, Row};
use async_trait::async_trait;

use super::{Inner, Postgres};
use crate::{
    backends::stored_json,
    error::StoreError,
    model::{
        id::PollId,
        poll::{Poll, log_changes},
        poll_state::PollState,
    },
    store::{PollDirectory, PollStore},
};

const POLL: &str = "SELECT key, definition, state FROM polls WHERE id = $1";

/// A poll and its key.
pub(super) fn read_poll(
    client: &mut impl GenericClient,
    id: &PollId,
) -> Result<Option<(i32, Poll)>, StoreError> {
    let row = client.query_opt(POLL, &[&id.as_str()])?;
    row.map(|row| Ok((row.get(0), to_poll(&row)?))).transpose()
}

/// From `key, definition, state`.
fn to_poll(row: &Row) -> Result<Poll, StoreError> {
    let poll: Poll = stored_json::read(row.get(1))?;
    Ok(poll.in_state(stored_json::read(row.get(2))?))
}

impl Inner {
    fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let definition = stored_json::write(poll)?;
        let id = poll.id();
        self.on_connection(|connection| {
            let mut transaction = connection.begin()?;
            // The row is locked by the insert, also when it was there, so what is read then holds.
            transaction.execute(
                "INSERT INTO polls (id, definition) VALUES ($1, $2)
                 ON CONFLICT (id) DO UPDATE SET definition = polls.definition",
                &[&id.as_str(), &definition],
            )?;
            let Some(row) = transaction.query_opt(POLL, &[&id.as_str()])? else {
                return Err(StoreError::PollChanged(id.clone()));
            };
            let stored = to_poll(&row)?;
            // Of a poll that was not there the insert has made this one.
            let changes = stored.replaced_by(poll)?;
            if stored.state().is_open() {
                transaction.execute(
                    "UPDATE polls SET definition = $2 WHERE id = $1",
                    &[&id.as_str(), &definition],
                )?;
            }
            transaction.commit()?;
            log_changes(poll, &changes);
            Ok(())
        })
    }

    fn advance_poll(&self, id: &PollId, to: &PollState) -> Result<Option<PollState>, StoreError> {
        self.on_connection(|connection| {
            let mut transaction = connection.begin()?;
            // Waits for the flushes that hold a share of the lock.
            let row = transaction.query_opt(
                "SELECT key, definition, state FROM polls WHERE id = $1 FOR NO KEY UPDATE",
                &[&id.as_str()],
            )?;
            let Some(row) = row else {
                return Ok(None);
            };
            let before = to_poll(&row)?.state().clone();
            let state = before.clone().advanced(to);
            if state != before {
                transaction.execute(
                    "UPDATE polls SET state = $2 WHERE id = $1",
                    &[&id.as_str(), &stored_json::write(&state)?],
                )?;
                transaction.commit()?;
            }
            Ok(Some(state))
        })
    }
}

#[async_trait]
impl PollDirectory for Postgres {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let id = id.clone();
        self.call(move |inner| {
            let found = inner.ask(|connection| read_poll(&mut **connection, &id))?;
            Ok(found.map(|(_, poll)| poll))
        })
        .await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                let all = "SELECT key, definition, state FROM polls ORDER BY key";
                connection.query(all, &[])?.iter().map(to_poll).collect()
            })
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

    async fn advance_poll(
        &self,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        let (poll, to) = (poll.clone(), to.clone());
        self.call(move |inner| inner.advance_poll(&poll, &to)).await
    }
}
