//! Moments as people read them. The day has 24 hours in all languages: `18:00` says the same everywhere.

use std::cell::RefCell;

use jiff::{civil::Weekday, tz::TimeZone};
use voting_core::{Poll, model::moment::Moment};

use super::time_zones::{UTC, timestamp, zone as known_zone};
use crate::texts::Texts;

/// What was said last on a thread.
struct Said {
    moment: Moment,
    zone: Option<String>,
    language: &'static str,
    words: String,
}

thread_local! {
    /// The answer to each ballot says until when the vote can be changed, and it is the same moment again and again. It is not
    /// looked up in the time zone and put into words for each of them.
    static LAST: RefCell<Option<Said>> = const { RefCell::new(None) };
}

/// A moment in words, in the time zone of the poll: `Friday, 27 November 2026, 18:00 (Europe/Berlin)`.
pub(crate) fn of_poll(moment: Moment, poll: &Poll, t: &Texts) -> String {
    let (zone, language) = (poll.settings().time_zone.as_deref(), t.tag);
    LAST.with_borrow_mut(|last| {
        let known = last.as_ref().filter(|said| {
            said.moment == moment && said.zone.as_deref() == zone && said.language == language
        });
        if let Some(said) = known {
            return said.words.clone();
        }
        let words = in_words(moment, zone, t);
        *last = Some(Said {
            moment,
            zone: zone.map(ToOwned::to_owned),
            language,
            words: words.clone(),
        });
        words
    })
}

/// A moment in words. A time zone that is not in the database is shown as UTC: the words then say so.
fn in_words(moment: Moment, zone: Option<&str>, t: &Texts) -> String {
    let known = zone.and_then(|name| Some((name, known_zone(name)?)));
    let (name, zone) = known.unwrap_or((UTC, TimeZone::UTC));
    let at = timestamp(moment).to_zoned_datetime(zone.clone());
    let (hour, minute) = (at.hour(), at.minute());
    let time = match at.second() {
        0 => format!("{hour:02}:{minute:02}"),
        second => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    // When clocks are set back, an hour comes twice.
    let zone = match zone.to_ambiguous_timestamp(at.datetime()).is_ambiguous() {
        true => at.strftime(&format!("{name}, UTC%:z")).to_string(),
        false => name.to_owned(),
    };
    let day = date(
        at.year().into(),
        at.month().unsigned_abs(),
        at.day().unsigned_abs(),
        t,
    );
    t.moment(weekday(at.weekday(), t), &day, &time, &zone)
}

fn weekday(day: Weekday, t: &Texts) -> &str {
    match day {
        Weekday::Monday => &t.monday,
        Weekday::Tuesday => &t.tuesday,
        Weekday::Wednesday => &t.wednesday,
        Weekday::Thursday => &t.thursday,
        Weekday::Friday => &t.friday,
        Weekday::Saturday => &t.saturday,
        Weekday::Sunday => &t.sunday,
    }
}

/// A date: `27 November 2026`. Months are numbered from 1.
pub(crate) fn date(year: i32, month: u8, day: u8, t: &Texts) -> String {
    let months = [
        &t.january,
        &t.february,
        &t.march,
        &t.april,
        &t.may,
        &t.june,
        &t.july,
        &t.august,
        &t.september,
        &t.october,
        &t.november,
        &t.december,
    ];
    let month = months.get(usize::from(month.saturating_sub(1)));
    t.date(
        &day.to_string(),
        month.map_or("", |month| month),
        &year.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::PollSettings;

    use super::*;

    fn words(moment: &str, zone: Option<&str>) -> String {
        in_words(moment.parse().unwrap(), zone, Texts::english())
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
    fn what_was_said_last_is_not_said_of_something_else() {
        let poll = |zone: Option<&str>| {
            let mut settings = PollSettings::default();
            settings.time_zone = zone.map(ToOwned::to_owned);
            let poll = Poll::builder("when", "When?")
                .option("a", "A")
                .option("b", "B");
            poll.settings(settings).build().expect("a poll")
        };
        let german = Texts::in_language("de").expect("a language");
        for (at, zone, t) in [
            ("2026-11-27T17:00:00Z", None, Texts::english()),
            ("2026-11-27T17:00:00Z", None, Texts::english()),
            ("2026-11-27T17:00:01Z", None, Texts::english()),
            (
                "2026-11-27T17:00:01Z",
                Some("Europe/Berlin"),
                Texts::english(),
            ),
            ("2026-11-27T17:00:01Z", Some("Europe/Berlin"), german),
            ("2026-11-27T17:00:01Z", Some("Asia/Kathmandu"), german),
        ] {
            let at = at.parse().expect("a moment");
            let expected = in_words(at, zone, t);
            assert_eq!(of_poll(at, &poll(zone), t), expected);
        }
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

    #[test]
    fn a_moment_is_written_as_in_the_language() {
        for (tag, expected) in [
            (
                "de",
                "Freitag, 27.\u{a0}November 2026, 18:00 Uhr (Europe/Berlin)",
            ),
            (
                "es",
                "viernes, 27 de noviembre de 2026, 18:00 (Europe/Berlin)",
            ),
            (
                "ru",
                "27\u{a0}ноября 2026\u{a0}г. (пятница), 18:00 (Europe/Berlin)",
            ),
            ("ar", "الجمعة، 27 نوفمبر 2026، 18:00 (Europe/Berlin)"),
            ("ja", "2026年11月27日（金）18:00（Europe/Berlin）"),
        ] {
            let at = "2026-11-27T17:00:00Z".parse().unwrap();
            let texts = Texts::in_language(tag).unwrap();
            assert_eq!(in_words(at, Some("Europe/Berlin"), texts), expected);
        }
    }
}
