//! How the table of ballots is kept: as one table, or in partitions by a hash of the voter.
//!
//! The statements of the store are the same for both. `repartition` changes one into the other.

use std::fmt;

use ::postgres::GenericClient;

use super::{Inner, Postgres};
use crate::error::{ErrorKind, StoreError};

/// The unfinished copy that a change of the partitions makes, beside the table.
pub(super) const COPY: &str = "ballots_next";

/// What is noted beside the copy, so that no other table of this name is taken for it.
pub(super) const COPY_MARK: &str =
    "An unfinished copy of ballots; `voting migrate` removes it again";

/// In how many partitions the ballots are: 1 to [`Partitions::MOST`]. With 1 there are no partitions, but one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions(u16);

impl Partitions {
    /// One table, as new databases have it.
    pub const ONE: Self = Self(1);

    /// More would slow each flush down: it opens each partition that it writes to.
    pub const MOST: u16 = 64;

    /// `None` unless `count` is from 1 to [`Partitions::MOST`].
    pub fn new(count: u16) -> Option<Self> {
        (1..=Self::MOST).contains(&count).then_some(Self(count))
    }

    /// How many.
    pub fn count(self) -> u16 {
        self.0
    }
}

/// How the table of ballots is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BallotTable {
    /// In so many partitions, or in one table.
    Whole(Partitions),
    /// Partitions are missing. Ballots of their voters cannot be written, and wait in the log.
    Incomplete {
        /// The number of partitions that there are.
        found: u16,
        /// The number of partitions that there must be.
        of: u16,
    },
    /// Partitioned in another way than by [`Postgres::repartition`].
    OtherWay,
}

impl fmt::Display for BallotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(Partitions::ONE) => f.write_str("one table"),
            Self::Whole(Partitions(count)) => write!(f, "{count} partitions"),
            Self::Incomplete { found, of } => write!(f, "{found} of {of} partitions"),
            Self::OtherWay => f.write_str("partitions of another kind"),
        }
    }
}

/// Why the partitions were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// The table is not as this program makes it.
    #[error("the ballots are in {0}, which this program cannot change")]
    Table(BallotTable),
    /// The table has what a copy would not have.
    #[error("the table of ballots has what a copy of it would lose: {0}")]
    Extras(String),
    /// A transaction that began before the copy was complete goes on. It would find no ballots in the new table.
    #[error("transactions of other connections still read the old table (server processes {0})")]
    Readers(String),
    /// There is a table where the copy would be.
    #[error("there is a table {COPY}, which this program has not made")]
    ForeignCopy,
}

impl PartitionError {
    /// The one that is behind an error of the store, if there is one.
    pub fn of(error: &StoreError) -> Option<&Self> {
        match error {
            StoreError::Unavailable(source) => source.downcast_ref(),
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Readers(_) => ErrorKind::TimedOut,
            Self::Table(_) | Self::Extras(_) | Self::ForeignCopy => ErrorKind::Schema,
        }
    }
}

impl From<PartitionError> for StoreError {
    fn from(error: PartitionError) -> Self {
        Self::unavailable(error)
    }
}

/// The kind of the table, how it is partitioned and by which column, and of each of its parts the kind and the bounds.
const TABLE: &str = "
    SELECT c.relkind::text, p.partstrat::text,
           (SELECT string_agg(attname, ' ') FROM pg_attribute
            WHERE attrelid = c.oid AND attnum = ANY (p.partattrs::int2[])),
           ARRAY(SELECT part.relkind::text || ' ' || COALESCE(pg_get_expr(part.relpartbound, part.oid), '')
                 FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = c.oid)
    FROM pg_class AS c LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
    WHERE c.oid = to_regclass('ballots')";

/// How the table is kept. Needs no right.
pub(super) fn table(client: &mut impl GenericClient) -> Result<BallotTable, StoreError> {
    let row = client.query_opt(TABLE, &[])?;
    let row = row.ok_or_else(|| StoreError::unavailable("there is no table of ballots"))?;
    let (kind, strategy, columns): (String, Option<String>, Option<String>) =
        (row.get(0), row.get(1), row.get(2));
    let parts: Vec<String> = row.get(3);
    Ok(
        match (kind.as_str(), strategy.as_deref(), columns.as_deref()) {
            ("r", None, _) if parts.is_empty() => BallotTable::Whole(Partitions::ONE),
            ("p", Some("h"), Some("voter")) => of_parts(&parts),
            _ => BallotTable::OtherWay,
        },
    )
}

fn of_parts(parts: &[String]) -> BallotTable {
    let mut of = None;
    for part in parts {
        let modulus = modulus(part);
        if modulus.is_none() || of.is_some_and(|of| Some(of) != modulus) {
            return BallotTable::OtherWay;
        }
        of = modulus;
    }
    let found = u16::try_from(parts.len()).unwrap_or(u16::MAX);
    match (of, of.and_then(Partitions::new)) {
        // No two parts have the same remainder, so there is one for each.
        (Some(of), Some(partitions)) if of == found => BallotTable::Whole(partitions),
        (Some(of), _) if of > found => BallotTable::Incomplete { found, of },
        _ => BallotTable::OtherWay,
    }
}

/// Of `r FOR VALUES WITH (modulus 8, remainder 3)`; `None` unless it is an ordinary table with such bounds.
fn modulus(part: &str) -> Option<u16> {
    let bounds = part.strip_prefix("r FOR VALUES WITH (modulus ")?;
    bounds.split_once(',')?.0.parse().ok()
}

/// Whether there is an unfinished copy.
pub(super) fn has_copy(client: &mut impl GenericClient) -> Result<bool, StoreError> {
    let ask = "SELECT to_regclass($1) IS NOT NULL, obj_description(to_regclass($1), 'pg_class')";
    let row = client.query_one(ask, &[&COPY])?;
    let (is_there, mark): (bool, Option<String>) = (row.get(0), row.get(1));
    match mark.as_deref() {
        Some(COPY_MARK) => Ok(true),
        _ if is_there => Err(PartitionError::ForeignCopy.into()),
        _ => Ok(false),
    }
}

impl Inner {
    fn ballot_table(&self) -> Result<(BallotTable, bool), StoreError> {
        self.ask(|connection| {
            let table = table(&mut **connection)?;
            let has_copy = match has_copy(&mut **connection) {
                // The table belongs to somebody else. It is no obstacle yet.
                Err(error) if PartitionError::of(&error).is_some() => false,
                answer => answer?,
            };
            Ok((table, has_copy))
        })
    }
}

impl Postgres {
    /// How the table of ballots is kept, and whether there is an unfinished copy of it: of a change that goes on, or of
    /// one that was interrupted. Needs no right but to read the version of the tables.
    ///
    /// # Errors
    /// The store does not answer, or has no such table.
    pub async fn ballot_table(&self) -> Result<(BallotTable, bool), StoreError> {
        self.call(|inner| inner.ballot_table()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_reported_by_its_parts() {
        let part = |of: u16, at: u16| format!("r FOR VALUES WITH (modulus {of}, remainder {at})");
        let all: Vec<_> = (0..8).map(|at| part(8, at)).collect();
        assert_eq!(of_parts(&all), BallotTable::Whole(Partitions(8)));
        let (found, of) = (7, 8);
        assert_eq!(of_parts(&all[1..]), BallotTable::Incomplete { found, of });
        for other in [
            vec![],
            vec![part(2, 0), part(4, 1), part(4, 3)],
            vec![
                part(2, 0),
                "f FOR VALUES WITH (modulus 2, remainder 1)".to_owned(),
            ],
            vec![
                part(2, 0),
                "p FOR VALUES WITH (modulus 2, remainder 1)".to_owned(),
            ],
            vec!["r DEFAULT".to_owned()],
            (0..65).map(|at| part(65, at)).collect(),
        ] {
            assert_eq!(of_parts(&other), BallotTable::OtherWay, "{other:?}");
        }
    }

    #[test]
    fn there_are_one_to_64_partitions() {
        assert_eq!(Partitions::new(1), Some(Partitions::ONE));
        assert_eq!(Partitions::new(64).map(Partitions::count), Some(64));
        assert_eq!([0, 65].map(Partitions::new), [None; 2]);
    }
}
