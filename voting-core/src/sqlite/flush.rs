//! Writing a batch: one transaction.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Inner, Sqlite, from_column, lock, to_column};
use crate::{
    ballot::Choices,
    batch::{Batch, EntryKey, FlushOutcome, FlushReport, PlacedBallot, Totals},
    dead_letter::DeadLetter,
    error::StoreError,
    id::PollId,
    position::{EntryId, ShardId},
    tally::TallyDelta,
    traits::BatchFlusher,
};

impl Inner {
    fn flush(&self, batch: &Batch) -> Result<FlushReport, StoreError> {
        self.check_sound()?;
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let fresh = mark_applied(&transaction, batch)?;
        let mut outcome = FlushOutcome::new(batch, fresh);
        let polls = poll_keys(&transaction, batch)?;
        for placed in &batch.ballots {
            let key = polls[&placed.ballot.poll];
            if let Some(old) = write_ballot(&transaction, key, placed)? {
                outcome.written(placed, old);
            }
        }
        for letter in &batch.dead_letters {
            if write_dead_letter(&transaction, letter)? {
                outcome.rejected();
            }
        }
        let (report, deltas) = outcome.finish();
        transaction
            .prepare_cached("UPDATE totals SET superseded = superseded + ?1")?
            .execute([to_column(report.superseded)])?;
        for (poll, delta) in &deltas {
            move_tally(&transaction, polls[poll], delta)?;
        }
        self.commit(transaction)?;
        Ok(report)
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        let reader = lock(&self.reader);
        let mut query = reader.prepare_cached(
            "SELECT (SELECT COALESCE(SUM(voters), 0) FROM polls), superseded,
                    (SELECT COUNT(*) FROM dead_letters)
             FROM totals",
        )?;
        let totals = query.query_row([], |row| {
            Ok(Totals {
                counted: from_column(row.get(0)?),
                superseded: from_column(row.get(1)?),
                rejected: from_column(row.get(2)?),
            })
        })?;
        Ok(totals)
    }
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
                .execute(params![shard.0, to_column(id.ms()), to_column(id.seq())])?
                == 1;
        if marked {
            fresh.insert((*shard, *id));
        }
    }
    for (shard, settled) in &batch.settled {
        let mark = params![shard.0, to_column(settled.ms()), to_column(settled.seq())];
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
    let mark: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT ms, seq FROM applied_below WHERE shard = ?1")?
        .query_row([shard.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((ms, seq)) = mark else {
        return Ok(EntryId::MIN);
    };
    EntryId::new(from_column(ms), from_column(seq))
        .ok_or_else(|| StoreError::Corrupt(format!("applied mark {ms}-{seq}")))
}

/// The keys of the batch's polls.
fn poll_keys<'a>(
    transaction: &Transaction<'_>,
    batch: &'a Batch,
) -> Result<HashMap<&'a PollId, i64>, StoreError> {
    let mut keys = HashMap::new();
    for PlacedBallot { ballot, .. } in &batch.ballots {
        if !keys.contains_key(&ballot.poll) {
            let key = transaction
                .prepare_cached("SELECT key FROM polls WHERE id = ?1")?
                .query_row([ballot.poll.as_str()], |row| row.get(0))?;
            keys.insert(&ballot.poll, key);
        }
    }
    Ok(keys)
}

/// Gives the voter's row to the ballot if it is newer than the one there. `None` when it is not,
/// otherwise the choices that were there.
fn write_ballot(
    transaction: &Transaction<'_>,
    poll: i64,
    placed: &PlacedBallot,
) -> Result<Option<Option<Choices>>, StoreError> {
    let PlacedBallot { position, ballot } = placed;
    let voter = ballot.voter.to_bytes();
    // The transaction is the only writer, so nothing can come between the two statements.
    let old: Option<(i64, bool)> = transaction
        .prepare_cached(
            "SELECT choices, (?3, ?4) > (ms, n) FROM ballots WHERE poll = ?1 AND voter = ?2",
        )?
        .query_row(
            params![
                poll,
                voter,
                to_column(position.ms()),
                to_column(position.n())
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let old = match old {
        Some((_, false)) => return Ok(None),
        Some((choices, true)) => Some(
            Choices::from_bits(from_column(choices))
                .ok_or_else(|| StoreError::Corrupt(format!("choices {choices}")))?,
        ),
        None => None,
    };
    transaction
        .prepare_cached(
            "INSERT INTO ballots (poll, voter, choices, shard, ms, n)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (poll, voter) DO UPDATE SET choices = excluded.choices,
                shard = excluded.shard, ms = excluded.ms, n = excluded.n",
        )?
        .execute(params![
            poll,
            voter,
            to_column(ballot.choices.bits()),
            position.shard().0,
            to_column(position.ms()),
            to_column(position.n()),
        ])?;
    Ok(Some(old))
}

/// False when it was there already.
fn write_dead_letter(
    transaction: &Transaction<'_>,
    letter: &DeadLetter,
) -> Result<bool, StoreError> {
    let written = transaction
        .prepare_cached("INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            letter.position.shard().0,
            to_column(letter.position.ms()),
            to_column(letter.position.n()),
            letter.reason.as_str(),
            letter.detail,
            letter.payload,
        ])?;
    Ok(written == 1)
}

fn move_tally(
    transaction: &Transaction<'_>,
    poll: i64,
    delta: &TallyDelta,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE polls SET voters = voters + ?2, version = version + ?3 WHERE key = ?1",
        )?
        .execute(params![poll, to_column(delta.voters), delta.changed()])?;
    for (option, by) in delta.votes() {
        transaction
            .prepare_cached(
                "INSERT INTO tallies VALUES (?1, ?2, ?3)
                 ON CONFLICT (poll, option) DO UPDATE SET votes = votes + excluded.votes",
            )?
            .execute(params![poll, to_column(option as u64), by])?;
    }
    Ok(())
}

#[async_trait]
impl BatchFlusher for Sqlite {
    async fn flush(&self, batch: &Batch) -> Result<FlushReport, StoreError> {
        let batch = batch.clone();
        self.blocking(move |inner| inner.flush(&batch)).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.blocking(Inner::totals).await
    }
}
