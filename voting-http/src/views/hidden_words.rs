//! Why a result is not shown, in words.

use voting_core::{
    Poll,
    model::poll::{Hidden, Phase, ShowResults},
};

use crate::views::moment_words;

/// One or two sentences: to whom the result is shown, and when.
pub(crate) fn why_hidden(poll: &Poll, hidden: &Hidden) -> String {
    let has_ended = hidden.phase == Phase::Closing;
    let rule = match hidden.rule {
        ShowResults::Host => return "Only the host of this poll sees its result.".to_owned(),
        _ if has_ended => {
            "Voting has ended. The last votes are being counted. Then the result is shown."
        }
        ShowResults::AfterVote => {
            "The result is shown to people who have voted. Everybody can see it when the poll has closed."
        }
        ShowResults::AfterClose | ShowResults::Always => {
            "The result is shown when the poll has closed."
        }
    };
    match hidden.closes_at {
        Some(at) => format!("{rule} It closes on {}.", moment_words::of_poll(at, poll)),
        None => rule.to_owned(),
    }
}
