//! The options of a poll on a board: with figures, or without them where the result is hidden.

use voting_core::Poll;

use crate::views::result_texts::ResultTexts;

/// One option. The texts of the figures are empty if they are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    pub(super) id: &'a str,
    pub(super) label: &'a str,
    /// `66.7%`.
    pub(super) share: &'a str,
    /// `1,000 votes`.
    pub(super) votes: &'a str,
    /// How much of the bar is full: `66.7%`.
    pub(super) bar: &'a str,
    pub(super) leads: bool,
}

/// The options with their figures.
pub(super) fn with_figures(result: &ResultTexts) -> Vec<Choice<'_>> {
    let options = result.options.iter();
    let choices = options.map(|option| Choice {
        id: &option.id,
        label: &option.label,
        share: &option.share,
        votes: &option.votes,
        bar: &option.bar,
        leads: option.leads,
    });
    choices.collect()
}

/// The options alone.
pub(super) fn without_figures(poll: &Poll) -> Vec<Choice<'_>> {
    let options = poll.options().iter();
    let choices = options.map(|option| Choice {
        id: option.id.as_str(),
        label: &option.label,
        share: "",
        votes: "",
        bar: "0%",
        leads: false,
    });
    choices.collect()
}

/// In how many columns so many options stand on a screen, and how many are in a column at most.
pub(super) fn columns(options: usize) -> (usize, usize) {
    let columns = match options {
        0..=8 => 1,
        9..=20 => 2,
        21..=36 => 3,
        _ => 4,
    };
    (columns, options.div_ceil(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_options_have_a_place_and_no_column_is_higher_than_sixteen() {
        for options in 2..=63 {
            let (columns, rows) = columns(options);
            assert!(columns * rows >= options, "{options}");
            assert!(rows <= 16, "{options}: {rows}");
        }
    }
}
