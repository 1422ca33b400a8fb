//! Where a ballot stands in the log, and thereby which of two ballots is the newer.

use std::fmt;

use crate::model::ballot::VoterId;

/// One of the log's independent parts. All ballots of a voter are in the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard of a voter in a log of `shards` shards (at least one).
    ///
    /// Writers in other languages must choose the same: the two halves of the voter's 16 bytes,
    /// read as big-endian 64-bit numbers, are combined by exclusive or, mixed as below, and
    /// reduced modulo `shards`.
    pub fn of(voter: VoterId, shards: u16) -> Self {
        let voter = u128::from_be_bytes(voter.to_bytes());
        let folded = (voter >> 64) ^ (voter & u128::from(u64::MAX));
        let mut hash = u64::try_from(folded).unwrap_or(0);
        // The finalizer of SplitMix64. Ids from outside may differ in a few bits only.
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        Self(u16::try_from(hash % u64::from(shards.max(1))).unwrap_or(0))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an entry of one shard of the log; later entries have greater ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    ms: u64,
    seq: u64,
}

impl EntryId {
    /// The least id. No entry has it: it stands for the time before the first one.
    pub const MIN: Self = Self { ms: 0, seq: 0 };

    /// An id of `ms`, the milliseconds since 1970 at which the entry was appended, and `seq`, which
    /// orders those of one millisecond; `None` past 2⁶³ ms or 2⁴⁷ entries in it, which would not
    /// fit a ballot's [`Position`].
    pub fn new(ms: u64, seq: u64) -> Option<Self> {
        (ms <= u64::MAX >> 1 && seq < 1 << 47).then_some(Self { ms, seq })
    }

    /// Milliseconds since 1970 at which the entry was appended.
    pub fn ms(self) -> u64 {
        self.ms
    }

    /// Orders the entries of one millisecond.
    pub fn seq(self) -> u64 {
        self.seq
    }

    /// The least id that is greater than this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self::new(self.ms, self.seq + 1).unwrap_or(Self {
            ms: self.ms + 1,
            seq: 0,
        })
    }

    /// The id for an entry appended at `now_ms` after this one: never lower, even when the clock
    /// was set back.
    #[must_use]
    pub fn following(self, now_ms: u64) -> Self {
        if now_ms > self.ms {
            return Self { ms: now_ms, seq: 0 };
        }
        self.next()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Where an entry stands in the log.
pub type EntryKey = (ShardId, EntryId);

/// The text is not `ms-seq`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entry's id: expected ms-seq, two numbers")]
pub struct InvalidEntryId;

impl std::str::FromStr for EntryId {
    type Err = InvalidEntryId;

    fn from_str(text: &str) -> Result<Self, InvalidEntryId> {
        let parts = text.split_once('-');
        let numbers = parts.and_then(|(ms, seq)| Some((ms.parse().ok()?, seq.parse().ok()?)));
        let id = numbers.and_then(|(ms, seq)| Self::new(ms, seq));
        id.ok_or(InvalidEntryId)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a ballot stands: of two ballots of one voter the greater one counts. Positions order by
/// `ms`, then `n`; the shard only parts equals, since a voter's ballots are in one shard unless
/// the number of shards was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    // The order of the fields is the order of positions.
    ms: u64,
    n: u64,
    shard: ShardId,
}

impl Position {
    /// The ballot at `index` of an entry.
    pub fn new(shard: ShardId, entry: EntryId, index: u16) -> Self {
        Self {
            shard,
            ms: entry.ms,
            n: entry.seq << 16 | u64::from(index),
        }
    }

    /// A position from its parts, as a store or a receipt keeps them; `None` when they are out of
    /// the range that [`Position::new`] makes.
    pub fn from_parts(shard: ShardId, ms: u64, n: u64) -> Option<Self> {
        EntryId::new(ms, n >> 16)?;
        Some(Self { shard, ms, n })
    }

    /// The shard of the log.
    pub fn shard(self) -> ShardId {
        self.shard
    }

    /// Milliseconds since 1970 at which the ballot was cast.
    pub fn ms(self) -> u64 {
        self.ms
    }

    /// Orders the ballots of one millisecond: the entry's `seq`, then 16 bits of index in it.
    pub fn n(self) -> u64 {
        self.n
    }

    /// The ballot's place in its entry.
    pub fn index(self) -> u16 {
        u16::try_from(self.n & 0xffff).unwrap_or(0)
    }

    /// The entry that holds the ballot.
    pub fn entry(self) -> EntryId {
        EntryId {
            ms: self.ms,
            seq: self.n >> 16,
        }
    }
}

impl fmt::Display for Position {
    /// `shard-ms-n`, which [`parse`](std::str::FromStr) reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.shard, self.ms, self.n)
    }
}

/// The text is not `shard-ms-n`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position: expected shard-ms-n, three numbers")]
pub struct InvalidPosition;

impl std::str::FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let parse = || {
            let mut parts = text.split('-');
            let shard = ShardId(parts.next()?.parse().ok()?);
            let ms = parts.next()?.parse().ok()?;
            let n = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some((shard, ms, n))
        };
        let (shard, ms, n) = parse().ok_or(InvalidPosition)?;
        Self::from_parts(shard, ms, n).ok_or(InvalidPosition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_does_not_reverse_the_order() {
        let first = EntryId::new(1_000, 7).unwrap();
        assert_eq!(first.following(2_000), EntryId::new(2_000, 0).unwrap());
        assert_eq!(first.following(1_000), EntryId::new(1_000, 8).unwrap());
        assert_eq!(first.following(10), EntryId::new(1_000, 8).unwrap());
    }

    #[test]
    fn positions_order_by_time_then_entry_then_index() {
        let at = |ms, seq, index| Position::new(ShardId(0), EntryId::new(ms, seq).unwrap(), index);
        let ordered = [at(1, 0, 0), at(1, 0, u16::MAX), at(1, 1, 0), at(2, 0, 0)];
        assert!(ordered.is_sorted());
        let elsewhere = Position::new(ShardId(9), EntryId::new(1, 0).unwrap(), 0);
        assert!(elsewhere < at(2, 0, 0), "time decides, not the shard");
        let last = at(u64::MAX >> 1, (1 << 47) - 1, u16::MAX);
        assert!(i64::try_from(last.n()).is_ok() && i64::try_from(last.ms()).is_ok());
        assert_eq!(
            last.entry().next(),
            EntryId {
                ms: 1 << 63,
                seq: 0
            }
        );
    }

    #[test]
    fn an_entrys_id_reads_back_from_its_text() {
        let id = EntryId::new(1_700_000_000_000, 5).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "1", "1-", "-1", "1-2-3", "x-1", "1-140737488355328"] {
            assert_eq!(bad.parse::<EntryId>(), Err(InvalidEntryId), "{bad}");
        }
    }

    #[test]
    fn a_position_reads_back_from_its_text() {
        let position = Position::new(ShardId(3), EntryId::new(1_700_000_000_000, 5).unwrap(), 9);
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "1-2", "1-2-3-4", "x-1-2", "70000-1-1", "1--1"] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad}");
        }
    }

    #[test]
    fn voters_spread_over_shards_and_stay_there() {
        let mut counts = [0u32; 8];
        for _ in 0..8_000 {
            let voter = VoterId::issue();
            let shard = ShardId::of(voter, 8);
            assert_eq!(shard, ShardId::of(voter, 8));
            counts[usize::from(shard.0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
        // Test vectors for other languages.
        let voter = |n: u128| VoterId::from_bytes(n.to_be_bytes());
        assert_eq!(
            [1, 2, 3, u128::MAX].map(|n| ShardId::of(voter(n), 16).0),
            [5, 10, 0, 0]
        );
    }
}
