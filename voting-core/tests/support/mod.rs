//! A database of its own for each test, and batches to write to it.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::sync::LazyLock;

use voting_core::{
    Ballot, BatchFlusher, Choices, Poll, PollId, PollOption, PollStore, Receipt, TallyStore,
    VoterId,
    backends::postgres::{Postgres, PostgresOptions},
    model::position::{EntryId, Position, ShardId},
    store::{
        batch::{Batch, PlacedBallot},
        outcome::Totals,
    },
};
use voting_testing::PostgresServer;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// A database without tables, as its owner sees it.
pub struct Database {
    pub name: String,
    pub url: String,
}

impl Database {
    pub fn new() -> Self {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let url = SERVER.database(&name);
        Self { name, url }
    }

    /// Runs statements as the superuser.
    pub fn sql(&self, statements: &str) -> String {
        PostgresServer::sql(&self.url, statements).expect("done")
    }

    pub fn store(&self) -> Postgres {
        connect(&self.url)
    }

    /// With its tables, and a poll `p` of two options.
    pub async fn with_poll(&self) -> Postgres {
        let store = self.store();
        store.migrate().await.expect("migrated");
        store.put_poll(&poll()).await.expect("stored");
        store
    }

    /// A new login, in a role if one is named. Its address.
    pub fn login(&self, role: Option<&str>) -> String {
        let login = format!("login_{}", uuid::Uuid::now_v7().simple());
        let role = role.map_or(String::new(), |role| format!("IN ROLE {role}"));
        self.sql(&format!("CREATE ROLE {login} LOGIN {role}"));
        SERVER.url_as(&login, &self.name)
    }
}

pub fn connect(url: &str) -> Postgres {
    Postgres::new(url, PostgresOptions::default()).expect("an address")
}

/// An error with its causes.
pub fn in_words(error: &voting_core::StoreError) -> String {
    voting_core::error::in_one_line(error)
}

pub fn poll_id() -> PollId {
    "p".parse().expect("an id")
}

pub fn poll() -> Poll {
    poll_named("p")
}

pub fn poll_named(id: &str) -> Poll {
    let options = ["a", "b"].map(|id| PollOption {
        id: id.parse().expect("an id"),
        label: id.to_owned(),
    });
    let id = id.parse().expect("an id");
    Poll::new(id, "Which?", options.to_vec(), 1).expect("a poll")
}

pub fn ballot(voter: u128, bits: u64) -> Ballot {
    Ballot {
        poll: poll_id(),
        voter: VoterId::from_bytes(voter.to_be_bytes()),
        choices: Choices::from_bits(bits).expect("choices"),
        rules: None,
    }
}

/// The place of the only ballot in the entry of that time.
pub fn at(ms: u64) -> Position {
    Position::new(ShardId(0), EntryId::new(ms, 0).expect("an id"), 0)
}

/// A batch of one entry for each ballot, from that time on, each a millisecond after the other.
pub fn batch(from: u64, ballots: impl IntoIterator<Item = Ballot>) -> Batch {
    let ballots: Vec<_> = (from..)
        .zip(ballots)
        .map(|(ms, ballot)| PlacedBallot {
            position: at(ms),
            ballot,
        })
        .collect();
    Batch {
        entries: ballots
            .iter()
            .map(|placed| ((ShardId(0), placed.position.entry()), 1))
            .collect(),
        ballots,
        ..Batch::default()
    }
}

pub fn receipt(voter: u128, ms: u64) -> Receipt {
    Receipt {
        poll: poll_id(),
        voter: ballot(voter, 1).voter,
        position: at(ms),
    }
}

/// The votes, once they are found to be what the ballots say, and all `flushed` ballots told.
pub async fn votes(store: &Postgres, flushed: u64) -> (Vec<u64>, Totals) {
    let recount = store.recount(&poll_id()).await.expect("a recount");
    let recount = recount.expect("the poll");
    assert!(recount.agrees(), "{recount:?}");
    let totals = store.totals().await.expect("totals");
    let told = totals.counted + totals.superseded + totals.rejected;
    assert_eq!(told, flushed, "{totals:?}");
    (recount.kept.votes, totals)
}
