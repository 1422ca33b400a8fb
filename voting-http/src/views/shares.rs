//! The share of each option as people read it.

use voting_core::Poll;

use crate::texts::Texts;

/// One share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// The text, such as `66.7%`, `100%`, `<0.1%` or `>99.9%`.
    pub(crate) text: String,
    /// How much of the option's bar is full, in tenths of a percent. It is 0 only without votes, and 1000 only with
    /// all votes.
    pub(crate) bar: u16,
}

/// The whole, in tenths of a percent.
const WHOLE: u128 = 1000;

/// The shares of a poll's options, in percent of its voters. No share claims more than is true: an option that lacks
/// a vote has less than 100%, and an option with a vote has more than 0%.
///
/// If each voter has one choice, the shares are rounded so that they add up to 100.0. Each share is rounded down. The
/// missing tenths go to the options with the largest remainders; of two equal remainders, to the larger option first,
/// and then by the poll's order. If voters have several choices, each share is rounded by itself.
///
/// All shares have the same number of decimals: none if all are whole, otherwise one.
pub(crate) fn shares(poll: &Poll, votes: &[u64], voters: u64, t: &Texts) -> Vec<Share> {
    let tenths = if poll.max_choices() == 1 {
        apportioned(votes, voters)
    } else {
        votes.iter().map(|votes| rounded(*votes, voters)).collect()
    };
    let kinds: Vec<_> = votes
        .iter()
        .zip(tenths)
        .map(|(votes, tenths)| Kind::new(*votes, voters, tenths))
        .collect();
    let whole = kinds
        .iter()
        .all(|kind| matches!(kind, Kind::Exact(tenths) if tenths % 10 == 0));
    kinds.iter().map(|kind| kind.share(whole, t)).collect()
}

/// The share of a part in a whole, by the same rules: it is 100% only of the whole.
pub(crate) fn share_of(part: u64, whole: u64, t: &Texts) -> String {
    let share = Kind::new(part, whole, rounded(part, whole)).share(part == whole || part == 0, t);
    share.text
}

enum Kind {
    /// There are some votes, but the share is too small to be shown.
    Below,
    /// Nearly all voters chose the option.
    Above,
    Exact(u16),
}

impl Kind {
    fn new(votes: u64, voters: u64, tenths: u128) -> Self {
        match tenths {
            0 if votes > 0 => Self::Below,
            WHOLE if votes < voters => Self::Above,
            tenths => Self::Exact(u16::try_from(tenths).unwrap_or(u16::MAX)),
        }
    }

    fn share(&self, whole: bool, t: &Texts) -> Share {
        match self {
            Self::Below => Share {
                text: format!("<{}", t.share(1, true)),
                bar: 1,
            },
            Self::Above => Share {
                text: format!(">{}", t.share(999, true)),
                bar: 999,
            },
            Self::Exact(tenths) => Share {
                text: t.share(*tenths, !whole),
                bar: *tenths,
            },
        }
    }
}

fn rounded(votes: u64, voters: u64) -> u128 {
    let (votes, voters) = (u128::from(votes), u128::from(voters));
    match voters {
        0 => 0,
        _ => ((votes * WHOLE * 2 + voters) / (voters * 2)).min(WHOLE),
    }
}

/// Hamilton's method of largest remainders.
fn apportioned(votes: &[u64], voters: u64) -> Vec<u128> {
    let of = u128::from(voters);
    let sum: u128 = votes.iter().copied().map(u128::from).sum();
    if of == 0 || sum != of {
        // There is nothing to divide, or the count is not one of single choices.
        return votes.iter().map(|votes| rounded(*votes, voters)).collect();
    }
    let exact = |index: usize| u128::from(votes[index]) * WHOLE;
    let mut tenths: Vec<u128> = (0..votes.len()).map(|index| exact(index) / of).collect();
    let missing = WHOLE - tenths.iter().sum::<u128>();
    let mut order: Vec<usize> = (0..votes.len()).collect();
    // The sort is stable, so equal options stay in the poll's order.
    order.sort_by_key(|index| std::cmp::Reverse((exact(*index) % of, votes[*index])));
    // Each option lost less than one, so fewer tenths are missing than there are options.
    for index in order
        .into_iter()
        .take(usize::try_from(missing).unwrap_or(0))
    {
        tenths[index] += 1;
    }
    tenths
}

#[cfg(test)]
mod tests {
    use voting_core::PollOption;

    use super::*;

    fn poll(options: usize, max_choices: usize) -> Poll {
        let options = (0..options)
            .map(|index| PollOption {
                id: format!("o{index}").parse().unwrap(),
                label: index.to_string(),
            })
            .collect();
        Poll::new("p".parse().unwrap(), "P", options, max_choices).unwrap()
    }

    fn texts(votes: &[u64]) -> Vec<String> {
        let shares = shares(
            &poll(votes.len(), 1),
            votes,
            votes.iter().sum(),
            Texts::english(),
        );
        shares.into_iter().map(|share| share.text).collect()
    }

    #[test]
    fn no_share_claims_more_than_is_true() {
        assert_eq!(texts(&[999_999, 1]), [">99.9%", "<0.1%"]);
        assert_eq!(texts(&[1_999, 1]), [">99.9%", "<0.1%"]);
        assert_eq!(texts(&[1, 1_999]), ["<0.1%", ">99.9%"]);
        assert_eq!(texts(&[999, 1]), ["99.9%", "0.1%"]);
        assert_eq!(texts(&[u64::MAX / 2, 1, 0]), [">99.9%", "<0.1%", "0.0%"]);
        assert_eq!(texts(&[7, 0]), ["100%", "0%"]);
        assert_eq!(texts(&[0, 0, 0]), ["0%", "0%", "0%"]);
    }

    #[test]
    fn the_shares_of_single_choices_add_up_to_100() {
        assert_eq!(texts(&[2, 2, 3]), ["28.6%", "28.6%", "42.8%"]);
        assert_eq!(texts(&[1, 1]), ["50%", "50%"]);
        assert_eq!(texts(&[1, 3]), ["25%", "75%"]);
        let six = texts(&[1; 6]);
        assert_eq!(six, ["16.7%", "16.7%", "16.7%", "16.7%", "16.6%", "16.6%"]);
        // Checks every distribution of a few votes, and some of many votes.
        let mut looked_at = 0;
        for a in 0..25 {
            for b in 0..25 {
                for c in 0..25 {
                    for scale in [1, 1_000_003] {
                        let votes = [a * scale, b * scale, c, 1];
                        adds_up(&votes);
                        looked_at += 1;
                    }
                }
            }
        }
        assert_eq!(looked_at, 25 * 25 * 25 * 2);
    }

    fn adds_up(votes: &[u64]) {
        let voters = votes.iter().sum();
        let shares = shares(&poll(votes.len(), 1), votes, voters, Texts::english());
        let decimals: Vec<_> = shares
            .iter()
            .map(|share| share.text.contains('.'))
            .collect();
        assert!(decimals.iter().all(|one| *one == decimals[0]), "{shares:?}");
        for (share, votes) in shares.iter().zip(votes) {
            assert_eq!(share.bar == 0, *votes == 0, "{shares:?}");
            assert_eq!(share.bar == 1000, *votes == voters, "{shares:?}");
        }
        if shares.iter().all(|share| !share.text.contains(['<', '>'])) {
            let sum: u16 = shares.iter().map(|share| share.bar).sum();
            assert_eq!(sum, 1000, "{votes:?}: {shares:?}");
        }
    }

    #[test]
    fn more_votes_never_have_a_smaller_share() {
        for votes in [[5, 3, 2, 1], [333, 333, 334, 1], [1, 1, 1, 997]] {
            let shares = shares(&poll(4, 1), &votes, votes.iter().sum(), Texts::english());
            for (one, a) in votes.iter().zip(&shares) {
                for (other, b) in votes.iter().zip(&shares) {
                    assert!(one <= other || a.bar >= b.bar, "{votes:?}: {shares:?}");
                }
            }
        }
    }

    #[test]
    fn of_several_choices_each_is_a_share_of_the_voters() {
        let of = |votes: &[u64], voters| {
            let shares = shares(&poll(votes.len(), 2), votes, voters, Texts::english());
            shares
                .into_iter()
                .map(|share| share.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[1, 1, 0], 1), ["100%", "100%", "0%"]);
        assert_eq!(of(&[2, 1, 3], 3), ["66.7%", "33.3%", "100.0%"]);
        assert_eq!(
            of(&[9_999, 10_000, 1], 10_000),
            [">99.9%", "100.0%", "<0.1%"]
        );
    }
}
