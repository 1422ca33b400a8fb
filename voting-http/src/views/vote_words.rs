//! What a voter is told about a poll and a vote, in the language of the page. The page has those texts that depend on the poll
//! and that `vote.js` shows later in attributes; the script's other texts come with the script.

use std::borrow::Cow;

use serde::Serialize;
use voting_core::{Choices, Poll};

use crate::{
    texts::Texts,
    views::{moment_words, poll_view::StateView, secrecy_words::trust},
};

/// A longer label is put in quotes and cut, since a voter reads a message at a glance.
const SHORT: usize = 28;
const CUT_AT: usize = 40;

/// A label as a part of a sentence.
pub(crate) fn quoted<'a>(label: &'a str, t: &Texts) -> Cow<'a, str> {
    let chars = label.chars().count();
    if chars <= SHORT {
        return t.marked_off(label);
    }
    let cut: Cow<'a, str> = match chars <= CUT_AT {
        true => label.into(),
        false => {
            let cut: String = label.chars().take(CUT_AT).collect();
            format!("{}…", cut.trim_end()).into()
        }
    };
    t.quoted(&t.marked_off(&cut)).into()
}

/// Says that a vote was taken.
fn is_in(poll: &Poll, choices: Choices, t: &Texts) -> String {
    if choices == Choices::BLANK {
        return t.blank_is_in.clone();
    }
    let mut chosen = choices
        .indices()
        .filter_map(|index| poll.options().get(index));
    match (chosen.next(), choices.len()) {
        (Some(option), 1) => t.vote_is_in(&quoted(&option.label, t)),
        (_, n) => t.choices_are_in(n as u64),
    }
}

/// The text after a vote. A client that came without a cookie (`new_voter`) may not keep the one that it gets.
///
/// A vote that was taken back follows from the acknowledgement: the log has nothing newer of this voter. In a poll where
/// the first vote counts, nobody knows at once whether there was an older one.
pub(crate) fn thanks(poll: &Poll, choices: Choices, new_voter: bool, t: &Texts) -> String {
    let settings = poll.settings();
    if !settings.revote {
        return t.received.clone();
    }
    let closes = settings
        .closes_at
        .map(|at| moment_words::of_poll(at, poll, t));
    let is_back = choices == Choices::WITHDRAWN;
    let until = match (closes, is_back, new_voter) {
        (Some(at), true, _) => t.again_until(&at),
        (None, true, _) => t.again_until_closed.clone(),
        (Some(at), _, true) => t.change_until_with_cookie(&at),
        (None, _, true) => t.change_until_closed_with_cookie.clone(),
        (Some(at), ..) => t.change_until(&at),
        (None, ..) => t.change_until_closed.clone(),
    };
    match is_back {
        true => t.sentences(&t.withdrawn, &until),
        false => t.sentences(&is_in(poll, choices, t), &until),
    }
}

/// The text on a page that is loaded after a vote. A later attempt may have arrived although its answer did not.
pub(crate) fn confirmed(poll: &Poll, choices: Choices, t: &Texts) -> String {
    if !poll.settings().revote {
        return t.received.clone();
    }
    if choices == Choices::WITHDRAWN {
        return t.sentences(&t.withdrawn, &t.again_until_closed);
    }
    let chosen = choices.indices().next();
    let option = chosen.and_then(|index| poll.options().get(index));
    let what = match (option, choices.len()) {
        (Some(option), 1) => t.confirmed(&quoted(&option.label, t)),
        (_, 0) => t.confirmed_blank.clone(),
        (_, n) => t.confirmed_choices(n as u64),
    };
    // The page says when that is.
    t.sentences(&what, &t.change_until_closed)
}

/// What the page says of its poll, whatever is known of the voter's vote. The page's script gets the same anew when the
/// poll changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PollWords {
    /// The line under the question while no vote is known.
    pub(crate) before: String,
    /// The same once a vote is known.
    pub(crate) after: String,
    /// The same once a blank vote is known.
    pub(crate) blank: &'static str,
    /// The same once the choices of the vote were forgotten.
    pub(crate) forgotten: &'static str,
    /// How the vote is stored, and until when one can vote and change it, below that line.
    pub(crate) deadline: String,
    /// The same once a vote is known.
    pub(crate) deadline_after: String,
    /// The message after a vote where the first vote counts. Elsewhere the message says what was voted for; the page says
    /// already what one can do then.
    pub(crate) thanks: &'static str,
    /// The words that stand out while nobody can vote.
    pub(crate) shut: &'static str,
    /// The line beside these words.
    pub(crate) shut_line: String,
}

impl PollWords {
    /// `named`: the application says who votes.
    pub(crate) fn new(poll: &Poll, state: StateView, named: bool, t: &'static Texts) -> Self {
        let settings = poll.settings();
        let revote = settings.revote;
        let (max, options) = (poll.max_choices(), poll.options().len());
        let pick = match (max, options) {
            (1, 2) => t.pick_of_two.clone(),
            (1, _) => t.pick_one.clone(),
            (max, _) => t.pick_several(max as u64),
        };
        let after = match (max, options) {
            _ if !revote => t.voted_first_counts.clone(),
            (1, 2) => t.voted_of_two.clone(),
            (1, _) => t.voted_one.clone(),
            (max, _) => t.voted_several(max as u64),
        };
        let closes = settings
            .closes_at
            .map(|at| moment_words::of_poll(at, poll, t));
        let (deadline, deadline_after) = match closes {
            None if revote => (t.change_until_closed.clone(), t.change_until_closed.clone()),
            None => (String::new(), String::new()),
            Some(at) if revote => (t.vote_and_change_until(&at), t.change_until(&at)),
            Some(at) => (t.vote_until(&at), t.closes_on(&at)),
        };
        let trust = trust(poll, named, t);
        let (shut, shut_line) = shut_words(poll, state, t);
        Self {
            before: match revote {
                true => pick,
                false => t.sentences(&pick, &t.first_vote_counts),
            },
            after,
            blank: match revote {
                true => &t.voted_blank,
                false => &t.voted_first_counts,
            },
            forgotten: match revote {
                true => &t.forgotten,
                false => &t.forgotten_first_counts,
            },
            deadline: t.in_a_row(trust, &deadline),
            deadline_after: t.in_a_row(trust, &deadline_after),
            thanks: match revote {
                false => &t.received,
                true => "",
            },
            shut,
            shut_line,
        }
    }
}

/// What stands in place of the line under the question while nobody can vote.
fn shut_words(poll: &Poll, state: StateView, t: &'static Texts) -> (&'static str, String) {
    let opens = poll.settings().opens_at;
    match (state, opens) {
        (StateView::Draft | StateView::Scheduled, Some(at)) => {
            let at = moment_words::of_poll(at, poll, t);
            (&t.not_open_yet, t.opens_on(&at))
        }
        (StateView::Draft | StateView::Scheduled, None) => (&t.not_open_yet, String::new()),
        _ => (
            &t.is_closed,
            closed_line(poll.settings().revote, t).to_owned(),
        ),
    }
}

/// The line on the page of a poll that is closed.
pub(crate) fn closed_line(revote: bool, t: &'static Texts) -> &'static str {
    match revote {
        true => &t.no_votes_no_changes,
        false => &t.no_votes,
    }
}

#[cfg(test)]
mod tests {
    use voting_core::model::{moment::Moment, poll::PollSettings};

    use super::*;

    fn poll(change: impl FnOnce(&mut PollSettings), max: usize) -> Poll {
        let poll = Poll::builder("p", "Which?")
            .option("a", "Cats")
            .option("b", "Dogs")
            .option("c", "Cows");
        let mut settings = PollSettings::default();
        change(&mut settings);
        let poll = poll.max_choices(max).build().unwrap();
        poll.with_settings(settings).unwrap()
    }

    #[test]
    fn a_long_label_is_quoted_and_cut() {
        let english = Texts::english();
        let quoted = |label: &str| quoted(label, english).into_owned();
        assert_eq!(quoted("Dogs"), "Dogs");
        let middle = "What a load balancer really does";
        assert_eq!(quoted(middle), format!("“{middle}”"));
        let long = "é".repeat(200);
        assert_eq!(quoted(&long), format!("“{}…”", "é".repeat(CUT_AT)));
    }

    #[test]
    fn where_the_first_vote_counts_nothing_speaks_of_a_change() {
        let at = Moment::from_unix_ms(1_790_000_000_000);
        let first = |settings: &mut PollSettings| {
            settings.revote = false;
            settings.closes_at = at;
        };
        for max in [1, 2] {
            let poll = poll(first, max);
            let choices = Choices::from_bits(1).unwrap();
            let t = Texts::english();
            for state in [StateView::Scheduled, StateView::Open, StateView::Final] {
                let said = serde_json::to_string(&PollWords::new(&poll, state, false, t)).unwrap();
                assert!(!said.contains("change"), "{said}");
            }
            assert_eq!(thanks(&poll, choices, true, t), t.received);
            assert_eq!(confirmed(&poll, choices, t), t.received);
        }
    }

    #[test]
    fn a_time_that_is_set_is_said() {
        let poll = poll(
            |settings| {
                settings.closes_at = Some("2026-11-27T18:00:00+01:00".parse().unwrap());
                settings.time_zone = Some("Europe/Berlin".to_owned());
            },
            1,
        );
        let said = thanks(
            &poll,
            Choices::from_bits(1).unwrap(),
            false,
            Texts::english(),
        );
        assert_eq!(
            said,
            "Your vote for Cats is in. You can change your vote until Friday, 27 November 2026, 18:00 \
             (Europe/Berlin)."
        );
    }
}
