//! Reads a poll from Postgres, with statements of its own: a checker that asked the code which it
//! checks would believe it.

use postgres::{Client, IsolationLevel, NoTls, fallible_iterator::FallibleIterator};
use uuid::Uuid;

use crate::{check::CheckError, judge::Stored, token::Position};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How many voters there are, and votes by option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) voters: u64,
    pub(crate) votes: Vec<u64>,
}

impl Count {
    /// By how many voters and votes.
    pub(crate) fn differs_from(&self, other: &Self) -> u64 {
        let votes = self.votes.iter().zip(&other.votes);
        let votes: u64 = votes.map(|(one, two)| one.abs_diff(*two)).sum();
        votes + self.voters.abs_diff(other.voters)
    }
}

/// What is in the store.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Of each voter that was asked for.
    pub(crate) stored: Vec<Option<Stored>>,
    /// Ballots of voters that were not asked for.
    pub(crate) strangers: u64,
    /// The tally that is kept.
    pub(crate) kept: Count,
    /// What the ballots say, in the same snapshot.
    pub(crate) counted: Count,
}

/// Reads all ballots of a poll; `voters` are those that are asked for, in order.
pub(crate) async fn scan(url: &str, poll: &str, voters: Vec<u128>) -> Result<Scan, CheckError> {
    let (url, poll) = (url.to_owned(), poll.to_owned());
    // The client waits for its answers, and when it is dropped.
    let scan = tokio::task::spawn_blocking(move || try_scan(&url, &poll, &voters)).await;
    let scan = scan.map_err(|error| CheckError::Store(error.into()))?;
    scan.map_err(CheckError::Store)
}

fn try_scan(url: &str, poll: &str, voters: &[u128]) -> Result<Scan, Error> {
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
    let mut next = 0;
    // Row by row: all of them would not fit in memory.
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
        if voters.get(next) != Some(&voter) {
            strangers += 1;
            continue;
        }
        let position = Position {
            shard: u16::try_from(row.get::<_, i32>(2))?,
            ms: u64::try_from(row.get::<_, i64>(3))?,
            n: u64::try_from(row.get::<_, i64>(4))?,
        };
        // Two ballots of a voter would be worse than one of them; there cannot be.
        if stored[next].replace(Stored { choices, position }).is_some() {
            strangers += 1;
        }
    }
    drop(rows);
    snapshot.commit()?;
    Ok(Scan {
        stored,
        strangers,
        kept,
        counted,
    })
}
