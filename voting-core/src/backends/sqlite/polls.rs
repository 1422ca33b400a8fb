//! The polls in the file.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Inner, Sqlite, begin, lock};
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

pub(super) fn read_poll(connection: &Connection, id: &PollId) -> Result<Option<Poll>, StoreError> {
    let columns = connection
        .prepare_cached("SELECT definition, state FROM polls WHERE id = ?1")?
        .query_row([id.as_str()], columns)
        .optional()?;
    columns.map(to_poll).transpose()
}

/// The definition and the state, both JSON.
type Columns = (String, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?))
}

fn to_poll((definition, state): Columns) -> Result<Poll, StoreError> {
    let poll: Poll = stored_json::read(&definition)?;
    Ok(poll.in_state(stored_json::read(&state)?))
}

pub(super) fn polls(reader: &Connection) -> Result<Vec<Poll>, StoreError> {
    let mut query = reader.prepare_cached("SELECT definition, state FROM polls ORDER BY key")?;
    let rows = query.query_map([], columns)?;
    rows.map(|row| to_poll(row?)).collect()
}

impl Inner {
    fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let definition = stored_json::write(poll)?;
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let stored = read_poll(&transaction, poll.id())?;
        let changes = match &stored {
            Some(stored) => stored.replaced_by(poll)?,
            None => Vec::new(),
        };
        if stored
            .as_ref()
            .is_some_and(|stored| !stored.state().is_open())
        {
            return Ok(());
        }
        transaction.execute(
            "INSERT INTO polls (id, definition) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET definition = excluded.definition",
            params![poll.id().as_str(), definition],
        )?;
        self.commit(transaction)?;
        log_changes(poll, &changes);
        Ok(())
    }

    fn advance_poll(&self, id: &PollId, to: &PollState) -> Result<Option<PollState>, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let Some(poll) = read_poll(&transaction, id)? else {
            return Ok(None);
        };
        let state = poll.state().clone().advanced(to);
        if state != *poll.state() {
            transaction.execute(
                "UPDATE polls SET state = ?2 WHERE id = ?1",
                params![id.as_str(), stored_json::write(&state)?],
            )?;
            self.commit(transaction)?;
        }
        Ok(Some(state))
    }
}

/// Whether nothing in the file can speak of a poll: it is open and has never had a ballot, and there is neither an
/// entry nor a dead letter that may hold one.
const IS_UNUSED: &str = "
    SELECT key FROM polls
    WHERE id = ?1 AND voters = 0 AND state = '{\"state\":\"open\"}'
        AND NOT EXISTS (SELECT 1 FROM ballots WHERE ballots.poll = polls.key)
        AND NOT EXISTS (SELECT 1 FROM log)
        AND NOT EXISTS (SELECT 1 FROM dead_letters)";

impl Inner {
    fn remove_unused_poll(&self, id: &PollId) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let key: Option<i64> = transaction
            .query_row(IS_UNUSED, [id.as_str()], |row| row.get(0))
            .optional()?;
        let Some(key) = key else {
            return Ok(false);
        };
        transaction.execute("DELETE FROM tallies WHERE poll = ?1", [key])?;
        transaction.execute("DELETE FROM polls WHERE key = ?1", [key])?;
        self.commit(transaction)?;
        Ok(true)
    }
}

impl Sqlite {
    /// Removes a poll in which nobody has ever voted, and says whether it did. One that a ballot may speak of stays:
    /// while there is anything in the log, or a dead letter, every poll does. Only for a file that nothing else uses
    /// yet: a vote service that knows the poll would still take ballots in it.
    ///
    /// # Errors
    /// The file fails.
    pub async fn remove_unused_poll(&self, id: &PollId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.blocking(move |inner| inner.remove_unused_poll(&id))
            .await
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
        self.reading(|inner| polls(&lock(&inner.reader))).await
    }
}

#[async_trait]
impl PollStore for Sqlite {
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let poll = poll.clone();
        self.blocking(move |inner| inner.put_poll(&poll)).await
    }

    async fn advance_poll(
        &self,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        let (poll, to) = (poll.clone(), to.clone());
        self.blocking(move |inner| inner.advance_poll(&poll, &to))
            .await
    }
}
