//! When the voters of a poll came.

use crate::model::{moment::Moment, position::Position};

/// How many milliseconds a minute has.
const MINUTE_MS: u64 = 60_000;

/// The voters who were new in a poll in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewVoters {
    /// The moment at which the minute begins.
    pub minute: Moment,
    /// Voters whose first stored ballot has a position in this minute.
    pub voters: u64,
}

/// The number of the minute of a position, since 1970 began.
pub(crate) fn minute_of(position: Position) -> u64 {
    position.ms() / MINUTE_MS
}

impl NewVoters {
    /// The voters of a minute, by its number since 1970 began; `None` if there is no such minute.
    pub fn new(minute: u64, voters: u64) -> Option<Self> {
        let minute = minute
            .checked_mul(MINUTE_MS)
            .and_then(Moment::from_unix_ms)?;
        Some(Self { minute, voters })
    }

    /// The number of the minute since 1970 began in which, or before which, such a list ends if it ends before this moment.
    pub fn minutes_before(before: Option<Moment>) -> u64 {
        // Columns are signed.
        before.map_or(u64::MAX >> 1, |before| before.unix_ms().div_ceil(MINUTE_MS))
    }
}
