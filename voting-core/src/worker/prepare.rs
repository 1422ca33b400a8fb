//! Makes a [`Batch`] of log entries: decodes them, finds the invalid ballots, keeps the newest of
//! each voter.

use std::collections::{HashMap, HashSet};

use crate::{
    ballot::Ballot,
    batch::{Batch, Claim, EntryKey, LogEntry, PlacedBallot},
    dead_letter::{DeadLetter, RejectReason},
    entry::{self, MalformedEntry},
    id::PollId,
    poll::Poll,
    position::{EntryId, Position, ShardId},
};

/// Entries that are decoded but not yet checked.
#[derive(Default)]
pub(super) struct Gathered {
    entries: Vec<(LogEntry, Result<Vec<Ballot>, MalformedEntry>)>,
    seen: HashSet<EntryKey>,
    settled: HashMap<ShardId, EntryId>,
    ballots: usize,
}

impl Gathered {
    pub(super) fn add(&mut self, claim: Claim) {
        for entry in claim.entries {
            // A log that has not heard from this worker for long hands it its own entries again.
            if self.seen.insert((entry.shard, entry.id)) {
                let decoded = entry::decode(&entry.payload);
                self.ballots += decoded.as_ref().map_or(1, Vec::len);
                self.entries.push((entry, decoded));
            }
        }
        self.settled.extend(claim.settled);
    }

    /// Ballots so far; an entry that cannot be read is one.
    pub(super) fn ballots(&self) -> usize {
        self.ballots
    }
}

/// The polls that ballots were cast in. They are kept: a store that knows one to be closed, of which
/// this does not know yet, refuses the batch. Polls that are missing are asked for each time.
#[derive(Default)]
pub(super) struct KnownPolls(HashMap<PollId, Poll>);

impl KnownPolls {
    /// The polls of the ballots that are not known.
    pub(super) fn missing(&self, gathered: &Gathered) -> Vec<PollId> {
        let ballots = gathered
            .entries
            .iter()
            .flat_map(|(_, decoded)| decoded)
            .flatten();
        let missing: HashSet<_> = ballots
            .map(|ballot| &ballot.poll)
            .filter(|poll| !self.0.contains_key(poll))
            .collect();
        missing.into_iter().cloned().collect()
    }

    pub(super) fn learn(&mut self, polls: Vec<Poll>) {
        self.0
            .extend(polls.into_iter().map(|poll| (poll.id().clone(), poll)));
    }

    pub(super) fn forget(&mut self, poll: &PollId) {
        self.0.remove(poll);
    }

    fn check(&self, placed: &PlacedBallot) -> Result<(), RejectReason> {
        let ballot = &placed.ballot;
        let poll = self.0.get(&ballot.poll).ok_or(RejectReason::UnknownPoll)?;
        poll.check(ballot.choices, placed.position)
    }
}

/// Checks and sorts what was gathered.
pub(super) fn prepare(gathered: &Gathered, polls: &KnownPolls) -> Batch {
    let mut batch = Batch {
        ballots: Vec::with_capacity(gathered.ballots),
        settled: gathered.settled.clone(),
        ..Batch::default()
    };
    for (log_entry, decoded) in &gathered.entries {
        let (shard, id) = (log_entry.shard, log_entry.id);
        let mut valid = 0;
        match decoded {
            Ok(ballots) => {
                for (index, ballot) in (0..=u16::MAX).zip(ballots) {
                    let placed = PlacedBallot {
                        position: Position::new(shard, id, index),
                        ballot: ballot.clone(),
                    };
                    match polls.check(&placed) {
                        Ok(()) => {
                            valid += 1;
                            batch.ballots.push(placed);
                        }
                        Err(reason) => batch.dead_letters.push(DeadLetter::of(&placed, reason)),
                    }
                }
            }
            Err(error) => batch.dead_letters.push(DeadLetter {
                position: Position::new(shard, id, 0),
                reason: RejectReason::Malformed,
                detail: error.to_string(),
                payload: log_entry.payload.clone(),
                ballots: log_entry.ballots,
            }),
        }
        batch.entries.push(((shard, id), valid));
    }
    batch.keep_newest();
    batch
}
