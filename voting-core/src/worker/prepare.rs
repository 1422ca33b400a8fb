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

/// The definitions of polls that ballots were cast in. What matters of them never changes, so
/// they are kept; polls that are missing are asked for each time.
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

    fn check(&self, ballot: &Ballot) -> Result<(), RejectReason> {
        let poll = self.0.get(&ballot.poll).ok_or(RejectReason::UnknownPoll)?;
        poll.check(ballot.choices)
    }
}

/// Checks and sorts what was gathered.
pub(super) fn prepare(gathered: Gathered, polls: &KnownPolls) -> Batch {
    let mut batch = Batch {
        settled: gathered.settled,
        ..Batch::default()
    };
    let mut newest: HashMap<(PollId, VoterId), PlacedBallot> =
        HashMap::with_capacity(gathered.ballots);
    for (log_entry, decoded) in gathered.entries {
        let LogEntry {
            shard,
            id,
            payload,
            ballots: appended,
        } = log_entry;
        let mut valid = 0;
        match decoded {
            Ok(ballots) => {
                for (index, ballot) in (0..=u16::MAX).zip(ballots) {
                    let position = Position::new(shard, id, index);
                    match polls.check(&ballot) {
                        Ok(()) => {
                            valid += 1;
                            let placed = PlacedBallot { position, ballot };
                            batch.replaced.extend(keep_newest(&mut newest, placed));
                        }
                        Err(reason) => batch.dead_letters.push(DeadLetter {
                            position,
                            reason,
                            detail: format!("poll {}, options {:?}", ballot.poll, ballot.choices),
                            payload: entry::encode_one(&ballot),
                            ballots: 1,
                        }),
                    }
                }
            }
            Err(error) => batch.dead_letters.push(DeadLetter {
                position: Position::new(shard, id, 0),
                reason: RejectReason::Malformed,
                detail: error.to_string(),
                payload,
                ballots: appended,
            }),
        }
        batch.entries.push(((shard, id), valid));
    }
    batch.ballots = newest.into_values().collect();
    // One order for all workers, so that two that write the same voters wait for each other and
    // never lock each other out; and neighbours in the index are written together.
    batch.ballots.sort_unstable_by(|a, b| {
        (&a.ballot.poll, a.ballot.voter).cmp(&(&b.ballot.poll, b.ballot.voter))
    });
    batch
}

/// The one of two ballots of a voter that is replaced, if there are two.
fn keep_newest(
    newest: &mut HashMap<(PollId, VoterId), PlacedBallot>,
    placed: PlacedBallot,
) -> Option<PlacedBallot> {
    match newest.entry((placed.ballot.poll.clone(), placed.ballot.voter)) {
        Entry::Vacant(slot) => {
            slot.insert(placed);
            None
        }
        Entry::Occupied(mut slot) if placed.position > slot.get().position => {
            Some(slot.insert(placed))
        }
        Entry::Occupied(_) => Some(placed),
    }
}
