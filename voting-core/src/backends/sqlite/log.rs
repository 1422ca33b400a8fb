//! The log in the file: one row an entry, gone once it is acknowledged.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Inner, Sqlite, TaskLost, begin, left_nothing, lock};
use crate::{
    backends::{clock::unix_ms, embedded::claim_within},
    error::{CastError, StoreError},
    log::{
        BallotLog, BallotQueue, Log, ShardWindows,
        claim::{Claim, LogEntry},
        entry::{EntryPoll, NewEntry},
        stats::QueueStats,
    },
    model::{
        id::PollId,
        moment::Moment,
        poll::PollWindow,
        position::{EntryId, EntryKey, ShardId},
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
};

/// The file has one writer, so more shards would gain nothing.
const SHARD: ShardId = ShardId(0);

/// An entry's id takes one column: the sequence number has this many bits of it.
const SEQ_BITS: u32 = 20;

fn id_to_column(id: EntryId) -> u64 {
    // Added, not or-ed: a bound such as `id.next()` may have one more than fits the bits, and
    // then means the start of the next millisecond.
    (id.ms() << SEQ_BITS) + id.seq()
}

fn id_from_column(column: u64) -> Result<EntryId, StoreError> {
    EntryId::new(column >> SEQ_BITS, column & ((1 << SEQ_BITS) - 1))
        .ok_or_else(|| StoreError::Corrupt(format!("log entry {column}")))
}

/// The id after `last`, within the bits of the column.
fn following(last: EntryId, now_ms: u64) -> EntryId {
    let id = last.following(now_ms);
    if id.seq() >> SEQ_BITS == 0 {
        return id;
    }
    last.following(last.ms() + 1)
}

impl Inner {
    pub(super) fn append(&self, entry: &NewEntry) -> Result<EntryId, CastError> {
        let refused = |error: StoreError| CastError::Refused(error.into());
        let mut writer = self.writer().map_err(refused)?;
        let transaction = begin(&mut writer).map_err(|error| refused(error.into()))?;
        let last = last_id(&transaction).map_err(refused)?;
        let id = following(last, unix_ms());
        for EntryPoll { id: poll, rules } in &entry.polls {
            if is_sealed(&transaction, poll).map_err(refused)? {
                return Err(CastError::Closed(poll.clone()));
            }
            let held = window(&transaction, poll).map_err(refused)?;
            PollWindow::admit(held.as_ref(), poll, *rules, id.ms())?;
        }
        insert_entry(&transaction, entry, id).map_err(refused)?;
        self.commit(transaction).map_err(|error| {
            if left_nothing(&error) {
                CastError::Refused(error.into())
            } else {
                CastError::Unknown(error.into())
            }
        })?;
        drop(writer);
        self.arrivals.announce();
        Ok(id)
    }

    fn set_windows(&self, windows: &[PollWindow]) -> Result<ShardWindows, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let clock_ms = unix_ms().max(last_id(&transaction)?.ms());
        let mut kept = Vec::with_capacity(windows.len());
        let mut is_changed = false;
        for new in windows {
            let held = window(&transaction, &new.poll)?;
            match held {
                Some(held) if held == *new || !new.replaces(Some(&held), clock_ms) => {
                    kept.push(held);
                }
                _ => {
                    write_window(&transaction, new)?;
                    kept.push(new.clone());
                    is_changed = true;
                }
            }
        }
        if is_changed {
            self.commit(transaction)?;
        }
        Ok(ShardWindows {
            clock_ms,
            held: kept,
        })
    }

    fn seal(&self, polls: &[PollId]) -> Result<EntryId, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let mut changed = false;
        for poll in polls {
            changed |= transaction
                .prepare_cached("INSERT OR IGNORE INTO sealed VALUES (?1)")?
                .execute([poll.as_str()])?
                == 1;
        }
        let last = last_id(&transaction)?;
        if changed {
            self.commit(transaction)?;
        }
        Ok(last)
    }

    fn claim(&self, max_ballots: usize) -> Result<Claim, StoreError> {
        let tail = lock(&self.tail);
        // Held throughout, or two consumers could read the same entry.
        let mut group = lock(&self.group);
        let mut entries = Vec::new();
        let mut ballots = 0;
        for id in group.overdue() {
            if ballots >= max_ballots {
                break;
            }
            match read_entry(&tail, id)? {
                Some((entry, count)) => {
                    ballots += count;
                    entries.push(entry);
                }
                // Acknowledged by a consumer that was late.
                None => _ = group.acknowledge(id),
            }
        }
        let mut query = tail.prepare_cached(
            "SELECT id, payload, ballots, traces FROM log WHERE id >= ?1 ORDER BY id",
        )?;
        let mut rows = query.query([id_to_column(group.next())])?;
        while ballots < max_ballots {
            let Some(row) = rows.next()? else {
                break;
            };
            let (entry, count) = to_entry(row)?;
            ballots += count;
            entries.push(entry);
        }
        let mut claim = Claim::default();
        for entry in &entries {
            group.hand_out(entry.id);
        }
        if !entries.is_empty() {
            claim
                .acknowledged_below
                .insert(SHARD, group.acknowledged_below());
        }
        claim.entries = entries;
        Ok(claim)
    }

    fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        {
            let mut delete =
                transaction.prepare_cached("DELETE FROM log WHERE id = ?1 RETURNING ballots")?;
            let mut ballots = 0;
            for (_, id) in entries {
                let gone: Option<u64> = delete
                    .query_row([id_to_column(*id)], |row| row.get(0))
                    .optional()?;
                ballots += gone.unwrap_or(0);
            }
            transaction
                .prepare_cached("UPDATE log_state SET pending = pending - ?1")?
                .execute([ballots])?;
        }
        self.commit(transaction)?;
        drop(writer);
        let mut group = lock(&self.group);
        for (_, id) in entries {
            group.acknowledge(*id);
        }
        Ok(())
    }
}

pub(super) fn stats(reader: &Connection) -> Result<QueueStats, StoreError> {
    let mut query = reader.prepare_cached(
        "SELECT accepted, pending, (SELECT MIN(id) FROM log), last_id FROM log_state",
    )?;
    let (accepted, pending, oldest, last): (u64, u64, Option<u64>, u64) = query
        .query_row([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let oldest = oldest.map(id_from_column).transpose()?;
    // What is not acknowledged is still there.
    let acknowledged_below = match oldest {
        Some(oldest) => oldest,
        None => id_from_column(last)?.next(),
    };
    Ok(QueueStats {
        accepted,
        pending,
        oldest_pending_ms: oldest.map(EntryId::ms),
        acknowledged_below: [(SHARD, acknowledged_below)].into(),
        lost_entries: 0,
        memory: None,
    })
}

fn is_sealed(transaction: &Transaction<'_>, poll: &PollId) -> Result<bool, StoreError> {
    let mut query = transaction.prepare_cached("SELECT 1 FROM sealed WHERE poll = ?1")?;
    Ok(query.exists([poll.as_str()])?)
}

fn last_id(transaction: &Transaction<'_>) -> Result<EntryId, StoreError> {
    let last = transaction
        .prepare_cached("SELECT last_id FROM log_state")?
        .query_row([], |row| row.get(0))?;
    id_from_column(last)
}

fn insert_entry(
    transaction: &Transaction<'_>,
    entry: &NewEntry,
    id: EntryId,
) -> Result<(), StoreError> {
    let NewEntry {
        payload,
        ballots,
        traces,
        ..
    } = entry;
    let traces = (!traces.is_empty()).then_some(traces);
    transaction
        .prepare_cached("INSERT INTO log (id, ballots, payload, traces) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id_to_column(id), ballots, payload, traces])?;
    transaction
        .prepare_cached(
            "UPDATE log_state
             SET last_id = ?1, accepted = accepted + ?2, pending = pending + ?2",
        )?
        .execute(params![id_to_column(id), ballots])?;
    Ok(())
}

/// The log's window for a poll.
fn window(transaction: &Transaction<'_>, poll: &PollId) -> Result<Option<PollWindow>, StoreError> {
    let found = transaction
        .prepare_cached("SELECT rules, times, opens_at, closes_at FROM windows WHERE poll = ?1")?
        .query_row([poll.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((rules, times, opens_at, closes_at)) = found else {
        return Ok(None);
    };
    let moment = |ms: Option<u64>| {
        let corrupt = |ms| StoreError::Corrupt(format!("time {ms} of a window"));
        ms.map(|ms| Moment::from_unix_ms(ms).ok_or_else(|| corrupt(ms)))
            .transpose()
    };
    Ok(Some(PollWindow {
        poll: poll.clone(),
        rules,
        times,
        opens_at: moment(opens_at)?,
        closes_at: moment(closes_at)?,
    }))
}

fn write_window(transaction: &Transaction<'_>, window: &PollWindow) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO windows VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            window.poll.as_str(),
            window.rules,
            window.times,
            window.opens_at.map(Moment::unix_ms),
            window.closes_at.map(Moment::unix_ms),
        ])?;
    Ok(())
}

fn read_entry(tail: &Connection, id: EntryId) -> Result<Option<(LogEntry, usize)>, StoreError> {
    let mut query =
        tail.prepare_cached("SELECT id, payload, ballots, traces FROM log WHERE id = ?1")?;
    let mut rows = query.query([id_to_column(id)])?;
    rows.next()?.map(to_entry).transpose()
}

fn to_entry(row: &rusqlite::Row<'_>) -> Result<(LogEntry, usize), StoreError> {
    let ballots = row.get(2)?;
    let entry = LogEntry {
        shard: SHARD,
        id: id_from_column(row.get(0)?)?,
        payload: row.get(1)?,
        ballots,
        traces: row.get::<_, Option<_>>(3)?.unwrap_or_default(),
        foreign: None,
    };
    Ok((entry, ballots.into()))
}

#[async_trait]
impl BallotLog for Sqlite {
    fn shards(&self) -> u16 {
        1
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        if shard != SHARD {
            return Err(CastError::Refused(
                format!("there is no shard {shard}").into(),
            ));
        }
        self.blocking(move |inner| inner.append(&entry)).await
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        if shard != SHARD {
            return Err(StoreError::unavailable(format!(
                "there is no shard {shard}"
            )));
        }
        let polls = polls.to_vec();
        self.blocking(move |inner| inner.seal(&polls)).await
    }

    fn has_one_program(&self) -> bool {
        true
    }

    fn keeps_windows(&self) -> bool {
        true
    }

    async fn set_windows(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        if shard != SHARD {
            return Err(StoreError::unavailable(format!(
                "there is no shard {shard}"
            )));
        }
        let windows = windows.to_vec();
        self.blocking(move |inner| inner.set_windows(&windows))
            .await
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        self.blocking(Inner::check_writable).await
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        let secrets = secrets.clone();
        self.blocking(move |inner| inner.check_secrets(&secrets))
            .await
    }
}

/// The task that wrote was lost: it may have committed.
impl From<TaskLost> for CastError {
    fn from(error: TaskLost) -> Self {
        Self::Unknown(error.into())
    }
}

/// A reading end of the log in a [`Sqlite`] file.
#[derive(Debug, Clone)]
pub struct SqliteQueue(pub(super) Sqlite);

impl Log for Sqlite {
    fn reader(&self) -> Arc<dyn BallotQueue> {
        Arc::new(self.queue())
    }
}

#[async_trait]
impl BallotQueue for SqliteQueue {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        claim_within(&self.0.0.arrivals, wait, || {
            self.0.blocking(move |inner| inner.claim(max_ballots))
        })
        .await
    }

    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        self.0
            .blocking(move |inner| inner.acknowledge(&entries))
            .await
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.0.reading(|inner| stats(&lock(&inner.reader))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_growing_past_the_last_number_of_a_millisecond() {
        let full = EntryId::new(5, (1 << SEQ_BITS) - 1).unwrap();
        let next = following(full, 5);
        assert_eq!(next, EntryId::new(6, 0).unwrap());
        assert!(id_to_column(next) > id_to_column(full));
        assert_eq!(id_from_column(id_to_column(full)).unwrap(), full);
        // What is not yet handed out begins behind it.
        assert_eq!(id_to_column(full.next()), id_to_column(next));
    }
}
