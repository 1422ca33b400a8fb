//! How the votes of a poll grew with time.
//!
//! A store keeps by how much the counts changed in spans of time, in the transaction that changes the tally. The positions of the
//! ballots say when: so it does not matter when a ballot is flushed, or how often. A span is a second at first, and longer the
//! later it is after the first vote ([`span_of`]), so a poll has some hundred spans, however long it is open.
//!
//! Of a poll whose result everybody sees while it grows, the votes of each option are kept. Of other polls only the number of
//! voters is kept: otherwise whoever knows when somebody voted could later look up what for. For the same reason, only the number of
//! voters stays once the voters are forgotten.

use std::collections::BTreeMap;

use crate::model::{
    moment::Moment,
    poll::{Poll, ShowResults},
    tally::{Tally, TallyDelta},
};

/// The counter of voters in a history, beside those of options by their index. It is none of a tally's counters.
pub const VOTERS: usize = 66;

/// For this many seconds after the first vote, each second is a span.
const FINE: u64 = 64;

/// By how much a counter changed within a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryChange {
    /// The last second of the span, since 1970 began. It names the span.
    pub until: u64,
    /// An option by its index, or [`VOTERS`].
    pub counter: usize,
    /// By how much.
    pub by: i64,
}

/// The votes at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPoint {
    /// The moment.
    pub at: Moment,
    /// Voters whose ballot counted at that moment.
    pub voters: u64,
    /// Votes by option index. The last point has those of the tally. `None` of other times in which the result was hidden, or from which only the sum is known.
    pub votes: Option<Vec<u64>>,
}

/// How the votes of a poll grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteHistory {
    /// The tally, of the same moment.
    pub tally: Tally,
    /// The points, sorted by time. The last one is as the tally. Empty before the first vote.
    pub points: Vec<HistoryPoint>,
}

/// The last second of the span of this second, if the poll's first vote came in the second `first`. The length of a span is a
/// power of two, and at most a thirty-second part of the time since then. Later seconds never have an earlier span.
pub fn span_of(second: u64, first: u64) -> u64 {
    let age = second.saturating_sub(first);
    let length = match age {
        ..FINE => 1,
        age => 1 << ((age / (FINE / 2)).ilog2()),
    };
    second | (length - 1)
}

impl TallyDelta {
    /// The changes to the history of this poll. `first` is the [last second](HistoryChange::until) of the first span that is
    /// stored; `None` if there is none.
    pub fn history(&self, poll: &Poll, first: Option<u64>) -> Vec<HistoryChange> {
        let shows_options = poll.settings().results == ShowResults::Always;
        let first = first.or_else(|| self.by_second().next().map(|(second, ..)| second));
        let mut changes = BTreeMap::<_, i64>::new();
        for (second, counter, by) in self.by_second() {
            if shows_options || counter == VOTERS {
                let span = span_of(second, first.unwrap_or(second));
                *changes.entry((span, counter)).or_default() += by;
            }
        }
        let changes = changes.into_iter().filter(|(_, by)| *by != 0);
        changes
            .map(|((until, counter), by)| HistoryChange { until, counter, by })
            .collect()
    }
}

impl VoteHistory {
    /// The history of a poll with this tally: the changes that are stored, in any order.
    ///
    /// It is reckoned back from the tally. So it ends as the tally even if the first votes came before histories were kept.
    pub fn new(tally: Tally, changes: impl IntoIterator<Item = HistoryChange>) -> Self {
        let mut spans = BTreeMap::<u64, Vec<(usize, i64)>>::new();
        for change in changes {
            let span = spans.entry(change.until).or_default();
            span.push((change.counter, change.by));
        }
        let has_options =
            |span: &[(usize, i64)]| span.iter().any(|(counter, _)| *counter != VOTERS);
        let first_with_options = spans.iter().find(|(_, span)| has_options(span));
        let first_with_options = first_with_options.map(|(until, _)| *until);
        let (mut voters, mut votes) = (tally.voters, tally.votes.clone());
        let mut back = Vec::new();
        for (until, span) in spans.iter().rev() {
            back.push((*until, voters, votes.clone()));
            for (counter, by) in span {
                let count = match votes.get_mut(*counter) {
                    Some(count) => count,
                    None if *counter == VOTERS => &mut voters,
                    None => continue,
                };
                // Below zero if a vote was counted by a program that keeps no history.
                *count = count.saturating_add_signed(by.saturating_neg());
            }
        }
        if let Some((first, _)) = spans.first_key_value() {
            back.push((first.saturating_sub(1), voters, votes.clone()));
        }
        // Votes from spans without options came at unknown times.
        let all_known = votes.iter().all(|count| *count == 0);
        let last = spans.last_key_value().map(|(until, _)| *until);
        let points = back.into_iter().rev().filter_map(|(until, voters, votes)| {
            let is_known = all_known
                || Some(until) == last
                || first_with_options.is_some_and(|first| until >= first);
            Some(HistoryPoint {
                at: Moment::from_unix_ms(until.checked_add(1)?.checked_mul(1000)?)?,
                voters,
                votes: is_known.then_some(votes),
            })
        });
        Self {
            points: points.collect(),
            tally,
        }
    }

    /// Without points between which fewer than `least` voters came. The first and the last stay.
    ///
    /// Somebody may learn in which minute a voter voted: from the voter, or from the voter's receipt. They must not look up later what
    /// the only vote of that minute was for.
    #[must_use]
    pub fn of_many(mut self, least: u64) -> Self {
        let Some(last) = self.points.pop() else {
            return self;
        };
        // While the result is hidden, the number of voters reveals no vote.
        if self.points.iter().all(|point| point.votes.is_none()) {
            self.points.push(last);
            return self;
        }
        let mut kept: Vec<HistoryPoint> = Vec::new();
        for point in self.points {
            if kept
                .last()
                .is_none_or(|before| before.voters.abs_diff(point.voters) >= least)
            {
                kept.push(point);
            }
        }
        while kept.len() > 1
            && kept
                .last()
                .is_some_and(|before| before.voters.abs_diff(last.voters) < least)
        {
            kept.pop();
        }
        kept.push(last);
        self.points = kept;
        self
    }

    /// At most this many points, evenly spread over the time. The first and the last stay.
    #[must_use]
    pub fn thinned(mut self, most: usize) -> Self {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return self;
        };
        if self.points.len() <= most {
            return self;
        }
        let (first, last) = (first.at.unix_ms(), last.at.unix_ms());
        let parts = most.saturating_sub(1).max(1) as u64;
        let part = |point: &HistoryPoint| {
            let since = u128::from(point.at.unix_ms() - first) * u128::from(parts);
            // Rounded up, so that the first point is in a part of its own.
            since.div_ceil(u128::from((last - first).max(1)))
        };
        let mut kept: Vec<HistoryPoint> = Vec::with_capacity(most);
        for point in self.points {
            match kept.last_mut() {
                // The last point of each part is the state at its end.
                Some(before) if part(before) == part(&point) => *before = point,
                _ => kept.push(point),
            }
        }
        self.points = kept;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(voters: u64, votes: [u64; 2]) -> Tally {
        let mut tally = Tally::empty("p".parse().unwrap(), 2);
        (tally.voters, tally.votes) = (voters, votes.to_vec());
        tally
    }

    fn change(until: u64, counter: usize, by: i64) -> HistoryChange {
        HistoryChange { until, counter, by }
    }

    fn shape(history: &VoteHistory) -> Vec<(u64, u64, Option<Vec<u64>>)> {
        let points = history.points.iter();
        points
            .map(|point| (point.at.unix_ms() / 1000, point.voters, point.votes.clone()))
            .collect()
    }

    #[test]
    fn a_poll_of_ten_years_has_some_hundred_spans_and_none_is_long_for_its_age() {
        let first = 1_790_000_001;
        let mut spans = std::collections::BTreeSet::new();
        let mut second = first;
        while second < first + 10 * 365 * 86_400 {
            let until = span_of(second, first);
            assert!(
                until >= second && until <= span_of(second + 1, first),
                "{second}"
            );
            assert!(
                (until - second) * 16 <= (second - first).max(16),
                "{second}"
            );
            spans.insert(until);
            second = until + 1;
        }
        assert!((400..=900).contains(&spans.len()), "{}", spans.len());
        assert_eq!(span_of(first - 5, first), first - 5);
    }

    #[test]
    fn a_history_is_reckoned_back_from_the_tally() {
        let changes = [
            change(10, VOTERS, 2),
            change(10, 0, 2),
            change(12, 0, -1),
            change(12, 1, 1),
            change(15, VOTERS, 1),
            change(15, 1, 1),
        ];
        let history = VoteHistory::new(tally(3, [1, 2]), changes);
        let expected = [
            (10, 0, Some(vec![0, 0])),
            (11, 2, Some(vec![2, 0])),
            (13, 2, Some(vec![1, 1])),
            (16, 3, Some(vec![1, 2])),
        ];
        assert_eq!(shape(&history), expected);
        assert_eq!(VoteHistory::new(tally(0, [0, 0]), []).points, []);
    }

    #[test]
    fn votes_of_unknown_times_are_not_dated() {
        // Seven votes came while the result was hidden.
        let changes = [
            change(10, VOTERS, 7),
            change(20, VOTERS, 1),
            change(20, 1, 1),
        ];
        let history = VoteHistory::new(tally(8, [3, 5]), changes);
        let expected = [(10, 0, None), (11, 7, None), (21, 8, Some(vec![3, 5]))];
        assert_eq!(shape(&history), expected);
    }

    #[test]
    fn between_two_points_came_several_voters_so_that_none_of_them_is_dated() {
        let changes = (100..112).flat_map(|second| {
            let option = usize::from(second % 3 == 0);
            [change(second, VOTERS, 1), change(second, option, 1)]
        });
        let history = VoteHistory::new(tally(12, [8, 4]), changes).of_many(5);
        let expected = [
            (100, 0, Some(vec![0, 0])),
            (105, 5, Some(vec![4, 1])),
            (112, 12, Some(vec![8, 4])),
        ];
        assert_eq!(shape(&history), expected);
        let few = VoteHistory::new(tally(1, [1, 0]), [change(7, VOTERS, 1), change(7, 0, 1)]);
        assert_eq!(shape(&few.clone().of_many(5)), shape(&few));
        // A history of voters only stays as it is.
        let hidden = (0..9).map(|second| change(second, VOTERS, 1));
        let hidden = VoteHistory::new(tally(9, [5, 4]), hidden);
        assert_eq!(hidden.clone().of_many(5), hidden);
    }

    #[test]
    fn a_history_is_thinned_evenly_and_keeps_its_ends() {
        let changes = (100..1100).map(|second| change(second, VOTERS, 1));
        let history = VoteHistory::new(tally(1000, [0, 0]), changes);
        assert_eq!(history.points.len(), 1001);
        let thin = history.clone().thinned(101);
        assert_eq!(thin.points.len(), 101);
        assert_eq!(thin.points[0], history.points[0]);
        assert_eq!(thin.points[100], history.points[1000]);
        let voters: Vec<_> = thin.points.iter().map(|point| point.voters).collect();
        assert!(
            voters.windows(2).all(|two| two[1] - two[0] == 10),
            "{voters:?}"
        );
        assert_eq!(thin.clone().thinned(101), thin);
    }
}
