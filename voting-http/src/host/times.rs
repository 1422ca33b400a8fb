//! Moments as the host reads and writes them: local times in a time zone.

use std::sync::OnceLock;

use jiff::{
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use voting_core::model::moment::Moment;

use crate::views::time_zones::{database, timestamp};

pub(super) use crate::views::time_zones::{UTC, zone};

/// The zones of one part of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) name: String,
    /// The IANA names, each with the text that is shown.
    pub(super) zones: Vec<(String, String)>,
}

/// The zones that a host can choose from, by region. Names without a region are old ones; each of these zones also has a
/// name with a region.
pub(super) fn regions() -> &'static [Region] {
    static REGIONS: OnceLock<Vec<Region>> = OnceLock::new();
    REGIONS.get_or_init(|| {
        let mut regions: Vec<Region> = Vec::new();
        for name in database().available() {
            let name = name.as_str();
            let Some((region, place)) = name.split_once('/') else {
                continue;
            };
            if matches!(region, "Etc" | "posix" | "right" | "SystemV") {
                continue;
            }
            let shown = (name.to_owned(), place.replace('_', " "));
            match regions.iter_mut().find(|known| known.name == region) {
                Some(known) => known.zones.push(shown),
                None => regions.push(Region {
                    name: region.to_owned(),
                    zones: vec![shown],
                }),
            }
        }
        for region in &mut regions {
            region.zones.sort();
        }
        regions.sort_by(|one, other| one.name.cmp(&other.name));
        regions
    })
}

/// Which of two moments is meant by a local time that comes twice, when clocks go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    First,
    Second,
}

/// Why a local time is no moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoMoment {
    /// The text is not a date and a time.
    Unreadable,
    /// Clocks go forward then: the time does not exist.
    Skipped,
    /// Clocks go back then: the time comes twice.
    Twice,
}

impl NoMoment {
    /// What the host is told.
    pub(super) fn text(&self, zone: &str) -> String {
        match self {
            Self::Unreadable => {
                "This is not a date and a time. Write it like 2026-11-27T18:00.".into()
            }
            Self::Skipped => format!(
                "This time does not exist in {zone}: clocks go forward and skip it. Choose an earlier or a later time."
            ),
            Self::Twice => format!(
                "This time comes twice in {zone}: clocks go back. Choose below which of the two you mean."
            ),
        }
    }
}

/// The moment of a local time.
pub(super) fn moment(
    text: &str,
    zone: &TimeZone,
    which: Option<Which>,
) -> Result<Moment, NoMoment> {
    let local: DateTime = text.trim().parse().map_err(|_| NoMoment::Unreadable)?;
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let at = match (ambiguous.offset(), which) {
        (AmbiguousOffset::Gap { .. }, _) => return Err(NoMoment::Skipped),
        (AmbiguousOffset::Fold { .. }, None) => return Err(NoMoment::Twice),
        (_, Some(Which::Second)) => ambiguous.later(),
        (_, _) => ambiguous.earlier(),
    };
    let at = at.map_err(|_| NoMoment::Unreadable)?;
    let ms = u64::try_from(at.as_millisecond()).map_err(|_| NoMoment::Unreadable)?;
    Moment::from_unix_ms(ms).ok_or(NoMoment::Unreadable)
}

/// A moment as the value of a field for a date and a time, and which of two it is if the time comes twice.
pub(super) fn local(moment: Moment, zone: &TimeZone) -> (String, Option<Which>) {
    let at = timestamp(moment);
    let local = zone.to_datetime(at);
    let text = match moment.unix_ms() % 60_000 {
        0 => local.strftime("%Y-%m-%dT%H:%M").to_string(),
        _ => local.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string(),
    };
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let which = matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. }).then(|| {
        if ambiguous.earlier().is_ok_and(|earlier| earlier == at) {
            Which::First
        } else {
            Which::Second
        }
    });
    (text, which)
}

/// A moment for people, such as `Friday, 27 November 2026, 18:00 (Europe/Berlin, UTC+01)`.
pub(super) fn for_people(moment: Moment, zone_name: Option<&str>) -> String {
    let name = zone_name.unwrap_or(UTC);
    let Some(zone) = zone(name) else {
        return moment.to_string();
    };
    let at = timestamp(moment).to_zoned_datetime(zone);
    let time = match at.second() {
        0 => "%H:%M",
        _ => "%H:%M:%S",
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

    fn berlin() -> TimeZone {
        zone("Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn a_local_time_is_a_moment_in_its_zone() {
        let moment = |text: &str| moment(text, &berlin(), None);
        assert_eq!(moment("2026-11-27T18:00"), Ok(at("2026-11-27T17:00:00Z")));
        assert_eq!(
            moment("2026-07-27T18:00:05"),
            Ok(at("2026-07-27T16:00:05Z"))
        );
        for bad in ["", "tomorrow", "2026-13-01T00:00", "18:00"] {
            assert_eq!(moment(bad), Err(NoMoment::Unreadable), "{bad}");
        }
    }

    #[test]
    fn a_time_that_clocks_skip_is_refused_and_one_that_comes_twice_is_asked_for() {
        let zone = berlin();
        let skipped = moment("2026-03-29T02:30", &zone, Some(Which::First));
        assert_eq!(skipped, Err(NoMoment::Skipped));
        let twice = |which| moment("2026-10-25T02:30", &zone, which);
        assert_eq!(twice(None), Err(NoMoment::Twice));
        let (first, second) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(twice(Some(Which::First)), Ok(first));
        assert_eq!(twice(Some(Which::Second)), Ok(second));
        for (moment, which) in [(first, Which::First), (second, Which::Second)] {
            let shown = local(moment, &zone);
            assert_eq!(shown, ("2026-10-25T02:30".to_owned(), Some(which)));
        }
    }

    #[test]
    fn what_is_shown_in_a_field_reads_back() {
        for text in ["2026-11-27T17:00:00Z", "2026-11-27T17:00:01.25Z"] {
            let (shown, which) = local(at(text), &berlin());
            assert_eq!(moment(&shown, &berlin(), which), Ok(at(text)), "{shown}");
        }
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

    #[test]
    fn the_zones_of_the_world_can_be_chosen() {
        let all = regions();
        let europe = all.iter().find(|region| region.name == "Europe").unwrap();
        let berlin = ("Europe/Berlin".to_owned(), "Berlin".to_owned());
        assert!(europe.zones.contains(&berlin));
        assert!(all.iter().all(|region| region.name != "Etc"));
    }
}
