//! The events. All writes go through one connection, so a number that is given when an event is written is below those of all later
//! events.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::{Inner, Sqlite, begin, lock, rows::read_poll};
use crate::{
    backends::stored_event::EventColumns,
    error::StoreError,
    model::{id::PollId, moment::Moment},
    store::{
        EventStore,
        events::{Event, Events, Mark, NewEvent, News, takes_events},
    },
};

/// Adds events in the transaction that does what they say.
pub(super) fn add_events(
    transaction: &Transaction<'_>,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    for event in events {
        transaction.execute(
            "INSERT INTO events (id, at, kind, poll, data) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                Uuid::now_v7().as_bytes(),
                Moment::now().unix_ms(),
                event.kind.as_str(),
                event.poll.as_ref().map(PollId::as_str),
                event.data,
            ],
        )?;
    }
    Ok(())
}

/// From `number, id, at, kind, poll, data`.
pub(super) fn columns(row: &Row<'_>) -> rusqlite::Result<EventColumns> {
    Ok(EventColumns {
        number: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        at: row.get(2)?,
        kind: row.get(3)?,
        poll: row.get(4)?,
        data: row.get(5)?,
    })
}

/// The number of the newest event; 0 if there was none.
pub(super) fn newest_event(connection: &Connection) -> rusqlite::Result<u64> {
    let newest = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let newest = connection.query_row(newest, [], |row| row.get(0));
    Ok(newest.optional()?.unwrap_or(0))
}

/// The last value of a mark, and the moment of its last event.
type Last = Option<(String, Moment)>;

fn last_mark(connection: &Connection, mark: &Mark) -> Result<Last, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT value, at FROM event_marks WHERE name = ?1")?;
    let last = query.query_row([&mark.name], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?))
    });
    let corrupt = || StoreError::Corrupt(format!("mark {}", mark.name));
    let last = last.optional()?.map(|(value, at)| {
        let at = Moment::from_unix_ms(at).ok_or_else(corrupt)?;
        Ok((value, at))
    });
    last.transpose()
}

fn borrowed(last: &Last) -> Option<(&str, Moment)> {
    last.as_ref().map(|(value, at)| (value.as_str(), *at))
}

/// Tells what is news, and returns whether it was.
pub(super) fn add_event_in(
    transaction: &Transaction<'_>,
    mark: &Mark,
    event: &NewEvent,
) -> Result<bool, StoreError> {
    let (last, now) = (last_mark(transaction, mark)?, Moment::now());
    let news = mark.news(borrowed(&last), now);
    let at = match (news, &last) {
        (News::None, _) => return Ok(false),
        (News::Noted, Some((_, at))) => *at,
        (News::Noted | News::Added, _) => now,
    };
    transaction.execute(
        "INSERT INTO event_marks (name, value, at, poll) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at",
        params![
            mark.name,
            mark.value,
            at.unix_ms(),
            event.poll.as_ref().map(PollId::as_str),
        ],
    )?;
    let is_added = news == News::Added;
    if is_added {
        add_events(transaction, std::slice::from_ref(event))?;
    }
    Ok(is_added)
}

/// A number that the database can compare with those of events.
fn place(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}

impl Inner {
    fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        let mut reader = lock(&self.reader);
        // All reads see the same moment.
        let snapshot = reader.transaction()?;
        let mut query = snapshot.prepare_cached(
            "SELECT number, id, at, kind, poll, data FROM events
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let rows = query.query_map(params![place(after), limit], columns)?;
        let list = rows.map(|row| row?.try_into());
        let list = list.collect::<Result<Vec<Event>, StoreError>>()?;
        drop(query);
        let newest = newest_event(&snapshot)?;
        let oldest = snapshot.query_row(
            "SELECT COALESCE(MIN(number), ?1) FROM events",
            [newest + 1],
            |row| row.get(0),
        )?;
        Ok(Events {
            list,
            oldest,
            newest,
        })
    }

    fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        // Mostly there is nothing to tell, and no flush waits.
        let last = last_mark(&lock(&self.reader), mark)?;
        if mark.news(borrowed(&last), Moment::now()) == News::None {
            return Ok(false);
        }
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        if let Some(id) = &event.poll {
            let poll = read_poll(&transaction, id)?.map(|(_, poll)| poll);
            if !takes_events(poll.as_ref()) {
                return Ok(false);
            }
        }
        let is_added = add_event_in(&transaction, mark, event)?;
        self.commit(transaction)?;
        Ok(is_added)
    }

    fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        // Only from the beginning, so that no gap appears.
        let removed = transaction.execute(
            "DELETE FROM events WHERE number IN (
                 SELECT number FROM events ORDER BY number LIMIT ?2
             ) AND number < COALESCE((SELECT MIN(number) FROM events WHERE at >= ?1), 9223372036854775807)",
            params![before.unix_ms(), limit],
        )?;
        self.commit(transaction)?;
        Ok(removed)
    }
}

#[async_trait]
impl EventStore for Sqlite {
    async fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        self.reading(move |inner| inner.events(after, limit)).await
    }

    async fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        let (mark, event) = (mark.clone(), event.clone());
        self.blocking(move |inner| inner.add_event(&mark, &event))
            .await
    }

    async fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        self.blocking(move |inner| inner.remove_events(before, limit))
            .await
    }
}
