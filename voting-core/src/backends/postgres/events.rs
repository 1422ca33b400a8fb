//! The events.
//!
//! A row gets its number after its transaction has ended: whoever reads numbers the rows that are there and have none. If a row
//! were numbered when it is written, a transaction that ends late would put its event below a number that readers have passed.

use ::postgres::Row;
use async_trait::async_trait;

use super::{
    Inner, Postgres, from_column, prepared::Transaction, rows::to_poll, to_column, to_limit,
};
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
    transaction: &mut Transaction<'_>,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    for event in events {
        transaction.execute(
            "INSERT INTO events (id, at, kind, poll, data) VALUES ($1, $2, $3, $4, $5)",
            &[
                &uuid::Uuid::now_v7(),
                &to_column(Moment::now().unix_ms())?,
                &event.kind.as_str(),
                &event.poll.as_ref().map(PollId::as_str),
                &event.data,
            ],
        )?;
    }
    Ok(())
}

/// From `number, id, at, kind, poll, data`.
pub(super) fn to_event(row: &Row) -> Result<Event, StoreError> {
    let columns = EventColumns {
        number: from_column(row.get(0))?,
        id: row.get(1),
        at: from_column(row.get(2))?,
        kind: row.get(3),
        poll: row.get(4),
        data: row.get(5),
    };
    columns.try_into()
}

/// The last value of a mark, and the moment of its last event.
type Last = Option<(String, Moment)>;

const LAST: &str = "SELECT value, at FROM event_marks WHERE name = $1";

fn last_mark(row: Option<Row>, mark: &Mark) -> Result<Last, StoreError> {
    let Some(row) = row else {
        return Ok(None);
    };
    let at = Moment::from_unix_ms(from_column(row.get(1))?);
    let corrupt = || StoreError::Corrupt(format!("mark {}", mark.name));
    Ok(Some((row.get(0), at.ok_or_else(corrupt)?)))
}

fn borrowed(last: &Last) -> Option<(&str, Moment)> {
    last.as_ref().map(|(value, at)| (value.as_str(), *at))
}

/// Tells what is news, and returns whether it was.
pub(super) fn add_event_in(
    transaction: &mut Transaction<'_>,
    mark: &Mark,
    event: &NewEvent,
) -> Result<bool, StoreError> {
    // Locks the name, also where there is no row.
    transaction.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('mark ' || $1, 0))",
        &[&mark.name],
    )?;
    let last = last_mark(transaction.query_opt(LAST, &[&mark.name])?, mark)?;
    let now = Moment::now();
    let news = mark.news(borrowed(&last), now);
    let at = match (news, &last) {
        (News::None, _) => return Ok(false),
        (News::Noted, Some((_, at))) => *at,
        (News::Noted | News::Added, _) => now,
    };
    transaction.execute(
        "INSERT INTO event_marks (name, value, at, poll) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at",
        &[
            &mark.name,
            &mark.value,
            &to_column(at.unix_ms())?,
            &event.poll.as_ref().map(PollId::as_str),
        ],
    )?;
    let is_added = news == News::Added;
    if is_added {
        add_events(transaction, std::slice::from_ref(event))?;
    }
    Ok(is_added)
}

impl Inner {
    /// Numbers the events that have no number.
    pub(super) fn number_events(&self) -> Result<(), StoreError> {
        let waiting = "SELECT EXISTS (SELECT FROM events WHERE number IS NULL)";
        let is_waiting: bool =
            self.ask(|connection| Ok(connection.query_one(waiting, &[])?.get(0)))?;
        if !is_waiting {
            return Ok(());
        }
        self.in_transaction(|transaction| {
            // One after the other. The next statement sees all that has ended until the lock was there.
            transaction.execute("SELECT last FROM event_numbers FOR UPDATE", &[])?;
            transaction.execute(
                "WITH waiting AS (
                     SELECT place, row_number() OVER (ORDER BY place) AS next
                     FROM events WHERE number IS NULL
                 ), numbered AS (
                     UPDATE events SET number = event_numbers.last + waiting.next
                     FROM waiting, event_numbers WHERE events.place = waiting.place
                     RETURNING events.number
                 )
                 UPDATE event_numbers SET last = (SELECT MAX(number) FROM numbered)
                 WHERE EXISTS (SELECT FROM numbered)",
                &[],
            )?;
            Ok(())
        })
    }

    fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        self.number_events()?;
        // There are no greater numbers.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = to_limit(limit);
        self.read(|snapshot| {
            let rows = snapshot.query(
                "SELECT number, id, at, kind, poll, data FROM events
                 WHERE number > $1 ORDER BY number LIMIT $2",
                &[&after, &limit],
            )?;
            let list = rows.iter().map(to_event);
            let bounds = snapshot.query_one(
                "SELECT last, COALESCE((SELECT MIN(number) FROM events), last + 1) FROM event_numbers",
                &[],
            )?;
            Ok(Events {
                list: list.collect::<Result<Vec<Event>, StoreError>>()?,
                newest: from_column(bounds.get(0))?,
                oldest: from_column(bounds.get(1))?,
            })
        })
    }

    fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        // Mostly there is nothing to tell, and nothing is locked.
        let last =
            self.ask(|connection| last_mark(connection.query_opt(LAST, &[&mark.name])?, mark))?;
        if mark.news(borrowed(&last), Moment::now()) == News::None {
            return Ok(false);
        }
        self.in_transaction(|transaction| {
            // The row of the poll is locked before the mark, as where a poll is changed.
            if let Some(id) = &event.poll {
                let row = transaction.query_opt(
                    "SELECT key, definition, state, extras FROM polls WHERE id = $1 FOR SHARE",
                    &[&id.as_str()],
                )?;
                let poll = row.as_ref().map(to_poll).transpose()?;
                if !takes_events(poll.as_ref()) {
                    return Ok(false);
                }
            }
            add_event_in(transaction, mark, event)
        })
    }

    fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        self.number_events()?;
        let (before, limit) = (to_column(before.unix_ms())?, to_limit(limit));
        self.in_transaction(|transaction| {
            // Only from the beginning, so that no gap appears.
            let removed = transaction.execute(
                "DELETE FROM events WHERE number IN (
                     SELECT number FROM events WHERE number IS NOT NULL ORDER BY number LIMIT $2
                 ) AND number < (SELECT COALESCE(MIN(number), 9223372036854775807) FROM events WHERE at >= $1)",
                &[&before, &limit],
            )?;
            Ok(usize::try_from(removed).unwrap_or(usize::MAX))
        })
    }
}

#[async_trait]
impl EventStore for Postgres {
    async fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        self.call(move |inner| inner.events(after, limit)).await
    }

    async fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        let (mark, event) = (mark.clone(), event.clone());
        self.call(move |inner| inner.add_event(&mark, &event)).await
    }

    async fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        self.call(move |inner| inner.remove_events(before, limit))
            .await
    }
}
