//! The log, the store and the workers, small enough to look at every state that they can come into.

use std::collections::{BTreeMap, BTreeSet};

/// Numbers entries in a shard, from 1.
pub type Id = u8;

/// Where an entry is: shard and id.
pub type Place = (usize, Id);

/// A consumer that is gone; living ones are the workers' numbers.
pub const GONE: usize = usize::MAX;

/// An entry holds one ballot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub voter: usize,
    pub option: usize,
    /// Its voter was told that it is stored.
    pub acknowledged: bool,
}

/// A stream with its consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shard {
    /// All that ever were; the first has id 1.
    pub entries: Vec<Entry>,
    /// Those below are trimmed.
    pub first: Id,
    pub delivered: Id,
    /// Handed out and not acknowledged, with whom they are.
    pub pending: BTreeMap<Id, usize>,
    pub sealed: Option<Id>,
    /// Where the seal is to be, read and not yet set: only if the two are not one step.
    pub about_to_seal: Option<Id>,
    /// What a consumer that is about to trim has read so far.
    pub about_to_trim: Option<Id>,
}

impl Shard {
    pub fn last(&self) -> Id {
        Id::try_from(self.entries.len()).unwrap_or(Id::MAX)
    }

    /// An entry that is not trimmed.
    pub fn get(&self, id: Id) -> Option<&Entry> {
        let index = usize::from(id).checked_sub(1)?;
        self.entries.get(index).filter(|_| id >= self.first)
    }

    /// With their places.
    pub fn all(&self, shard: usize) -> impl Iterator<Item = (Place, &Entry)> {
        (1..)
            .zip(&self.entries)
            .map(move |(id, entry)| ((shard, id), entry))
    }

    /// All entries below are acknowledged.
    pub fn settled(&self, delivered: Id) -> Id {
        let oldest = self.pending.keys().next().copied();
        oldest.unwrap_or(Id::MAX).min(delivered + 1)
    }

    /// Whether an entry is still there for some worker.
    pub fn will_be_handed_out(&self, id: Id) -> bool {
        self.get(id).is_some() && (id > self.delivered || self.pending.contains_key(&id))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Poll {
    Open,
    Closing,
    Final,
}

/// The tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    pub poll: Poll,
    /// By voter: the ballot that counts, and its option.
    pub rows: Vec<Option<(Place, usize)>>,
    pub tally: [i8; 2],
    /// Of the poll, as it became final.
    pub final_tally: Option<[i8; 2]>,
    pub applied: BTreeSet<Place>,
    pub dead_letters: BTreeSet<Place>,
    pub counted: u8,
    pub superseded: u8,
}

impl Store {
    /// Takes a batch in one transaction. `beyond_seal` are those of it that come after their shard's
    /// seal.
    pub fn flush(
        &mut self,
        batch: &BTreeMap<Place, Entry>,
        beyond_seal: &BTreeSet<Place>,
        order_guard: bool,
    ) {
        let mut newest = BTreeMap::new();
        for (place, entry) in batch {
            let fresh = self.applied.insert(*place);
            if beyond_seal.contains(place) {
                self.dead_letters.insert(*place);
                continue;
            }
            self.superseded += u8::from(fresh);
            newest.insert(entry.voter, (*place, entry.option, fresh));
        }
        for (voter, (place, option, fresh)) in newest {
            let old = self.rows[voter];
            // A count that is final does not change.
            let may = self.poll != Poll::Final;
            if !may || order_guard && old.is_some_and(|(there, _)| there >= place) {
                continue;
            }
            self.rows[voter] = Some((place, option));
            self.tally[option] += 1;
            match old {
                Some((_, old)) => self.tally[old] -= 1,
                None => {
                    self.counted += 1;
                    self.superseded -= u8::from(fresh);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    #[default]
    Gathering,
    /// The store has the batch.
    Flushed,
    /// Only if that comes first: the log has let go of the batch.
    Acknowledged,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Worker {
    pub phase: Phase,
    pub batch: BTreeMap<Place, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub shards: Vec<Shard>,
    pub store: Store,
    pub workers: [Worker; 2],
    /// By voter: ballots yet to be cast.
    pub to_cast: Vec<u8>,
    /// So much may yet go wrong.
    pub crashes: u8,
    pub lost_answers: u8,
    pub by_hand: u8,
}

impl State {
    /// All entries that voters were told are stored.
    pub fn acknowledged(&self) -> impl Iterator<Item = (Place, &Entry)> {
        let shards = self.shards.iter().enumerate();
        let entries = shards.flat_map(|(shard, log)| log.all(shard));
        entries.filter(|(_, entry)| entry.acknowledged)
    }

    /// Whether the ballot at this place, or a newer one of its voter, is in the store.
    pub fn counts(&self, place: Place, voter: usize) -> bool {
        self.store.rows[voter].is_some_and(|(there, _)| there >= place)
    }

    /// Whether nothing is left to do for the workers.
    pub fn is_settled(&self) -> bool {
        let done = |shard: &Shard| shard.delivered == shard.last() && shard.pending.is_empty();
        let idle = |worker: &Worker| worker.batch.is_empty();
        self.shards.iter().all(done) && self.workers.iter().all(idle)
    }
}
