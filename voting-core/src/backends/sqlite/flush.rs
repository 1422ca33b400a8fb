//! Writing a batch: one transaction.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Inner, Sqlite, begin, lock, rows::read_poll};
use crate::{
    error::StoreError,
    model::{
        ballot::Choices,
        id::PollId,
        poll::Poll,
        position::{EntryId, EntryKey, Position, ShardId},
        tally::TallyDelta,
    },
    store::{
        BatchFlusher,
        batch::{Batch, PlacedBallot, Revival},
        dead_letter::DeadLetter,
        older::Older,
        outcome::{FlushOutcome, Flushed, Totals},
    },
};

impl Inner {
    fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let polls = polls_of(&transaction, batch)?;
        batch.check(|id| {
            let (_, poll) = polls.get(id)?;
            Some((poll.state(), poll.version()))
        })?;
        let fresh = mark_applied(&transaction, batch)?;
        let removed = remove_revived(&transaction, batch)?;
        let mut outcome = FlushOutcome::new(batch, fresh, &removed);
        let dead = dead_among(&transaction, outcome.replays(batch))?;
        let mut older = Older::new(batch, dead);
        for placed in batch.ballots.iter().filter_map(|p| older.alive(p)) {
            let (key, poll) = &polls[&placed.ballot.poll];
            let ballot = &placed.ballot;
            let source = batch.source(placed.position);
            let counted = poll.counted(ballot.voter, placed.position, source, ballot.choices);
            if let Some(old) = write_ballot(&transaction, *key, batch, placed, counted)? {
                outcome.written(placed, counted, old);
            }
        }
        for letter in &batch.dead_letters {
            if write_dead_letter(&transaction, letter)? {
                outcome.rejected(letter);
            }
        }
        let flushed = outcome.finish();
        transaction
            .prepare_cached("UPDATE totals SET superseded = superseded + ?1")?
            .execute([flushed.report.superseded])?;
        for (poll, delta) in &flushed.tallies {
            let (key, poll) = &polls[poll];
            move_tally(&transaction, *key, poll, delta)?;
        }
        self.commit(transaction)?;
        Ok(flushed)
    }
}

pub(super) fn totals(reader: &Connection) -> Result<Totals, StoreError> {
    let mut query = reader.prepare_cached(
        "SELECT (SELECT COALESCE(SUM(voters), 0) FROM polls)
                + (SELECT COALESCE(SUM(voters), 0) FROM deleted_polls), superseded,
                (SELECT COALESCE(SUM(ballots), 0) FROM dead_letters)
         FROM totals",
    )?;
    let totals = query.query_row([], |row| {
        Ok(Totals {
            counted: row.get(0)?,
            superseded: row.get(1)?,
            rejected: row.get(2)?,
        })
    })?;
    Ok(totals)
}

/// Marks the batch's entries as applied and says which were not so before.
fn mark_applied(
    transaction: &Transaction<'_>,
    batch: &Batch,
) -> Result<HashSet<EntryKey>, StoreError> {
    let mut below = HashMap::new();
    let mut fresh = HashSet::new();
    for ((shard, id), _) in &batch.entries {
        let below = match below.get(shard) {
            Some(known) => *known,
            None => *below
                .entry(*shard)
                .or_insert(applied_below(transaction, *shard)?),
        };
        let marked = *id >= below
            && transaction
                .prepare_cached("INSERT OR IGNORE INTO applied VALUES (?1, ?2, ?3)")?
                .execute(params![shard.0, id.ms(), id.seq()])?
                == 1;
        if marked {
            fresh.insert((*shard, *id));
        }
    }
    for (shard, acknowledged_below) in &batch.acknowledged_below {
        let mark = params![shard.0, acknowledged_below.ms(), acknowledged_below.seq()];
        transaction
            .prepare_cached(
                "INSERT INTO applied_below VALUES (?1, ?2, ?3)
                 ON CONFLICT (shard) DO UPDATE SET ms = excluded.ms, seq = excluded.seq
                 WHERE (excluded.ms, excluded.seq) > (ms, seq)",
            )?
            .execute(mark)?;
        transaction
            .prepare_cached("DELETE FROM applied WHERE shard = ?1 AND (ms, seq) < (?2, ?3)")?
            .execute(mark)?;
    }
    Ok(fresh)
}

fn applied_below(transaction: &Transaction<'_>, shard: ShardId) -> Result<EntryId, StoreError> {
    let mark: Option<(u64, u64)> = transaction
        .prepare_cached("SELECT ms, seq FROM applied_below WHERE shard = ?1")?
        .query_row([shard.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((ms, seq)) = mark else {
        return Ok(EntryId::MIN);
    };
    EntryId::new(ms, seq).ok_or_else(|| StoreError::Corrupt(format!("applied mark {ms}-{seq}")))
}

/// Removes the dead letters that are taken back, and says which of them were there.
fn remove_revived(
    transaction: &Transaction<'_>,
    batch: &Batch,
) -> Result<HashSet<Position>, StoreError> {
    let mut removed = HashSet::new();
    for Revival { position, .. } in &batch.revived {
        let gone = transaction
            .prepare_cached("DELETE FROM dead_letters WHERE shard = ?1 AND ms = ?2 AND n = ?3")?
            .execute(params![position.shard().0, position.ms(), position.n()])?;
        if gone == 1 {
            removed.insert(*position);
        }
    }
    Ok(removed)
}

/// The batch's polls, with their keys.
fn polls_of<'a>(
    transaction: &Transaction<'_>,
    batch: &'a Batch,
) -> Result<HashMap<&'a PollId, (i64, Poll)>, StoreError> {
    let mut polls = HashMap::new();
    for id in batch.polls() {
        if !polls.contains_key(id)
            && let Some(found) = read_poll(transaction, id)?
        {
            polls.insert(id, found);
        }
    }
    Ok(polls)
}

/// Gives the voter's row to the ballot if it counts before the one there. `None` when it does not,
/// otherwise what the one that was there counted for. `counted` is what the new one counts for.
fn write_ballot(
    transaction: &Transaction<'_>,
    poll: i64,
    batch: &Batch,
    placed: &PlacedBallot,
    counted: Choices,
) -> Result<Option<Option<Choices>>, StoreError> {
    let PlacedBallot { position, ballot } = placed;
    let voter = ballot.voter.to_bytes();
    // The transaction is the only writer, so nothing can come between the two statements.
    let first_counts = batch.first_counts.contains(&ballot.poll);
    let old: Option<(i64, bool)> = transaction
        .prepare_cached(
            "SELECT choices, CASE WHEN ?6 THEN (?3, ?4, ?5) < (ms, n, shard)
                ELSE (?3, ?4, ?5) > (ms, n, shard) END
             FROM ballots WHERE poll = ?1 AND voter = ?2",
        )?
        .query_row(
            params![
                poll,
                voter,
                position.ms(),
                position.n(),
                position.shard().0,
                first_counts
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let old = match old {
        Some((_, false)) => return Ok(None),
        Some((choices, true)) => Some(
            Choices::from_column(choices)
                .ok_or_else(|| StoreError::Corrupt(format!("choices {choices}")))?,
        ),
        None => None,
    };
    transaction
        .prepare_cached(
            "INSERT INTO ballots (poll, voter, choices, shard, ms, n, voided, source)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (poll, voter) DO UPDATE SET choices = excluded.choices,
                shard = excluded.shard, ms = excluded.ms, n = excluded.n, voided = excluded.voided,
                source = excluded.source",
        )?
        .execute(params![
            poll,
            voter,
            counted.to_column(),
            position.shard().0,
            position.ms(),
            position.n(),
            (counted != ballot.choices).then(|| ballot.choices.to_column()),
            batch.source(*position).to_column(),
        ])?;
    Ok(Some(old))
}

/// Which of the ballots are dead letters.
fn dead_among<'a>(
    transaction: &Transaction<'_>,
    ballots: impl Iterator<Item = &'a PlacedBallot>,
) -> Result<HashSet<Position>, StoreError> {
    let mut dead = HashSet::new();
    for PlacedBallot { position, .. } in ballots {
        let is_dead = transaction
            .prepare_cached("SELECT 1 FROM dead_letters WHERE shard = ?1 AND ms = ?2 AND n = ?3")?
            .exists(params![position.shard().0, position.ms(), position.n()])?;
        if is_dead {
            dead.insert(*position);
        }
    }
    Ok(dead)
}

/// False when it was there already.
fn write_dead_letter(
    transaction: &Transaction<'_>,
    letter: &DeadLetter,
) -> Result<bool, StoreError> {
    let letter = letter.bounded();
    let written = transaction
        .prepare_cached("INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            letter.position.shard().0,
            letter.position.ms(),
            letter.position.n(),
            letter.reason.as_str(),
            letter.detail,
            letter.payload,
            letter.ballots,
        ])?;
    Ok(written == 1)
}

pub(super) fn move_tally(
    transaction: &Transaction<'_>,
    key: i64,
    poll: &Poll,
    delta: &TallyDelta,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE polls SET voters = voters + ?2, version = version + ?3 WHERE key = ?1",
        )?
        .execute(params![key, delta.voters, delta.changed()])?;
    for (option, by) in delta.votes() {
        transaction
            .prepare_cached(
                "INSERT INTO tallies VALUES (?1, ?2, ?3)
                 ON CONFLICT (poll, option) DO UPDATE SET votes = votes + excluded.votes",
            )?
            .execute(params![key, option as u64, by])?;
    }
    for (minute, voters) in delta.new_voters() {
        transaction
            .prepare_cached(
                "INSERT INTO new_voters VALUES (?1, ?2, ?3)
                 ON CONFLICT (poll, minute) DO UPDATE SET voters = voters + excluded.voters",
            )?
            .execute(params![key, minute, voters])?;
    }
    let first = transaction
        .prepare_cached("SELECT MIN(until) FROM vote_history WHERE poll = ?1")?
        .query_row([key], |row| row.get(0))?;
    for change in delta.history(poll, first) {
        transaction
            .prepare_cached(
                "INSERT INTO vote_history VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (poll, until, counter) DO UPDATE SET votes = votes + excluded.votes",
            )?
            .execute(params![key, change.until, change.counter as u64, change.by])?;
    }
    Ok(())
}

#[async_trait]
impl BatchFlusher for Sqlite {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        let batch = batch.clone();
        self.blocking(move |inner| inner.flush(&batch)).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.reading(|inner| totals(&lock(&inner.reader))).await
    }
}
