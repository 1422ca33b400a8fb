//! Reading the count, receipts and dead letters.

use ::postgres::{Row, Transaction};
use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Inner, Postgres, from_column,
    polls::IS_DELETED,
    rows::read_poll,
    to_column,
    voiding::{self, Rules},
};
use crate::{
    backends::stored_json,
    error::StoreError,
    model::{
        ballot::Choices,
        id::PollId,
        moment::Moment,
        new_voters::NewVoters,
        poll::{Poll, PollExtras},
        position::{Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::{RejectReason, UnknownReason},
        source::Source,
        tally::{Recount, Tally, counters},
        vote_history::{HistoryChange, VoteHistory},
    },
    store::{
        DeadLetterStore, TallyStore,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD, and_one_more},
    },
};

/// The tally of a poll, and the poll's key.
pub(super) fn read_tally(
    snapshot: &mut Transaction<'_>,
    id: &PollId,
) -> Result<Option<(i32, Tally)>, StoreError> {
    let Some((key, poll)) = read_poll(snapshot, id)? else {
        return Ok(None);
    };
    let mut tally = Tally::empty(id.clone(), poll.options().len());
    let row = snapshot.query_one(
        "SELECT COALESCE(SUM(voters), 0)::bigint, COALESCE(SUM(version), 0)::bigint
         FROM turnouts WHERE poll = $1",
        &[&key],
    )?;
    let voters = from_column(row.get(0))?;
    tally.version = from_column(row.get(1))?;
    let rows = snapshot.query(
        "SELECT option, SUM(votes)::bigint FROM tallies WHERE poll = $1 GROUP BY option",
        &[&key],
    )?;
    for row in rows {
        let (option, votes): (i16, i64) = (row.get(0), row.get(1));
        let index = usize::try_from(option).ok();
        let slot = index.and_then(|index| tally.counter_mut(index));
        *slot.ok_or_else(|| StoreError::Corrupt(format!("votes for option {option} of {id}")))? =
            from_column(votes)?;
    }
    tally.set_rows(voters)?;
    Ok(Some((key, tally)))
}

/// The position whose shard is in column `first`, with milliseconds and number behind it.
pub(super) fn position(row: &Row, first: usize) -> Result<Position, StoreError> {
    let (shard, ms, n): (i32, i64, i64) = (row.get(first), row.get(first + 1), row.get(first + 2));
    let corrupt = || StoreError::Corrupt(format!("position {shard}-{ms}-{n}"));
    let shard = u16::try_from(shard).map_err(|_| corrupt())?;
    Position::from_parts(ShardId(shard), from_column(ms)?, from_column(n)?).ok_or_else(corrupt)
}

fn reason(name: &str) -> Result<RejectReason, StoreError> {
    name.parse()
        .map_err(|error: UnknownReason| StoreError::Corrupt(error.to_string()))
}

fn recount(snapshot: &mut Transaction<'_>, id: &PollId) -> Result<Option<Recount>, StoreError> {
    let Some((key, kept)) = read_tally(snapshot, id)? else {
        return Ok(None);
    };
    let mut counted = Tally::empty(id.clone(), kept.votes.len());
    counted.version = kept.version;
    let mut rows_counted = 0;
    let poll = read_poll(snapshot, id)?.map(|(_, poll)| poll);
    let voids = |poll: &Poll| !poll.voidings().is_empty() && !poll.voters_are_forgotten();
    let rows = match poll.filter(voids) {
        Some(poll) => snapshot.query(voiding::COUNTED, &Rules::of(&poll)?.parameters(&key))?,
        // A poll has rows in one of the two tables only.
        None => snapshot.query(
            "SELECT choices, COUNT(*) FROM ballots WHERE poll = $1 GROUP BY choices
             UNION ALL SELECT choices, ballots FROM ballots_without_voters WHERE poll = $1",
            &[&key],
        )?,
    };
    for row in rows {
        let (choices, ballots): (i64, _) = (row.get(0), from_column(row.get(1))?);
        let corrupt = || StoreError::Corrupt(format!("choices {choices} in poll {id}"));
        rows_counted += ballots;
        for counter in counters(Choices::from_column(choices).ok_or_else(corrupt)?) {
            *counted.counter_mut(counter).ok_or_else(corrupt)? += ballots;
        }
    }
    counted.set_rows(rows_counted)?;
    Ok(Some(Recount { kept, counted }))
}

fn new_voters(
    snapshot: &mut Transaction<'_>,
    id: &PollId,
    before: Option<Moment>,
    limit: usize,
) -> Result<Option<Vec<NewVoters>>, StoreError> {
    let Some((key, _)) = read_poll(snapshot, id)? else {
        return Ok(None);
    };
    let before = to_column(NewVoters::minutes_before(before))?;
    let rows = snapshot.query(
        "SELECT minute, SUM(voters)::bigint FROM new_voters WHERE poll = $1 AND minute < $2
         GROUP BY minute ORDER BY minute DESC LIMIT $3",
        &[&key, &before, &to_column(limit as u64)?],
    )?;
    let minutes = rows.iter().map(|row| {
        let (minute, voters) = (from_column(row.get(0))?, from_column(row.get(1))?);
        let corrupt = || StoreError::Corrupt(format!("minute {minute} of {id}"));
        NewVoters::new(minute, voters).ok_or_else(corrupt)
    });
    minutes.collect::<Result<_, _>>().map(Some)
}

fn vote_history(
    snapshot: &mut Transaction<'_>,
    id: &PollId,
) -> Result<Option<VoteHistory>, StoreError> {
    let Some((key, tally)) = read_tally(snapshot, id)? else {
        return Ok(None);
    };
    let rows = snapshot.query(
        "SELECT until, counter, SUM(votes)::bigint FROM vote_history WHERE poll = $1 GROUP BY until, counter",
        &[&key],
    )?;
    let changes = rows.iter().map(|row| {
        let (until, counter): (i64, i16) = (row.get(0), row.get(1));
        let corrupt = |_| StoreError::Corrupt(format!("the history of {id}"));
        Ok(HistoryChange {
            until: from_column(until)?,
            counter: usize::try_from(counter).map_err(corrupt)?,
            by: row.get(2),
        })
    });
    let changes = changes.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Some(VoteHistory::new(tally, changes)))
}

fn receipt_state(
    snapshot: &mut Transaction<'_>,
    receipt: &Receipt,
) -> Result<ReceiptState, StoreError> {
    let found = snapshot.query_opt(
        "SELECT polls.extras, ballots.shard, ballots.ms, ballots.n, ballots.source
         FROM polls LEFT JOIN ballots ON ballots.poll = polls.key AND ballots.voter = $2
         WHERE polls.id = $1",
        &[
            &receipt.poll.as_str(),
            &Uuid::from_bytes(receipt.voter.to_bytes()),
        ],
    )?;
    let extras = match found.as_ref().and_then(|row| row.get(0)) {
        Some(extras) => stored_json::read::<PollExtras>(extras)?,
        None => PollExtras::default(),
    };
    let first_counts = !extras.settings().revote;
    let ballot = found
        .as_ref()
        .filter(|row| row.get::<_, Option<i32>>(1).is_some());
    let stored = ballot.map(|row| position(row, 1)).transpose()?;
    let own = receipt.position;
    let dead = snapshot.query_opt(
        "SELECT reason FROM dead_letters
         WHERE shard = $1 AND ms = $2 AND (n = $3 OR n = $4 AND reason = ANY ($5))
         LIMIT 1",
        &[
            &i32::from(own.shard().0),
            &to_column(own.ms())?,
            &to_column(own.n())?,
            &to_column(receipt.whole_entry().n())?,
            &RejectReason::OF_WHOLE_ENTRIES
                .map(RejectReason::as_str)
                .as_slice(),
        ],
    )?;
    let dead = dead.map(|row| reason(row.get(0))).transpose()?;
    let state = ReceiptState::judge(own, stored, dead, first_counts);
    let source = Source::from_column(ballot.and_then(|row| row.get(4)));
    let state = state.unless_voided(receipt, source, extras.voidings());
    let id = &receipt.poll;
    Ok(match found {
        Some(_) if extras.voters_are_forgotten() => {
            state.or_if_pending(ReceiptState::VotersForgotten)
        }
        None if snapshot.query_opt(IS_DELETED, &[&id.as_str()])?.is_some() => {
            state.or_if_pending(ReceiptState::PollDeleted)
        }
        _ => state,
    })
}

impl Inner {
    fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let ms = after.map(|after| to_column(after.ms())).transpose()?;
        let n = after.map(|after| to_column(after.n())).transpose()?;
        let shard = after.map(|after| i32::from(after.shard().0));
        let limit = to_column(limit as u64)?;
        self.ask(|connection| {
            let rows = connection.query(
                "SELECT shard, ms, n, reason, detail, substring(payload FROM 1 FOR $5), ballots
                 FROM dead_letters
                 WHERE $1::bigint IS NULL OR (ms, n, shard) > ($1, $2::bigint, $3::integer)
                 ORDER BY ms, n, shard LIMIT $4",
                &[&ms, &n, &shard, &limit, &bytes(LISTED)],
            )?;
            rows.iter().map(letter).collect()
        })
    }

    fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        let shard = i32::from(position.shard().0);
        let (ms, n) = (to_column(position.ms())?, to_column(position.n())?);
        self.ask(|connection| {
            let row = connection.query_opt(
                "SELECT shard, ms, n, reason, detail, substring(payload FROM 1 FOR $4), ballots
                 FROM dead_letters
                 WHERE shard = $1 AND ms = $2 AND n = $3",
                &[&shard, &ms, &n, &bytes(MAX_PAYLOAD)],
            )?;
            row.as_ref().map(letter).transpose()
        })
    }
}

fn bytes(payload: usize) -> i32 {
    i32::try_from(and_one_more(payload)).unwrap_or(i32::MAX)
}

/// From `shard, ms, n, reason, detail, payload, ballots`.
fn letter(row: &Row) -> Result<DeadLetter, StoreError> {
    let ballots: i32 = row.get(6);
    let corrupt = |_| StoreError::Corrupt(format!("a dead letter of {ballots} ballots"));
    Ok(DeadLetter {
        position: position(row, 0)?,
        reason: reason(row.get(3))?,
        detail: row.get(4),
        payload: row.get(5),
        ballots: u16::try_from(ballots).map_err(corrupt)?,
    })
}

#[async_trait]
impl TallyStore for Postgres {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        let poll = poll.clone();
        self.call(move |inner| {
            let tally = inner.read(|snapshot| read_tally(snapshot, &poll))?;
            Ok(tally.map(|(_, tally)| tally))
        })
        .await
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let receipt = receipt.clone();
        self.call(move |inner| inner.read(|snapshot| receipt_state(snapshot, &receipt)))
            .await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        let poll = poll.clone();
        self.call(move |inner| inner.read(|snapshot| recount(snapshot, &poll)))
            .await
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let poll = poll.clone();
        self.call(move |inner| inner.read(|snapshot| new_voters(snapshot, &poll, before, limit)))
            .await
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        let poll = poll.clone();
        self.call(move |inner| inner.read(|snapshot| vote_history(snapshot, &poll)))
            .await
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                connection.execute("SELECT 1 FROM polls LIMIT 1", &[])?;
                Ok(())
            })
        })
        .await
    }
}

#[async_trait]
impl DeadLetterStore for Postgres {
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        self.call(move |inner| inner.dead_letter(position)).await
    }

    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.call(move |inner| inner.dead_letters(after, limit))
            .await
    }
}
