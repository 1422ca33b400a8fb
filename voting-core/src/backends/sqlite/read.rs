//! Reading the count, receipts and dead letters.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Inner, Sqlite, lock,
    open::open_reader,
    rows::{counted_choices, is_deleted, position_columns, read_poll, to_position},
    voiding::each_stored,
};
use crate::{
    error::StoreError,
    model::{
        ballot::Choices,
        id::PollId,
        moment::Moment,
        new_voters::NewVoters,
        position::Position,
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
        source::Source,
        tally::{Recount, Tally, counters},
        vote_history::{HistoryChange, VoteHistory},
    },
    store::{
        DeadLetterStore, TallyStore,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD, and_one_more},
    },
};

/// Reads within the caller's transaction, so that all is of one moment.
pub(super) fn read_tally(
    connection: &Connection,
    id: &PollId,
) -> Result<Option<(i64, Tally)>, StoreError> {
    let Some((_, poll)) = read_poll(connection, id)? else {
        return Ok(None);
    };
    let mut tally = Tally::empty(id.clone(), poll.options().len());
    let (key, voters, version): (i64, u64, u64) = connection
        .prepare_cached("SELECT key, voters, version FROM polls WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    tally.version = version;
    let mut query =
        connection.prepare_cached("SELECT option, votes FROM tallies WHERE poll = ?1")?;
    let mut rows = query.query([key])?;
    while let Some(row) = rows.next()? {
        let option = usize::from(row.get::<_, u8>(0)?);
        let votes = row.get(1)?;
        *tally
            .counter_mut(option)
            .ok_or_else(|| StoreError::Corrupt(format!("votes for option {option} of {id}")))? =
            votes;
    }
    tally.set_rows(voters)?;
    Ok(Some((key, tally)))
}

impl Inner {
    fn tally(&self, id: &PollId) -> Result<Option<Tally>, StoreError> {
        let mut reader = lock(&self.reader);
        let snapshot = reader.transaction()?;
        Ok(read_tally(&snapshot, id)?.map(|(_, tally)| tally))
    }

    fn recount(&self, id: &PollId) -> Result<Option<Recount>, StoreError> {
        // It may take long, and must not hold up the readers of tallies meanwhile.
        let mut connection = open_reader(&self.path)?;
        let snapshot = connection.transaction()?;
        let Some((key, kept)) = read_tally(&snapshot, id)? else {
            return Ok(None);
        };
        let mut counted = Tally::empty(id.clone(), kept.votes.len());
        counted.version = kept.version;
        let mut rows_counted = 0;
        let Some((_, poll)) = read_poll(&snapshot, id)? else {
            return Ok(None);
        };
        let mut add = |choices: Choices, ballots: u64| {
            let corrupt = || StoreError::Corrupt(format!("choices {choices:?} in poll {id}"));
            rows_counted += ballots;
            for counter in counters(choices) {
                *counted.counter_mut(counter).ok_or_else(corrupt)? += ballots;
            }
            Ok(())
        };
        if !poll.voidings().is_empty() && !poll.voters_are_forgotten() {
            // By the rules, and not by what is written beside the ballots.
            each_stored(&snapshot, key, |some| {
                some.iter()
                    .try_for_each(|ballot| add(ballot.counted(&poll), 1))
            })?;
        } else {
            let mut query = snapshot.prepare(counted_choices(&poll))?;
            let mut rows = query.query([key])?;
            while let Some(row) = rows.next()? {
                let (choices, ballots): (i64, u64) = (row.get(0)?, row.get(1)?);
                let corrupt = || StoreError::Corrupt(format!("choices {choices} in poll {id}"));
                add(Choices::from_column(choices).ok_or_else(corrupt)?, ballots)?;
            }
        }
        counted.set_rows(rows_counted)?;
        Ok(Some(Recount { kept, counted }))
    }

    fn new_voters(
        &self,
        id: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let mut reader = lock(&self.reader);
        let snapshot = reader.transaction()?;
        let Some((key, _)) = read_poll(&snapshot, id)? else {
            return Ok(None);
        };
        let mut query = snapshot.prepare_cached(
            "SELECT minute, voters FROM new_voters WHERE poll = ?1 AND minute < ?2
             ORDER BY minute DESC LIMIT ?3",
        )?;
        let before = NewVoters::minutes_before(before);
        let mut rows = query.query(params![key, before, limit as u64])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (minute, voters): (u64, u64) = (row.get(0)?, row.get(1)?);
            let corrupt = || StoreError::Corrupt(format!("minute {minute} of {id}"));
            all.push(NewVoters::new(minute, voters).ok_or_else(corrupt)?);
        }
        Ok(Some(all))
    }

    fn vote_history(&self, id: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        let mut reader = lock(&self.reader);
        let snapshot = reader.transaction()?;
        let Some((key, tally)) = read_tally(&snapshot, id)? else {
            return Ok(None);
        };
        let mut query = snapshot
            .prepare_cached("SELECT until, counter, votes FROM vote_history WHERE poll = ?1")?;
        let changes = query.query_map([key], |row| {
            let counter: u32 = row.get(1)?;
            Ok(HistoryChange {
                until: row.get(0)?,
                counter: counter as usize,
                by: row.get(2)?,
            })
        })?;
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(VoteHistory::new(tally, changes)))
    }

    fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let mut reader = lock(&self.reader);
        let snapshot = reader.transaction()?;
        let poll = read_poll(&snapshot, &receipt.poll)?;
        let stored: Option<(_, Option<i16>)> = match &poll {
            Some((key, poll)) if !poll.voters_are_forgotten() => snapshot
                .prepare_cached(
                    "SELECT shard, ms, n, source FROM ballots WHERE poll = ?1 AND voter = ?2",
                )?
                .query_row(params![key, receipt.voter.to_bytes()], |row| {
                    Ok((position_columns(row)?, row.get(3)?))
                })
                .optional()?,
            _ => None,
        };
        let source = stored.and_then(|(_, source)| source);
        let stored = stored
            .map(|(columns, _)| to_position(columns))
            .transpose()?;
        let first_counts = poll
            .as_ref()
            .is_some_and(|(_, poll)| !poll.settings().revote);
        let position = receipt.position;
        let [malformed, unauthenticated] = RejectReason::OF_WHOLE_ENTRIES;
        let dead: Option<String> = snapshot
            .prepare_cached(
                "SELECT reason FROM dead_letters
                 WHERE shard = ?1 AND ms = ?2 AND (n = ?3 OR n = ?4 AND reason IN (?5, ?6))",
            )?
            .query_row(
                params![
                    position.shard().0,
                    position.ms(),
                    position.n(),
                    receipt.whole_entry().n(),
                    malformed.as_str(),
                    unauthenticated.as_str(),
                ],
                |row| row.get(0),
            )
            .optional()?;
        let dead = dead.as_deref().map(to_reason).transpose()?;
        let state = ReceiptState::judge(position, stored, dead, first_counts);
        let state = match &poll {
            Some((_, poll)) => {
                state.unless_voided(receipt, Source::from_column(source), poll.voidings())
            }
            None => state,
        };
        Ok(match &poll {
            Some((_, poll)) if poll.voters_are_forgotten() => {
                state.or_if_pending(ReceiptState::VotersForgotten)
            }
            None if is_deleted(&snapshot, &receipt.poll)? => {
                state.or_if_pending(ReceiptState::PollDeleted)
            }
            _ => state,
        })
    }

    fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let reader = lock(&self.reader);
        let mut query = reader.prepare_cached(
            "SELECT shard, ms, n, reason, detail, COALESCE(substr(payload, 1, ?5), x''), ballots
             FROM dead_letters
             WHERE ?1 IS NULL OR (ms, n, shard) > (?1, ?2, ?3)
             ORDER BY ms, n, shard LIMIT ?4",
        )?;
        let mut rows = query.query(params![
            after.map(Position::ms),
            after.map(Position::n),
            after.map(|after| after.shard().0),
            limit as u64,
            and_one_more(LISTED),
        ])?;
        let mut letters = Vec::new();
        while let Some(row) = rows.next()? {
            letters.push(to_letter(row)?);
        }
        Ok(letters)
    }

    fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        let reader = lock(&self.reader);
        let mut query = reader.prepare_cached(
            "SELECT shard, ms, n, reason, detail, COALESCE(substr(payload, 1, ?4), x''), ballots
             FROM dead_letters
             WHERE shard = ?1 AND ms = ?2 AND n = ?3",
        )?;
        let mut rows = query.query(params![
            position.shard().0,
            position.ms(),
            position.n(),
            and_one_more(MAX_PAYLOAD),
        ])?;
        rows.next()?.map(to_letter).transpose()
    }
}

/// The dead letters, counted by reason.
pub(super) fn dead_letter_reasons(reader: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let by_reason = "SELECT reason, COUNT(*) FROM dead_letters GROUP BY reason ORDER BY reason";
    let mut query = reader.prepare(by_reason)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// From `shard, ms, n, reason, detail, payload, ballots`.
fn to_letter(row: &rusqlite::Row<'_>) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        position: to_position(position_columns(row)?)?,
        reason: to_reason(&row.get::<_, String>(3)?)?,
        detail: row.get(4)?,
        payload: row.get(5)?,
        ballots: row.get(6)?,
    })
}

fn to_reason(name: &str) -> Result<RejectReason, StoreError> {
    name.parse()
        .map_err(|error: crate::model::rejection::UnknownReason| {
            StoreError::Corrupt(error.to_string())
        })
}

#[async_trait]
impl TallyStore for Sqlite {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        let poll = poll.clone();
        self.reading(move |inner| inner.tally(&poll)).await
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let receipt = receipt.clone();
        self.reading(move |inner| inner.receipt_state(&receipt))
            .await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        let poll = poll.clone();
        self.reading(move |inner| inner.recount(&poll)).await
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let poll = poll.clone();
        self.reading(move |inner| inner.new_voters(&poll, before, limit))
            .await
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        let poll = poll.clone();
        self.reading(move |inner| inner.vote_history(&poll)).await
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        self.reading(|inner| {
            inner.check_sound()?;
            lock(&inner.reader).query_row("SELECT 1 FROM totals", [], |_| Ok(()))?;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl DeadLetterStore for Sqlite {
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        self.reading(move |inner| inner.dead_letter(position)).await
    }

    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.reading(move |inner| inner.dead_letters(after, limit))
            .await
    }
}
