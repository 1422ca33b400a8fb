//! Who may see the result of a poll, and when. Whatever shows a figure of a result asks this.

use super::{Phase, Poll, ShowResults};
use crate::model::moment::Moment;

/// Who asks for a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// Anybody.
    Public,
    /// Somebody with a grant that is given after a vote in the poll. A grant can be passed on.
    Voted,
    /// Who checks the count of polls that are final.
    Auditor,
    /// The host of the poll, and the operator.
    Host,
}

/// Whether a result may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It may be shown.
    Yes,
    /// It may not be shown now.
    Hidden(Hidden),
}

/// Why a result is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hidden {
    /// The poll's rule.
    pub rule: ShowResults,
    /// Where the poll is in its life.
    pub phase: Phase,
    /// When the poll closes, if that is known and still to come. A result that is shown after the end is shown a moment
    /// after this: once the last ballots are counted.
    pub closes_at: Option<Moment>,
}

impl Shown {
    /// Whether the result may be shown.
    pub fn is_shown(self) -> bool {
        self == Self::Yes
    }
}

impl Poll {
    /// Whether the result of the poll may be shown to this viewer. A result is more than the numbers of votes: who leads,
    /// the order of the options by votes, and whatever else follows from these numbers. The number of voters is not
    /// part of it.
    ///
    /// `now` decides nothing but what is said of a hidden result.
    pub fn shows_result(&self, to: Viewer, now: Moment) -> Shown {
        let rule = self.settings().results;
        // A poll that is closing may still get ballots that the log has taken.
        let is_final = self.state().is_final();
        let is_shown = match (to, rule) {
            (Viewer::Host, _) => true,
            _ if self.is_draft() => false,
            (Viewer::Auditor, _) if is_final => true,
            (_, ShowResults::Host) => false,
            (_, ShowResults::AfterClose) => is_final,
            (_, ShowResults::AfterVote) => is_final || to == Viewer::Voted,
            (_, ShowResults::Always) => true,
        };
        if is_shown {
            return Shown::Yes;
        }
        let phase = self.phase(now);
        let is_to_come = matches!(phase, Phase::Scheduled | Phase::Open);
        Shown::Hidden(Hidden {
            rule,
            phase,
            closes_at: self.settings().closes_at.filter(|_| is_to_come),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        poll::PollSettings,
        poll_state::{PollState, Seals},
    };

    const VIEWERS: [Viewer; 4] = [Viewer::Public, Viewer::Voted, Viewer::Auditor, Viewer::Host];

    fn poll(results: ShowResults, state: PollState) -> Poll {
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        let settings = PollSettings {
            results,
            closes_at: Moment::from_unix_ms(1_000),
            ..PollSettings::default()
        };
        let poll = poll.build().unwrap().with_settings(settings).unwrap();
        poll.in_state(state)
    }

    fn shown(results: ShowResults, state: &PollState) -> [bool; 4] {
        let (poll, now) = (poll(results, state.clone()), Moment::from_unix_ms(1));
        VIEWERS.map(|to| poll.shows_result(to, now.unwrap()).is_shown())
    }

    #[test]
    fn each_rule_shows_to_whom_it_says() {
        let closing = PollState::Closing(Seals::default());
        for running in [PollState::Open, closing] {
            for (results, expected) in [
                (ShowResults::Always, [true, true, true, true]),
                (ShowResults::AfterVote, [false, true, false, true]),
                (ShowResults::AfterClose, [false, false, false, true]),
                (ShowResults::Host, [false, false, false, true]),
            ] {
                assert_eq!(
                    shown(results, &running),
                    expected,
                    "{results:?} {running:?}"
                );
            }
        }
        let ended = PollState::Final(Seals::default());
        for (results, expected) in [
            (ShowResults::Always, [true; 4]),
            (ShowResults::AfterVote, [true; 4]),
            (ShowResults::AfterClose, [true; 4]),
            (ShowResults::Host, [false, false, true, true]),
        ] {
            assert_eq!(shown(results, &ended), expected, "{results:?}");
        }
    }

    #[test]
    fn a_draft_is_for_its_host_only() {
        let draft = poll(ShowResults::Always, PollState::Open).as_draft();
        let now = Moment::from_unix_ms(1).unwrap();
        let shown = VIEWERS.map(|to| draft.shows_result(to, now).is_shown());
        assert_eq!(shown, [false, false, false, true]);
    }

    #[test]
    fn a_hidden_result_says_when_the_poll_closes_until_then() {
        let poll = poll(ShowResults::AfterClose, PollState::Open);
        let closes_at = |now: u64| {
            let now = Moment::from_unix_ms(now).unwrap();
            match poll.shows_result(Viewer::Public, now) {
                Shown::Hidden(hidden) => (hidden.phase, hidden.closes_at),
                Shown::Yes => panic!("shown while {:?}", poll.phase(now)),
            }
        };
        assert_eq!(closes_at(999), (Phase::Open, Moment::from_unix_ms(1_000)));
        assert_eq!(closes_at(1_000), (Phase::Closing, None));
    }
}
