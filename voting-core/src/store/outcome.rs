//! What a flush changed, and how a back end reckons it.

use std::collections::{HashMap, HashSet};

use super::batch::{Batch, PlacedBallot, Revival};
use crate::{
    model::{
        ballot::Choices,
        id::PollId,
        position::{EntryKey, Position},
        tally::TallyDelta,
    },
    store::dead_letter::DeadLetter,
};

/// What a flush changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Ballots of voters who had none in the poll.
    pub counted: u64,
    /// Ballots that a newer one has replaced or kept out, each told once. Among them are those that came after their
    /// poll was deleted or its voters were forgotten.
    pub superseded: u64,
    /// Ballots that went to the dead letters, each told once.
    pub rejected: u64,
    /// Entries that an earlier flush had already written.
    pub already_applied: u64,
}

/// What a flush did: its counters, and how the tallies moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Numbers of ballots and entries.
    pub report: FlushReport,
    /// For each poll in which the flush wrote ballots, by how much its tally moved. A poll whose ballots were all
    /// written before is not there.
    pub tallies: HashMap<PollId, TallyDelta>,
}

/// Where all ballots that ever left the log have gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ballots that count, one a voter and poll, and those that counted in a poll until it was deleted.
    pub counted: u64,
    /// Ballots in whose place another one of the voter counts, and those that came after their poll was deleted or its
    /// voters were forgotten.
    pub superseded: u64,
    /// Ballots among the dead letters.
    pub rejected: u64,
}

/// Gathers in a flush what a back end must know of the batch, so that each store only has to
/// write rows. Which ballots a store keeps never depends on it; the tallies and counters do.
#[derive(Debug)]
pub struct FlushOutcome {
    fresh: HashSet<EntryKey>,
    /// As almost always: then no ballot needs to be looked up.
    is_all_fresh: bool,
    report: FlushReport,
    deltas: HashMap<PollId, TallyDelta>,
}

impl FlushOutcome {
    /// Starts with the entries that the store had no applied mark of, and the dead letters to be taken
    /// back that were there, which it has removed.
    pub fn new(batch: &Batch, mut fresh: HashSet<EntryKey>, removed: &HashSet<Position>) -> Self {
        // A map, so that an entry that is in the batch twice is told once.
        let entries: HashMap<_, _> = batch.entries.iter().copied().collect();
        let valid = |key: &EntryKey| entries.get(key).copied().unwrap_or(0);
        let mut superseded = fresh.iter().map(valid).sum();
        for Revival { position, valid } in &batch.revived {
            if removed.contains(position) {
                superseded += valid;
                fresh.insert((position.shard(), position.entry()));
            }
        }
        let already_applied = entries.keys().filter(|key| !fresh.contains(key)).count() as u64;
        Self {
            fresh,
            is_all_fresh: already_applied == 0 && batch.revived.is_empty(),
            report: FlushReport {
                superseded,
                already_applied,
                ..FlushReport::default()
            },
            deltas: HashMap::new(),
        }
    }

    /// Whether the entry of a ballot was flushed before. If the ballot is then among the dead
    /// letters it stays there, though it may have become valid since.
    pub fn is_replay(&self, placed: &PlacedBallot) -> bool {
        let entry = (placed.position.shard(), placed.position.entry());
        !self.is_all_fresh && !self.fresh.contains(&entry)
    }

    /// The ballots that are replays, also of those that were replaced.
    pub fn replays<'a>(&self, batch: &'a Batch) -> impl Iterator<Item = &'a PlacedBallot> {
        let all = batch.ballots.iter().chain(&batch.replaced);
        all.filter(|placed| self.is_replay(placed))
    }

    /// Takes in that the store wrote a ballot that counts for `counted`, over the voter's `old` choices if any. Both are
    /// as [`Poll::counted`](crate::Poll::counted) says by the rules in the store.
    pub fn written(&mut self, placed: &PlacedBallot, counted: Choices, old: Option<Choices>) {
        let ballot = &placed.ballot;
        if old.is_none() {
            self.report.counted += 1;
            // Every valid ballot of a fresh entry was taken for superseded: one voter's first
            // is not, whichever of the voter's ballots holds the row.
            if !self.is_replay(placed) {
                self.not_superseded();
            }
        }
        let delta = match self.deltas.get_mut(&ballot.poll) {
            Some(delta) => delta,
            None => self.deltas.entry(ballot.poll.clone()).or_default(),
        };
        delta.record(old, counted);
        delta.changed_at(placed.position, old, counted);
        if old.is_none() {
            delta.new_voter(placed.position);
        }
    }

    /// Takes in that the store refuses a valid ballot for good. Its dead letter is told beside it.
    pub fn unstorable(&mut self, placed: &PlacedBallot) {
        // As all valid ballots of a fresh entry it was taken for superseded.
        if !self.is_replay(placed) {
            self.not_superseded();
        }
    }

    fn not_superseded(&mut self) {
        match self.report.superseded.checked_sub(1) {
            Some(superseded) => self.report.superseded = superseded,
            None => tracing::error!("a flush reports more ballots than its batch has"),
        }
    }

    /// Takes in that the store wrote a dead letter it did not have.
    pub fn rejected(&mut self, letter: &DeadLetter) {
        self.report.rejected += u64::from(letter.ballots);
    }

    /// The report, and how the tallies are to be moved.
    pub fn finish(self) -> Flushed {
        Flushed {
            report: self.report,
            tallies: self.deltas,
        }
    }
}
