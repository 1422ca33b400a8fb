//! A ballot: who votes for what in which poll.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{id::PollId, secret::MacKey};

/// What a ballot says: the options that it chooses, each below 63. A ballot may also be [blank](Self::BLANK), or take the
/// voter's ballot [back](Self::WITHDRAWN).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Choices(u64);

impl Choices {
    /// No option: the voter is counted, and no option gets a vote. Only in polls that [allow it](crate::model::poll::PollSettings::blank).
    pub const BLANK: Self = Self(0);

    /// The voter takes the ballot back, and has none that counts.
    pub const WITHDRAWN: Self = Self(1 << 63);

    /// What a ballot counts for that an operator has [voided](crate::model::poll::ChangeTo::Voided). No ballot in the log
    /// says so.
    pub const VOIDED: Self = Self(1 << 63 | 1);

    /// The set whose bit `i` says that option `i` is chosen; `None` when no bit is set, or a bit
    /// past the 63rd option.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (1..=u64::MAX >> 1).contains(&bits).then_some(Self(bits))
    }

    /// The choices from their [code](Self::code).
    pub fn from_code(code: u64) -> Option<Self> {
        match Self(code) {
            special @ (Self::BLANK | Self::WITHDRAWN) => Some(special),
            _ => Self::from_bits(code),
        }
    }

    /// All choices as a number, as in a log entry: their [bits](Self::bits), or bit 63 alone for a ballot that is taken back.
    pub fn code(self) -> u64 {
        self.0
    }

    /// The chosen options as bits, at most 63 of them.
    pub fn bits(self) -> u64 {
        match self.0 >> 63 {
            0 => self.0,
            _ => 0,
        }
    }

    /// The code as a signed number, for a column.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        allow(dead_code, reason = "of stores with columns")
    )]
    pub(crate) fn to_column(self) -> i64 {
        i64::from_be_bytes(self.0.to_be_bytes())
    }

    /// The choices in a column.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        allow(dead_code, reason = "of stores with columns")
    )]
    pub(crate) fn from_column(column: i64) -> Option<Self> {
        match Self(u64::from_be_bytes(column.to_be_bytes())) {
            Self::VOIDED => Some(Self::VOIDED),
            Self(code) => Self::from_code(code),
        }
    }

    /// How many options are chosen.
    pub fn len(self) -> usize {
        self.bits().count_ones() as usize
    }

    /// Whether no option is chosen: the ballot is blank, taken back or voided.
    pub fn is_empty(self) -> bool {
        self.bits() == 0
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
        match *self {
            Self::WITHDRAWN => f.write_str("withdrawn"),
            Self::VOIDED => f.write_str("voided"),
            _ => f.debug_set().entries(self.indices()).finish(),
        }
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
    fn a_ballot_may_choose_nothing_only_by_saying_so() {
        for special in [Choices::BLANK, Choices::WITHDRAWN] {
            assert_eq!(Choices::from_code(special.code()), Some(special));
            assert_eq!(Choices::from_column(special.to_column()), Some(special));
            assert!(special.is_empty() && special.indices().next().is_none());
        }
        assert!(Choices::from_code(Choices::VOIDED.code()).is_none());
        let column = Choices::VOIDED.to_column();
        assert_eq!(Choices::from_column(column), Some(Choices::VOIDED));
        assert!(Choices::VOIDED.is_empty() && column < 0);
        assert_eq!(Choices::from_code(5), Choices::from_bits(5));
    }

    #[test]
    fn chosen_options_are_some_and_fit_a_signed_column() {
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
