//! Ballots that an operator has voided: their choices say so, and what they choose is kept beside.

use rusqlite::{Connection, Row, Transaction, params};

use super::{
    flush::move_tally,
    rows::{position_columns, to_position},
};
use crate::{
    error::StoreError,
    model::{
        ballot::{Choices, VoterId},
        moment::Moment,
        poll::Poll,
        position::Position,
        source::Source,
        tally::TallyDelta,
    },
};

/// How many ballots are read before some of them are changed.
const LOOKED_AT_ONCE: usize = 10_000;

/// A ballot that is stored.
pub(super) struct Stored {
    voter: VoterId,
    position: Position,
    source: Source,
    choices: Choices,
    is_voided: bool,
}

impl Stored {
    /// What the ballot counts for by the rules of this poll, whatever is written beside it.
    pub(super) fn counted(&self, poll: &Poll) -> Choices {
        poll.counted(self.voter, self.position, self.source, self.choices)
    }
}

/// Of the ballots of a poll, those of voters after `?2`, by voter. What is voided has its choices in the last column.
const BALLOTS: &str = "
    SELECT shard, ms, n, voter, COALESCE(voided, choices), voided IS NOT NULL, source
    FROM ballots WHERE poll = ?1 AND voter > ?2 ORDER BY voter LIMIT ?3";

fn stored(row: &Row<'_>) -> Result<Stored, StoreError> {
    let choices: i64 = row.get(4)?;
    let corrupt = || StoreError::Corrupt(format!("choices {choices}"));
    Ok(Stored {
        position: to_position(position_columns(row)?)?,
        voter: VoterId::from_bytes(row.get(3)?),
        choices: Choices::from_column(choices).ok_or_else(corrupt)?,
        is_voided: row.get(5)?,
        source: Source::from_column(row.get(6)?),
    })
}

/// Looks at all ballots of the poll with this key, some at a time.
pub(super) fn each_stored(
    connection: &Connection,
    key: i64,
    mut look: impl FnMut(&[Stored]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut query = connection.prepare_cached(BALLOTS)?;
    let mut after = Vec::new();
    loop {
        let mut rows = query.query(params![key, after, LOOKED_AT_ONCE as u64])?;
        let mut some = Vec::new();
        while let Some(row) = rows.next()? {
            some.push(stored(row)?);
        }
        let Some(last) = some.last() else {
            return Ok(());
        };
        after = last.voter.to_bytes().to_vec();
        look(&some)?;
    }
}

/// Voids the ballots that the rules of this poll void, and no others, and moves the tally.
pub(super) fn void_by(
    transaction: &Transaction<'_>,
    key: i64,
    poll: &Poll,
) -> Result<(), StoreError> {
    let mut moved = TallyDelta::default();
    each_stored(transaction, key, |some| {
        for ballot in some {
            let counted = ballot.counted(poll);
            let is_voided = counted == Choices::VOIDED;
            if is_voided == ballot.is_voided {
                continue;
            }
            let was = match ballot.is_voided {
                true => Choices::VOIDED,
                false => ballot.choices,
            };
            moved.record_all(was, counted, 1);
            let kept = is_voided.then(|| ballot.choices.to_column());
            transaction
                .prepare_cached(
                    "UPDATE ballots SET choices = ?3, voided = ?4 WHERE poll = ?1 AND voter = ?2",
                )?
                .execute(params![
                    key,
                    ballot.voter.to_bytes(),
                    counted.to_column(),
                    kept
                ])?;
        }
        Ok(())
    })?;
    move_tally(transaction, key, poll, &moved.happening_at(Moment::now()))
}

#[cfg(test)]
mod tests {
    use crate::{
        backends::sqlite::{Sqlite, SqliteOptions, lock},
        model::{
            ballot::{Ballot, Choices, VoterId},
            moment::Moment,
            poll::{ChangeTo, NewVoided, NewVoiding, Poll, PollChange},
            position::{EntryId, Position, ShardId},
        },
        store::{
            BatchFlusher, PollStore, TallyStore,
            batch::{Batch, PlacedBallot},
        },
    };

    #[tokio::test]
    async fn a_recount_goes_by_the_rules_and_finds_a_wrong_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votes.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        let poll = poll.build().unwrap();
        store.put_poll(&poll).await.unwrap();
        let mut batch = Batch::default();
        for ms in 1..=9 {
            let (shard, entry) = (ShardId(0), EntryId::new(ms, 0).unwrap());
            batch.entries.push(((shard, entry), 1));
            batch.ballots.push(PlacedBallot {
                position: Position::new(shard, entry, 0),
                ballot: Ballot {
                    poll: poll.id().clone(),
                    voter: VoterId::issue(),
                    choices: Choices::from_bits(1).unwrap(),
                    rules: None,
                },
            });
        }
        batch.keep_one_of_each_voter();
        store.flush(&batch).await.unwrap();
        let rule = NewVoiding {
            ballots: NewVoided::Span {
                from: Moment::from_unix_ms(1).unwrap(),
                until: Moment::from_unix_ms(4).unwrap(),
            },
            reason: String::new(),
        };
        let change = PollChange::new(poll.id().clone(), ChangeTo::Voided(Box::new(rule)));
        store.change_poll(&change, "operator").await.unwrap();
        let recount = async || store.recount(poll.id()).await.unwrap().unwrap();
        let right = recount().await;
        assert!(right.agrees() && right.kept.voided == 3, "{right:?}");
        // A ballot counts again, in its row and in the tally, though the rule is there.
        lock(&store.0.writer)
            .execute_batch(
                "UPDATE ballots SET choices = voided, voided = NULL WHERE ms = 1;
                 UPDATE tallies SET votes = votes + 1 WHERE option = 0;
                 UPDATE tallies SET votes = votes - 1 WHERE option = 65;",
            )
            .unwrap();
        let wrong = recount().await;
        assert!(!wrong.agrees(), "{wrong:?}");
        assert_eq!(wrong.counted, right.counted);
    }
}
