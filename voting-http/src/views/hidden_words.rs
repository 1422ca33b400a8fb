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

#[cfg(test)]
mod tests {
    use voting_core::model::{
        moment::Moment,
        poll::{PollSettings, Shown, Viewer},
        poll_state::{PollState, Seals},
    };

    use super::*;

    fn words(results: ShowResults, state: PollState, now: u64) -> String {
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        let mut settings = PollSettings::default();
        settings.results = results;
        settings.closes_at = Moment::from_unix_ms(3_600_000);
        let poll = poll.build().unwrap().with_settings(settings).unwrap();
        let poll = poll.in_state(state);
        match poll.shows_result(Viewer::Public, Moment::from_unix_ms(now).unwrap()) {
            Shown::Hidden(hidden) => why_hidden(&poll, &hidden),
            Shown::Yes => panic!("it is shown"),
        }
    }

    #[test]
    fn the_words_say_to_whom_and_when() {
        let closes = "It closes on Thursday, 1 January 1970, 01:00 (UTC).";
        assert_eq!(
            words(ShowResults::AfterClose, PollState::Open, 5),
            format!("The result is shown when the poll has closed. {closes}")
        );
        let after_vote = words(ShowResults::AfterVote, PollState::Open, 5);
        assert!(after_vote.starts_with("The result is shown to people who have voted."));
        assert!(after_vote.ends_with(closes), "{after_vote}");
        assert_eq!(
            words(ShowResults::Host, PollState::Open, 5),
            "Only the host of this poll sees its result."
        );
    }

    #[test]
    fn once_voting_has_ended_the_words_promise_no_moment() {
        let ended = "Voting has ended. The last votes are being counted. Then the result is shown.";
        let closing = PollState::Closing(Seals::default());
        assert_eq!(words(ShowResults::AfterClose, closing, 5), ended);
        let late = words(ShowResults::AfterVote, PollState::Open, 3_600_000);
        assert_eq!(late, ended);
    }
}
