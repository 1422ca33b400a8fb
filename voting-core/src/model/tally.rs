//! The count of a poll.

use crate::model::{ballot::Choices, id::PollId};

/// How many votes each option of a poll has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Which poll.
    pub poll: PollId,
    /// Grows whenever the tally changes, and only then.
    pub version: u64,
    /// Voters whose ballot counts.
    pub voters: u64,
    /// Votes by option index, as long as the poll has options. With more than one choice
    /// allowed their sum exceeds `voters`.
    pub votes: Vec<u64>,
}

impl Tally {
    /// The tally of a poll in which nobody has voted.
    pub fn empty(poll: PollId, options: usize) -> Self {
        Self {
            poll,
            version: 0,
            voters: 0,
            votes: vec![0; options],
        }
    }
}

/// A tally beside what the ballots say, both of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recount {
    /// The tally that is kept.
    pub kept: Tally,
    /// The same, counted from the ballots.
    pub counted: Tally,
}

impl Recount {
    /// Whether the kept tally is right.
    pub fn agrees(&self) -> bool {
        self.kept == self.counted
    }
}

/// The change that ballots make to a tally, by option: gathered first, applied once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TallyDelta {
    /// Ballots of voters who had none.
    pub voters: u64,
    votes: Vec<i64>,
    changed: bool,
}

impl TallyDelta {
    /// Takes in that a voter's choices went from `old` to `new`.
    pub fn record(&mut self, old: Option<Choices>, new: Choices) {
        self.voters += u64::from(old.is_none());
        self.changed |= old != Some(new);
        let gone = old.map_or(0, Choices::bits);
        for index in new.indices().filter(|index| gone & (1 << index) == 0) {
            self.add(index, 1);
        }
        if let Some(old) = old {
            for index in old.indices().filter(|index| new.bits() & (1 << index) == 0) {
                self.add(index, -1);
            }
        }
    }

    fn add(&mut self, index: usize, by: i64) {
        if self.votes.len() <= index {
            self.votes.resize(index + 1, 0);
        }
        self.votes[index] += by;
    }

    /// Whether the tally differs afterwards, for all that this delta knows. Moves that cancel
    /// each other out still count as a change.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// The options whose votes change, by index, and by how many.
    pub fn votes(&self) -> impl Iterator<Item = (usize, i64)> {
        self.votes
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, by)| *by != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_mind_moves_only_what_differs() {
        let choices = |bits| Choices::from_bits(bits).unwrap();
        let mut delta = TallyDelta::default();
        delta.record(None, choices(0b011));
        delta.record(Some(choices(0b011)), choices(0b110));
        assert_eq!(delta.voters, 1);
        assert_eq!(delta.votes().collect::<Vec<_>>(), [(1, 1), (2, 1)]);

        let mut same = TallyDelta::default();
        same.record(Some(choices(1)), choices(1));
        assert!(!same.changed());
    }
}
