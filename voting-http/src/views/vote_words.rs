//! The texts that tell a voter about a poll and a vote. The page has those that `vote.js` shows later in attributes; the
//! others are written twice, here and in `vote.js`.

use std::borrow::Cow;

use serde::Serialize;
use voting_core::{Choices, Poll};

use crate::views::{moment_words, poll_view::StateView};

/// A longer label is put in quotes and cut, since a voter reads a message at a glance.
const SHORT: usize = 28;
const CUT_AT: usize = 40;

/// The text after a vote in a poll where the first vote counts. Nobody knows at once whether there was an older one.
pub(crate) const RECEIVED: &str = "Received. If you voted before, your first vote counts.";

/// A label as a part of a sentence.
pub(crate) fn quoted(label: &str) -> Cow<'_, str> {
    let chars = label.chars().count();
    if chars <= SHORT {
        return Cow::Borrowed(label);
    }
    if chars <= CUT_AT {
        return Cow::Owned(format!("“{label}”"));
    }
    let cut: String = label.chars().take(CUT_AT).collect();
    Cow::Owned(format!("“{}…”", cut.trim_end()))
}

/// The text after a vote was taken back. It follows from the acknowledgement: the log has nothing newer of this voter.
const WITHDRAWN: &str = "You took your vote back. No vote of yours counts now.";

/// The beginning of a sentence, which says what the vote was for.
fn vote_for(poll: &Poll, choices: Choices) -> String {
    if choices == Choices::BLANK {
        return "Your blank vote is".to_owned();
    }
    let mut chosen = choices
        .indices()
        .filter_map(|index| poll.options().get(index));
    match (chosen.next(), choices.len()) {
        (Some(option), 1) => format!("Your vote for {} is", quoted(&option.label)),
        (_, n) => format!("Your {n} choices are"),
    }
}

/// Until when a vote can be changed, for who does not see the page.
fn until(poll: &Poll) -> String {
    match poll.settings().closes_at {
        Some(at) => format!("until {}", moment_words::of_poll(at, poll)),
        None => "until the poll closes".to_owned(),
    }
}

/// The text after a vote. A client that came without a cookie (`new_voter`) may not keep the one that it gets.
pub(crate) fn thanks(poll: &Poll, choices: Choices, new_voter: bool) -> String {
    if !poll.settings().revote {
        return RECEIVED.to_owned();
    }
    let (what, until) = (vote_for(poll, choices), until(poll));
    if choices == Choices::WITHDRAWN {
        format!("{WITHDRAWN} You can vote again {until}.")
    } else if new_voter {
        format!(
            "{what} in. You can change your vote {until}, if you keep the cookie that came \
             with this answer."
        )
    } else {
        format!("{what} in. You can change your vote {until}.")
    }
}

/// The text on a page that is loaded after a vote. A later attempt may have arrived although its answer did not.
pub(crate) fn confirmed(poll: &Poll, choices: Choices) -> String {
    if !poll.settings().revote {
        return RECEIVED.to_owned();
    }
    if choices == Choices::WITHDRAWN {
        return format!("{WITHDRAWN} You can vote again until the poll closes.");
    }
    let chosen = choices.indices().next();
    let option = chosen.and_then(|index| poll.options().get(index));
    let what = match (option, choices.len()) {
        (Some(option), 1) => format!("is for {}", quoted(&option.label)),
        (_, 0) => "is blank".to_owned(),
        (_, n) => format!("has {n} choices"),
    };
    // The page says when that is.
    format!("Your last confirmed vote {what}. You can change your vote until the poll closes.")
}

/// The text after the choices were forgotten.
pub(crate) const FORGOTTEN: &str = "Your vote is no longer shown in this browser. It still counts.";

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
    /// Until when one can vote, below that line; empty if that is not known.
    pub(crate) deadline: String,
    /// The same once a vote is known.
    pub(crate) deadline_after: String,
    /// The end of the message after a vote.
    pub(crate) thanks: String,
    /// The words that stand out while nobody can vote.
    pub(crate) shut: &'static str,
    /// The line beside these words.
    pub(crate) shut_line: String,
}

impl PollWords {
    pub(crate) fn new(poll: &Poll, state: StateView) -> Self {
        let settings = poll.settings();
        let revote = settings.revote;
        let (max, options) = (poll.max_choices(), poll.options().len());
        let pick = match (max, options) {
            (1, 2) => "Pick one to vote.".to_owned(),
            (1, _) => "Pick one, then send your vote.".to_owned(),
            (max, _) => format!("Choose up to {max}, then send your vote."),
        };
        let after = match (max, options) {
            _ if !revote => "You have voted. Your first vote counts.".to_owned(),
            (1, 2) => "You have voted. To change your vote, pick the other one.".to_owned(),
            (1, _) => {
                "You have voted. To change your vote, pick another one and send again.".to_owned()
            }
            (max, _) => {
                format!("You have voted. You can choose others, up to {max}, and send again.")
            }
        };
        let closes = settings.closes_at.map(|at| moment_words::of_poll(at, poll));
        let (deadline, deadline_after) = match closes {
            None => (String::new(), String::new()),
            Some(at) if revote => (
                format!("You can vote until {at}."),
                format!("You can change your vote until {at}."),
            ),
            Some(at) => (
                format!("You can vote until {at}."),
                format!("The poll closes on {at}."),
            ),
        };
        let (shut, shut_line) = shut_words(poll, state);
        Self {
            before: match revote {
                true => pick,
                false => format!("{pick} Your first vote counts."),
            },
            after,
            blank: match revote {
                true => "You voted blank. You can still vote for an option.",
                false => "You have voted. Your first vote counts.",
            },
            forgotten: match revote {
                true => {
                    "A vote was cast in this browser. If you vote now, your vote takes its place."
                }
                false => "A vote was cast in this browser. The first vote counts.",
            },
            deadline,
            deadline_after,
            thanks: match (revote, max, options) {
                (false, ..) => RECEIVED.to_owned(),
                // Below a long list, the line above it says so all the time.
                (true, 1, 2) => "You can change your vote until the poll closes.".to_owned(),
                (true, ..) => String::new(),
            },
            shut,
            shut_line,
        }
    }
}

/// What stands in place of the line under the question while nobody can vote.
fn shut_words(poll: &Poll, state: StateView) -> (&'static str, String) {
    let opens = poll.settings().opens_at;
    match (state, opens) {
        (StateView::Draft | StateView::Scheduled, Some(at)) => {
            let at = moment_words::of_poll(at, poll);
            ("Not open yet", format!("This poll opens on {at}."))
        }
        (StateView::Draft | StateView::Scheduled, None) => ("Not open yet", String::new()),
        _ => (
            "This poll is closed",
            closed_line(poll.settings().revote).to_owned(),
        ),
    }
}

/// The line on the page of a poll that is closed.
pub(crate) fn closed_line(revote: bool) -> &'static str {
    match revote {
        true => "Votes can no longer be cast or changed.",
        false => "Votes can no longer be cast.",
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
            for state in [StateView::Scheduled, StateView::Open, StateView::Final] {
                let said = serde_json::to_string(&PollWords::new(&poll, state)).unwrap();
                assert!(!said.contains("change"), "{said}");
            }
            assert_eq!(thanks(&poll, choices, true), RECEIVED);
            assert_eq!(confirmed(&poll, choices), RECEIVED);
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
        let said = thanks(&poll, Choices::from_bits(1).unwrap(), false);
        assert_eq!(
            said,
            "Your vote for Cats is in. You can change your vote until Friday, 27 November 2026, 18:00 \
             (Europe/Berlin)."
        );
    }
}
