//! The tallies that are possible after the voters' ballots.

use crate::{
    checking::sources::Before,
    history::{History, bit},
};

/// The least and the greatest value.
type Bounds = (u64, u64);

/// The bounds of a tally. They are equal if no outcome is unknown.
#[derive(Debug)]
pub(crate) struct Expected {
    voters: Bounds,
    votes: Vec<Bounds>,
    /// By how much the votes exceed the voters.
    more_votes: i128,
}

/// By how much the votes exceed the voters.
fn more_votes(voters: u64, votes: &[u64]) -> i128 {
    votes.iter().map(|votes| i128::from(*votes)).sum::<i128>() - i128::from(voters)
}

impl Expected {
    pub(crate) fn of(history: &History, before: &Before) -> Self {
        let nameless: u64 = history.nameless.iter().sum();
        let mut voters = (before.voters, before.voters + nameless);
        let more_votes = more_votes(before.voters, &before.votes);
        let before = before.votes.iter().copied().chain(std::iter::repeat(0));
        let votes = before.zip(&history.nameless);
        let mut votes: Vec<Bounds> = votes
            .map(|(before, nameless)| (before, before + nameless))
            .collect();
        for voter in &history.voters {
            let unknown = voter.unknown_before | voter.unknown_after;
            let last = voter.last.as_ref().map(|last| bit(last.option));
            voters.0 += u64::from(last.is_some());
            voters.1 += u64::from(last.is_some() || unknown != 0);
            let possible = unknown | last.unwrap_or(0);
            for (option, (least, most)) in (0..).zip(&mut votes) {
                *most += u64::from(possible & bit(option) != 0);
                *least += u64::from(last.is_some() && possible == bit(option));
            }
        }
        Self {
            voters,
            votes,
            more_votes,
        }
    }

    /// By how many voters and votes a tally is out of bounds.
    pub(crate) fn off(&self, voters: u64, votes: &[u64]) -> u64 {
        let off =
            |(least, most): &Bounds, is: u64| least.saturating_sub(is) + is.saturating_sub(*most);
        let votes = votes.iter().copied().chain(std::iter::repeat(0));
        let of_votes = self.votes.iter().zip(votes);
        let of_votes = of_votes.map(|(bounds, is)| off(bounds, is));
        off(&self.voters, voters) + of_votes.sum::<u64>()
    }

    /// How many voters are missing.
    pub(crate) fn short_of(&self, voters: u64) -> u64 {
        self.voters.0.saturating_sub(voters)
    }

    /// By how many voters and votes a tally is wrong. `is_all` says that no ballot is pending.
    pub(crate) fn judge(&self, voters: u64, votes: &[u64], is_all: bool) -> u64 {
        // Each ballot of these voters is one vote for one option, so this difference does not depend on which ballot
        // counts.
        let unlike = (more_votes(voters, votes) - self.more_votes).unsigned_abs();
        let unlike = u64::try_from(unlike).unwrap_or(u64::MAX);
        if is_all {
            unlike.max(self.off(voters, votes))
        } else {
            unlike
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::{Acknowledged, Voter},
        token::VoterToken,
    };

    /// One voter, who has voted for the first option, and perhaps later for the second. Before the load, two voters
    /// had voted for three options.
    fn expected() -> Expected {
        let mut history = History::new("p", &["a".to_owned(), "b".to_owned()], None);
        let mut voter = Voter::new(VoterToken::parse(&"A".repeat(43)).unwrap());
        let receipt = None;
        voter.last = Some(Acknowledged { option: 0, receipt });
        voter.unknown_after = 2;
        history.voters.push(voter);
        let before = Before {
            voters: 2,
            votes: vec![2, 1],
            ..Before::default()
        };
        Expected::of(&history, &before)
    }

    #[test]
    fn a_tally_is_one_that_can_be() {
        let expected = expected();
        for (votes, by) in [([3, 1], 0), ([2, 2], 0), ([2, 1], 1), ([4, 0], 2)] {
            assert_eq!(expected.judge(3, &votes, true), by, "{votes:?}");
        }
        assert_eq!(expected.short_of(2), 1);
    }

    #[test]
    fn one_voter_is_one_vote_though_either_could_be() {
        let expected = expected();
        assert_eq!(expected.off(3, &[3, 2]), 0);
        assert_eq!(expected.judge(3, &[3, 2], true), 1);
        assert_eq!(expected.judge(2, &[2, 1], false), 0, "it is on its way");
        assert_eq!(expected.judge(2, &[3, 1], false), 1);
    }
}
