//! Moments as the host reads and writes them: local times in a time zone.

use std::sync::OnceLock;

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use voting_core::model::moment::Moment;

/// The zone of a poll that has none.
pub(super) const UTC: &str = "UTC";

/// The database in the binary: it is the same on every machine.
fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

/// The zone with this IANA name.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name == UTC {
        return Some(TimeZone::UTC);
    }
    database().get(name).ok()
}

fn timestamp(moment: Moment) -> Timestamp {
    let ms = i64::try_from(moment.unix_ms()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// A moment for people, such as `Friday, 27 November 2026, 18:00 (Europe/Berlin, UTC+01)`.
pub(super) fn for_people(moment: Moment, zone_name: Option<&str>) -> String {
    let name = zone_name.unwrap_or(UTC);
    let Some(zone) = zone(name) else {
        return moment.to_string();
    };
    let at = timestamp(moment).to_zoned_datetime(zone);
    let time = match moment.unix_ms() % 60_000 {
        0 => "%H:%M",
        _ => "%H:%M:%S%.f",
    };
    let text = at.strftime(&format!("%A, %-d %B %Y, {time}")).to_string();
    match name {
        UTC => format!("{text} UTC"),
        _ => format!("{text} ({name}, UTC{})", at.strftime("%:z")),
    }
}

/// How long it is until a moment, in words such as `in 2 hours and 5 minutes`.
pub(super) fn until(moment: Moment, now: Moment) -> String {
    let seconds = moment.since(now).as_secs();
    let unit = |number: u64, name: &str| match number {
        1 => format!("1 {name}"),
        _ => format!("{number} {name}s"),
    };
    let two = |large: u64, of: &str, small: u64, than: &str| match small {
        0 => format!("in {}", unit(large, of)),
        _ => format!("in {} and {}", unit(large, of), unit(small, than)),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("in {}", unit(seconds, "second")),
        60..3_600 => two(minutes, "minute", seconds % 60, "second"),
        3_600..86_400 => two(hours, "hour", minutes % 60, "minute"),
        _ => two(days, "day", hours % 24, "hour"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn a_moment_is_shown_in_its_zone() {
        let shown = for_people(at("2026-11-27T17:00:00Z"), Some("Europe/Berlin"));
        assert_eq!(
            shown,
            "Friday, 27 November 2026, 18:00 (Europe/Berlin, UTC+01:00)"
        );
        let shown = for_people(at("2026-11-07T17:00:00Z"), None);
        assert_eq!(shown, "Saturday, 7 November 2026, 17:00 UTC");
    }

    #[test]
    fn a_wait_is_told_in_two_units() {
        let until = |seconds: u64| {
            let then = Moment::from_unix_ms(seconds * 1_000).unwrap();
            until(then, Moment::from_unix_ms(0).unwrap())
        };
        let texts = [0, 1, 60, 61, 7_500, 90_000, 172_800].map(until);
        assert_eq!(
            texts,
            [
                "now",
                "in 1 second",
                "in 1 minute",
                "in 1 minute and 1 second",
                "in 2 hours and 5 minutes",
                "in 1 day and 1 hour",
                "in 2 days"
            ]
        );
    }
}
