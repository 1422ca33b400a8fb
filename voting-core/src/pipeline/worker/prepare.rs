//! Makes a [`Batch`] of log entries: decodes the entries, finds the invalid ballots, and keeps the ballot of each
//! voter that counts.

use std::collections::{HashMap, HashSet};

use crate::{
    log::{
        claim::{Claim, LogEntry},
        entry::{self, MalformedEntry},
        entry_keys::{EntryKeys, UnknownKey},
        signed_entry,
    },
    model::{
        ballot::Ballot,
        id::PollId,
        poll::Poll,
        position::{EntryId, EntryKey, Position, ShardId},
        rejection::RejectReason,
        source::Source,
    },
    pipeline::rule::Refusal,
    store::{
        batch::{Batch, PlacedBallot},
        dead_letter::DeadLetter,
        unsigned::UnsignedUntil,
    },
    trace::Followed,
};

/// Polls by their ids.
pub(super) type Known = HashMap<PollId, Poll>;

/// Entries that are decoded but not yet checked.
#[derive(Default)]
pub(super) struct Gathered {
    entries: Vec<(LogEntry, Result<Vec<Ballot>, MalformedEntry>)>,
    seen: HashSet<EntryKey>,
    acknowledged_below: HashMap<ShardId, EntryId>,
    ballots: usize,
    /// The polls of its ballots that were deleted.
    pub(super) deleted: HashSet<PollId>,
    /// What the application's rule refuses.
    pub(super) refused: HashMap<Position, Refusal>,
    pub(super) followed: Followed,
}

impl Gathered {
    /// Adds the entries of a claim. An entry that is signed with an unknown key is left out, so that it stays in the
    /// log. If `unsigned` is given, an entry after it must be signed. Returns the last unknown key.
    pub(super) fn add(
        &mut self,
        claim: Claim,
        keys: &EntryKeys,
        unsigned: Option<&UnsignedUntil>,
    ) -> Option<UnknownKey> {
        let mut unknown = None;
        for entry in claim.entries {
            // After a long time without an acknowledgement, the log hands a worker its own entries again.
            if self.seen.insert((entry.shard, entry.id)) {
                let decoded = match entry.payload.first() {
                    Some(&signed_entry::VERSION) => {
                        match keys.open(&entry.payload, (entry.shard, entry.id)) {
                            Ok(decoded) => decoded,
                            Err(key) => {
                                self.seen.remove(&(entry.shard, entry.id));
                                unknown = Some(key);
                                continue;
                            }
                        }
                    }
                    _ => entry::decode(&entry.payload).and_then(|ballots| match unsigned {
                        Some(until) if !until.takes(entry.shard, entry.id) => {
                            Err(MalformedEntry::Unsigned)
                        }
                        _ => Ok(ballots),
                    }),
                };
                self.followed.add(&entry);
                self.ballots += decoded.as_ref().map_or(1, Vec::len);
                self.entries.push((entry, decoded));
            }
        }
        self.acknowledged_below.extend(claim.acknowledged_below);
        unknown
    }

    /// The poll of each ballot; a poll may come more than once.
    pub(super) fn polls(&self) -> impl Iterator<Item = &PollId> {
        let entries = self.entries.iter();
        let ballots = entries.flat_map(|(_, decoded)| decoded).flatten();
        ballots.map(|ballot| &ballot.poll)
    }

    /// Its ballots, each with its position.
    pub(super) fn placed(&self) -> impl Iterator<Item = (Position, &Ballot)> {
        self.entries.iter().flat_map(|(entry, decoded)| {
            let ballots = (0..=u16::MAX).zip(decoded.iter().flatten());
            ballots.map(|(index, ballot)| (Position::new(entry.shard, entry.id, index), ballot))
        })
    }

    /// The number of ballots so far. An entry that cannot be read counts as one ballot.
    pub(super) fn ballots(&self) -> usize {
        self.ballots
    }
}

/// Checks the gathered ballots, and makes a batch of them.
pub(super) fn prepare(gathered: &Gathered, polls: &Known) -> Batch {
    let mut batch = Batch {
        ballots: Vec::with_capacity(gathered.ballots),
        acknowledged_below: gathered.acknowledged_below.clone(),
        deleted: gathered.deleted.clone(),
        ..Batch::default()
    };
    for (log_entry, decoded) in &gathered.entries {
        let (shard, id) = (log_entry.shard, log_entry.id);
        let source = match decoded {
            Ok(_) => entry::source(&log_entry.payload),
            Err(_) => Source::Voters,
        };
        if source == Source::TrustedServer {
            batch.handed_in.insert((shard, id));
        }
        let mut valid = 0;
        match decoded {
            Ok(ballots) => {
                for (index, ballot) in (0..=u16::MAX).zip(ballots) {
                    let is_over = |poll: &Poll| poll.voters_are_forgotten();
                    if gathered.deleted.contains(&ballot.poll)
                        || polls.get(&ballot.poll).is_some_and(is_over)
                    {
                        // It is not set aside either: neither a deleted poll nor one without voters keeps ballots.
                        valid += 1;
                        continue;
                    }
                    let placed = PlacedBallot {
                        position: Position::new(shard, id, index),
                        ballot: ballot.clone(),
                    };
                    let refused = gathered.refused.get(&placed.position);
                    match (check(&placed, polls), refused) {
                        (Err(reason), _) => {
                            let letter = DeadLetter::of(&placed, reason);
                            batch.dead_letters.push(letter.from_source(source));
                        }
                        (Ok(()), Some(refusal)) => {
                            let letter = DeadLetter::refused(&placed, refusal);
                            batch.dead_letters.push(letter.from_source(source));
                        }
                        (Ok(()), None) => {
                            valid += 1;
                            batch.ballots.push(placed);
                        }
                    }
                }
            }
            Err(error) => batch
                .dead_letters
                .push(DeadLetter::of_entry(log_entry, error)),
        }
        batch.entries.push(((shard, id), valid));
    }
    let mut last = None;
    for id in gathered.polls() {
        // Mostly the poll of the ballot before.
        if last.replace(id) != Some(id)
            && let Some(poll) = polls.get(id)
        {
            batch.judge_by(poll);
        }
    }
    batch.keep_one_of_each_voter();
    batch
}

fn check(placed: &PlacedBallot, polls: &Known) -> Result<(), RejectReason> {
    let ballot = &placed.ballot;
    let poll = polls.get(&ballot.poll).ok_or(RejectReason::UnknownPoll)?;
    poll.check(ballot.choices, placed.position)
}
