//! What the tally can be after what the voters did.

use crate::{
    check::Before,
    history::{History, bit},
};

/// Least and most.
type Bounds = (u64, u64);

/// The bounds of a tally. They are equal where no outcome is unknown.
#[derive(Debug)]
pub(crate) struct Expected {
    voters: Bounds,
    votes: Vec<Bounds>,
}

impl Expected {
    pub(crate) fn of(history: &History, before: &Before) -> Self {
        let nameless: u64 = history.nameless.iter().sum();
        let mut voters = (before.voters, before.voters + nameless);
        let before = before.votes.iter().copied().chain(std::iter::repeat(0));
        let votes = before.zip(&history.nameless);
        let mut votes: Vec<Bounds> = votes
            .map(|(before, nameless)| (before, before + nameless))
            .collect();
        for voter in &history.voters {
            let unknown = voter.unknown_before | voter.unknown_after;
            let last = voter.last.map(|last| bit(last.option));
            voters.0 += u64::from(last.is_some());
            voters.1 += u64::from(last.is_some() || unknown != 0);
            let possible = unknown | last.unwrap_or(0);
            for (option, (least, most)) in (0..).zip(&mut votes) {
                *most += u64::from(possible & bit(option) != 0);
                *least += u64::from(last.is_some() && possible == bit(option));
            }
        }
        Self { voters, votes }
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
}
