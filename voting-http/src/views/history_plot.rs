//! The plot of how the votes of a poll grew: lines, and the numbers behind them.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use voting_core::{
    Poll,
    model::{moment::Moment, vote_history::VoteHistory},
};

use super::{
    history_view::shown_at,
    time_zones::{UTC, timestamp, zone as known_zone},
};
use crate::{texts::Texts, views::poll_view::StateView};

/// Lines for so many options, those with the most votes.
const LINES: usize = 5;

/// The table has so many rows at most.
const ROWS: usize = 13;

/// The size of the drawing. It is stretched to that of the page.
pub(crate) const WIDTH: u64 = 1000;
pub(crate) const HEIGHT: u64 = 240;

/// A day in seconds.
const DAY: u64 = 86_400;

/// The plot, with all that is written beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryPlot {
    pub(crate) lines: Vec<Line>,
    /// The number at the upper edge.
    pub(crate) most: String,
    /// The moments at both ends.
    pub(crate) begin: String,
    pub(crate) end: String,
    /// The time zone of all moments.
    pub(crate) zone: String,
    /// A moment each, with the numbers of the lines.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The option, or the word for voters.
    pub(crate) label: String,
    /// True if the label is of the poll's author.
    pub(crate) is_option: bool,
    /// The number at the end.
    pub(crate) last: String,
    /// The path in the drawing.
    pub(crate) path: String,
}

impl HistoryPlot {
    /// The plot of this history; `None` before the first vote. Where the votes for options are not known from the beginning,
    /// the plot has the voters only.
    pub(crate) fn new(poll: &Poll, history: &VoteHistory, t: &Texts) -> Option<Self> {
        let points = &history.points;
        let (first, last) = (points.first()?, points.last()?);
        let begin = first.at;
        let end = match StateView::now(poll).is_final() {
            true => shown_at(last.at, poll),
            false => Moment::now(),
        };
        let end = end.max(Moment::from_unix_ms(begin.unix_ms() + 1000)?);
        let is_known = points.iter().all(|point| point.votes.is_some());
        // Those with the most votes, in the poll's order.
        let mut options: Vec<usize> = (0..history.tally.votes.len()).collect();
        options.sort_by_key(|index| std::cmp::Reverse(history.tally.votes[*index]));
        options.truncate(if is_known { LINES } else { 0 });
        options.sort_unstable();
        let count = |option: Option<usize>, index: usize| match option {
            Some(option) => {
                let votes = points[index].votes.as_deref().unwrap_or_default();
                votes.get(option).copied().unwrap_or_default()
            }
            None => points[index].voters,
        };
        let shown: Vec<_> = match options.is_empty() {
            true => vec![None],
            false => options.into_iter().map(Some).collect(),
        };
        let of_all = shown
            .iter()
            .flat_map(|of| (0..points.len()).map(|index| count(*of, index)));
        let most = rounded_up(of_all.max().unwrap_or_default());
        let place = |at: Moment| {
            let since = at.unix_ms().clamp(begin.unix_ms(), end.unix_ms()) - begin.unix_ms();
            since * WIDTH / (end.unix_ms() - begin.unix_ms())
        };
        let height = |count: u64| {
            let part = u128::from(count) * u128::from(HEIGHT) / u128::from(most);
            HEIGHT - u64::try_from(part).unwrap_or(HEIGHT).min(HEIGHT)
        };
        let lines = shown.iter().map(|option| {
            let mut path = format!("M0 {}", height(count(*option, 0)));
            for (index, point) in points.iter().enumerate().skip(1) {
                // A step: the number stands until it changes.
                let (x, y) = (place(point.at), height(count(*option, index)));
                _ = write!(path, "H{x}V{y}");
            }
            _ = write!(path, "H{WIDTH}");
            let last = count(*option, points.len() - 1);
            Line {
                label: match option {
                    Some(option) => poll.options()[*option].label.clone(),
                    None => t.voters_word.clone(),
                },
                is_option: option.is_some(),
                last: t.number(last),
                path,
            }
        });
        let zone = poll.settings().time_zone.as_deref();
        let zone = zone.and_then(|name| Some((name, known_zone(name)?)));
        let (name, zone) = zone.unwrap_or((UTC, TimeZone::UTC));
        let seconds = (end.unix_ms() - begin.unix_ms()) / 1000;
        let clock = |at| clock(at, &zone, seconds);
        let few = history.clone().thinned(ROWS);
        let rows = few.points.iter().map(|point| {
            let numbers = shown.iter().map(|option| match option {
                Some(option) => {
                    let votes = point.votes.as_deref().unwrap_or_default();
                    t.number(votes.get(*option).copied().unwrap_or_default())
                }
                None => t.number(point.voters),
            });
            (clock(shown_at(point.at, poll)), numbers.collect())
        });
        Some(Self {
            rows: rows.collect(),
            lines: lines.collect(),
            most: t.number(most),
            begin: clock(begin),
            end: clock(end),
            zone: name.to_owned(),
        })
    }
}

/// The next number that begins with 1, 2 or 5 and has only zeros behind it.
fn rounded_up(most: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for round in [1, 2, 5] {
            let round = unit.saturating_mul(round);
            if round >= most {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// A moment, as exact as it can be seen in a plot of so many seconds. The order of a date is that of the standard, which is the
/// same in all languages.
fn clock(at: Moment, zone: &TimeZone, seconds: u64) -> String {
    let format = match seconds {
        ..600 => "%H:%M:%S",
        600..DAY => "%H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    let at = timestamp(at).to_zoned_datetime(zone.clone());
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use voting_core::{
        Tally,
        model::vote_history::{HistoryChange, VOTERS},
    };

    use super::*;

    const BEGIN: u64 = 1_790_000_000;

    fn change(second: u64, counter: usize, by: i64) -> HistoryChange {
        let until = BEGIN + second;
        HistoryChange { until, counter, by }
    }

    fn poll(options: usize) -> Poll {
        let mut builder = Poll::builder("p", "P?");
        for number in 0..options {
            builder = builder.option(format!("o{number}"), format!("Tea {number}"));
        }
        builder.build().unwrap()
    }

    fn history(options: usize, votes: &[(usize, u64)], changes: &[HistoryChange]) -> VoteHistory {
        let mut tally = Tally::empty("p".parse().unwrap(), options);
        for (option, votes) in votes {
            tally.votes[*option] = *votes;
        }
        tally.voters = tally.votes.iter().sum();
        VoteHistory::new(tally, changes.iter().copied())
    }

    #[test]
    fn the_plot_has_a_line_for_each_of_the_first_options() {
        let votes = [(1, 3), (6, 2), (3, 1), (4, 1), (5, 1)];
        let changes = [
            change(0, VOTERS, 8),
            change(0, 1, 3),
            change(0, 6, 2),
            change(0, 3, 1),
            change(0, 4, 1),
            change(0, 5, 1),
        ];
        let plot = HistoryPlot::new(&poll(7), &history(7, &votes, &changes), Texts::english());
        let plot = plot.unwrap();
        let lines: Vec<_> = plot.lines.iter().map(|line| line.label.as_str()).collect();
        assert_eq!(lines, ["Tea 1", "Tea 3", "Tea 4", "Tea 5", "Tea 6"]);
        assert_eq!(
            (plot.lines[0].last.as_str(), plot.most.as_str()),
            ("3", "5")
        );
        let path = &plot.lines[0].path;
        assert!(path.starts_with("M0 240H0V96H1000"), "{path}");
        assert_eq!(plot.rows.last().unwrap().1, ["3", "1", "1", "1", "2"]);
        assert_eq!(plot.zone, "UTC");
    }

    #[test]
    fn of_a_result_that_was_hidden_the_plot_has_the_voters_only() {
        let changes = [change(0, VOTERS, 2), change(9, VOTERS, 1)];
        let plot = HistoryPlot::new(&poll(2), &history(2, &[(0, 3)], &changes), Texts::english());
        let plot = plot.unwrap();
        assert_eq!(plot.lines.len(), 1);
        assert_eq!(
            (plot.lines[0].label.as_str(), plot.lines[0].last.as_str()),
            ("Voters", "3")
        );
        assert!(!plot.lines[0].is_option);
        let none = HistoryPlot::new(&poll(2), &history(2, &[], &[]), Texts::english());
        assert_eq!(none, None);
    }

    #[test]
    fn the_upper_edge_is_a_round_number() {
        let all = [0, 1, 2, 3, 6, 11, 99, 500, 501, 123_456].map(rounded_up);
        assert_eq!(all, [1, 1, 2, 5, 10, 20, 100, 500, 1000, 200_000]);
        assert!(rounded_up(u64::MAX) == u64::MAX);
    }
}
