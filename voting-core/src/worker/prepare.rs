//! Makes a [`Batch`] of log entries: decodes them, finds the invalid ballots, keeps the newest of
//! each voter.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use crate::{
    ballot::{Ballot, VoterId},
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

    fn check(&self, ballot: &Ballot, position: Position) -> Result<(), RejectReason> {
        let poll = self.0.get(&ballot.poll).ok_or(RejectReason::UnknownPoll)?;
        poll.check(ballot.choices, position)
    }
}

/// Of each voter in a poll.
type Newest<'a> = HashMap<(&'a PollId, VoterId), (Position, &'a Ballot)>;

/// Checks and sorts what was gathered.
pub(super) fn prepare(gathered: &Gathered, polls: &KnownPolls) -> Batch {
    let mut batch = Batch {
        settled: gathered.settled.clone(),
        ..Batch::default()
    };
    let mut newest = Newest::with_capacity(gathered.ballots);
    for (log_entry, decoded) in &gathered.entries {
        let (shard, id) = (log_entry.shard, log_entry.id);
        let mut valid = 0;
        match decoded {
            Ok(ballots) => {
                for (index, ballot) in (0..=u16::MAX).zip(ballots) {
                    let position = Position::new(shard, id, index);
                    match polls.check(ballot, position) {
                        Ok(()) => {
                            valid += 1;
                            keep_newest(&mut newest, position, ballot);
                        }
                        Err(reason) => batch.dead_letters.push(DeadLetter {
                            position,
                            reason,
                            detail: format!("poll {}, options {:?}", ballot.poll, ballot.choices),
                            payload: entry::of_one(ballot).payload,
                            ballots: 1,
                        }),
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
    let newest = newest.into_values();
    batch.ballots = newest
        .map(|(position, ballot)| PlacedBallot {
            position,
            ballot: ballot.clone(),
        })
        .collect();
    // One order for all workers, so that two that write the same voters wait for each other and
    // never lock each other out; and neighbours in the index are written together.
    batch.ballots.sort_unstable_by(|a, b| {
        (&a.ballot.poll, a.ballot.voter).cmp(&(&b.ballot.poll, b.ballot.voter))
    });
    batch
}

fn keep_newest<'a>(newest: &mut Newest<'a>, position: Position, ballot: &'a Ballot) {
    match newest.entry((&ballot.poll, ballot.voter)) {
        Entry::Vacant(slot) => _ = slot.insert((position, ballot)),
        Entry::Occupied(mut slot) if position > slot.get().0 => {
            slot.insert((position, ballot));
        }
        Entry::Occupied(_) => {}
    }
}
