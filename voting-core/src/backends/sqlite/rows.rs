//! Rows that several files read: polls, and positions.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::{
    backends::stored_json,
    error::StoreError,
    model::{
        id::PollId,
        poll::Poll,
        position::{Position, ShardId},
    },
};

/// A poll and its key.
pub(super) fn read_poll(
    connection: &Connection,
    id: &PollId,
) -> Result<Option<(i64, Poll)>, StoreError> {
    let found = connection
        .prepare_cached("SELECT key, definition, state, extras FROM polls WHERE id = ?1")?
        .query_row([id.as_str()], poll_columns)
        .optional()?;
    found.map(to_poll).transpose()
}

/// The key; and the definition, the state and the extras, all JSON.
pub(super) type PollColumns = (i64, String, String, Option<String>);

pub(super) fn poll_columns(row: &Row<'_>) -> rusqlite::Result<PollColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

pub(super) fn to_poll(
    (key, definition, state, extras): PollColumns,
) -> Result<(i64, Poll), StoreError> {
    let poll: Poll = stored_json::read(&definition)?;
    let mut poll = poll.in_state(stored_json::read(&state)?);
    if let Some(extras) = extras {
        poll = poll.with_extras(stored_json::read(&extras)?);
    }
    Ok((key, poll))
}

/// Whether a poll with this id was deleted.
pub(super) fn is_deleted(connection: &Connection, id: &PollId) -> Result<bool, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM deleted_polls WHERE id = ?1)")?;
    Ok(query.query_row([id.as_str()], |row| row.get(0))?)
}

/// What the counted ballots of a poll choose, and how many there are of each choice: of the poll with the key `?1`, whose
/// voters are forgotten or not.
pub(super) fn counted_choices(poll: &Poll) -> &'static str {
    match poll.voters_are_forgotten() {
        true => "SELECT choices, ballots FROM ballots_without_voters WHERE poll = ?1",
        false => "SELECT choices, COUNT(*) FROM ballots WHERE poll = ?1 GROUP BY choices",
    }
}

/// The shard, the milliseconds and the number of a [`Position`].
pub(super) type PositionColumns = (u16, u64, u64);

pub(super) fn position_columns(row: &Row<'_>) -> rusqlite::Result<PositionColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

pub(super) fn to_position((shard, ms, n): PositionColumns) -> Result<Position, StoreError> {
    Position::from_parts(ShardId(shard), ms, n)
        .ok_or_else(|| StoreError::Corrupt(format!("position {shard}-{ms}-{n}")))
}
