//! The texts of a tally: each number with its words. They are written once, for the page and for all who watch it.
//! The page's script inserts these texts and has no such words of its own.

use serde::Serialize;
use voting_core::{Poll, Tally};

use super::{
    shares::{Share, shares},
    turnout::turnout,
};
use crate::{
    texts::Texts,
    views::{poll_view::StateView, text_size::text_size},
};

/// How many places are read aloud. To hear sixty-three places would help nobody.
const PLACES: usize = 3;

/// The result of a poll in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ResultTexts {
    /// Names the poll.
    pub(crate) poll: String,
    /// As in the API, such as `open`.
    #[serde(serialize_with = "state")]
    pub(crate) state: StateView,
    /// Grows whenever the tally changes.
    pub(crate) version: u64,
    /// The question.
    pub(crate) title: String,
    /// The title of the page.
    pub(crate) page_title: String,
    /// The CSS class of the title's size.
    pub(crate) title_size: &'static str,
    /// `1 voter`, `1,000 voters`, or `13 of 40 voted (32.5%)` where it is known who may vote.
    pub(crate) total: String,
    /// The number in this text.
    pub(crate) voters: u64,
    /// The line below the question: whether voting goes on, and once the result is final, which option has won.
    pub(crate) summary: String,
    /// A text about as long as the longest such line. The page keeps room for it, so that nothing moves at the end.
    #[serde(skip)]
    pub(crate) longest_summary: String,
    /// The word beside each leading option.
    pub(crate) lead_word: &'static str,
    /// The CSS class of the size of the labels, if two options stand side by side.
    pub(crate) label_size: &'static str,
    /// The text that is read aloud after a change.
    pub(crate) announcement: String,
    /// The options in the poll's order.
    pub(crate) options: Vec<OptionTexts>,
    /// How many options a voter may choose.
    #[serde(skip)]
    pub(crate) max_choices: usize,
}

/// The result of one option in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OptionTexts {
    /// Names the option.
    pub(crate) id: String,
    /// The option in words.
    pub(crate) label: String,
    /// `1 vote`, `1,000 votes`.
    pub(crate) votes: String,
    /// The number of votes.
    pub(crate) count: u64,
    /// `66.7%`.
    pub(crate) share: String,
    /// How much of the option's bar is full: `66.7%`.
    pub(crate) bar: String,
    /// True if the option has votes and no option has more.
    pub(crate) leads: bool,
}

fn state<S: serde::Serializer>(state: &StateView, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.as_str())
}

impl ResultTexts {
    pub(crate) fn new(poll: &Poll, state: StateView, tally: &Tally, t: &'static Texts) -> Self {
        let most = tally.votes.iter().copied().max().unwrap_or_default();
        let leads = |votes: u64| votes == most && most > 0;
        let leaders = tally.votes.iter().filter(|votes| leads(**votes)).count();
        // Blank votes have a share, too, so that all of them add up.
        let parts: Vec<_> = tally.votes.iter().copied().chain([tally.blank]).collect();
        let mut shares = shares(poll, &parts, tally.voters, t);
        let blank_share = shares.pop().map_or_else(String::new, |share| share.text);
        let options: Vec<_> = poll
            .options()
            .iter()
            .zip(&tally.votes)
            .zip(shares)
            .map(|((option, votes), Share { text, bar })| OptionTexts {
                id: option.id.to_string(),
                label: option.label.clone(),
                votes: t.votes(*votes),
                count: *votes,
                share: text,
                bar: format!("{}.{}%", bar / 10, bar % 10),
                leads: leads(*votes),
            })
            .collect();
        let total = turnout(poll, tally.voters, t);
        let total = match tally.blank {
            0 => total,
            blank => t.voters_and_blank(blank, &total, &blank_share),
        };
        let summary = summary(state, tally.voters, &options, t);
        let longest = poll.options().iter().map(|o| o.label.chars().count()).max();
        Self {
            poll: poll.id().to_string(),
            state,
            version: tally.version,
            title: poll.title().to_owned(),
            page_title: t.results_of(poll.title()),
            title_size: text_size(poll.title().chars().count(), 28, 80),
            announcement: announcement(state, &summary, &total, &options, &tally.votes, t),
            total,
            voters: tally.voters,
            summary,
            longest_summary: match state.is_final() {
                true => String::new(),
                false => longest_summary(&options, tally.voters, t),
            },
            lead_word: lead_word(leaders, state, t),
            // Labels side by side have the same size, which fits the longest one.
            label_size: text_size(longest.unwrap_or(0), 16, 60),
            options,
            max_choices: poll.max_choices(),
        }
    }

    /// Whether two options are shown side by side, in large text.
    pub(crate) fn is_duo(&self) -> bool {
        self.options.len() == 2
    }
}

fn summary(state: StateView, voters: u64, options: &[OptionTexts], t: &Texts) -> String {
    match (state, voters) {
        // The text is the same before and after the first vote, so that nothing moves.
        (StateView::Draft | StateView::Scheduled, _) => t.not_begun.clone(),
        (StateView::Open, _) => t.voting_is_open.clone(),
        (StateView::Closing, _) => t.voting_has_ended.clone(),
        (StateView::Final | StateView::Archived, 0) => t.closed_without_votes.clone(),
        (StateView::Final | StateView::Archived, _) => verdict(voters, options, t),
    }
}

/// So many options that are tied are named. More are counted.
const NAMED: usize = 3;

/// Which option has won a final poll. A tie is said to be one.
fn verdict(voters: u64, options: &[OptionTexts], t: &Texts) -> String {
    let first: Vec<_> = options.iter().filter(|option| option.leads).collect();
    let votes = first.first().map_or(0, |option| option.count);
    let (votes, voters) = (t.number(votes), t.number(voters));
    let labels = first.iter().map(|option| in_sentence(&option.label, t));
    match first.len() {
        0 => t.only_blank.clone(),
        1 => t.wins(&t.list(labels), &votes, &voters),
        2..=NAMED => t.tie(&t.list(labels), &votes, &voters),
        many => t.tie_of(many as u64, &votes, &voters),
    }
}

/// The final line if the option with the longest label wins with ten times as many votes.
fn longest_summary(options: &[OptionTexts], voters: u64, t: &Texts) -> String {
    let labels = options.iter().map(|option| option.label.as_str());
    let longest = labels.max_by_key(|label| label.chars().count());
    let number = t.number(voters.max(100).saturating_mul(10));
    t.wins(
        &in_sentence(longest.unwrap_or_default(), t),
        &number,
        &number,
    )
}

/// A label has at most so many signs in a sentence.
const LONGEST_LABEL: usize = 60;

/// A label as a part of a sentence. A long one is cut: the row below has all of it.
fn in_sentence(label: &str, t: &Texts) -> String {
    match label.char_indices().nth(LONGEST_LABEL) {
        Some((end, _)) => t
            .marked_off(&format!("{}…", label[..end].trim_end()))
            .into_owned(),
        None => t.marked_off(label).into_owned(),
    }
}

fn lead_word(leaders: usize, state: StateView, t: &'static Texts) -> &'static str {
    match (leaders, state) {
        (0 | 1, state) if state.is_final() => &t.most_votes,
        (0 | 1, _) => &t.leading,
        _ => &t.tied,
    }
}

fn announcement(
    state: StateView,
    summary: &str,
    total: &str,
    options: &[OptionTexts],
    votes: &[u64],
    t: &Texts,
) -> String {
    let mut places: Vec<_> = options.iter().zip(votes).collect();
    places.sort_by_key(|(_, votes)| std::cmp::Reverse(**votes));
    let places = places
        .into_iter()
        .take(PLACES)
        .map(|(option, _)| t.place(&t.marked_off(&option.label), &option.share));
    let places = t.announcement(total, &t.list(places));
    match state {
        StateView::Draft | StateView::Scheduled | StateView::Open => places,
        StateView::Closing | StateView::Final | StateView::Archived => {
            t.sentences(summary, &places)
        }
    }
}

/// Such as `1 vote` or `1,000 votes`, for the host's pages.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// `1,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + 7);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use voting_core::PollOption;

    use super::*;

    fn poll(max_choices: usize) -> Poll {
        let option = |id: &str, label: &str| PollOption {
            id: id.parse().unwrap(),
            label: label.to_owned(),
        };
        let options = vec![option("a", "Cats"), option("b", "Dogs")];
        Poll::new("p".parse().unwrap(), "P?", options, max_choices).unwrap()
    }

    fn of(poll: &Poll, votes: [u64; 2], voters: u64) -> ResultTexts {
        let tally = Tally {
            poll: poll.id().clone(),
            version: 7,
            voters,
            blank: 0,
            withdrawn: 0,
            voided: 0,
            votes: votes.to_vec(),
        };
        ResultTexts::new(poll, StateView::Open, &tally, Texts::english())
    }

    #[test]
    fn blank_votes_are_reported_beside_the_voters() {
        let mut tally = Tally::empty("p".parse().unwrap(), 2);
        (tally.voters, tally.blank, tally.votes) = (3, 1, vec![2, 0]);
        let texts = ResultTexts::new(&poll(1), StateView::Open, &tally, Texts::english());
        assert_eq!(texts.total, "3 voters, 1 voted blank (33.3%)");
        assert_eq!(texts.options[0].share, "66.7%");
        (tally.blank, tally.votes) = (1, vec![1, 1]);
        let texts = ResultTexts::new(&poll(1), StateView::Open, &tally, Texts::english());
        let shares = [&texts.options[0].share, &texts.options[1].share];
        assert_eq!(shares, ["33.4%", "33.3%"]);
        assert_eq!(texts.total, "3 voters, 1 voted blank (33.3%)");
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let texts = [0, 1, 12, 999, 1_000, 1_234_567].map(|votes| counted(votes, "vote"));
        let expected = [
            "0 votes",
            "1 vote",
            "12 votes",
            "999 votes",
            "1,000 votes",
            "1,234,567 votes",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn voters_are_counted_as_voters_and_votes_as_votes() {
        let texts = of(&poll(2), [1, 1], 1);
        assert_eq!(texts.total, "1 voter");
        assert_eq!(texts.options[0].votes, "1 vote");
        assert_eq!(texts.options[1].share, "100%");
        assert_eq!(of(&poll(2), [3, 2], 4).total, "4 voters");
    }

    #[test]
    fn what_leads_is_said_and_a_tie_is_one() {
        let leading = of(&poll(1), [2, 1], 3);
        assert!(leading.options[0].leads && !leading.options[1].leads);
        assert_eq!(leading.lead_word, "Leading");
        assert_eq!(of(&poll(1), [2, 2], 4).lead_word, "Tied");
        let nobody = of(&poll(1), [0, 0], 0);
        assert!(nobody.options.iter().all(|option| !option.leads));
        assert_eq!(
            (nobody.total.as_str(), nobody.summary.as_str()),
            ("0 voters", "Voting is open.")
        );
    }

    #[test]
    fn a_final_poll_names_who_won_and_a_tie_is_said_openly() {
        let labels = ["Rice", "Beans", "Soup", "Bread", "Fish"];
        let builder = labels
            .iter()
            .fold(Poll::builder("p", "P?"), |builder, label| {
                builder.option(label.to_lowercase(), *label)
            });
        let poll = builder.build().unwrap();
        let said = |votes: [u64; 5], blank: u64| {
            let mut tally = Tally::empty("p".parse().unwrap(), 5);
            tally.voters = votes.iter().sum::<u64>() + blank;
            (tally.blank, tally.votes) = (blank, votes.to_vec());
            ResultTexts::new(&poll, StateView::Final, &tally, Texts::english()).summary
        };
        assert_eq!(said([13, 12, 5, 1, 0], 1), "Rice wins with 13 of 32.");
        let two = "A tie: Rice, Soup have 2 of 5 each.";
        assert_eq!(said([2, 1, 2, 0, 0], 0), two);
        let five = "A tie: 5 options have 1 of 5 each.";
        assert_eq!(said([1, 1, 1, 1, 1], 0), five);
        let none = "The poll closed without any votes.";
        assert_eq!(said([0; 5], 0), none);
        let long = in_sentence(&"ab ".repeat(40), Texts::english());
        assert_eq!(long, format!("{}ab…", "ab ".repeat(19)));
        let blank = "All votes are blank: no option has won.";
        assert_eq!(said([0; 5], 3), blank);
    }

    #[test]
    fn what_is_read_aloud_begins_with_the_first_place() {
        let texts = of(&poll(1), [1, 2], 3);
        assert_eq!(texts.announcement, "3 voters. Dogs 66.7%, Cats 33.3%.");
    }
}
