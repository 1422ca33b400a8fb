//! How many entries a claim asks for. Redis counts entries, but a worker wants a number of ballots, and an entry may
//! have one ballot or thousands.

use crate::log::claim::LogEntry;

/// The most entries that a claim asks of each shard, …
const FEW: usize = 64;

/// … or this many times the entries of earlier claims, if that is more. Behind a few small entries in the log,
/// there may be a burst of large ones; to claim thousands of large entries at once would be far too much.
const GROWTH: usize = 8;

/// The sizes of recent claims. The size of the next claim depends on them.
#[derive(Debug)]
pub(in crate::backends::redis) struct ClaimSize {
    /// The ballots in an entry.
    entry: usize,
    /// The entries in a claim.
    entries: usize,
}

impl ClaimSize {
    /// The start, when no sizes are known.
    pub(in crate::backends::redis) fn new() -> Self {
        Self {
            entry: 1,
            entries: 1,
        }
    }

    /// How many entries to ask each of `shards` shards for, so that all together have about `ballots` ballots.
    pub(in crate::backends::redis) fn of_each(&self, shards: u16, ballots: usize) -> usize {
        let shards = usize::from(shards);
        let most = (self.entries * GROWTH / shards).max(FEW);
        (ballots / self.entry / shards).clamp(1, most)
    }

    /// Notes the entries of a claim. One claim should be enough for a batch, since each claim costs Redis a sync. But
    /// if a few entries have most of the ballots, a claim that is too small is better than one that is far too large.
    pub(in crate::backends::redis) fn note(&mut self, entries: &[LogEntry]) {
        let sizes = entries.iter().map(|entry| usize::from(entry.ballots));
        let Some(largest) = sizes.clone().max() else {
            return;
        };
        let average = sizes.sum::<usize>().div_ceil(entries.len());
        self.entry = average.max(largest / 8).max(1);
        // A claim for the rest of a batch is small, and says nothing about the size of the next one.
        self.entries = entries.len().max(self.entries / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::position::{EntryId, ShardId};

    fn entries(number: usize, ballots: u16) -> Vec<LogEntry> {
        let entry = LogEntry {
            shard: ShardId(0),
            id: EntryId::MIN,
            payload: Vec::new(),
            ballots,
            traces: Vec::new(),
            foreign: None,
        };
        vec![entry; number]
    }

    #[test]
    fn large_entries_behind_small_ones_do_not_come_all_at_once() {
        let mut size = ClaimSize::new();
        assert_eq!(size.of_each(4, 5_000), FEW);
        size.note(&entries(4, 1));
        assert_eq!(size.of_each(4, 5_000), FEW);
        size.note(&entries(4 * FEW, 100));
        assert_eq!(size.of_each(4, 5_000), 12);
    }

    #[test]
    fn one_claim_does_for_a_batch_of_entries_as_they_were_lately() {
        let mut size = ClaimSize::new();
        for _ in 0..4 {
            let claimed = 4 * size.of_each(4, 5_000);
            size.note(&entries(claimed, 1));
        }
        assert_eq!(size.of_each(4, 5_000), 1_250);
        // This claim is for the rest of a batch.
        size.note(&entries(4, 1));
        assert_eq!(size.of_each(4, 5_000), 1_250);
    }
}
