//! The count of a poll.

use std::collections::BTreeMap;

use crate::{
    error::StoreError,
    model::{
        ballot::Choices, id::PollId, moment::Moment, new_voters::minute_of, position::Position,
        vote_history::VOTERS,
    },
};

/// How many votes each option of a poll has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Which poll.
    pub poll: PollId,
    /// Grows whenever the tally changes, and only then.
    pub version: u64,
    /// Voters whose ballot counts, with those who voted blank.
    pub voters: u64,
    /// Of these, the voters who voted blank.
    pub blank: u64,
    /// Voters who voted and took their ballot back. They are not among `voters`.
    pub withdrawn: u64,
    /// Voters whose ballot an operator has [voided](crate::model::poll::ChangeTo::Voided). They are not among `voters`.
    pub voided: u64,
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
            blank: 0,
            withdrawn: 0,
            voided: 0,
            votes: vec![0; options],
        }
    }

    /// Moves the tally by what ballots changed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a number would be below zero, or the poll has no such option.
    pub fn add(&mut self, delta: &TallyDelta) -> Result<(), StoreError> {
        let rows = self.rows() + delta.voters;
        for (counter, by) in delta.votes() {
            let corrupt = || StoreError::Corrupt(format!("the counter {counter} of {}", self.poll));
            let corrupt = corrupt();
            let Some(votes) = self.counter_mut(counter) else {
                return Err(corrupt);
            };
            *votes = votes.checked_add_signed(by).ok_or(corrupt)?;
        }
        self.set_rows(rows)
    }

    /// The counter of an option by its index, [`BLANK`], [`WITHDRAWN`] or [`VOIDED`].
    pub fn counter_mut(&mut self, counter: usize) -> Option<&mut u64> {
        match counter {
            BLANK => Some(&mut self.blank),
            WITHDRAWN => Some(&mut self.withdrawn),
            VOIDED => Some(&mut self.voided),
            option => self.votes.get_mut(option),
        }
    }

    /// The voters who have a ballot in the store, also one that is taken back or voided.
    pub fn rows(&self) -> u64 {
        self.voters + self.withdrawn + self.voided
    }

    /// Sets the number of voters, once the counters are set.
    pub(crate) fn set_rows(&mut self, rows: u64) -> Result<(), StoreError> {
        let corrupt = || StoreError::Corrupt(format!("the voters of {}", self.poll));
        let voters = rows.checked_sub(self.withdrawn);
        let voters = voters.and_then(|voters| voters.checked_sub(self.voided));
        self.voters = voters.ok_or_else(corrupt)?;
        Ok(())
    }
}

/// The counter of blank ballots, among those of options by their index. No poll has so many options.
pub const BLANK: usize = 63;

/// The counter of ballots that are taken back.
pub const WITHDRAWN: usize = 64;

/// The counter of ballots that are voided.
pub const VOIDED: usize = 65;

/// The counters that a ballot is in.
pub(crate) fn counters(choices: Choices) -> impl Iterator<Item = usize> {
    let special = match choices {
        Choices::BLANK => Some(BLANK),
        Choices::WITHDRAWN => Some(WITHDRAWN),
        Choices::VOIDED => Some(VOIDED),
        _ => None,
    };
    choices.indices().chain(special)
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
    /// Voters who had no ballot, not even one that is taken back or voided.
    pub voters: u64,
    votes: Vec<i64>,
    changed: bool,
    /// By the number of the minute.
    new_voters: BTreeMap<u64, u64>,
    /// By the second since 1970 began: the counters of the history.
    by_second: BTreeMap<u64, Vec<i64>>,
}

impl TallyDelta {
    /// Takes in that a voter's choices went from `old` to `new`.
    pub fn record(&mut self, old: Option<Choices>, new: Choices) {
        self.voters += u64::from(old.is_none());
        self.changed |= old != Some(new);
        if old == Some(new) {
            return;
        }
        for counter in counters(new) {
            self.add(counter, 1);
        }
        for counter in old.into_iter().flat_map(counters) {
            self.add(counter, -1);
        }
    }

    /// Counts a new voter in the minute of this position.
    pub(crate) fn new_voter(&mut self, position: Position) {
        *self.new_voters.entry(minute_of(position)).or_default() += 1;
    }

    /// Keeps for the history that a voter's choices went from `old` to `new` with the ballot at this position.
    pub(crate) fn changed_at(&mut self, position: Position, old: Option<Choices>, new: Choices) {
        if old == Some(new) {
            return;
        }
        let second = position.ms() / 1000;
        let is_counted =
            |choices: Choices| choices != Choices::WITHDRAWN && choices != Choices::VOIDED;
        let voters = i64::from(is_counted(new)) - i64::from(old.is_some_and(is_counted));
        // Most ballots of a batch are from the same few seconds.
        let counters = self.by_second.entry(second).or_default();
        for option in new.indices() {
            add_to(counters, option, 1);
        }
        for option in old.into_iter().flat_map(Choices::indices) {
            add_to(counters, option, -1);
        }
        if voters != 0 {
            add_to(counters, VOTERS, voters);
        }
    }

    /// Keeps for the history that all of this happens at this moment, as when ballots are voided.
    #[must_use]
    pub fn happening_at(mut self, at: Moment) -> Self {
        let second = at.unix_ms() / 1000;
        let mut counters = Vec::new();
        let mut voters = i64::try_from(self.voters).unwrap_or(i64::MAX);
        let options: Vec<_> = self.votes().collect();
        for (counter, by) in options {
            match counter {
                BLANK => {}
                WITHDRAWN | VOIDED => voters -= by,
                option => add_to(&mut counters, option, by),
            }
        }
        add_to(&mut counters, VOTERS, voters);
        self.by_second = BTreeMap::from([(second, counters)]);
        self
    }

    /// By how much counters of the history changed in each second since 1970 began, sorted by time.
    pub(crate) fn by_second(&self) -> impl Iterator<Item = (u64, usize, i64)> {
        let seconds = self.by_second.iter();
        seconds.flat_map(|(second, counters)| {
            let counters = counters.iter().enumerate();
            let changed = counters.filter(|(_, by)| **by != 0);
            changed.map(|(counter, by)| (*second, counter, *by))
        })
    }

    /// The minutes of the positions of new voters' ballots, numbered since 1970 began, and how many voters there are of each.
    pub fn new_voters(&self) -> impl Iterator<Item = (u64, u64)> {
        self.new_voters
            .iter()
            .map(|(minute, voters)| (*minute, *voters))
    }

    /// Counts this many voters whose choices changed from `old` to `new`, such as [`Choices::VOIDED`].
    pub fn record_all(&mut self, old: Choices, new: Choices, ballots: i64) {
        if old == new || ballots == 0 {
            return;
        }
        self.changed = true;
        for counter in counters(new) {
            self.add(counter, ballots);
        }
        for counter in counters(old) {
            self.add(counter, -ballots);
        }
    }

    fn add(&mut self, index: usize, by: i64) {
        add_to(&mut self.votes, index, by);
    }

    /// Whether the tally differs afterwards, for all that this delta knows. Moves that cancel
    /// each other out still count as a change.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// The options whose votes change, by index, and by how many; also [`BLANK`], [`WITHDRAWN`] and [`VOIDED`].
    pub fn votes(&self) -> impl Iterator<Item = (usize, i64)> {
        self.votes
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, by)| *by != 0)
    }
}

fn add_to(counters: &mut Vec<i64>, index: usize, by: i64) {
    if counters.len() <= index {
        counters.resize(index + 1, 0);
    }
    counters[index] += by;
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

        let mut nothing = TallyDelta::default();
        nothing.record(None, Choices::BLANK);
        nothing.record(Some(choices(0b11)), Choices::WITHDRAWN);
        let moved = [(0, -1), (1, -1), (BLANK, 1), (WITHDRAWN, 1)];
        assert_eq!(nothing.votes().collect::<Vec<_>>(), moved);
        let mut tally = Tally::empty("p".parse().unwrap(), 2);
        tally.votes = vec![1, 1];
        tally.voters = 1;
        tally.add(&nothing).unwrap();
        assert_eq!(
            (tally.voters, tally.blank, tally.withdrawn, &tally.votes[..]),
            (1, 1, 1, &[0, 0][..])
        );
        assert!(tally.add(&nothing).is_err(), "below zero");

        let mut same = TallyDelta::default();
        same.record(Some(choices(1)), choices(1));
        assert!(!same.changed());
    }
}
