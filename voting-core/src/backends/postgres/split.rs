//! Writing a batch of which Postgres refuses a part for good: halves are tried, and halves of
//! these, until each culprit is alone. The culprits become dead letters, the others count.
//!
//! Takes more round trips than writing it at once, so it is only done after that was refused.

use uuid::Uuid;

use super::{
    flush::{Polls, Written, write_ballots, write_dead_letter},
    prepared::Transaction,
    read,
};
use crate::{
    error::StoreError,
    model::rejection::RejectReason,
    store::{
        batch::{Batch, PlacedBallot},
        dead_letter::DeadLetter,
        older::Older,
        outcome::FlushOutcome,
    },
};

/// Characters of the database's message that are kept with a dead letter.
const DETAIL: usize = 1_000;

/// Postgres says that the data is wrong, so that trying again is no use: an integrity constraint,
/// or a value that a column cannot have. Its detail is left out, since that has the row in it, and
/// this may be logged.
#[derive(Debug, thiserror::Error)]
#[error("the database refuses the data: {message} (SQLSTATE {code})")]
pub(super) struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    pub(super) fn of(error: &::postgres::Error) -> Option<Self> {
        let error = error.as_db_error()?;
        let code = error.code().code();
        // The table lacks the partition of the voter, which is no ballot's fault. The function's name is in no language.
        if error.routine() == Some("ExecFindPartition") {
            return None;
        }
        // Data exceptions and violated constraints. Whatever else there is may pass by itself, or
        // is no ballot's fault.
        (code.starts_with("22") || code.starts_with("23")).then(|| Self {
            code: code.to_owned(),
            message: error.message().to_owned(),
        })
    }
}

/// The refusal, if the error is one.
fn refusal(error: StoreError) -> Result<Refusal, StoreError> {
    match error {
        StoreError::Unavailable(source) => match source.downcast::<Refusal>() {
            Ok(refusal) => Ok(*refusal),
            Err(source) => Err(StoreError::Unavailable(source)),
        },
        error => Err(error),
    }
}

pub(super) fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(source) if source.is::<Refusal>())
}

/// Writes the ballots that can be, in place of one that cannot the voter's older one, and returns
/// them with the dead letters of those that cannot, which are not written yet.
pub(super) fn ballots<'a>(
    transaction: &mut Transaction<'_>,
    polls: &Polls,
    batch: &Batch,
    live: Vec<&'a PlacedBallot>,
    older: &mut Older<'a>,
    outcome: &mut FlushOutcome,
) -> Result<(Vec<Written<'a>>, Vec<DeadLetter>), StoreError> {
    // Constraints may be set to be looked at in the commit, which would be too late.
    transaction.batch_execute("SET CONSTRAINTS ALL IMMEDIATE")?;
    let (mut written, mut letters) = (Vec::with_capacity(live.len()), Vec::new());
    let mut parts = vec![live];
    while let Some(part) = parts.pop() {
        let mut savepoint = transaction.savepoint()?;
        let refusal = match write_ballots(&mut savepoint, polls, batch, &part) {
            Ok(rows) => {
                savepoint.commit()?;
                written.extend(rows);
                continue;
            }
            Err(error) => refusal(error)?,
        };
        savepoint.rollback()?;
        let [culprit] = part[..] else {
            // The first half is next: all sessions go through the voters in one order.
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second.to_vec(), first.to_vec()]);
            continue;
        };
        parts.extend(older.next(culprit).map(|next| vec![next]));
        if outcome.is_replay(culprit) && has_outcome(transaction, polls, culprit)? {
            continue;
        }
        outcome.unstorable(culprit);
        letters.push(DeadLetter {
            detail: refusal.message.chars().take(DETAIL).collect(),
            ..DeadLetter::of(culprit, RejectReason::Unstorable)
                .from_source(batch.source(culprit.position))
        });
    }
    Ok((written, letters))
}

/// Whether the voter's row has the ballot, or another one that counts in its place. Then an earlier flush has
/// reported the ballot's outcome, though Postgres would refuse the ballot now.
fn has_outcome(
    transaction: &mut Transaction<'_>,
    polls: &Polls,
    placed: &PlacedBallot,
) -> Result<bool, StoreError> {
    let (key, poll) = &polls[&placed.ballot.poll];
    let row = transaction.query_opt(
        "SELECT shard, ms, n FROM ballots WHERE poll = $1 AND voter = $2",
        &[key, &Uuid::from_bytes(placed.ballot.voter.to_bytes())],
    )?;
    let stored = row.map(|row| read::position(&row, 0)).transpose()?;
    let first_counts = !poll.settings().revote;
    Ok(stored.is_some_and(|stored| {
        stored == placed.position || (stored < placed.position) == first_counts
    }))
}

/// Writes a dead letter, and says whether it was not there. If it is refused it is for its words,
/// as by a database that has not all characters; those are then spelt out. A letter that is
/// refused even so fails the flush: the ballots stay in the log until somebody mends the table.
pub(super) fn dead_letter(
    transaction: &mut Transaction<'_>,
    letter: &DeadLetter,
) -> Result<bool, StoreError> {
    let mut savepoint = transaction.savepoint()?;
    match write_dead_letter(&mut savepoint, letter, &letter.detail) {
        Ok(new) => {
            savepoint.commit()?;
            Ok(new)
        }
        Err(error) => {
            refusal(error)?;
            savepoint.rollback()?;
            let plain = letter.detail.escape_default().to_string();
            write_dead_letter(transaction, letter, &plain)
        }
    }
}
