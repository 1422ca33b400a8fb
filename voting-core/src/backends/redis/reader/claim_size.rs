//! How many entries a claim asks for. Redis counts entries, a worker wants ballots, and an entry may have
//! one of them or thousands.

use crate::log::claim::LogEntry;

/// Of each shard at most so many entries are asked for, …
const FEW: usize = 64;

/// … or so many times as many as claims had before. What stands in the log behind a few small entries may
/// be a burst of large ones, of which thousands at once would be out of all proportion.
const GROWTH: usize = 8;

/// What claims had lately, by which the next one is measured.
#[derive(Debug)]
pub(in crate::backends::redis) struct ClaimSize {
    /// Ballots in an entry.
    entry: usize,
    /// Entries in a claim.
    entries: usize,
}

impl ClaimSize {
    /// Nothing is known yet.
    pub(in crate::backends::redis) fn new() -> Self {
        Self {
            entry: 1,
            entries: 1,
        }
    }

    /// The entries to ask each of `shards` shards for, so that there are about so many ballots in all.
    pub(in crate::backends::redis) fn of_each(&self, shards: u16, ballots: usize) -> usize {
        let shards = usize::from(shards);
        let most = (self.entries * GROWTH / shards).max(FEW);
        (ballots / self.entry / shards).clamp(1, most)
    }

    /// Takes in what a claim had. One should do for a batch, since it costs Redis a sync; but if few
    /// entries have most of the ballots, rather a small claim than one that is far too large.
    pub(in crate::backends::redis) fn note(&mut self, entries: &[LogEntry]) {
        let sizes = entries.iter().map(|entry| usize::from(entry.ballots));
        let Some(largest) = sizes.clone().max() else {
            return;
        };
        let average = sizes.sum::<usize>().div_ceil(entries.len());
        self.entry = average.max(largest / 8).max(1);
        // A claim for the rest of a batch is small, and says nothing of the next one.
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
        // The rest of a batch.
        size.note(&entries(4, 1));
        assert_eq!(size.of_each(4, 5_000), 1_250);
    }
}
