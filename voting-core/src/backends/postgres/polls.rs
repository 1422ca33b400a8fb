//! The polls in the store.

use async_trait::async_trait;

use super::{
    Inner, Postgres,
    audit::add_to_audit_log,
    events::{add_event_in, add_events},
    prepared::Transaction,
    rows::{read_poll, to_poll},
    upgrade::must_be_finished,
};
use crate::{
    backends::stored_json,
    error::StoreError,
    model::{
        id::PollId,
        moment::Moment,
        poll::{self, ChangeTo, Changed, Poll, PollChange, log_changes},
        poll_state::Seals,
    },
    store::{PollDirectory, PollStore, applied::StoreLife, audit::AuditNote, events},
};

impl Inner {
    fn change_poll(
        &self,
        change: &PollChange,
        by: &str,
        life: Option<&StoreLife>,
    ) -> Result<Option<Poll>, StoreError> {
        let (before, after) = self.in_transaction_in(life, |transaction| {
            self.change_poll_in(transaction, change, by)
        })?;
        log_changes(before.as_ref(), after.as_ref());
        Ok(after)
    }

    fn change_poll_in(
        &self,
        transaction: &mut Transaction<'_>,
        change: &PollChange,
        by: &str,
    ) -> Result<(Option<Poll>, Option<Poll>), StoreError> {
        let (key, before, changed) = change_poll(transaction, change, by)?;
        if let (Some(key), Some(after)) = (key, &changed.poll)
            && changed.voids_other_ballots(before.as_ref())
        {
            self.void_by(transaction, key, after)?;
        }
        Ok((before, changed.poll))
    }
}

/// The key and the poll before, and what has changed.
fn change_poll(
    transaction: &mut Transaction<'_>,
    change: &PollChange,
    by: &str,
) -> Result<(Option<i32>, Option<Poll>, Changed), StoreError> {
    let id = &change.poll;
    // Locks the id, also where there is no row: two processes may store the same poll. The lock of the row waits for the
    // flushes that hold a share of it.
    transaction.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('poll ' || $1, 0))",
        &[&id.as_str()],
    )?;
    let row = transaction.query_opt(
        "SELECT key, definition, state, extras FROM polls WHERE id = $1 FOR NO KEY UPDATE",
        &[&id.as_str()],
    )?;
    let before = row.as_ref().map(to_poll).transpose()?;
    if before.is_none() {
        let deleted = transaction.query_opt(IS_DELETED, &[&id.as_str()])?;
        if deleted.is_some() {
            return Err(StoreError::PollDeleted(id.clone()));
        }
    }
    let now = Moment::now();
    let mut changed = poll::change(before.as_ref(), change, now)?;
    // Beside an earlier program, voters of a new poll keep the ids of their cookies: that program knows no others, and a
    // voter who came to both would count twice. A poll that is restored has its key already.
    if before.is_none()
        && !matches!(change.to, ChangeTo::Restored(_))
        && let Some(poll) = &mut changed.poll
        && poll.wrapped_key().is_some()
        && !poll.needs_new_programs_without_key()
        && must_be_finished(transaction, id).is_err()
    {
        *poll = poll.clone().without_key();
    }
    let key = row.as_ref().map(|row| row.get(0));
    if !changed.is_changed {
        return Ok((key, before, changed));
    }
    match &changed.poll {
        Some(after) => write_poll(transaction, after)?,
        None => delete_poll(transaction, id)?,
    }
    if changed.forgets_voters(before.as_ref()) {
        // As of a deleted poll, there may be many.
        transaction.batch_execute("SET LOCAL statement_timeout = 0")?;
        transaction.execute("SELECT forget_voters($1)", &[&id.as_str()])?;
    }
    if let Some((mark, event)) = before.as_ref().and_then(|poll| events::opening(poll, now)) {
        add_event_in(transaction, &mark, &event)?;
    }
    add_events(
        transaction,
        &events::of_change(before.as_ref(), &changed, now),
    )?;
    if let Some(note) = changed.note.take() {
        add_to_audit_log(transaction, &AuditNote::of_change(id, note, by))?;
    }
    Ok((key, before, changed))
}

fn write_poll(transaction: &mut Transaction<'_>, poll: &Poll) -> Result<(), StoreError> {
    if poll.needs_new_programs() {
        must_be_finished(transaction, poll.id())?;
    }
    let extras = stored_json::write(poll.extras())?;
    transaction.execute(
        "INSERT INTO polls (id, definition, state, extras) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE
         SET definition = excluded.definition, state = excluded.state, extras = excluded.extras",
        &[
            &poll.id().as_str(),
            &stored_json::write(poll)?,
            &stored_json::write(poll.state())?,
            &extras,
        ],
    )?;
    Ok(())
}

/// Deletes a poll with its ballots and counts, and keeps its id from being used again.
fn delete_poll(transaction: &mut Transaction<'_>, id: &PollId) -> Result<(), StoreError> {
    // An earlier program would store the poll again, or count its ballots as unknown ones.
    must_be_finished(transaction, id)?;
    // A poll may have so many ballots that this takes longer than other statements may.
    transaction.batch_execute("SET LOCAL statement_timeout = 0")?;
    transaction.execute("SELECT delete_poll($1)", &[&id.as_str()])?;
    Ok(())
}

pub(super) const IS_DELETED: &str = "SELECT 1 FROM deleted_polls WHERE id = $1";

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
                let all = "SELECT key, definition, state, extras FROM polls ORDER BY key";
                connection.query(all, &[])?.iter().map(to_poll).collect()
            })
        })
        .await
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.call(move |inner| {
            inner.ask(|connection| {
                let deleted = connection.query_opt(IS_DELETED, &[&id.as_str()])?;
                Ok(deleted.is_some())
            })
        })
        .await
    }
}

#[async_trait]
impl PollStore for Postgres {
    async fn upgrade_is_finished(&self) -> Result<bool, StoreError> {
        self.call(|inner| inner.upgrade_is_finished()).await
    }

    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        self.change_poll_in(change, by, None).await
    }

    async fn change_poll_in(
        &self,
        change: &PollChange,
        by: &str,
        life: Option<&StoreLife>,
    ) -> Result<Option<Poll>, StoreError> {
        let (change, by, life) = (change.clone(), by.to_owned(), life.cloned());
        self.call(move |inner| inner.change_poll(&change, &by, life.as_ref()))
            .await
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                let all = "SELECT id, state FROM deleted_polls ORDER BY id";
                let rows = connection.query(all, &[])?;
                let rows = rows.iter();
                rows.map(|row| stored_json::tombstone(row.get(0), row.get(1)))
                    .collect()
            })
        })
        .await
    }
}
