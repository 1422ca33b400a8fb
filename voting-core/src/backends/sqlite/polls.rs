//! The polls in the file.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Inner, Sqlite, audit::add_to_audit_log, begin, lock};
use crate::{
    backends::stored_json,
    error::StoreError,
    log::entry,
    model::{
        id::PollId,
        moment::Moment,
        poll::{self, Poll, PollChange, log_changes},
        poll_state::Seals,
    },
    store::{PollDirectory, PollStore, audit::AuditNote},
};

/// A poll and its key.
pub(super) fn read_poll(
    connection: &Connection,
    id: &PollId,
) -> Result<Option<(i64, Poll)>, StoreError> {
    let found = connection
        .prepare_cached("SELECT key, definition, state, extras FROM polls WHERE id = ?1")?
        .query_row([id.as_str()], columns)
        .optional()?;
    found.map(to_poll).transpose()
}

/// The key; and the definition, the state and the extras, all JSON.
type Columns = (i64, String, String, Option<String>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn to_poll((key, definition, state, extras): Columns) -> Result<(i64, Poll), StoreError> {
    let poll: Poll = stored_json::read(&definition)?;
    let mut poll = poll.in_state(stored_json::read(&state)?);
    if let Some(extras) = extras {
        poll = poll.with_extras(stored_json::read(&extras)?);
    }
    Ok((key, poll))
}

pub(super) fn polls(reader: &Connection) -> Result<Vec<Poll>, StoreError> {
    let all = "SELECT key, definition, state, extras FROM polls ORDER BY key";
    let mut query = reader.prepare_cached(all)?;
    let rows = query.query_map([], columns)?;
    rows.map(|row| Ok(to_poll(row?)?.1)).collect()
}

fn deleted_polls(reader: &Connection) -> Result<Vec<(PollId, Seals)>, StoreError> {
    let mut query = reader.prepare_cached("SELECT id, state FROM deleted_polls ORDER BY id")?;
    let mut rows = query.query([])?;
    let mut deleted = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, state): (String, String) = (row.get(0)?, row.get(1)?);
        deleted.push(stored_json::tombstone(&id, &state)?);
    }
    Ok(deleted)
}

impl Inner {
    fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let id = &change.poll;
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let before = read_poll(&transaction, id)?;
        if before.is_none() && is_deleted(&transaction, id)? {
            return Err(StoreError::PollDeleted(id.clone()));
        }
        let (key, before) = before.unzip();
        let changed = poll::change(before.as_ref(), change, Moment::now())?;
        if !changed.is_changed {
            return Ok(changed.poll);
        }
        match (&changed.poll, key) {
            (Some(after), _) => write_poll(&transaction, after)?,
            (None, Some(key)) => delete_poll(&transaction, id, key)?,
            (None, None) => {}
        }
        if let Some(note) = changed.note {
            add_to_audit_log(&transaction, &AuditNote::of_change(id, note, by))?;
        }
        self.commit(transaction)?;
        log_changes(before.as_ref(), changed.poll.as_ref());
        Ok(changed.poll)
    }
}

fn is_deleted(connection: &Connection, id: &PollId) -> Result<bool, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM deleted_polls WHERE id = ?1)")?;
    Ok(query.query_row([id.as_str()], |row| row.get(0))?)
}

fn write_poll(transaction: &Transaction<'_>, poll: &Poll) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO polls (id, definition, state, extras) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE
         SET definition = excluded.definition, state = excluded.state, extras = excluded.extras",
        params![
            poll.id().as_str(),
            stored_json::write(poll)?,
            stored_json::write(poll.state())?,
            stored_json::write(poll.extras())?,
        ],
    )?;
    Ok(())
}

/// Deletes a poll with its ballots and counts, and keeps its id from being used again.
fn delete_poll(transaction: &Transaction<'_>, id: &PollId, key: i64) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO deleted_polls (id, at, state, voters)
         SELECT id, ?2, state, voters FROM polls WHERE key = ?1",
        params![key, Moment::now().unix_ms()],
    )?;
    for table in ["ballots", "tallies"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE poll = ?1"), [key])?;
    }
    transaction.execute("DELETE FROM polls WHERE key = ?1", [key])?;
    let beginning = entry::beginning_of_one(id);
    transaction.execute(
        "UPDATE dead_letters SET payload = x'', detail = ''
         WHERE substr(payload, 1, length(?1)) = ?1",
        [beginning],
    )?;
    Ok(())
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
        self.reading(move |inner| Ok(read_poll(&lock(&inner.reader), &id)?.map(|(_, poll)| poll)))
            .await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.reading(|inner| polls(&lock(&inner.reader))).await
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.reading(move |inner| is_deleted(&lock(&inner.reader), &id))
            .await
    }
}

#[async_trait]
impl PollStore for Sqlite {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let (change, by) = (change.clone(), by.to_owned());
        self.blocking(move |inner| inner.change_poll(&change, &by))
            .await
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.reading(|inner| deleted_polls(&lock(&inner.reader)))
            .await
    }
}
