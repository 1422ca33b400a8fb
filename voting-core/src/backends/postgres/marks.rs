//! Which entries are flushed.

use std::collections::{HashMap, HashSet};

use ::postgres::Row;
use async_trait::async_trait;

use super::{
    Postgres, from_column,
    prepared::{Connection, Transaction},
    to_column,
};
use crate::{
    error::StoreError,
    model::position::{EntryId, EntryKey, ShardId},
    store::{
        AppliedStore,
        applied::{Applied, StoreLife},
        batch::Batch,
    },
};

/// What tells one life of the store from another: which server it is and since when it runs, whether it is a standby, and
/// which table it is. The names of tables stay when a backup is restored; their numbers do not.
pub(super) const LIFE: &str = "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), \
    pg_is_in_recovery(), to_regclass('applied_below')::oid)";

/// The life, as [`LIFE`] calls it.
pub(super) fn life_named(name: Option<String>) -> StoreLife {
    StoreLife::new(name.unwrap_or_default())
}

/// Marks the batch's entries as applied and says which were not so before.
pub(super) fn mark(
    transaction: &mut Transaction<'_>,
    batch: &Batch,
) -> Result<HashSet<EntryKey>, StoreError> {
    let mut below = below_now(transaction)?;
    let mut unknown: Vec<i32> = batch
        .entries
        .iter()
        .filter(|((shard, _), _)| !below.contains_key(shard))
        .map(|((shard, _), _)| shard.0.into())
        .collect();
    if !unknown.is_empty() {
        // A row that is not there cannot be locked.
        unknown.sort_unstable();
        unknown.dedup();
        transaction.execute(
            "INSERT INTO applied_below SELECT shard, 0, 0 FROM unnest($1::integer[]) AS s (shard)
             ON CONFLICT DO NOTHING",
            &[&unknown],
        )?;
        below = below_now(transaction)?;
    }
    let mut new: Vec<EntryKey> = batch
        .entries
        .iter()
        .map(|(key, _)| *key)
        .filter(|(shard, id)| below.get(shard).is_none_or(|below| id >= below))
        .collect();
    // In one order everywhere, or two sessions could lock each other out.
    new.sort_unstable();
    new.dedup();
    let (shards, ms, seqs) = columns(&new)?;
    let marked = transaction.query(
        "INSERT INTO applied
         SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[])
         ON CONFLICT DO NOTHING
         RETURNING shard, ms, seq",
        &[&shards, &ms, &seqs],
    )?;
    marked.iter().map(key).collect()
}

/// Up to where all entries are applied. The lock keeps the marks from being folded until this
/// transaction is over: it would otherwise take a mark that is gone for one that never was.
fn below_now(transaction: &mut Transaction<'_>) -> Result<HashMap<ShardId, EntryId>, StoreError> {
    let rows = transaction.query(
        "SELECT shard, ms, seq FROM applied_below ORDER BY shard FOR SHARE",
        &[],
    )?;
    rows.iter().map(key).collect()
}

/// Folds the marks of entries that are settled into one by shard. On its own, after the flush:
/// whoever holds the lock of [`below_now`] must not ask for more of it.
pub(super) fn fold(
    connection: &mut Connection,
    acknowledged_below: &HashMap<ShardId, EntryId>,
) -> Result<(), StoreError> {
    let mut keys: Vec<EntryKey> = acknowledged_below
        .iter()
        .map(|(shard, id)| (*shard, *id))
        .collect();
    keys.sort_unstable();
    let (shards, ms, seqs) = columns(&keys)?;
    let mut transaction = connection.begin()?;
    // It can wait: it holds up the flush that it follows, and is done again after the next.
    transaction.batch_execute("SET LOCAL lock_timeout = '200ms'")?;
    transaction.execute(
        "INSERT INTO applied_below AS b
         SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[])
         ON CONFLICT (shard) DO UPDATE SET ms = excluded.ms, seq = excluded.seq
         WHERE (excluded.ms, excluded.seq) > (b.ms, b.seq)",
        &[&shards, &ms, &seqs],
    )?;
    transaction.execute(
        "DELETE FROM applied a USING unnest($1::integer[], $2::bigint[], $3::bigint[])
                                     AS s (shard, ms, seq)
         WHERE a.shard = s.shard AND (a.ms, a.seq) < (s.ms, s.seq)",
        &[&shards, &ms, &seqs],
    )?;
    transaction.commit()?;
    Ok(())
}

#[async_trait]
impl AppliedStore for Postgres {
    async fn newest_applied(&self) -> Result<EntryId, StoreError> {
        let newest = self.newest_applied_by_shard().await?.into_values().max();
        Ok(newest.unwrap_or(EntryId::MIN))
    }

    async fn applied(&self) -> Result<Applied, StoreError> {
        self.call(|inner| {
            // In one statement, so that a mark is not missed while it is folded.
            let all = "SELECT shard, ms, seq, true FROM applied_below
                       UNION ALL SELECT shard, ms, seq, false FROM applied";
            let (life, marks) = inner.ask(|connection| {
                let life = connection.query_one(LIFE, &[])?.get(0);
                Ok((life, connection.query(all, &[])?))
            })?;
            let mut applied = Applied {
                life: Some(life_named(life)),
                ..Applied::default()
            };
            for row in &marks {
                let mark = key(row)?;
                if row.get(3) {
                    applied.below.insert(mark.0, mark.1);
                } else {
                    applied.also.insert(mark);
                }
            }
            Ok(applied)
        })
        .await
    }
}

impl Postgres {
    /// The newest entry of each shard that was ever flushed, or a bound just above it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn newest_applied_by_shard(&self) -> Result<HashMap<ShardId, EntryId>, StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                let newest = connection.query(
                    "SELECT DISTINCT ON (shard) shard, ms, seq
                     FROM (SELECT * FROM applied UNION ALL SELECT * FROM applied_below) AS marks
                     ORDER BY shard, ms DESC, seq DESC",
                    &[],
                )?;
                newest.iter().map(key).collect()
            })
        })
        .await
    }
}

pub(super) type Columns = (Vec<i32>, Vec<i64>, Vec<i64>);

pub(super) fn columns(keys: &[EntryKey]) -> Result<Columns, StoreError> {
    let mut columns = Columns::default();
    for (shard, id) in keys {
        columns.0.push(shard.0.into());
        columns.1.push(to_column(id.ms())?);
        columns.2.push(to_column(id.seq())?);
    }
    Ok(columns)
}

pub(super) fn key(row: &Row) -> Result<EntryKey, StoreError> {
    let (shard, ms, seq): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let corrupt = || StoreError::Corrupt(format!("applied mark {shard} {ms}-{seq}"));
    let shard = u16::try_from(shard).map_err(|_| corrupt())?;
    let id = EntryId::new(from_column(ms)?, from_column(seq)?).ok_or_else(corrupt)?;
    Ok((ShardId(shard), id))
}
