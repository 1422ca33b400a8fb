//! How long it is until a poll opens or closes, in words.

use voting_core::{Poll, model::moment::Moment};

use crate::{texts::Texts, views::poll_view::StateView};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `Closes in 6 days 23 hours.`, `Opens in 5 minutes.`; nothing if the poll does neither at a set time.
pub(crate) fn time_left(poll: &Poll, state: StateView, now: Moment, t: &Texts) -> Option<String> {
    let settings = poll.settings();
    let at = match state {
        StateView::Scheduled => settings.opens_at,
        StateView::Open => settings.closes_at,
        _ => None,
    };
    let left = at?.unix_ms().checked_sub(now.unix_ms())?;
    let time = in_words(left.div_ceil(1000), t);
    (left > 0).then(|| match state {
        StateView::Open => t.closes_in(&time),
        _ => t.opens_in(&time),
    })
}

/// The largest unit and the one below it. `vote.js` says the same.
fn in_words(seconds: u64, t: &Texts) -> String {
    let (days, hours) = (seconds / DAY, seconds / HOUR % 24);
    let (minutes, rest) = (seconds / MINUTE % 60, seconds % MINUTE);
    let (large, small) = match (days, hours, minutes) {
        (1.., ..) => (t.days(days), (hours > 0).then(|| t.hours(hours))),
        (0, 1.., _) => (t.hours(hours), (minutes > 0).then(|| t.minutes(minutes))),
        (0, 0, 1..) => (t.minutes(minutes), (rest > 0).then(|| t.seconds(rest))),
        _ => (t.seconds(rest), None),
    };
    match small {
        Some(small) => t.time_parts(&large, &small),
        None => large,
    }
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::PollSettings;

    use super::*;

    #[test]
    fn the_two_largest_units_are_said() {
        let english = Texts::english();
        for (seconds, expected) in [
            (6 * DAY + 23 * HOUR + 59 * MINUTE, "6 days 23 hours"),
            (DAY, "1 day"),
            (DAY + 59 * MINUTE, "1 day"),
            (HOUR + MINUTE + 1, "1 hour 1 minute"),
            (5 * MINUTE, "5 minutes"),
            (61, "1 minute 1 second"),
            (1, "1 second"),
        ] {
            assert_eq!(in_words(seconds, english), expected);
        }
        let russian = Texts::in_language("ru").unwrap();
        assert_eq!(in_words(2 * DAY + 5 * HOUR, russian), "2 дня 5 часов");
    }

    #[test]
    fn only_what_is_still_to_come_is_counted_down() {
        let closes: Moment = "2026-11-27T18:00:00Z".parse().unwrap();
        let mut settings = PollSettings::default();
        settings.closes_at = Some(closes);
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B")
            .settings(settings)
            .build()
            .unwrap();
        let said = |state, now: &str| {
            let now = now.parse().unwrap();
            time_left(&poll, state, now, Texts::english())
        };
        assert_eq!(
            said(StateView::Open, "2026-11-27T17:58:30Z").as_deref(),
            Some("Closes in 1 minute 30 seconds.")
        );
        assert_eq!(said(StateView::Open, "2026-11-27T18:00:00Z"), None);
        assert_eq!(said(StateView::Scheduled, "2026-11-27T17:00:00Z"), None);
        assert_eq!(said(StateView::Final, "2026-11-27T17:00:00Z"), None);
    }
}
