//! A ballot: who votes for what in which poll.

use std::{
    fmt,
    num::NonZeroU64,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{id::PollId, secret::MacKey};

/// The options that a ballot chooses: a set of option indices, never empty, each below 63.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Choices(NonZeroU64);

impl Choices {
    /// The set whose bit `i` says that option `i` is chosen; `None` when no bit is set, or a bit
    /// past the 63rd option.
    pub fn from_bits(bits: u64) -> Option<Self> {
        if bits > u64::MAX >> 1 {
            return None;
        }
        NonZeroU64::new(bits).map(Self)
    }

    /// The set as bits, at most 63 of them, so that it also fits a signed 64-bit column.
    pub fn bits(self) -> u64 {
        self.0.get()
    }

    /// How many options are chosen.
    pub fn len(self) -> usize {
        self.bits().count_ones() as usize
    }

    /// Always `false`: a ballot chooses at least one option.
    pub fn is_empty(self) -> bool {
        false
    }

    /// The indices of the chosen options, lowest first.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let mut left = self.bits();
        std::iter::from_fn(move || {
            let lowest = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (lowest < u64::BITS).then_some(lowest as usize)
        })
    }
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.indices()).finish()
    }
}

/// Who casts a ballot: 128 bits. One voter has one counted ballot in a poll.
///
/// As text and in JSON it is a UUID. Whoever knows a voter's id can find the voter's ballots in the store: keep it out of
/// logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VoterId(u128);

/// The text is no voter's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a voter's id: expected a UUID")]
pub struct InvalidVoterId;

impl VoterId {
    /// A new voter. Ids issued later sort later (`UUIDv7`), which keeps the store's index local.
    pub fn issue() -> Self {
        Self(Uuid::now_v7().as_u128())
    }

    /// When the id was [issued](Self::issue), to the millisecond; `None` if the id contains no time.
    pub fn issued_at(self) -> Option<SystemTime> {
        let (seconds, nanos) = Uuid::from_u128(self.0).get_timestamp()?.to_unix();
        Some(UNIX_EPOCH + Duration::new(seconds, nanos))
    }

    /// The id of the voter with this name in another system, such as an e-mail address or an identity
    /// provider's `sub`. The id is a keyed hash, so that the store does not reveal the name.
    pub fn from_external(key: &MacKey, name: &str) -> Self {
        Self(u128::from_be_bytes(key.tag(name.as_bytes())))
    }

    /// The id from its 16 bytes, big-endian.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// The id as 16 bytes, big-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Debug for VoterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).fmt(f)
    }
}

impl fmt::Display for VoterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).fmt(f)
    }
}

impl FromStr for VoterId {
    type Err = InvalidVoterId;

    fn from_str(text: &str) -> Result<Self, InvalidVoterId> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidVoterId)?;
        Ok(Self(id.as_u128()))
    }
}

impl TryFrom<String> for VoterId {
    type Error = InvalidVoterId;

    fn try_from(text: String) -> Result<Self, InvalidVoterId> {
        text.parse()
    }
}

impl From<VoterId> for String {
    fn from(voter: VoterId) -> Self {
        voter.to_string()
    }
}

/// One voter's vote in one poll. Its [`Position`](crate::model::position::Position) in the log says when the
/// ballot was cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// The poll in which the voter votes.
    pub poll: PollId,
    /// The voter.
    pub voter: VoterId,
    /// The options for which the voter votes.
    pub choices: Choices,
    /// By which rules the voter voted: [`Poll::rules`](crate::Poll::rules) of the poll that the voter saw. The log
    /// compares it with what it has, and does not store it. `None` in a poll that never had times.
    pub rules: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_never_empty_and_fit_a_signed_column() {
        assert!(Choices::from_bits(0).is_none());
        assert!(Choices::from_bits(1 << 63).is_none());
        let all = Choices::from_bits(u64::MAX >> 1).unwrap();
        assert_eq!(all.len(), 63);
        assert!(i64::try_from(all.bits()).is_ok());
        assert_eq!(
            Choices::from_bits(0b101)
                .unwrap()
                .indices()
                .collect::<Vec<_>>(),
            [0, 2]
        );
    }

    #[test]
    fn a_voter_reads_back_from_its_text() {
        let voter = VoterId::issue();
        assert_eq!(voter.to_string().parse(), Ok(voter));
        let json = serde_json::to_string(&voter).unwrap();
        assert_eq!(serde_json::from_str::<VoterId>(&json).unwrap(), voter);
        assert_eq!("me".parse::<VoterId>(), Err(InvalidVoterId));
    }

    #[test]
    fn issued_voters_differ_and_sort_by_time() {
        let ids: Vec<_> = (0..1000).map(|_| VoterId::issue()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
