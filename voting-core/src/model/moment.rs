//! A moment in time, as people and programs write it.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment: whole milliseconds since 1970 began, in UTC. As text and in JSON it is RFC 3339, such as
/// `2026-11-27T18:00:00Z`; a text with another offset than `Z` is read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(u64);

/// The end of the year 9998: RFC 3339 can write it with every offset.
const MAX_MS: u64 = 253_370_764_799_999;

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date and time with an offset, such as 2026-11-27T18:00:00+01:00")]
pub struct InvalidMoment(String);

impl Moment {
    /// The moment this many milliseconds after the beginning of 1970; `None` after the year 9998.
    pub fn from_unix_ms(ms: u64) -> Option<Self> {
        (ms <= MAX_MS).then_some(Self(ms))
    }

    /// Milliseconds since 1970 began.
    pub fn unix_ms(self) -> u64 {
        self.0
    }

    /// The present moment by the clock of this machine, which may differ from the log's.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.unwrap_or_default().as_millis();
        Self(u64::try_from(ms).map_or(MAX_MS, |ms| ms.min(MAX_MS)))
    }

    /// The moment `by` later, at most the last one there is.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(by).min(MAX_MS))
    }

    /// The moment `by` earlier, at least the beginning of 1970.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(by))
    }

    /// How long it is from `earlier` to this moment; zero if that is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        match Timestamp::from_millisecond(ms) {
            Ok(moment) => moment.fmt(f),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        // What is echoed back must be bounded.
        let invalid = || InvalidMoment(text.chars().take(64).collect());
        let moment: Timestamp = text.parse().map_err(|_| invalid())?;
        let ms = u64::try_from(moment.as_millisecond()).map_err(|_| invalid())?;
        Self::from_unix_ms(ms).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Moment {
    type Error = InvalidMoment;

    fn try_from(text: String) -> Result<Self, InvalidMoment> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_from_its_text_whatever_its_offset() {
        for (text, written) in [
            ("2026-11-27T18:00:00Z", "2026-11-27T18:00:00Z"),
            ("2026-11-27T18:00:00+01:00", "2026-11-27T17:00:00Z"),
            ("2026-11-27T18:00:00.25-00:30", "2026-11-27T18:30:00.25Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.to_string(), written);
            assert_eq!(written.parse(), Ok(moment));
        }
    }

    #[test]
    fn a_text_without_an_offset_or_out_of_range_is_refused() {
        for text in [
            "",
            "2026-11-27T18:00:00",
            "2026-11-27",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text:?}");
        }
        let last = Moment::from_unix_ms(MAX_MS).unwrap();
        assert_eq!(last.to_string().parse(), Ok(last));
        assert_eq!(Moment::from_unix_ms(MAX_MS + 1), None);
    }
}
