//! Rows of polls, which several files read.

use ::postgres::{GenericClient, Row};

use crate::{
    backends::stored_json,
    error::StoreError,
    model::{id::PollId, poll::Poll},
};

const POLL: &str = "SELECT key, definition, state, extras FROM polls WHERE id = $1";

/// A poll and its key.
pub(super) fn read_poll(
    client: &mut impl GenericClient,
    id: &PollId,
) -> Result<Option<(i32, Poll)>, StoreError> {
    let row = client.query_opt(POLL, &[&id.as_str()])?;
    row.map(|row| Ok((row.get(0), to_poll(&row)?))).transpose()
}

/// From `key, definition, state, extras`.
pub(super) fn to_poll(row: &Row) -> Result<Poll, StoreError> {
    let poll: Poll = stored_json::read(row.get(1))?;
    let poll = poll.in_state(stored_json::read(row.get(2))?);
    Ok(match row.get(3) {
        Some(extras) => poll.with_extras(stored_json::read(extras)?),
        None => poll,
    })
}
