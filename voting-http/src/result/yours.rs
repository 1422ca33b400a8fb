//! For which options this browser has voted, to be marked on the result page.
//!
//! It is read from the cookies in which the vote service remembers a vote. They arrive here only if both services have the same
//! host name. They can be read here only of polls for everybody whose voters are known by our own cookie: of others, who the
//! voter is depends on keys that this service does not have. Otherwise nothing is marked.

use poem::Request;
use voting_core::{
    Choices, Poll,
    model::{poll::Voters, secrets::Secrets},
};

use crate::{edge::visitor::VoterCookies, texts::Texts, vote::memory::BallotCookies};

/// Reads the cookies of votes.
pub(super) struct Yours {
    voters: VoterCookies,
    ballots: BallotCookies,
}

impl Yours {
    pub(super) fn new(secrets: &Secrets, https: bool) -> Self {
        Self {
            voters: VoterCookies::new(secrets, https),
            ballots: BallotCookies::new(secrets, https),
        }
    }

    /// The choices of the last vote in this poll that this browser remembers. None of its options are in a vote that is blank,
    /// was taken back or forgotten.
    pub(super) fn choices(&self, request: &Request, poll: &Poll) -> Choices {
        let chosen = || {
            if poll.settings().voters != Voters::Open {
                return None;
            }
            let voter = self.voters.voter(request)?;
            let revote = poll.settings().revote;
            let kept = self.ballots.read(request, poll.id(), revote, voter);
            kept.vote?.choices
        };
        chosen().unwrap_or(Choices::BLANK)
    }
}

/// The word beside the options. Where the first vote counts, an earlier one may be the one that does.
pub(super) fn word(poll: &Poll, t: &'static Texts) -> &'static str {
    match poll.settings().revote {
        true => &t.your_vote,
        false => &t.received_word,
    }
}
