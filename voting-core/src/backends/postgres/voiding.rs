//! Ballots that an operator has voided: their choices say so, and what they choose is kept beside.

use ::postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{Inner, from_column, prepared::Transaction, to_column};
use crate::{
    error::StoreError,
    model::{ballot::Choices, moment::Moment, poll::Poll, tally::TallyDelta},
};

/// Whether a ballot `b` is voided: `$2` and `$3` are the spans of the rules, in milliseconds, `$4` the voters, and `$5` whether
/// all ballots are voided that were handed in. The voters are
/// looked up in a hash table, which the server does not make of `= ANY` in every plan.
macro_rules! is_voided {
    () => {
        "(EXISTS (SELECT FROM unnest($2::bigint[], $3::bigint[]) AS span (first, until)
                  WHERE b.ms >= span.first AND b.ms < span.until)
          OR b.voter IN (SELECT unnest($4::uuid[]))
          OR $5::boolean AND b.source IS NOT NULL)"
    };
}

/// Voids ballots, whose choices become `$6`. Of how many of each choice.
const VOID: &str = concat!(
    "WITH changed AS (
         UPDATE ballots AS b SET voided = b.choices, choices = $6
         WHERE b.poll = $1 AND b.voided IS NULL AND ",
    is_voided!(),
    " RETURNING b.voided AS choices)
     SELECT choices, COUNT(*) FROM changed GROUP BY choices"
);

/// Lets ballots count again. Of how many of each choice.
const COUNT_AGAIN: &str = concat!(
    "WITH changed AS (
         UPDATE ballots AS b SET choices = b.voided, voided = NULL
         WHERE b.poll = $1 AND b.voided IS NOT NULL AND NOT ",
    is_voided!(),
    " RETURNING b.choices)
     SELECT choices, COUNT(*) FROM changed GROUP BY choices"
);

/// How many ballots there are of each choice, by the rules, and not by what is written beside the ballots.
pub(super) const COUNTED: &str = concat!(
    "SELECT CASE WHEN ",
    is_voided!(),
    " THEN $6 ELSE COALESCE(b.voided, b.choices) END AS counted, COUNT(*)
     FROM ballots AS b WHERE b.poll = $1 GROUP BY counted"
);

/// The parameters of the rules, without the poll's key.
pub(super) struct Rules {
    first: Vec<i64>,
    until: Vec<i64>,
    voters: Vec<Uuid>,
    handed_in: bool,
    voided: i64,
}

impl Rules {
    pub(super) fn of(poll: &Poll) -> Result<Self, StoreError> {
        let rules = poll.voidings();
        let spans = rules
            .spans()
            .map(|(first, until)| Ok((to_column(first)?, to_column(until)?)));
        let spans: Vec<(i64, i64)> = spans.collect::<Result<_, StoreError>>()?;
        let (first, until) = spans.into_iter().unzip();
        let voters = rules
            .voters()
            .map(|voter| Uuid::from_bytes(voter.to_bytes()));
        Ok(Self {
            first,
            until,
            voters: voters.collect(),
            handed_in: rules.void_handed_in(),
            voided: Choices::VOIDED.to_column(),
        })
    }

    pub(super) fn parameters<'a>(&'a self, key: &'a i32) -> [&'a (dyn ToSql + Sync); 6] {
        [
            key,
            &self.first,
            &self.until,
            &self.voters,
            &self.handed_in,
            &self.voided,
        ]
    }
}

impl Inner {
    /// Voids the ballots that the rules of this poll void, and no others, and moves the tally. The poll is locked.
    pub(super) fn void_by(
        &self,
        transaction: &mut Transaction<'_>,
        key: i32,
        poll: &Poll,
    ) -> Result<(), StoreError> {
        // A poll may have so many ballots that this takes longer than other statements may.
        transaction.batch_execute("SET LOCAL statement_timeout = 0")?;
        let rules = Rules::of(poll)?;
        let parameters = rules.parameters(&key);
        let mut moved = TallyDelta::default();
        let rows = transaction.query(VOID, &parameters)?;
        for (choices, ballots) in changed(&rows)? {
            moved.record_all(choices, Choices::VOIDED, ballots);
        }
        let rows = transaction.query(COUNT_AGAIN, &parameters[..5])?;
        for (choices, ballots) in changed(&rows)? {
            moved.record_all(Choices::VOIDED, choices, ballots);
        }
        self.move_tally(transaction, key, poll, &moved.happening_at(Moment::now()))
    }
}

fn changed(rows: &[Row]) -> Result<Vec<(Choices, i64)>, StoreError> {
    let rows = rows.iter().map(|row| {
        let (choices, ballots): (i64, i64) = (row.get(0), row.get(1));
        let corrupt = || StoreError::Corrupt(format!("choices {choices}"));
        from_column(ballots)?;
        Ok((Choices::from_column(choices).ok_or_else(corrupt)?, ballots))
    });
    rows.collect()
}
