//! The texts that tell a voter about a stored vote. `vote.js` has the same words.

use std::borrow::Cow;

use voting_core::{Choices, Poll};

/// A longer label is put in quotes and cut, since a voter reads a message at a glance.
const SHORT: usize = 28;
const CUT_AT: usize = 40;

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

/// The beginning of a sentence, which says what the vote was for.
fn vote_for(poll: &Poll, choices: Choices) -> String {
    let mut chosen = choices
        .indices()
        .filter_map(|index| poll.options().get(index));
    match (chosen.next(), choices.len()) {
        (Some(option), 1) => format!("Your vote for {} is", quoted(&option.label)),
        (_, n) => format!("Your {n} choices are"),
    }
}

/// The text after a vote. A client that came without a cookie (`new_voter`) may not keep the one that it gets.
pub(crate) fn thanks(poll: &Poll, choices: Choices, new_voter: bool) -> String {
    let what = vote_for(poll, choices);
    if new_voter {
        format!(
            "{what} in. You can change your vote until the poll closes, if you keep the cookie that came \
             with this answer."
        )
    } else {
        format!("{what} in. You can change your vote until the poll closes.")
    }
}

/// The text on a page that is loaded after a vote. A later attempt may have arrived although its answer did not.
pub(crate) fn confirmed(poll: &Poll, choices: Choices) -> String {
    let chosen = choices.indices().next();
    let option = chosen.and_then(|index| poll.options().get(index));
    let what = match (option, choices.len()) {
        (Some(option), 1) => format!("is for {}", quoted(&option.label)),
        (_, n) => format!("has {n} choices"),
    };
    format!("Your last confirmed vote {what}. You can change your vote until the poll closes.")
}

/// The text after the choices were forgotten.
pub(crate) const FORGOTTEN: &str = "Your vote is no longer shown in this browser. It still counts.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_quoted_and_cut() {
        assert_eq!(quoted("Dogs"), "Dogs");
        let middle = "What a load balancer really does";
        assert_eq!(quoted(middle), format!("“{middle}”"));
        let long = "é".repeat(200);
        assert_eq!(quoted(&long), format!("“{}…”", "é".repeat(CUT_AT)));
    }
}
