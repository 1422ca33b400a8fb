//! Reads a poll from Postgres, with its own statements. If a check used the code that it checks, it could not find a
//! fault in that code.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use postgres::{Client, IsolationLevel, NoTls, Transaction, fallible_iterator::FallibleIterator};
use uuid::Uuid;

use crate::{
    checking::{error::CheckError, service::Tally, voter_check::Stored},
    token::Position,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A number of voters, and the votes by option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) voters: u64,
    pub(crate) votes: Vec<u64>,
}

impl Count {
    /// The count in a tally.
    pub(crate) fn of(tally: &Tally) -> Self {
        Self {
            voters: tally.voters,
            votes: tally.votes(),
        }
    }

    /// The difference in voters and votes. An option that one of the two counts lacks has no votes there.
    pub(crate) fn differs_from(&self, other: &Self) -> u64 {
        let options = 0..self.votes.len().max(other.votes.len());
        let of = |count: &Self, option: usize| count.votes.get(option).copied().unwrap_or(0);
        let votes = options.map(|option| of(self, option).abs_diff(of(other, option)));
        let votes: u64 = votes.sum();
        votes + self.voters.abs_diff(other.voters)
    }
}

/// The store's totals: how many ballots of all polls were counted, superseded and rejected. Each ballot is recorded
/// once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    counted: u64,
    superseded: u64,
    rejected: u64,
    /// Changes with each flush of ballots of other polls.
    elsewhere: u64,
}

/// What the store has recorded between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordedSince {
    pub(crate) ballots: u64,
    pub(crate) superseded: u64,
    /// Whether others have voted in other polls meanwhile, or ballots were rejected.
    pub(crate) others: bool,
}

impl Recorded {
    fn ballots(&self) -> u64 {
        self.counted + self.superseded + self.rejected
    }

    pub(crate) fn since(&self, before: &Self) -> RecordedSince {
        RecordedSince {
            ballots: self.ballots().saturating_sub(before.ballots()),
            superseded: self.superseded.saturating_sub(before.superseded),
            // If the rejected ballots are of this load, this is a fault in itself.
            others: self.elsewhere != before.elsewhere || self.rejected != before.rejected,
        }
    }
}

/// The entries of the log that are flushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// By shard: all entries below this id are flushed.
    below: HashMap<u16, (u64, u64)>,
    /// These entries are flushed too.
    also: HashSet<(u16, u64, u64)>,
}

impl Flushed {
    /// Whether the entry with the ballot at this place is flushed.
    pub(crate) fn has(&self, Position { shard, ms, n }: Position) -> bool {
        let seq = n >> 16;
        let below = self.below.get(&shard);
        below.is_some_and(|below| (ms, seq) < *below) || self.also.contains(&(shard, ms, seq))
    }
}

/// Recognises ballots that were in the log before the load began.
#[derive(Debug, Clone)]
pub(crate) struct Beginning {
    /// The entries that were flushed when the load looked.
    pub(crate) flushed: Flushed,
    /// The first known ballot of the load, by shard, with its place in the millisecond. If no receipt was opened, it
    /// is taken from the rows of the load's voters.
    pub(crate) first: HashMap<u16, (u64, u64)>,
}

/// Notes a ballot of the load.
pub(crate) fn note(first: &mut HashMap<u16, (u64, u64)>, Position { shard, ms, n }: Position) {
    let known = first.entry(shard).or_insert((ms, n));
    *known = (ms, n).min(*known);
}

impl Beginning {
    /// Whether somebody else's ballot was cast before the load began, and counted after that.
    fn was_pending(&self, position: Position, rows: &HashMap<u16, (u64, u64)>) -> bool {
        let Position { shard, ms, n } = position;
        let first = match self.first.is_empty() {
            true => rows,
            false => &self.first,
        };
        let is_older = match first.get(&shard) {
            Some(first) => (ms, n) < *first,
            // All shards of one server have the same clock.
            None => first.values().min().is_some_and(|first| ms < first.0),
        };
        is_older && !self.flushed.has(position)
    }
}

/// The contents of the store.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The ballot of each voter that was asked for.
    pub(crate) stored: Vec<Option<Stored>>,
    /// The number of ballots of other voters.
    pub(crate) strangers: u64,
    /// How many of these were pending when the load began.
    pub(crate) were_pending: u64,
    /// The tally that is kept.
    pub(crate) kept: Count,
    /// The count of the ballots, in the same snapshot.
    pub(crate) counted: Count,
    /// The store's totals. `None` if the login may not read them; the result service's login may not.
    pub(crate) recorded: Option<Recorded>,
    /// The flushed entries. `None` in the same case.
    pub(crate) flushed: Option<Flushed>,
}

/// Reads all ballots of a poll. `voters` are the voters to look for, in order.
pub(crate) async fn scan(
    url: &str,
    poll: &str,
    voters: Vec<u128>,
    beginning: Option<Arc<Beginning>>,
) -> Result<Scan, CheckError> {
    let (url, poll) = (url.to_owned(), poll.to_owned());
    // The client blocks while it waits for answers, and when it is dropped.
    let scan = move || try_scan(&url, &poll, &voters, beginning.as_deref());
    let scan = tokio::task::spawn_blocking(scan).await;
    let scan = scan.map_err(|error| CheckError::Store(error.into()))?;
    scan.map_err(CheckError::Store)
}

fn try_scan(
    url: &str,
    poll: &str,
    voters: &[u128],
    beginning: Option<&Beginning>,
) -> Result<Scan, Error> {
    let mut client = Client::connect(url, NoTls)?;
    let mut snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()?;
    let row = snapshot.query_opt("SELECT key FROM polls WHERE id = $1", &[&poll])?;
    let key: i32 = row
        .ok_or_else(|| format!("there is no poll {poll}"))?
        .get(0);

    let mut kept = Count {
        votes: vec![0; 63],
        ..Count::default()
    };
    let voted = "SELECT COALESCE(SUM(voters), 0)::bigint FROM turnouts WHERE poll = $1";
    kept.voters = u64::try_from(snapshot.query_one(voted, &[&key])?.get::<_, i64>(0))?;
    let votes = "SELECT option, SUM(votes)::bigint FROM tallies WHERE poll = $1 GROUP BY option";
    for row in snapshot.query(votes, &[&key])? {
        let option = usize::try_from(row.get::<_, i16>(0))?;
        let slot = kept.votes.get_mut(option).ok_or("votes for no option")?;
        *slot = u64::try_from(row.get::<_, i64>(1))?;
    }

    let mut counted = Count {
        votes: vec![0; 63],
        ..Count::default()
    };
    let (mut stored, mut strangers) = (vec![None; voters.len()], 0);
    // The ballots of others that were not counted when the load began, and the first ballot of the load.
    let (mut others, mut first) = (Vec::new(), HashMap::new());
    let mut next = 0;
    // The rows are read one by one, since they would not all fit in memory.
    let ballots = "SELECT voter, choices, shard, ms, n FROM ballots WHERE poll = $1 ORDER BY voter";
    let mut rows = snapshot.query_raw(ballots, [key])?;
    while let Some(row) = rows.next()? {
        let choices = u64::try_from(row.get::<_, i64>(1))?;
        counted.voters += 1;
        for (option, votes) in counted.votes.iter_mut().enumerate() {
            *votes += choices >> option & 1;
        }
        let voter = row.get::<_, Uuid>(0).as_u128();
        while voters.get(next).is_some_and(|asked| *asked < voter) {
            next += 1;
        }
        let position = Position {
            shard: u16::try_from(row.get::<_, i32>(2))?,
            ms: u64::try_from(row.get::<_, i64>(3))?,
            n: u64::try_from(row.get::<_, i64>(4))?,
        };
        if voters.get(next) != Some(&voter) {
            strangers += 1;
            if beginning.is_some_and(|beginning| !beginning.flushed.has(position)) {
                others.push(position);
            }
            continue;
        }
        note(&mut first, position);
        // There cannot be two ballots of one voter. If there were two, it would be a fault.
        if stored[next].replace(Stored { choices, position }).is_some() {
            strangers += 1;
        }
    }
    drop(rows);
    let were_pending = others.iter().filter(|position| {
        beginning.is_some_and(|beginning| beginning.was_pending(**position, &first))
    });
    let were_pending = were_pending.count() as u64;
    let (recorded, flushed) = if may_see_all(&mut snapshot)? {
        (
            Some(recorded(&mut snapshot, key)?),
            Some(flushed(&mut snapshot)?),
        )
    } else {
        (None, None)
    };
    snapshot.commit()?;
    Ok(Scan {
        stored,
        strangers,
        were_pending,
        kept,
        counted,
        recorded,
        flushed,
    })
}

fn may_see_all(snapshot: &mut Transaction<'_>) -> Result<bool, Error> {
    let rights = "SELECT has_table_privilege('superseded', 'SELECT')
        AND has_table_privilege('applied', 'SELECT')
        AND has_table_privilege('applied_below', 'SELECT')
        AND has_column_privilege('dead_letters', 'ballots', 'SELECT')";
    Ok(snapshot.query_one(rights, &[])?.get(0))
}

fn recorded(snapshot: &mut Transaction<'_>, poll: i32) -> Result<Recorded, Error> {
    // A flush writes the row of a turnout even if no value changes. In this case only `xmin` shows the flush.
    let sums = "SELECT
        (SELECT COALESCE(SUM(voters), 0)::bigint FROM turnouts),
        (SELECT COALESCE(SUM(ballots), 0)::bigint FROM superseded),
        (SELECT COALESCE(SUM(ballots), 0)::bigint FROM dead_letters),
        (SELECT COALESCE(SUM(xmin::text::bigint), 0)::bigint FROM turnouts WHERE poll <> $1)";
    let row = snapshot.query_one(sums, &[&poll])?;
    let sum = |at: usize| u64::try_from(row.get::<_, i64>(at));
    Ok(Recorded {
        counted: sum(0)?,
        superseded: sum(1)?,
        rejected: sum(2)?,
        elsewhere: sum(3)?,
    })
}

fn flushed(snapshot: &mut Transaction<'_>) -> Result<Flushed, Error> {
    let mut flushed = Flushed::default();
    let marks = "SELECT shard, ms, seq, true FROM applied_below
        UNION ALL SELECT shard, ms, seq, false FROM applied";
    let mut rows = snapshot.query_raw(marks, [] as [i32; 0])?;
    while let Some(row) = rows.next()? {
        let shard = u16::try_from(row.get::<_, i32>(0))?;
        let ms = u64::try_from(row.get::<_, i64>(1))?;
        let seq = u64::try_from(row.get::<_, i64>(2))?;
        if row.get(3) {
            flushed.below.insert(shard, (ms, seq));
        } else {
            flushed.also.insert((shard, ms, seq));
        }
    }
    Ok(flushed)
}
