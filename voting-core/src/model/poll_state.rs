//! How far a poll is on its way from taking ballots to a count that never changes, and where in
//! the log its ballots end. What moves a poll on is in [`closing`](crate::pipeline::closing).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::position::{EntryId, ShardId};

/// Whether a poll takes ballots, and whether its count can still change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "seals", rename_all = "lowercase")]
pub enum PollState {
    /// Ballots are taken and counted.
    #[default]
    Open,
    /// Shard by shard, the log is sealed: it takes no more ballots. Those that it took before are
    /// being counted.
    Closing(Seals),
    /// All ballots are counted; the count never changes again.
    Final(Seals),
}

/// In each shard that is sealed for a poll, the last entry before the seal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u16, u64, u64)>", into = "Vec<(u16, u64, u64)>")]
pub struct Seals(BTreeMap<ShardId, EntryId>);

/// A seal that is no entry's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}-{1} is not the id of an entry")]
pub struct InvalidSeal(u64, u64);

impl Seals {
    /// The last entry before the seal of a shard; `None` when it is not sealed.
    pub fn get(&self, shard: ShardId) -> Option<EntryId> {
        self.0.get(&shard).copied()
    }

    /// All of them, by shard.
    pub fn iter(&self) -> impl Iterator<Item = (ShardId, EntryId)> {
        self.0.iter().map(|(shard, entry)| (*shard, *entry))
    }

    /// Takes in seals of further shards. One that is there stays: ballots were judged by it.
    fn add(&mut self, more: &Self) {
        for (shard, entry) in more.iter() {
            self.0.entry(shard).or_insert(entry);
        }
    }
}

impl FromIterator<(ShardId, EntryId)> for Seals {
    fn from_iter<T: IntoIterator<Item = (ShardId, EntryId)>>(seals: T) -> Self {
        Self(seals.into_iter().collect())
    }
}

impl TryFrom<Vec<(u16, u64, u64)>> for Seals {
    type Error = InvalidSeal;

    fn try_from(seals: Vec<(u16, u64, u64)>) -> Result<Self, InvalidSeal> {
        let seals = seals.into_iter().map(|(shard, ms, seq)| {
            let entry = EntryId::new(ms, seq).ok_or(InvalidSeal(ms, seq))?;
            Ok((ShardId(shard), entry))
        });
        seals.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Seals> for Vec<(u16, u64, u64)> {
    fn from(seals: Seals) -> Self {
        let seals = seals.iter();
        seals
            .map(|(shard, entry)| (shard.0, entry.ms(), entry.seq()))
            .collect()
    }
}

impl PollState {
    /// Whether ballots are taken.
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }

    /// Whether the count never changes again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Final(_))
    }

    /// The seals of the poll; none while it is open.
    pub fn seals(&self) -> &Seals {
        static NONE: Seals = Seals(BTreeMap::new());
        match self {
            Self::Open => &NONE,
            Self::Closing(seals) | Self::Final(seals) => seals,
        }
    }

    /// Whether a ballot in this entry counts: it does unless it came after its shard was sealed.
    pub fn takes(&self, shard: ShardId, entry: EntryId) -> bool {
        match self {
            Self::Open => true,
            Self::Closing(seals) => seals.get(shard).is_none_or(|last| entry <= last),
            Self::Final(seals) => seals.get(shard).is_some_and(|last| entry <= last),
        }
    }

    /// This state moved on to `to`. A poll never goes back, and a seal never moves, so it does not
    /// matter in which order, or how often, steps are taken.
    #[must_use]
    pub fn advanced(self, to: &Self) -> Self {
        match (self, to) {
            (Self::Open, to) => to.clone(),
            (state, Self::Open) => state,
            (Self::Closing(mut seals), Self::Closing(more)) => {
                seals.add(more);
                Self::Closing(seals)
            }
            (Self::Closing(mut seals), Self::Final(more)) => {
                seals.add(more);
                Self::Final(seals)
            }
            (Self::Final(seals), _) => Self::Final(seals),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals(list: &[(u16, u64)]) -> Seals {
        let seal = |(shard, ms): &(u16, u64)| (ShardId(*shard), EntryId::new(*ms, 0).unwrap());
        list.iter().map(seal).collect()
    }

    #[test]
    fn a_poll_never_goes_back_and_a_seal_never_moves() {
        let closing = PollState::Open.advanced(&PollState::Closing(seals(&[(0, 5)])));
        assert_eq!(closing, PollState::Closing(seals(&[(0, 5)])));
        assert_eq!(closing.clone().advanced(&PollState::Open), closing);
        let more = closing.advanced(&PollState::Closing(seals(&[(0, 9), (1, 7)])));
        assert_eq!(more, PollState::Closing(seals(&[(0, 5), (1, 7)])));
        let done = more.advanced(&PollState::Final(Seals::default()));
        assert_eq!(done, PollState::Final(seals(&[(0, 5), (1, 7)])));
        let later = PollState::Closing(seals(&[(2, 1)]));
        assert_eq!(done.clone().advanced(&later), done);
    }

    #[test]
    fn ballots_count_up_to_the_seal_of_their_shard() {
        let entry = |ms| EntryId::new(ms, 0).unwrap();
        let closing = PollState::Closing(seals(&[(0, 5)]));
        assert!(closing.takes(ShardId(0), entry(5)));
        assert!(!closing.takes(ShardId(0), entry(5).next()));
        assert!(closing.takes(ShardId(1), entry(99)), "not sealed yet");
        let done = PollState::Final(seals(&[(0, 5)]));
        assert!(done.takes(ShardId(0), entry(5)));
        assert!(!done.takes(ShardId(1), entry(1)));
        assert!(PollState::Open.takes(ShardId(0), entry(99)));
    }

    #[test]
    fn a_state_reads_back_from_its_text() {
        for (state, text) in [
            (PollState::Open, r#"{"state":"open"}"#),
            (
                PollState::Closing(Seals::default()),
                r#"{"state":"closing","seals":[]}"#,
            ),
            (
                PollState::Final(seals(&[(0, 5), (3, 7)])),
                r#"{"state":"final","seals":[[0,5,0],[3,7,0]]}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
            assert_eq!(serde_json::from_str::<PollState>(text).unwrap(), state);
        }
    }
}
