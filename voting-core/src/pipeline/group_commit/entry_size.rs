//! How many ballots the next entry may hold. Under load entries grow until they are full; where the way
//! to the log is narrow, full ones could take longer than a write is waited for, all of them, and then
//! nothing is stored any more. So a write that takes long makes the next entry smaller.

use std::time::Duration;

/// A write that takes longer is too large for the way that it goes.
const SLOW: Duration = Duration::from_millis(500);

/// One that is faster leaves room for more.
const FAST: Duration = Duration::from_millis(250);

/// The smallest is this share of the largest. Where not the size is what takes the time, small entries
/// help nobody.
const SMALLEST: usize = 8;

pub(super) struct EntrySize {
    now: usize,
    largest: usize,
}

impl EntrySize {
    pub(super) fn new(largest: usize) -> Self {
        Self {
            now: largest,
            largest,
        }
    }

    pub(super) fn get(&self) -> usize {
        self.now
    }

    /// A write of so many ballots took so long, well or not.
    pub(super) fn wrote(&mut self, ballots: usize, took: Duration) {
        if took > SLOW {
            let smallest = (self.largest / SMALLEST).max(1);
            self.now = self.now.min(ballots / 2).max(smallest);
        } else if took < FAST && ballots >= self.now {
            let more = (self.now / 8).max(1);
            self.now = self.now.saturating_add(more).min(self.largest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_settles_where_writes_are_neither_slow_nor_fast() {
        let mut size = EntrySize::new(4_096);
        // 5,000 ballots a second go through.
        for _ in 0..50 {
            let ballots = size.get();
            size.wrote(ballots, MS / 5 * u32::try_from(ballots).unwrap());
        }
        let took = MS / 5 * u32::try_from(size.get()).unwrap();
        assert!(took >= FAST && took <= SLOW, "{took:?}");
    }

    #[test]
    fn small_writes_say_nothing_of_large_ones() {
        let mut size = EntrySize::new(4_096);
        size.wrote(4_096, 2 * SLOW);
        let small = size.get();
        size.wrote(10, MS);
        assert_eq!(size.get(), small);
    }

    #[test]
    fn one_slow_write_is_made_good_and_slow_ones_end_somewhere() {
        let mut size = EntrySize::new(4_096);
        for _ in 0..10 {
            size.wrote(size.get(), 10 * SLOW);
        }
        assert_eq!(size.get(), 512);
        size.wrote(1, 10 * SLOW);
        assert_eq!(size.get(), 512);
        for _ in 0..20 {
            size.wrote(size.get(), MS);
        }
        assert_eq!(size.get(), 4_096);
    }
}
