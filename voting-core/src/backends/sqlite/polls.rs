//! The polls in the file.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    Inner, Sqlite,
    audit::add_to_audit_log,
    begin,
    events::{add_event_in, add_events},
    lock,
    rows::{is_deleted, poll_columns, read_poll, to_poll},
    voiding::void_by,
};
use crate::{
    backends::stored_json,
    error::{StoreError, in_one_line},
    log::entry,
    model::{
        id::PollId,
        moment::Moment,
        poll::{self, Poll, PollChange, log_changes},
        poll_state::Seals,
        vote_history::VOTERS,
    },
    store::{PollDirectory, PollStore, audit::AuditNote, events},
};

pub(super) fn polls(reader: &Connection) -> Result<Vec<Poll>, StoreError> {
    let all = "SELECT key, definition, state, extras FROM polls
               WHERE substr(id, 1, 1) <> '!' ORDER BY key";
    let mut query = reader.prepare_cached(all)?;
    let rows = query.query_map([], poll_columns)?;
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
        let now = Moment::now();
        let changed = poll::change(before.as_ref(), change, now)?;
        if !changed.is_changed {
            return Ok(changed.poll);
        }
        let forgets_voters = changed.forgets_voters(before.as_ref());
        match (&changed.poll, key) {
            (Some(after), _) => write_poll(&transaction, after)?,
            (None, Some(key)) => delete_poll(&transaction, id, key)?,
            (None, None) => {}
        }
        if let (Some(after), Some(key)) = (&changed.poll, key)
            && changed.voids_other_ballots(before.as_ref())
        {
            void_by(&transaction, key, after)?;
        }
        if let (true, Some(key)) = (forgets_voters, key) {
            forget_voters(&transaction, id, key)?;
        }
        if let Some((mark, event)) = before.as_ref().and_then(|poll| events::opening(poll, now)) {
            add_event_in(&transaction, &mark, &event)?;
        }
        add_events(
            &transaction,
            &events::of_change(before.as_ref(), &changed, now),
        )?;
        if let Some(note) = changed.note {
            add_to_audit_log(&transaction, &AuditNote::of_change(id, note, by))?;
        }
        self.commit(transaction)?;
        drop(writer);
        log_changes(before.as_ref(), changed.poll.as_ref());
        if (changed.poll.is_none() || forgets_voters)
            && let Err(error) = self.remove_leftovers()
        {
            let error = in_one_line(&error);
            tracing::warn!(
                error,
                "ballots of a deleted poll, or with voters that are forgotten, are left; the next start removes them"
            );
        }
        Ok(changed.poll)
    }
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

/// Deletes a poll, and keeps its id from being used again. Its ballots are removed by [`Inner::remove_leftovers`]. Until
/// then its row has an id that no poll can have, so that nobody finds it.
fn delete_poll(transaction: &Transaction<'_>, id: &PollId, key: i64) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO deleted_polls (id, at, state, voters)
         SELECT id, ?2, state, voters FROM polls WHERE key = ?1",
        params![key, Moment::now().unix_ms()],
    )?;
    transaction.execute("DELETE FROM tallies WHERE poll = ?1", [key])?;
    transaction.execute("DELETE FROM ballots_without_voters WHERE poll = ?1", [key])?;
    transaction.execute("DELETE FROM new_voters WHERE poll = ?1", [key])?;
    transaction.execute("DELETE FROM vote_history WHERE poll = ?1", [key])?;
    transaction.execute("DELETE FROM event_marks WHERE poll = ?1", [id.as_str()])?;
    transaction.execute(
        "UPDATE polls SET id = '!' || key, definition = '', extras = NULL, voters = 0 WHERE key = ?1",
        [key],
    )?;
    empty_dead_letters(transaction, id)
}

/// Keeps of the ballots of a poll only how many there are of each choice. The ballots themselves count no more, and are
/// removed by [`Inner::remove_leftovers`].
fn forget_voters(transaction: &Transaction<'_>, id: &PollId, key: i64) -> Result<(), StoreError> {
    // When votes for an option came.
    transaction.execute(
        "DELETE FROM vote_history WHERE poll = ?1 AND counter <> ?2",
        params![key, VOTERS as u64],
    )?;
    transaction.execute(
        "INSERT INTO ballots_without_voters (poll, choices, ballots)
         SELECT poll, choices, COUNT(*) FROM ballots WHERE poll = ?1 GROUP BY choices",
        [key],
    )?;
    empty_dead_letters(transaction, id)
}

/// Removes the ballot from each dead letter of a single ballot in this poll.
fn empty_dead_letters(transaction: &Transaction<'_>, id: &PollId) -> Result<(), StoreError> {
    let beginnings = entry::beginnings_of_one(id);
    transaction.execute(
        "UPDATE dead_letters SET payload = x'', detail = ''
         WHERE substr(payload, 1, length(?1)) IN (?1, ?2)",
        beginnings,
    )?;
    Ok(())
}

/// A poll whose ballots are to be removed: it is deleted, or its voters are forgotten.
const HAS_LEFTOVERS: &str = "
    SELECT key FROM polls
    WHERE substr(id, 1, 1) = '!'
        OR EXISTS (SELECT 1 FROM ballots_without_voters WHERE poll = key)
            AND EXISTS (SELECT 1 FROM ballots WHERE poll = key)
    LIMIT 1";

/// How many ballots of such a poll are removed at once. Other writers wait so long.
const REMOVED_AT_ONCE: u32 = 5_000;

/// Between two such steps, so that other writers have their turn.
const TURN_OF_OTHERS: Duration = Duration::from_millis(1);

impl Inner {
    /// Removes the ballots of polls that were deleted or whose voters were forgotten, step by step: a poll may have
    /// millions, and nobody can vote while the file is written to. What is removed is overwritten in the file.
    pub(super) fn remove_leftovers(&self) -> Result<(), StoreError> {
        self.writer()?.pragma_update(None, "secure_delete", true)?;
        let removed = self.remove_all_leftovers();
        self.writer()?.pragma_update(None, "secure_delete", false)?;
        removed
    }

    fn remove_all_leftovers(&self) -> Result<(), StoreError> {
        while self.remove_some_leftovers()? {
            std::thread::sleep(TURN_OF_OTHERS);
        }
        Ok(())
    }

    /// False if there are none.
    fn remove_some_leftovers(&self) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let key: Option<i64> = transaction
            .prepare_cached(HAS_LEFTOVERS)?
            .query_row([], |row| row.get(0))
            .optional()?;
        let Some(key) = key else {
            return Ok(false);
        };
        let removed = transaction
            .prepare_cached(
                "DELETE FROM ballots WHERE poll = ?1
                 AND voter IN (SELECT voter FROM ballots WHERE poll = ?1 LIMIT ?2)",
            )?
            .execute(params![key, REMOVED_AT_ONCE])?;
        if removed == 0 {
            transaction.execute("DELETE FROM polls WHERE key = ?1", [key])?;
        }
        self.commit(transaction)?;
        Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backends::sqlite::SqliteOptions,
        model::{
            ballot::{Ballot, Choices, VoterId},
            poll::ChangeTo,
            poll_state::PollState,
            position::{EntryId, Position, ShardId},
        },
        store::{
            BatchFlusher, ExportStore, TallyStore,
            batch::{Batch, PlacedBallot},
        },
    };

    /// Their ids begin so. It is found by chance nowhere else in the file.
    const VOTERS: u128 = 0xb0b5_5eed_feed_c0de << 64;

    fn rows(store: &Sqlite, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        let writer = lock(&store.0.writer);
        writer.query_row(&count, [], |row| row.get(0)).unwrap()
    }

    /// A file with a poll that is final and has more ballots than are removed at once, and with a poll of one ballot.
    async fn with_many_ballots(store: &Sqlite) -> PollId {
        let poll = |id: &str| {
            let poll = Poll::builder(id, "Which?")
                .option("a", "A")
                .option("b", "B");
            poll.build().unwrap()
        };
        let (large, small) = (poll("large"), poll("small"));
        let mut batch = Batch::default();
        for number in 0..=u64::from(2 * REMOVED_AT_ONCE) {
            let of = if number == 0 { &small } else { &large };
            let entry = (ShardId(0), EntryId::new(number + 1, 0).unwrap());
            batch.entries.push((entry, 1));
            batch.ballots.push(PlacedBallot {
                position: Position::new(entry.0, entry.1, 0),
                ballot: Ballot {
                    poll: of.id().clone(),
                    voter: VoterId::from_bytes((VOTERS + u128::from(number)).to_be_bytes()),
                    choices: Choices::from_bits(1).unwrap(),
                    rules: None,
                },
            });
        }
        for poll in [&large, &small] {
            store.put_poll(poll).await.unwrap();
        }
        batch.keep_one_of_each_voter();
        store.flush(&batch).await.unwrap();
        let done = PollState::Final(Seals::default());
        store.advance_poll(large.id(), &done).await.unwrap();
        large.id().clone()
    }

    #[tokio::test]
    async fn all_ballots_of_a_deleted_poll_are_removed_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votes.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let large = with_many_ballots(&store).await;
        let delete = PollChange::new(large, ChangeTo::Deleted);
        store.change_poll(&delete, "operator").await.unwrap();
        for (table, left) in [("ballots", 1), ("polls", 1), ("tallies", 1)] {
            assert_eq!(rows(&store, table), left, "{table}");
        }
    }

    #[tokio::test]
    async fn voters_that_are_forgotten_are_in_no_page_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votes.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let large = with_many_ballots(&store).await;
        let forget = PollChange::new(large.clone(), ChangeTo::VotersForgotten);
        store.change_poll(&forget, "operator").await.unwrap();
        for (table, left) in [("ballots", 1), ("polls", 2), ("ballots_without_voters", 1)] {
            assert_eq!(rows(&store, table), left, "{table}");
        }
        // When it is closed, all is in the file.
        drop(store);
        let closed = std::fs::read(&path).unwrap();
        let has = |number: u128| {
            let voter = (VOTERS + number).to_be_bytes();
            closed.windows(voter.len()).any(|bytes| bytes == voter)
        };
        assert!(has(0), "a voter of the other poll");
        for number in [1, 2, 4_999, 5_000, 10_000] {
            assert!(!has(number), "voter {number}");
        }
    }

    #[tokio::test]
    async fn of_voters_that_are_being_forgotten_an_end_of_the_process_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votes.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let large = with_many_ballots(&store).await;
        let before = store.recount(&large).await.unwrap().unwrap();
        assert!(before.agrees());
        {
            let mut writer = lock(&store.0.writer);
            let transaction = begin(&mut writer).unwrap();
            let (key, poll) = read_poll(&transaction, &large).unwrap().unwrap();
            let forget = PollChange::new(large.clone(), ChangeTo::VotersForgotten);
            let after = poll::change(Some(&poll), &forget, Moment::now()).unwrap();
            write_poll(&transaction, &after.poll.unwrap()).unwrap();
            forget_voters(&transaction, &large, key).unwrap();
            transaction.commit().unwrap();
        }
        assert!(store.0.remove_some_leftovers().unwrap());
        assert!(rows(&store, "ballots") > 1);
        assert_eq!(store.recount(&large).await.unwrap().unwrap(), before);
        let exported = store.export_ballots(&large).await.unwrap();
        assert_eq!(exported.head().ballots, before.kept.voters);
        drop((store, exported));
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        assert_eq!(rows(&store, "ballots"), 1);
        assert_eq!(store.recount(&large).await.unwrap().unwrap(), before);
    }

    #[tokio::test]
    async fn what_an_end_of_the_process_leaves_is_never_seen_and_goes_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votes.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let large = with_many_ballots(&store).await;
        let before = store.totals().await.unwrap();
        {
            let mut writer = lock(&store.0.writer);
            let transaction = begin(&mut writer).unwrap();
            let (key, _) = read_poll(&transaction, &large).unwrap().unwrap();
            delete_poll(&transaction, &large, key).unwrap();
            transaction.commit().unwrap();
        }
        assert!(store.0.remove_some_leftovers().unwrap());
        assert!(rows(&store, "ballots") > 1);
        assert_eq!(store.poll(&large).await.unwrap(), None);
        assert_eq!(store.polls().await.unwrap().len(), 1);
        assert_eq!(store.totals().await.unwrap(), before);
        drop(store);
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        for (table, left) in [("ballots", 1), ("polls", 1), ("deleted_polls", 1)] {
            assert_eq!(rows(&store, table), left, "{table}");
        }
        assert_eq!(store.totals().await.unwrap(), before);
    }
}
