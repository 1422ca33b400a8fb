//! Why a result is not shown, in words.

use voting_core::{
    Poll,
    model::poll::{Hidden, Phase, ShowResults},
};

use crate::{texts::Texts, views::moment_words};

/// One or two sentences: to whom the result is shown, and when.
pub(crate) fn why_hidden(poll: &Poll, hidden: &Hidden, t: &Texts) -> String {
    let has_ended = hidden.phase == Phase::Closing;
    let rule = match hidden.rule {
        ShowResults::Host => return t.only_the_host.clone(),
        _ if has_ended => &t.then_shown,
        ShowResults::AfterVote => &t.shown_after_vote,
        ShowResults::AfterClose | ShowResults::Always => &t.shown_after_close,
    };
    match hidden.closes_at {
        Some(at) => {
            let closes = t.it_closes_on(&moment_words::of_poll(at, poll, t));
            t.sentences(rule, &closes)
        }
        None => rule.clone(),
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
            Shown::Hidden(hidden) => why_hidden(&poll, &hidden, Texts::english()),
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
