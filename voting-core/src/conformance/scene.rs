//! What the requirements are told with.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, timeout};

use super::Backend;
use crate::{
    log::{
        BallotQueue, VoteSink,
        claim::LogEntry,
        entry::{self, NewEntry},
    },
    model::{
        ballot::{Ballot, Choices, VoterId},
        id::PollId,
        poll::{Poll, PollOption},
        position::{EntryId, EntryKey, Position, ShardId},
        tally::Tally,
    },
    pipeline::{
        group_commit::{GroupCommit, GroupCommitOptions},
        replay::{self, Revived},
        worker::{Progress, Worker, WorkerHandle, WorkerOptions},
    },
    store::{
        batch::{Batch, PlacedBallot},
        dead_letter::DeadLetter,
    },
};

/// Longer than anything takes; a wait that ends with it has failed.
pub(super) const LONG: Duration = Duration::from_secs(30);

pub(super) fn poll_of(id: &str, options: usize, max_choices: usize) -> Poll {
    let options = (0..options)
        .map(|index| PollOption {
            id: format!("o{index}").parse().expect("an id"),
            label: format!("Option {index}"),
        })
        .collect();
    Poll::new(poll_id(id), "Which?", options, max_choices).expect("a poll")
}

pub(super) fn poll_id(id: &str) -> PollId {
    id.parse().expect("an id")
}

pub(super) fn voter(number: u128) -> VoterId {
    VoterId::from_bytes(number.to_be_bytes())
}

pub(super) fn ballot(poll: &str, number: u128, bits: u64) -> Ballot {
    Ballot {
        poll: poll_id(poll),
        voter: voter(number),
        choices: Choices::from_bits(bits).expect("choices"),
        rules: None,
    }
}

pub(super) fn entry_key(ms: u64, seq: u64) -> EntryKey {
    (ShardId(0), EntryId::new(ms, seq).expect("an entry id"))
}

/// A batch of one entry per `(ms, ballot)`, in which no voter is twice.
pub(super) fn batch(entries: &[(u64, Ballot)]) -> Batch {
    let mut ballots: Vec<_> = entries
        .iter()
        .map(|(ms, ballot)| {
            let (shard, entry) = entry_key(*ms, 0);
            PlacedBallot {
                position: Position::new(shard, entry, 0),
                ballot: ballot.clone(),
            }
        })
        .collect();
    ballots.sort_by_key(|placed| (placed.ballot.poll.clone(), placed.ballot.voter));
    Batch {
        entries: entries
            .iter()
            .map(|(ms, _)| (entry_key(*ms, 0), 1))
            .collect(),
        ballots,
        ..Batch::default()
    }
}

impl Backend {
    pub(super) async fn has_poll(&self, options: usize, max_choices: usize) {
        let poll = poll_of("p", options, max_choices);
        self.polls
            .put_poll(&poll)
            .await
            .expect("the poll is stored");
    }

    pub(super) fn sink(&self) -> GroupCommit {
        GroupCommit::new(self.log.clone(), GroupCommitOptions::default())
    }

    pub(super) async fn cast(&self, ballot: Ballot) -> Position {
        self.sink().cast(ballot).await.expect("cast").position
    }

    /// An entry of its own, at the voter's shard.
    pub(super) async fn append(&self, ballot: &Ballot) -> EntryKey {
        let shard = ShardId::of(ballot.voter, self.log.shards());
        let entry = entry::of_one(ballot);
        (
            shard,
            self.log.append(shard, entry).await.expect("appended"),
        )
    }

    /// An entry as somebody else might write it.
    pub(super) async fn append_raw(&self, shard: ShardId, payload: Vec<u8>) -> EntryKey {
        let entry = NewEntry {
            payload,
            ballots: 1,
            polls: Vec::new(),
            traces: Vec::new(),
            deadline_ms: None,
        };
        (
            shard,
            self.log.append(shard, entry).await.expect("appended"),
        )
    }

    pub(super) async fn tally(&self) -> Tally {
        let tally = self.tallies.tally(&poll_id("p")).await.expect("a tally");
        tally.expect("the poll is there")
    }

    pub(super) async fn votes(&self) -> Vec<u64> {
        self.tally().await.votes
    }

    pub(super) fn worker(&self, options: WorkerOptions) -> WorkerHandle {
        Worker::new(
            (self.queue)(),
            self.polls.clone(),
            self.flusher.clone(),
            options,
        )
        .start()
    }

    /// Tries to count a dead letter.
    pub(super) async fn revive(&self, position: Position) -> Revived {
        let (polls, letters) = (self.polls.as_ref(), self.dead_letters.as_ref());
        let revived = replay::revive(polls, letters, self.flusher.as_ref(), None, position);
        revived.await.expect("an answer")
    }

    /// The dead letters, few as they are.
    pub(super) async fn letters(&self) -> Vec<DeadLetter> {
        let letters = self.dead_letters.dead_letters(None, 100).await;
        letters.expect("dead letters")
    }

    /// The tally is what the ballots say.
    pub(super) async fn tally_agrees(&self) {
        let recount = self.tallies.recount(&poll_id("p")).await;
        let recount = recount.expect("a recount").expect("the poll is there");
        assert!(recount.agrees(), "{recount:?}");
    }

    /// The tally is what the ballots say, and every accepted ballot is somewhere.
    pub(super) async fn is_consistent(&self) {
        self.tally_agrees().await;
        let stats = (self.queue)().stats().await.expect("stats");
        let totals = self.flusher.totals().await.expect("totals");
        assert_eq!(
            stats.accepted,
            totals.counted + totals.superseded + totals.rejected + stats.pending,
            "{stats:?} {totals:?}"
        );
    }
}

/// Claims until there are so many entries, of which none is acknowledged: one that comes again meanwhile is
/// passed over.
pub(super) async fn claim_all(
    queue: &dyn BallotQueue,
    entries: usize,
    max_ballots: usize,
) -> Vec<LogEntry> {
    let deadline = Instant::now() + LONG;
    let (mut claimed, mut known) = (Vec::new(), HashSet::new());
    while claimed.len() < entries {
        assert!(Instant::now() < deadline, "{} of {entries}", claimed.len());
        let claim = queue.claim(max_ballots, Duration::from_millis(50)).await;
        let claim = claim.expect("claimed").entries.into_iter();
        claimed.extend(claim.filter(|entry| known.insert((entry.shard, entry.id))));
    }
    claimed
}

/// Waits until the worker's progress is so.
pub(super) async fn until(
    worker: &WorkerHandle,
    what: &str,
    is_so: impl FnMut(&Progress) -> bool,
) -> Progress {
    let mut progress = worker.progress().clone();
    let progress = timeout(LONG, progress.wait_for(is_so)).await;
    progress.expect(what).expect("the worker runs").clone()
}

pub(super) fn quick() -> WorkerOptions {
    WorkerOptions {
        max_wait: Duration::from_millis(5),
        min_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(20),
        ..WorkerOptions::default()
    }
}
