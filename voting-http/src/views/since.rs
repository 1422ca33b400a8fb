//! The moment since when numbers may be out of date.

use std::time::SystemTime;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::moment_words::date;
use crate::texts::Texts;

/// The last moment at which the shown numbers were known to be current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since(OffsetDateTime);

impl Since {
    /// The time is cut to seconds. A more exact time would only look exact.
    pub(crate) fn new(at: SystemTime) -> Self {
        let at = OffsetDateTime::from(at);
        Self(at.replace_nanosecond(0).unwrap_or(at))
    }

    /// The time for programs: `2026-11-26T14:05:00Z` (RFC 3339).
    pub(crate) fn rfc3339(self) -> String {
        self.0.format(&Rfc3339).unwrap_or_default()
    }

    /// The time for people: `14:05 UTC on 26 November 2026`.
    pub(crate) fn in_words(self, t: &Texts) -> String {
        let time = format!("{:02}:{:02}", self.0.hour(), self.0.minute());
        let (year, month, day) = self.0.to_calendar_date();
        t.since_at(&time, &date(year, month.into(), day, t))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_reads_well_for_programs_and_for_people() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_166_500_750);
        assert_eq!(Since::new(at).rfc3339(), "2025-11-26T14:15:00Z");
        assert_eq!(
            Since::new(at).in_words(Texts::english()),
            "14:15 UTC on 26 November 2025"
        );
    }
}
