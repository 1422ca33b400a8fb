//! Moments as people read them.

use jiff::tz::TimeZone;
use voting_core::{Poll, model::moment::Moment};

use super::time_zones::{UTC, timestamp, zone as known_zone};

/// A moment in words, in the time zone of the poll: `Friday, 27 November 2026, 18:00 (Europe/Berlin)`.
pub(crate) fn of_poll(moment: Moment, poll: &Poll) -> String {
    in_words(moment, poll.settings().time_zone.as_deref())
}

/// A moment in words. A time zone that is not in the database is shown as UTC: the words then say so.
fn in_words(moment: Moment, zone: Option<&str>) -> String {
    let known = zone.and_then(|name| Some((name, known_zone(name)?)));
    let (name, zone) = known.unwrap_or((UTC, TimeZone::UTC));
    let at = timestamp(moment).to_zoned_datetime(zone.clone());
    let time = match at.second() {
        0 => "%H:%M",
        _ => "%H:%M:%S",
    };
    // When clocks are set back, an hour comes twice.
    let offset = match zone.to_ambiguous_timestamp(at.datetime()).is_ambiguous() {
        true => ", UTC%:z",
        false => "",
    };
    let date = "%A, %-d %B %Y";
    at.strftime(&format!("{date}, {time} ({name}{offset})"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(moment: &str, zone: Option<&str>) -> String {
        in_words(moment.parse().unwrap(), zone)
    }

    #[test]
    fn a_moment_is_a_date_and_a_time_in_its_zone() {
        let at = "2026-11-27T17:00:00Z";
        assert_eq!(words(at, None), "Friday, 27 November 2026, 17:00 (UTC)");
        let berlin = words(at, Some("Europe/Berlin"));
        assert_eq!(berlin, "Friday, 27 November 2026, 18:00 (Europe/Berlin)");
        let kathmandu = words("2026-12-31T18:15:30Z", Some("Asia/Kathmandu"));
        assert_eq!(
            kathmandu,
            "Friday, 1 January 2027, 00:00:30 (Asia/Kathmandu)"
        );
    }

    #[test]
    fn a_zone_that_is_not_known_is_not_claimed() {
        let words = words("2026-11-27T17:00:00Z", Some("Europe/Atlantis"));
        assert_eq!(words, "Friday, 27 November 2026, 17:00 (UTC)");
    }

    #[test]
    fn of_an_hour_that_comes_twice_the_words_say_which() {
        let first = words("2026-10-25T00:30:00Z", Some("Europe/Berlin"));
        let second = words("2026-10-25T01:30:00Z", Some("Europe/Berlin"));
        assert_eq!(
            first,
            "Sunday, 25 October 2026, 02:30 (Europe/Berlin, UTC+02:00)"
        );
        assert_eq!(
            second,
            "Sunday, 25 October 2026, 02:30 (Europe/Berlin, UTC+01:00)"
        );
    }
}
