//! Writing a batch: one transaction.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{LazyLock, PoisonError},
};

use ::postgres::{error::SqlState, types::ToSql};
use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Inner, Postgres, from_column, marks,
    prepared::{Connection, Transaction},
    rows::to_poll,
    split::{self, is_refusal},
    to_column,
};
use crate::{
    error::{ErrorKind, StoreError, in_one_line},
    model::{
        ballot::Choices,
        id::PollId,
        poll::Poll,
        position::{EntryId, Position, ShardId},
        tally::TallyDelta,
    },
    store::{
        BatchFlusher,
        applied::{LifeIsOver, StoreLife},
        batch::{Batch, PlacedBallot},
        dead_letter::DeadLetter,
        older::Older,
        outcome::{FlushOutcome, Flushed, Totals},
    },
};

/// How often a flush that another session got in the way of is tried again at once.
pub(super) const RETRIES: usize = 5;

/// How a batch is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    AtOnce,
    /// Without what Postgres refuses for good.
    InParts,
}

impl Inner {
    fn flush(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        life: Option<&StoreLife>,
    ) -> Result<Flushed, StoreError> {
        let (mut way, mut retries) = (Way::AtOnce, 0);
        let report = loop {
            let mut transaction = begin_in(connection, life)?;
            let flushed = self.write(&mut transaction, batch, way);
            let flushed = flushed.and_then(|report| {
                transaction.commit()?;
                Ok(report)
            });
            // Of a poll that has changed only this code has said so.
            if !matches!(flushed, Ok(_) | Err(StoreError::PollChanged(_))) {
                connection.forget_prepared();
            }
            match flushed {
                Err(error) if way == Way::AtOnce && is_refusal(&error) => {
                    tracing::warn!("the database refuses a part of the batch; writing the rest");
                    way = Way::InParts;
                }
                Err(error) if retries < RETRIES && passes(&error) => retries += 1,
                flushed => break flushed?,
            }
        };
        self.fold_marks(connection, &batch.acknowledged_below);
        Ok(report)
    }

    /// Only tidies up, and so is left to a later flush where it cannot be done now.
    fn fold_marks(
        &self,
        connection: &mut Connection,
        acknowledged_below: &HashMap<ShardId, EntryId>,
    ) {
        let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
        if *folded == *acknowledged_below {
            return;
        }
        match marks::fold(connection, acknowledged_below) {
            Ok(()) => folded.clone_from(acknowledged_below),
            Err(error) => {
                tracing::debug!(
                    error = in_one_line(&error),
                    "the marks of applied entries are folded later"
                );
            }
        }
    }

    fn write(
        &self,
        transaction: &mut Transaction<'_>,
        batch: &Batch,
        way: Way,
    ) -> Result<Flushed, StoreError> {
        let polls = polls_of(transaction, batch)?;
        batch.check(|id| {
            let (_, poll) = polls.get(id)?;
            Some((poll.state(), poll.version()))
        })?;
        let fresh = marks::mark(transaction, batch)?;
        let removed = remove_revived(transaction, batch)?;
        let mut outcome = FlushOutcome::new(batch, fresh, &removed);
        let already_applied: Vec<_> = outcome.replays(batch).collect();
        let mut older = Older::new(batch, dead_among(transaction, &already_applied)?);
        let live: Vec<_> = batch
            .ballots
            .iter()
            .filter_map(|placed| older.alive(placed))
            .collect();
        let (written, unstorable) = match way {
            Way::AtOnce => (
                write_ballots(transaction, &polls, batch, &live)?,
                Vec::new(),
            ),
            Way::InParts => {
                split::ballots(transaction, &polls, batch, live, &mut older, &mut outcome)?
            }
        };
        for (placed, counted, old) in written {
            outcome.written(placed, counted, old);
        }
        for letter in batch.dead_letters.iter().chain(&unstorable) {
            let letter = &*letter.bounded();
            let new = match way {
                Way::AtOnce => write_dead_letter(transaction, letter, &letter.detail)?,
                Way::InParts => split::dead_letter(transaction, letter)?,
            };
            if new {
                outcome.rejected(letter);
            }
        }
        let flushed = outcome.finish();
        let report = &flushed.report;
        self.move_tallies(transaction, &polls, &flushed.tallies)?;
        if report.superseded > 0 {
            transaction.execute(
                "INSERT INTO superseded AS s VALUES ($1, $2)
                 ON CONFLICT (stripe) DO UPDATE SET ballots = s.ballots + excluded.ballots",
                &[&self.stripe, &to_column(report.superseded)?],
            )?;
        }
        Ok(flushed)
    }

    fn move_tallies(
        &self,
        transaction: &mut Transaction<'_>,
        polls: &Polls,
        deltas: &HashMap<PollId, TallyDelta>,
    ) -> Result<(), StoreError> {
        let mut deltas: Vec<_> = deltas
            .iter()
            .map(|(poll, delta)| (&polls[poll], delta))
            .collect();
        // In one order everywhere, or two sessions could lock each other out.
        deltas.sort_unstable_by_key(|((key, _), _)| *key);
        for ((key, poll), delta) in deltas {
            self.move_tally(transaction, *key, poll, delta)?;
        }
        Ok(())
    }

    pub(super) fn move_tally(
        &self,
        transaction: &mut Transaction<'_>,
        key: i32,
        poll: &Poll,
        delta: &TallyDelta,
    ) -> Result<(), StoreError> {
        let first = self.first_span(transaction, key)?;
        let history = delta.history(poll, first);
        let (mut until, mut counters, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for change in history {
            until.push(to_column(change.until)?);
            counters.push(i16::try_from(change.counter).unwrap_or(i16::MAX));
            changes.push(change.by);
        }
        let (mut minutes, mut new_voters) = (Vec::new(), Vec::new());
        for (minute, voters) in delta.new_voters() {
            minutes.push(to_column(minute)?);
            new_voters.push(to_column(voters)?);
        }
        // In one statement, so that the minutes and the history cost no round trips of their own.
        transaction.execute(
            "WITH turnout AS (
                 INSERT INTO turnouts AS t VALUES ($1, $2, $3, $4)
                 ON CONFLICT (poll, stripe) DO UPDATE
                 SET voters = t.voters + excluded.voters, version = t.version + excluded.version
             ),
             history AS (
                 INSERT INTO vote_history AS h
                 SELECT $1, until, $2, counter, votes
                 FROM unnest($7::bigint[], $8::smallint[], $9::bigint[]) AS c (until, counter, votes)
                 ON CONFLICT (poll, until, stripe, counter) DO UPDATE SET votes = h.votes + excluded.votes
             )
             INSERT INTO new_voters AS v
             SELECT $1, minute, $2, voters
             FROM unnest($5::bigint[], $6::bigint[]) AS m (minute, voters)
             ON CONFLICT (poll, minute, stripe) DO UPDATE SET voters = v.voters + excluded.voters",
            &[
                &key,
                &self.stripe,
                &to_column(delta.voters)?,
                &i64::from(delta.changed()),
                &minutes,
                &new_voters,
                &until,
                &counters,
                &changes,
            ],
        )?;
        let mut options = Vec::new();
        let mut votes = Vec::new();
        for (option, by) in delta.votes() {
            let corrupt = |_| StoreError::Corrupt(format!("option {option}"));
            options.push(i16::try_from(option).map_err(corrupt)?);
            votes.push(by);
        }
        transaction.execute(
            "INSERT INTO tallies AS t
             SELECT $1, $2, option, votes
             FROM unnest($3::smallint[], $4::bigint[]) AS d (option, votes)
             ON CONFLICT (poll, stripe, option) DO UPDATE SET votes = t.votes + excluded.votes",
            &[&key, &self.stripe, &options, &votes],
        )?;
        Ok(())
    }

    /// The first span of a poll's history, which decides how long others are. It is looked up once: it hardly changes, and a
    /// length that is not quite the usual one does no harm.
    fn first_span(
        &self,
        transaction: &mut Transaction<'_>,
        key: i32,
    ) -> Result<Option<u64>, StoreError> {
        let known = self
            .first_spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied();
        if known.is_some() {
            return Ok(known);
        }
        let rows = transaction.query(
            "SELECT MIN(until) FROM vote_history WHERE poll = $1",
            &[&key],
        )?;
        let first: Option<i64> = rows.first().and_then(|row| row.get(0));
        let first = first.map(from_column).transpose()?;
        if let Some(first) = first {
            let mut known = self
                .first_spans
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            known.insert(key, first);
        }
        Ok(first)
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|snapshot| {
            let row = snapshot.query_one(
                "SELECT (SELECT COALESCE(SUM(voters), 0)::bigint FROM turnouts)
                        + (SELECT COALESCE(SUM(voters), 0)::bigint FROM deleted_polls),
                        (SELECT COALESCE(SUM(ballots), 0)::bigint FROM superseded),
                        (SELECT COALESCE(SUM(ballots), 0)::bigint FROM dead_letters)",
                &[],
            )?;
            Ok(Totals {
                counted: from_column(row.get(0))?,
                superseded: from_column(row.get(1))?,
                rejected: from_column(row.get(2))?,
            })
        })
    }
}

/// Begins a transaction in this life of the store.
pub(super) fn begin_in<'a>(
    connection: &'a mut Connection,
    life: Option<&StoreLife>,
) -> Result<Transaction<'a>, StoreError> {
    let Some(life) = life else {
        return Ok(connection.begin()?);
    };
    let (transaction, now) = connection.begin_and_ask(marks::LIFE)?;
    if marks::life_named(now) != *life {
        return Err(LifeIsOver.into_error());
    }
    Ok(transaction)
}

impl Inner {
    fn takes_writes(&self) -> Result<(), StoreError> {
        let ask = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        self.ask(|connection| {
            let row = connection.query_one(ask, &[])?;
            let why = match (row.get(0), row.get(1)) {
                (true, _) => "it is a standby",
                (_, true) => "default_transaction_read_only is on",
                _ => return Ok(()),
            };
            Err(StoreError::of_kind(
                ErrorKind::ReadOnly,
                format!("Postgres takes no writes: {why}"),
            ))
        })
    }
}

/// Whether the transaction only failed because of another one: a deadlock, or a conflict. Or because a pooler
/// has given the connection another session: what is prepared in the transaction itself is then found.
pub(super) fn passes(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else {
        return false;
    };
    let passing = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
    ];
    let error = source.downcast_ref::<::postgres::Error>();
    let code = error.and_then(::postgres::Error::code);
    code.is_some_and(|code| passing.contains(code))
}

/// The keys and the polls.
pub(super) type Polls = HashMap<PollId, (i32, Poll)>;

/// The polls of the batch. The lock keeps them from becoming final until this transaction is over.
fn polls_of(transaction: &mut Transaction<'_>, batch: &Batch) -> Result<Polls, StoreError> {
    let ids: BTreeSet<&str> = batch.polls().map(PollId::as_str).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows = transaction.query(
        "SELECT key, definition, state, extras FROM polls WHERE id = ANY ($1) ORDER BY key FOR SHARE",
        &[&ids],
    )?;
    let polls = rows.iter().map(|row| {
        let poll = to_poll(row)?;
        Ok((poll.id().clone(), (row.get(0), poll)))
    });
    polls.collect()
}

/// Positions as columns: shards, milliseconds, numbers.
type PositionColumns = (Vec<i32>, Vec<i64>, Vec<i64>);

fn position_columns(
    positions: impl Iterator<Item = Position>,
) -> Result<PositionColumns, StoreError> {
    let mut columns = PositionColumns::default();
    for position in positions {
        columns.0.push(position.shard().0.into());
        columns.1.push(to_column(position.ms())?);
        columns.2.push(to_column(position.n())?);
    }
    Ok(columns)
}

/// Removes the dead letters that are taken back, and says which of them were there.
fn remove_revived(
    transaction: &mut Transaction<'_>,
    batch: &Batch,
) -> Result<HashSet<Position>, StoreError> {
    if batch.revived.is_empty() {
        return Ok(HashSet::new());
    }
    let positions = batch.revived.iter().map(|revival| revival.position);
    let (shards, ms, n) = position_columns(positions)?;
    let rows = transaction.query(
        "DELETE FROM dead_letters d
         USING unnest($1::integer[], $2::bigint[], $3::bigint[]) AS p (shard, ms, n)
         WHERE (d.shard, d.ms, d.n) = (p.shard, p.ms, p.n)
         RETURNING d.shard, d.ms, d.n",
        &[&shards, &ms, &n],
    )?;
    rows.iter()
        .map(|row| super::read::position(row, 0))
        .collect()
}

/// Which of the ballots are dead letters.
fn dead_among(
    transaction: &mut Transaction<'_>,
    ballots: &[&PlacedBallot],
) -> Result<HashSet<Position>, StoreError> {
    if ballots.is_empty() {
        return Ok(HashSet::new());
    }
    let (shards, ms, n) = position_columns(ballots.iter().map(|placed| placed.position))?;
    let rows = transaction.query(
        "SELECT shard, ms, n FROM dead_letters
         JOIN unnest($1::integer[], $2::bigint[], $3::bigint[]) AS p (shard, ms, n)
         USING (shard, ms, n)",
        &[&shards, &ms, &n],
    )?;
    rows.iter()
        .map(|row| super::read::position(row, 0))
        .collect()
}

/// Which of a voter's two ballots counts, in polls where the newest one does.
const NEWEST: &str = "(excluded.ms, excluded.n, excluded.shard) > (b.ms, b.n, b.shard)";

/// The same where some of the polls keep the oldest: their keys are the last parameter.
fn newest_or_oldest(last: usize) -> String {
    format!(
        "CASE WHEN b.poll = ANY (${last}) THEN (excluded.ms, excluded.n, excluded.shard) < (b.ms, b.n, b.shard)
         ELSE {NEWEST} END"
    )
}

/// `more`: in some of the polls ballots are voided, or some ballots were handed in. Then the seventh parameter says what those
/// choose that are voided, and the eighth from which source each comes.
fn upsert(condition: &str, more: bool) -> String {
    // Where no ballot is voided, no row has anything in that column. But the row may be that of a ballot that was handed in.
    let (column, value, set) = match more {
        true => (
            ", voided, source",
            ", unnest($7::bigint[]), unnest($8::smallint[])",
            ", voided = excluded.voided, source = excluded.source",
        ),
        false => ("", "", ", source = NULL"),
    };
    // The row keeps what it held before, since nothing else can be asked of it that another
    // session could not change in between. The input is sorted by voter, so that two sessions
    // wait for each other and never lock each other out. The columns are unnested in the list, where
    // they come row by row: in the FROM clause each of them would be stored first.
    format!(
        "INSERT INTO ballots AS b (poll, voter, choices, prev, shard, ms, n{column})
         SELECT unnest($1::integer[]), unnest($2::uuid[]), unnest($3::bigint[]), NULL::bigint,
                unnest($4::integer[]), unnest($5::bigint[]), unnest($6::bigint[]){value}
         ON CONFLICT (poll, voter) DO UPDATE
         SET prev = b.choices, choices = excluded.choices, shard = excluded.shard,
             ms = excluded.ms, n = excluded.n{set}
         WHERE {condition}
         RETURNING poll, voter, prev"
    )
}

static KEEP_NEWEST: LazyLock<String> = LazyLock::new(|| upsert(NEWEST, false));
static KEEP_NEWEST_OR_OLDEST: LazyLock<String> =
    LazyLock::new(|| upsert(&newest_or_oldest(7), false));
static KEEP_NEWEST_AND_MORE: LazyLock<String> = LazyLock::new(|| upsert(NEWEST, true));
static KEEP_NEWEST_OR_OLDEST_AND_MORE: LazyLock<String> =
    LazyLock::new(|| upsert(&newest_or_oldest(9), true));

/// A ballot that was written, with what it counts for, and what the one that was there counted for.
pub(super) type Written<'a> = (&'a PlacedBallot, Choices, Option<Choices>);

/// Gives each voter's row to the ballot if it counts before the one there. Returns the ballots that got
/// their row.
pub(super) fn write_ballots<'a>(
    transaction: &mut Transaction<'_>,
    polls: &Polls,
    batch: &Batch,
    ballots: &[&'a PlacedBallot],
) -> Result<Vec<Written<'a>>, StoreError> {
    if ballots.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys = Vec::with_capacity(ballots.len());
    let mut counted: Vec<Choices> = Vec::with_capacity(ballots.len());
    for in_poll in ballots.chunk_by(|a, b| a.ballot.poll == b.ballot.poll) {
        let (key, poll) = &polls[&in_poll[0].ballot.poll];
        keys.resize(keys.len() + in_poll.len(), *key);
        counted.extend(in_poll.iter().map(|placed| {
            let source = batch.source(placed.position);
            poll.counted(
                placed.ballot.voter,
                placed.position,
                source,
                placed.ballot.choices,
            )
        }));
    }
    let voters = ballots.iter().map(|placed| placed.ballot.voter.to_bytes());
    let voters: Vec<_> = voters.map(Uuid::from_bytes).collect();
    let choices: Vec<_> = counted.iter().map(|choices| choices.to_column()).collect();
    let (shards, ms, n) = position_columns(ballots.iter().map(|placed| placed.position))?;
    let mut columns: Vec<&(dyn ToSql + Sync)> = vec![&keys, &voters, &choices, &shards, &ms, &n];
    let has_more =
        !batch.handed_in.is_empty() || polls.values().any(|(_, poll)| !poll.voidings().is_empty());
    let voided = counted.iter().zip(ballots).map(|(counted, placed)| {
        let choices = placed.ballot.choices;
        (*counted != choices).then(|| choices.to_column())
    });
    let sources = ballots
        .iter()
        .map(|placed| batch.source(placed.position).to_column());
    let (voided, sources): (Vec<Option<i64>>, Vec<Option<i16>>) = match has_more {
        true => (voided.collect(), sources.collect()),
        false => (Vec::new(), Vec::new()),
    };
    if has_more {
        columns.push(&voided);
        columns.push(&sources);
    }
    let first_counts = polls.values().filter(|(_, poll)| !poll.settings().revote);
    let first_counts: Vec<i32> = first_counts.map(|(key, _)| *key).collect();
    if !first_counts.is_empty() {
        columns.push(&first_counts);
    }
    let statement: &'static str = match (first_counts.is_empty(), has_more) {
        (true, false) => &KEEP_NEWEST,
        (false, false) => &KEEP_NEWEST_OR_OLDEST,
        (true, true) => &KEEP_NEWEST_AND_MORE,
        (false, true) => &KEEP_NEWEST_OR_OLDEST_AND_MORE,
    };
    let rows = transaction.query(statement, &columns)?;
    // Rows come as the ballots went in, so each is near the last one. In another order they would be
    // found as well.
    let mut next = 0;
    let written = rows.iter().map(|row| {
        let (key, voter) = (row.get(0), row.get(1));
        let mut all = (next..ballots.len()).chain(0..next);
        let found = all.find(|index| (keys[*index], voters[*index]) == (key, voter));
        let unknown = || StoreError::Corrupt("a ballot was written that was not given".to_owned());
        let index = found.ok_or_else(unknown)?;
        next = index + 1;
        let old: Option<i64> = row.get(2);
        let corrupt = || StoreError::Corrupt(format!("choices {old:?}"));
        let old = old
            .map(|column| Choices::from_column(column).ok_or_else(corrupt))
            .transpose()?;
        Ok((ballots[index], counted[index], old))
    });
    written.collect()
}

/// Writes a dead letter, with `detail` for its own, and says whether it was not there.
pub(super) fn write_dead_letter(
    transaction: &mut Transaction<'_>,
    letter: &DeadLetter,
    detail: &str,
) -> Result<bool, StoreError> {
    let position = letter.position;
    let new = transaction.execute(
        "INSERT INTO dead_letters VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            &i32::from(position.shard().0),
            &to_column(position.ms())?,
            &to_column(position.n())?,
            &letter.reason.as_str(),
            // A text of Postgres cannot have a zero byte in it.
            &detail.replace('\0', "\u{fffd}"),
            &letter.payload,
            &i32::from(letter.ballots),
        ],
    )?;
    Ok(new == 1)
}

#[async_trait]
impl BatchFlusher for Postgres {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        self.flush_in(batch, None).await
    }

    async fn flush_in(
        &self,
        batch: &Batch,
        life: Option<&StoreLife>,
    ) -> Result<Flushed, StoreError> {
        let (batch, life) = (batch.clone(), life.cloned());
        self.call(move |inner| {
            inner.on_connection(|connection| inner.flush(connection, &batch, life.as_ref()))
        })
        .await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.call(Inner::totals).await
    }

    async fn ready_to_flush(&self) -> Result<(), StoreError> {
        self.call(Inner::takes_writes).await
    }
}
