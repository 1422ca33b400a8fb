//! Counts a ballot that is among the dead letters, once its cause is mended: the poll is stored now, or
//! this version reads the entry.
//!
//! It keeps its place in the order. A newer ballot of the voter goes on counting.

use super::rule::BallotRule;
use crate::{
    error::StoreError,
    log::entry::{self, MalformedEntry},
    model::{position::Position, rejection::RejectReason, source::Source},
    store::{
        BatchFlusher, DeadLetterStore, PollDirectory,
        batch::{Batch, PlacedBallot, Revival},
        dead_letter::DeadLetter,
        outcome::FlushReport,
    },
};

/// What became of a dead letter that was to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revived {
    /// It is no longer a dead letter.
    Flushed(FlushReport),
    /// It still cannot be counted, for this reason, in a word and in more.
    Rejected(RejectReason, String),
    /// There is no such dead letter.
    NotFound,
}

/// How often the polls are looked up again when they change meanwhile.
const TRIES: usize = 5;

/// Counts the ballots of a dead letter, all that can be. Those of an entry that was unreadable and that
/// still cannot be counted become dead letters of their own. `rule` is the one that the worker asks, if it asks one
/// (see [`WorkerHandle::rule`](crate::WorkerHandle::rule)): what it refuses is not counted here either.
///
/// # Errors
/// One of the stores or the rule does not answer. Trying again is safe.
pub async fn revive(
    polls: &dyn PollDirectory,
    letters: &dyn DeadLetterStore,
    flusher: &dyn BatchFlusher,
    rule: Option<&dyn BallotRule>,
    position: Position,
) -> Result<Revived, StoreError> {
    let mut tries = 0;
    loop {
        let Some(letter) = letters.dead_letter(position).await? else {
            return Ok(Revived::NotFound);
        };
        let batch = match prepare(polls, rule, &letter).await? {
            Ok(batch) => batch,
            Err((reason, detail)) => return Ok(Revived::Rejected(reason, detail)),
        };
        match flusher.flush(&batch).await {
            Err(StoreError::PollChanged(_)) if tries < TRIES => tries += 1,
            flushed => return flushed.map(|flushed| Revived::Flushed(flushed.report)),
        }
    }
}

/// The ballots of a dead letter, each with its place in the order.
///
/// # Errors
/// It cannot be read.
pub fn ballots(letter: &DeadLetter) -> Result<Vec<PlacedBallot>, MalformedEntry> {
    // A single ballot stands at the letter's position; a whole entry begins there.
    let first = letter.position.index();
    let (shard, entry) = (letter.position.shard(), letter.position.entry());
    let ballots = entry::decode(&letter.payload)?;
    let placed = (first..=u16::MAX).zip(ballots);
    Ok(placed
        .map(|(index, ballot)| PlacedBallot {
            position: Position::new(shard, entry, index),
            ballot,
        })
        .collect())
}

async fn prepare(
    polls: &dyn PollDirectory,
    rule: Option<&dyn BallotRule>,
    letter: &DeadLetter,
) -> Result<Result<Batch, (RejectReason, String)>, StoreError> {
    let ballots = match ballots(letter) {
        Ok(ballots) => ballots,
        Err(error) => return Ok(Err((error.reason(), error.to_string()))),
    };
    let mut batch = Batch::default();
    let source = entry::source(&letter.payload);
    if source == Source::TrustedServer {
        let position = letter.position;
        batch.handed_in.insert((position.shard(), position.entry()));
    }
    let (mut first_reason, mut dropped) = (None, 0);
    for placed in ballots {
        let (ballot, position) = (&placed.ballot, placed.position);
        let poll = polls.poll(&ballot.poll).await?;
        let checked = match &poll {
            // Nobody can vote in it.
            Some(poll) if poll.is_draft() => Err(RejectReason::UnknownPoll),
            // As the worker drops it: nobody can tell any more whether the voter has another one.
            Some(poll) if poll.voters_are_forgotten() => {
                dropped += 1;
                batch.judge_by(poll);
                continue;
            }
            // It is too late also for what came in time: a final count never changes.
            Some(poll) if poll.state().is_final() => Err(RejectReason::PollClosed),
            Some(poll) => poll.check(ballot.choices, position),
            None if polls.is_deleted(&ballot.poll).await? => {
                // As the worker drops it: a deleted poll keeps no ballots.
                dropped += 1;
                batch.deleted.insert(ballot.poll.clone());
                continue;
            }
            None => Err(RejectReason::UnknownPoll),
        };
        let refused = match (checked, rule, &poll) {
            (Ok(()), Some(rule), Some(poll)) => rule.check(ballot, poll).await?.err(),
            _ => None,
        };
        let letter = match (checked, refused) {
            (Err(reason), _) => DeadLetter::of(&placed, reason),
            (Ok(()), Some(refusal)) => DeadLetter::refused(&placed, &refusal),
            (Ok(()), None) => {
                if let Some(poll) = &poll {
                    batch.judge_by(poll);
                }
                batch.ballots.push(placed);
                continue;
            }
        };
        let letter = letter.from_source(source);
        first_reason.get_or_insert((letter.reason, letter.detail.clone()));
        batch.dead_letters.push(letter);
    }
    if let (true, 0, Some(reason)) = (batch.ballots.is_empty(), dropped, first_reason) {
        return Ok(Err(reason));
    }
    batch.revived.push(Revival {
        position: letter.position,
        valid: batch.ballots.len() as u64 + dropped,
    });
    batch.keep_one_of_each_voter();
    Ok(Ok(batch))
}
