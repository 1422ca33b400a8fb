//! How many ballots the next entry may have. Under load, entries grow until they are full. If the connection to the
//! log is slow, writing a full entry could take longer than the write's time-out. Then every write would fail, and no
//! ballot would be stored. So after a slow write the next entry is smaller.

use std::time::Duration;

/// If a write takes longer, the entry is too large for the connection.
const SLOW: Duration = Duration::from_millis(500);

/// If a write is faster, the next entry may be larger.
const FAST: Duration = Duration::from_millis(250);

/// The smallest size is the largest size divided by this. If writes are slow for another reason than their size, still
/// smaller entries would not help.
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

    /// Records that a write of `ballots` ballots took `took`, whether it succeeded or not.
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
