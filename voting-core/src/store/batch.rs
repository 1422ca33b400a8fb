//! What the worker makes of log entries before they go to the store, and what the store did.

use std::collections::{HashMap, HashSet};

use crate::{
    ballot::{Ballot, VoterId},
    dead_letter::DeadLetter,
    error::StoreError,
    id::PollId,
    poll_state::PollState,
    position::{EntryId, Position, ShardId},
    tally::TallyDelta,
};

/// Where an entry stands.
pub type EntryKey = (ShardId, EntryId);

/// An entry as it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Which part of the log.
    pub shard: ShardId,
    /// Its place there.
    pub id: EntryId,
    /// Its bytes, see [`entry`](crate::entry).
    pub payload: Vec<u8>,
    /// How many ballots it was appended with.
    pub ballots: u16,
    /// The traces that it was appended with, see [`carried`](crate::trace::carried); empty if none, or if
    /// the log does not keep them.
    pub traces: Vec<u8>,
    /// Set where somebody else wrote what the log cannot take for an entry: what was there, in words. Then
    /// `payload` is that as it was found, and no entry.
    pub foreign: Option<String>,
}

/// Entries taken from the log, to be acknowledged once they are flushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The entries, in the order of their shard unless some are delivered again.
    pub entries: Vec<LogEntry>,
    /// For shards in `entries`: all entries below this id are acknowledged.
    pub settled: HashMap<ShardId, EntryId>,
}

/// A ballot with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedBallot {
    /// Decides which ballot of a voter counts.
    pub position: Position,
    /// The ballot, valid in its poll.
    pub ballot: Ballot,
}

impl PlacedBallot {
    fn voter_in_poll(&self) -> (&PollId, VoterId) {
        (&self.ballot.poll, self.ballot.voter)
    }
}

/// Entries, checked and ready to be written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The entries that make up the batch, each once, with its number of valid ballots, also of
    /// those that a newer one in the batch replaced.
    pub entries: Vec<(EntryKey, u64)>,
    /// At most one ballot a voter and poll, the newest; sorted by poll and voter.
    pub ballots: Vec<PlacedBallot>,
    /// The valid ballots that a newer one in the batch replaced, in no order. One of them is the
    /// voter's last choice if the store refuses the newer one for good.
    pub replaced: Vec<PlacedBallot>,
    /// The invalid ballots.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that are taken back, their ballots being among those above.
    pub revived: Vec<Revival>,
    /// Up to where the log is done with, see [`Claim::settled`].
    pub settled: HashMap<ShardId, EntryId>,
}

/// A dead letter that is to be removed, since its ballots count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revival {
    /// Where it stands.
    pub position: Position,
    /// How many valid ballots it has, also those that a newer one in the batch replaced.
    pub valid: u64,
}

impl Batch {
    /// Of each voter in a poll only the newest ballot stays, in the order that all workers keep: so two
    /// that write the same voters wait for each other and never lock each other out, and neighbours in
    /// the index are written together. The others go to `replaced`.
    pub fn keep_newest(&mut self) {
        self.ballots.sort_unstable_by(|a, b| {
            let newest_first = b.position.cmp(&a.position);
            a.voter_in_poll().cmp(&b.voter_in_poll()).then(newest_first)
        });
        let mut newest: Vec<PlacedBallot> = Vec::with_capacity(self.ballots.len());
        for placed in self.ballots.drain(..) {
            match newest.last() {
                Some(last) if last.voter_in_poll() == placed.voter_in_poll() => {
                    self.replaced.push(placed);
                }
                _ => newest.push(placed),
            }
        }
        self.ballots = newest;
    }

    /// Checks, inside a flush, that each ballot's poll takes it, by the states in the store.
    ///
    /// # Errors
    /// [`StoreError::PollChanged`] names a poll that does not.
    pub fn check<'a>(
        &self,
        state_of: impl Fn(&PollId) -> Option<&'a PollState>,
    ) -> Result<(), StoreError> {
        let mut last: Option<(&PollId, &PollState)> = None;
        for PlacedBallot { position, ballot } in &self.ballots {
            let state = match last {
                Some((poll, state)) if *poll == ballot.poll => Some(state),
                _ => state_of(&ballot.poll),
            };
            // What is replayed is counted already. What is taken back is not, and would change the count.
            let is_late = |state: &PollState| !self.revived.is_empty() && state.is_final();
            match state {
                Some(state)
                    if state.takes(position.shard(), position.entry()) && !is_late(state) =>
                {
                    last = Some((&ballot.poll, state));
                }
                _ => return Err(StoreError::PollChanged(ballot.poll.clone())),
            }
        }
        Ok(())
    }
}

/// What a voter chose before, in the same batch: it is the last choice if the newer one is a dead
/// letter.
#[derive(Debug)]
pub struct Older<'a> {
    batch: &'a Batch,
    dead: HashSet<Position>,
    /// Oldest first; made when it is first asked for.
    by_voter: Option<HashMap<(&'a PollId, VoterId), Vec<&'a PlacedBallot>>>,
}

impl<'a> Older<'a> {
    /// Of a batch of whose ballots these are dead letters.
    pub fn new(batch: &'a Batch, dead: HashSet<Position>) -> Self {
        Self {
            batch,
            dead,
            by_voter: None,
        }
    }

    /// The ballot itself, or if it is a dead letter the one before it.
    pub fn alive(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        if self.dead.contains(&placed.position) {
            self.before(placed)
        } else {
            Some(placed)
        }
    }

    /// The newest one of the voter that was not yet asked for.
    pub fn before(&mut self, placed: &'a PlacedBallot) -> Option<&'a PlacedBallot> {
        let batch = self.batch;
        let by_voter = self.by_voter.get_or_insert_with(|| {
            let mut by_voter: HashMap<_, Vec<_>> = HashMap::new();
            for placed in &batch.replaced {
                by_voter
                    .entry(placed.voter_in_poll())
                    .or_default()
                    .push(placed);
            }
            for ballots in by_voter.values_mut() {
                ballots.sort_unstable_by_key(|placed| placed.position);
            }
            by_voter
        });
        let ballots = by_voter.get_mut(&placed.voter_in_poll())?;
        while let Some(older) = ballots.pop() {
            if !self.dead.contains(&older.position) {
                return Some(older);
            }
        }
        None
    }
}

/// What a flush changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Ballots of voters who had none in the poll.
    pub counted: u64,
    /// Ballots that a newer one has replaced or kept out, each told once.
    pub superseded: u64,
    /// Ballots that went to the dead letters, each told once.
    pub rejected: u64,
    /// Entries that an earlier flush had already written.
    pub replayed: u64,
}

/// Where all ballots that ever left the log have gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ballots that count: one a voter and poll.
    pub counted: u64,
    /// Ballots whose voter has a newer one.
    pub superseded: u64,
    /// Ballots among the dead letters.
    pub rejected: u64,
}

/// The state of the log as the worker's side sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Ballots ever acknowledged to voters.
    pub accepted: u64,
    /// Of these, ballots whose flush is not yet acknowledged.
    pub pending: u64,
    /// When the oldest pending entry was appended, in milliseconds since 1970.
    pub oldest_pending_ms: Option<u64>,
    /// For each shard, also one without entries: all entries below this id are acknowledged. If
    /// that is all of them, it is above the last id that the shard gave and above its seals.
    pub settled: HashMap<ShardId, EntryId>,
    /// Entries that were deleted before they were acknowledged, by someone who trimmed or deleted in
    /// the log: ballots that are lost. Must stay zero.
    pub lost_entries: u64,
    /// How full the log's memory is, if it is kept in memory and says so; of several servers the fullest.
    pub memory: Option<LogMemory>,
}

/// The memory of a server that keeps a log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogMemory {
    /// What is in use, of what counts towards the limit.
    pub used: u64,
    /// What may be, before the log refuses ballots; `None` if there is no limit but the machine's.
    pub limit: Option<u64>,
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
        let replayed = entries.keys().filter(|key| !fresh.contains(key)).count() as u64;
        Self {
            fresh,
            is_all_fresh: replayed == 0 && batch.revived.is_empty(),
            report: FlushReport {
                superseded,
                replayed,
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

    /// Takes in that the store wrote a ballot, over the voter's `old` choices if any.
    pub fn written(&mut self, placed: &PlacedBallot, old: Option<crate::Choices>) {
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
        delta.record(old, ballot.choices);
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
            None => tracing::error!("more ballots are told than a batch has"),
        }
    }

    /// Takes in that the store wrote a dead letter it did not have.
    pub fn rejected(&mut self, letter: &DeadLetter) {
        self.report.rejected += u64::from(letter.ballots);
    }

    /// The report, and how the tallies move.
    pub fn finish(self) -> (FlushReport, HashMap<PollId, TallyDelta>) {
        (self.report, self.deltas)
    }
}
