//! In which order the rows of the result page stand, and which of them are shown at first. The address says it, so that it works
//! without scripts: `?sort=votes`, `?sort=poll`, `?all=1`, `?find=tea`.

use poem::Request;
use voting_core::Choices;

use crate::views::result_texts::{OptionTexts, ResultTexts};

/// A poll with more options than this shows so many rows at first, those with the most votes.
pub(crate) const TOP: usize = 10;

/// Longer texts are not searched for.
const LONGEST_SEARCH: usize = 200;

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Votes,
    Poll,
}

/// The rows of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows<'a> {
    pub(crate) all: Vec<Row<'a>>,
    sort: Sort,
    /// Whether only the first rows are shown.
    pub(crate) is_cut: bool,
    /// The text that is searched for.
    pub(crate) find: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) option: &'a OptionTexts,
    /// Whether this browser is known to have voted for the option.
    pub(crate) is_yours: bool,
    /// Whether the label lacks the text that is searched for.
    pub(crate) is_hidden: bool,
}

impl<'a> Rows<'a> {
    /// The rows that a request asks for. `yours` are the choices of this browser's vote.
    pub(crate) fn new(request: &Request, result: &'a ResultTexts, yours: Choices) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let field = |wanted: &str| {
            let mut fields = form_urlencoded::parse(query.as_bytes());
            Some(fields.find(|(name, _)| name == wanted)?.1.into_owned())
        };
        let is_long = result.options.len() > TOP;
        let sort = match field("sort").as_deref() {
            _ if result.is_duo() => Sort::Poll,
            Some("votes") => Sort::Votes,
            Some("poll") => Sort::Poll,
            _ if is_long => Sort::Votes,
            _ => Sort::Poll,
        };
        let find = field("find").unwrap_or_default().trim().to_owned();
        let find = if is_long && find.len() <= LONGEST_SEARCH {
            find
        } else {
            String::new()
        };
        let sought = find.to_lowercase();
        let rows = result
            .options
            .iter()
            .enumerate()
            .map(|(index, option)| Row {
                option,
                is_yours: yours.indices().any(|chosen| chosen == index),
                is_hidden: !option.label.to_lowercase().contains(&sought),
            });
        let mut all: Vec<_> = rows.collect();
        if sort == Sort::Votes {
            // The sort is stable, so equal options stay in the poll's order.
            all.sort_by_key(|row| std::cmp::Reverse(row.option.count));
        }
        Self {
            all,
            sort,
            is_cut: is_long && sort == Sort::Votes && find.is_empty() && field("all").is_none(),
            find,
        }
    }

    /// Whether the rows with the most votes are first.
    pub(crate) fn is_by_votes(&self) -> bool {
        self.sort == Sort::Votes
    }

    /// Whether the order can be chosen.
    pub(crate) fn is_list(&self) -> bool {
        self.all.len() > 2
    }

    /// Whether there are so many options that a search is of use.
    pub(crate) fn is_long(&self) -> bool {
        self.all.len() > TOP
    }

    /// Whether a search has found nothing.
    pub(crate) fn found_nothing(&self) -> bool {
        self.all.iter().all(|row| row.is_hidden)
    }
}

#[cfg(test)]
mod tests {
    use voting_core::{Poll, Tally};

    use super::*;
    use crate::{texts::Texts, views::poll_view::StateView};

    fn result(options: u64) -> ResultTexts {
        let mut builder = Poll::builder("p", "P?");
        for number in 0..options {
            builder = builder.option(format!("o{number}"), format!("Tea {number}"));
        }
        let poll = builder.build().unwrap();
        let mut tally = Tally::empty("p".parse().unwrap(), poll.options().len());
        tally.votes = (0..options).map(|number| number / 2).collect();
        tally.voters = tally.votes.iter().sum();
        ResultTexts::new(&poll, StateView::Open, &tally, Texts::english())
    }

    fn rows<'a>(result: &'a ResultTexts, query: &str) -> Rows<'a> {
        let request = Request::builder().uri_str(format!("http://localhost/?{query}"));
        Rows::new(
            &request.finish(),
            result,
            Choices::from_bits(0b1000).unwrap(),
        )
    }

    fn order(rows: &Rows<'_>) -> Vec<String> {
        let shown = rows.all.iter().filter(|row| !row.is_hidden);
        shown.map(|row| row.option.id.clone()).collect()
    }

    #[test]
    fn few_options_stand_in_the_polls_order_until_another_one_is_asked_for() {
        let result = result(4);
        let plain = rows(&result, "");
        assert_eq!(order(&plain), ["o0", "o1", "o2", "o3"]);
        assert!(plain.is_list() && !plain.is_long() && !plain.is_cut);
        let yours: Vec<_> = plain.all.iter().map(|row| row.is_yours).collect();
        assert_eq!(yours, [false, false, false, true]);
        let sorted = rows(&result, "lang=en&sort=votes");
        assert_eq!(order(&sorted), ["o2", "o3", "o0", "o1"]);
        assert_eq!(rows(&result, "sort=x&find=1"), plain);
    }

    #[test]
    fn of_many_options_the_first_ten_are_shown_and_each_can_be_found() {
        let result = result(63);
        let plain = rows(&result, "");
        assert!(plain.is_cut && plain.is_by_votes() && plain.is_long());
        assert_eq!(order(&plain)[..3], ["o62", "o60", "o61"]);
        assert!(!rows(&result, "all=1").is_cut);
        assert!(!rows(&result, "sort=poll").is_cut);
        let found = rows(&result, "find=+TEA+6");
        assert_eq!(order(&found), ["o62", "o60", "o61", "o6"]);
        assert!(!found.is_cut && !found.found_nothing());
        assert!(rows(&result, "find=coffee").found_nothing());
    }

    #[test]
    fn two_options_are_never_sorted() {
        let mut result = result(2);
        result.options[1].count = 9;
        let two = rows(&result, "sort=votes");
        assert_eq!(order(&two), ["o0", "o1"]);
        assert!(!two.is_list());
    }
}
