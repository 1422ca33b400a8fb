//! The bytes of a log entry: all ballots that one write of the log made durable.
//!
//! Version 1, with numbers big-endian unless said otherwise:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 1 | number of polls, 1 to 255 |
//! | for each poll: 1, then as many | length of its id in bytes, the id |
//! | 2 | number of ballots, 1 to 65,535 |
//! | for each ballot: 1 | index of its poll in the list above |
//! | 16 | voter |
//! | 1 to 10 | choices: bit `i` is option `i`, none is blank, bit 63 alone is taken back; unsigned LEB128, 7 bits a byte, the lowest first |
//!
//! Version 3 is the same, and says that a trusted server handed the ballots in. Only a log that no other program reads gets it; in
//! others such entries are of [version 2](super::signed_entry).
//!
//! Programs before version 0.2 set entries with ballots that are blank or taken back aside. So only a log that no other
//! program reads gets them in this version; see [`BallotLog::has_one_program`](crate::log::BallotLog::has_one_program).
//!
//! Nothing follows the last ballot. A log may keep more beside an entry, such as the
//! [traces](crate::log::entry_context) of its ballots. This is never needed to count the ballots, so it is not part of
//! these bytes.
//!
//! A ballot in a poll of up to 7 options takes 18 bytes. Ballots have the order in which they stand in the entry. The
//! tests below have test vectors for other languages.

use super::{
    entry_keys::EntryKeys,
    signed_entry::{self, Source},
};
use crate::model::{
    ballot::{Ballot, Choices, VoterId},
    id::PollId,
    position::ShardId,
    rejection::RejectReason,
};

const VERSION: u8 = 1;

/// The version of entries that a trusted server handed in, and that are not signed.
const HANDED_IN: u8 = 3;

/// The most ballots an entry holds.
pub const MAX_BALLOTS: usize = u16::MAX as usize;

/// The most polls an entry names.
const MAX_POLLS: usize = u8::MAX as usize;

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedEntry {
    /// The version is one that this code does not read; or the bytes are no entry.
    #[error("entry version {0} is not known")]
    Version(u8),
    /// It stops in the middle.
    #[error("the entry ends early")]
    Truncated,
    /// Bytes follow its last ballot.
    #[error("{0} bytes follow the last ballot")]
    Trailing(usize),
    /// It holds no poll or no ballot.
    #[error("the entry is empty")]
    Empty,
    /// A poll's name is no identifier.
    #[error("a poll's id is malformed")]
    Poll,
    /// A ballot's poll is not in the list.
    #[error("ballot {0} names a poll that the entry does not list")]
    PollIndex(usize),
    /// A ballot chooses nothing, or an option past the 63rd; or it is of a kind that this version does not count.
    #[error("ballot {0} has malformed choices")]
    Choices(usize),
    /// A source of ballots that is not known.
    #[error("source {0} is not known")]
    Source(u8),
    /// A kind of ballots that is not known.
    #[error("kind {0} of ballots is not known")]
    Kind(u8),
    /// Somebody without the key wrote it, or changed it.
    #[error("the entry's signature is not valid")]
    Unauthenticated,
    /// It is not signed, and comes after the last entry that need not be.
    #[error("the entry is not signed")]
    Unsigned,
    /// It is signed, and somebody appended it again after its deadline.
    #[error("the entry was appended {0} ms after its deadline")]
    Late(u64),
}

impl MalformedEntry {
    /// Why the ballots of such an entry are not counted.
    pub fn reason(&self) -> RejectReason {
        match self {
            Self::Unauthenticated | Self::Unsigned | Self::Late(_) => RejectReason::Unauthenticated,
            _ => RejectReason::Malformed,
        }
    }
}

/// The log's clock was after the [deadline](NewEntry::deadline_ms) of the entry, which is certainly not in the log. The source
/// of a [`CastError::Refused`](crate::CastError::Refused).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry came after its deadline")]
pub struct LateEntry;

/// An entry that is to be appended to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Its bytes.
    pub payload: Vec<u8>,
    /// How many ballots are in it, which the log counts.
    pub ballots: u16,
    /// The polls that they are in. A log refuses the entry if it is sealed for one of them, or if it has a
    /// [window](crate::model::poll::PollWindow) for one of them that does not take it now.
    pub polls: Vec<EntryPoll>,
    /// The traces of ballots in it that are followed, see [`entry_context`](crate::log::entry_context); mostly none.
    /// A log should keep them beside the payload, but may drop them.
    pub traces: Vec<u8>,
    /// The log's clock, in ms since 1970, after which it must not append the entry: the [`ms`](crate::model::position::EntryId::ms)
    /// of the entry's id are not after it. It is part of a signed payload. A log that gives
    /// [no deadlines](crate::log::BallotLog::deadline_ms) ignores it.
    pub deadline_ms: Option<u64>,
}

/// A poll in which an entry has ballots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPoll {
    /// The poll.
    pub id: PollId,
    /// By which rules its ballots were cast, see [`Ballot::rules`]. They are not part of the payload.
    pub rules: Option<u32>,
}

impl From<PollId> for EntryPoll {
    fn from(id: PollId) -> Self {
        Self { id, rules: None }
    }
}

/// Gathers ballots into an entry.
#[derive(Debug, Default)]
pub struct EntryBuilder {
    source: Source,
    polls: Vec<EntryPoll>,
    ballots: Vec<u8>,
    len: u16,
}

impl EntryBuilder {
    /// An entry whose ballots all come from this source. The default is [`Source::Voters`].
    pub fn from_source(source: Source) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    /// Adds a ballot and returns its index. `None`: the entry is full, or it has ballots of the same poll that were cast
    /// by other rules. This is never so for the first ballot.
    pub fn push(&mut self, ballot: &Ballot) -> Option<u16> {
        let index = self.len;
        let next_len = index.checked_add(1)?;
        let poll = match self.polls.iter().position(|poll| poll.id == ballot.poll) {
            Some(known) if self.polls[known].rules == ballot.rules => known,
            Some(_) => return None,
            None if self.polls.len() < MAX_POLLS => {
                self.polls.push(EntryPoll {
                    id: ballot.poll.clone(),
                    rules: ballot.rules,
                });
                self.polls.len() - 1
            }
            None => return None,
        };
        self.ballots.push(u8::try_from(poll).ok()?);
        self.ballots.extend(ballot.voter.to_bytes());
        let mut bits = ballot.choices.code();
        loop {
            let low = u8::try_from(bits & 0x7f).ok()?;
            bits >>= 7;
            self.ballots.push(if bits == 0 { low } else { low | 0x80 });
            if bits == 0 {
                break;
            }
        }
        self.len = next_len;
        Some(index)
    }

    /// How many ballots there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry.
    pub fn finish(self) -> NewEntry {
        let names: usize = self
            .polls
            .iter()
            .map(|poll| 1 + poll.id.as_str().len())
            .sum();
        let mut bytes = Vec::with_capacity(4 + names + self.ballots.len());
        bytes.push(version_of(self.source));
        // Both fit: `push` adds no 256th poll, and no identifier is that long.
        bytes.push(u8::try_from(self.polls.len()).unwrap_or(u8::MAX));
        for poll in &self.polls {
            bytes.push(u8::try_from(poll.id.as_str().len()).unwrap_or(u8::MAX));
            bytes.extend(poll.id.as_str().as_bytes());
        }
        bytes.extend(self.len.to_be_bytes());
        bytes.extend(self.ballots);
        NewEntry {
            payload: bytes,
            ballots: self.len,
            polls: self.polls,
            traces: Vec::new(),
            deadline_ms: None,
        }
    }

    /// The same as an entry of [version 2](super::signed_entry), for this shard. `None`: these keys sign nothing.
    pub fn signed(&self, keys: &EntryKeys, shard: ShardId, deadline_ms: u64) -> Option<NewEntry> {
        let head = signed_entry::Head {
            source: self.source,
            deadline_ms,
            polls: &self.polls,
            ballots: self.len,
        };
        Some(NewEntry {
            payload: keys.sign(shard, |key| head.bytes(key, &self.ballots))?,
            ballots: self.len,
            polls: self.polls.clone(),
            traces: Vec::new(),
            deadline_ms: Some(deadline_ms),
        })
    }
}

/// An entry of a single ballot.
pub fn of_one(ballot: &Ballot) -> NewEntry {
    let mut entry = EntryBuilder::default();
    entry.push(ballot);
    entry.finish()
}

/// How the payload of an [entry of one ballot](of_one) in this poll begins: of a voter, and of a trusted server. No entry of
/// one ballot in another poll begins so. A store that deletes a poll finds the poll's dead letters by it.
pub fn beginnings_of_one(poll: &PollId) -> [Vec<u8>; 2] {
    let id = poll.as_str().as_bytes();
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    [VERSION, HANDED_IN].map(|version| {
        let mut bytes = vec![version, 1, length];
        bytes.extend(id);
        // One ballot, in the first of the polls.
        bytes.extend([0, 1, 0]);
        bytes
    })
}

/// Reads an entry; its ballots in their order.
///
/// # Errors
/// [`MalformedEntry`]: nothing of a malformed entry is used.
pub fn decode(bytes: &[u8]) -> Result<Vec<Ballot>, MalformedEntry> {
    let mut rest = Reader(bytes);
    let version = rest.byte()?;
    if ![VERSION, HANDED_IN].contains(&version) {
        return Err(MalformedEntry::Version(version));
    }
    let polls = (0..rest.byte()?)
        .map(|_| rest.poll())
        .collect::<Result<Vec<_>, _>>()?;
    let count = usize::from(u16::from_be_bytes(rest.array()?));
    if polls.is_empty() || count == 0 {
        return Err(MalformedEntry::Empty);
    }
    let mut ballots = Vec::with_capacity(count);
    for index in 0..count {
        let poll = polls
            .get(usize::from(rest.byte()?))
            .ok_or(MalformedEntry::PollIndex(index))?;
        ballots.push(Ballot {
            poll: poll.clone(),
            voter: VoterId::from_bytes(rest.array()?),
            choices: rest
                .leb128(64)?
                .and_then(Choices::from_code)
                .ok_or(MalformedEntry::Choices(index))?,
            rules: None,
        });
    }
    match rest.0.len() {
        0 => Ok(ballots),
        more => Err(MalformedEntry::Trailing(more)),
    }
}

/// Who handed the ballots of an entry in, of any version. The entry could be read.
pub(crate) fn source(bytes: &[u8]) -> Source {
    match bytes {
        [HANDED_IN, ..] => Source::TrustedServer,
        [signed_entry::VERSION, _, source, ..] if *source == Source::TrustedServer as u8 => {
            Source::TrustedServer
        }
        _ => Source::Voters,
    }
}

/// Makes an entry that is not signed one of this source.
pub(crate) fn set_source(bytes: &mut [u8], source: Source) {
    if let [version @ (VERSION | HANDED_IN), ..] = bytes {
        *version = version_of(source);
    }
}

/// The version of an entry that is not signed.
fn version_of(source: Source) -> u8 {
    match source {
        Source::Voters => VERSION,
        Source::TrustedServer => HANDED_IN,
    }
}

/// Reads bytes from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], MalformedEntry> {
        let (head, tail) = self
            .0
            .split_at_checked(len)
            .ok_or(MalformedEntry::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedEntry> {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .ok_or(MalformedEntry::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, MalformedEntry> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn poll(&mut self) -> Result<PollId, MalformedEntry> {
        let len = usize::from(self.byte()?);
        std::str::from_utf8(self.take(len)?)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(MalformedEntry::Poll)
    }

    /// `None` for a number of more than `bits` bits, or written longer than it needs to be.
    pub(super) fn leb128(&mut self, bits: u32) -> Result<Option<u64>, MalformedEntry> {
        let mut value = 0;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if group.checked_shr(bits - shift).unwrap_or(0) != 0 {
                return Ok(None);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok((byte != 0 || shift == 0).then_some(value));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ballot(poll: &str, voter: u128, bits: u64) -> Ballot {
        Ballot {
            poll: poll.parse().unwrap(),
            voter: VoterId::from_bytes(voter.to_be_bytes()),
            choices: Choices::from_bits(bits).unwrap(),
            rules: None,
        }
    }

    fn encode(ballots: &[Ballot]) -> Vec<u8> {
        let mut entry = EntryBuilder::default();
        for (index, ballot) in ballots.iter().enumerate() {
            assert_eq!(entry.push(ballot).map(usize::from), Some(index));
        }
        entry.finish().payload
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
            .collect()
    }

    #[test]
    fn entries_match_the_published_vectors() {
        let nothing = |choices| Ballot {
            choices,
            ..ballot("a", 1, 1)
        };
        let vectors = [
            (
                vec![nothing(Choices::BLANK), nothing(Choices::WITHDRAWN)],
                "01 01 0161 0002  00 00000000000000000000000000000001 00
                 00 00000000000000000000000000000001 80808080808080808001",
            ),
            (
                vec![ballot("a", 1, 1)],
                "01 01 0161 0001  00 00000000000000000000000000000001 01",
            ),
            (
                vec![
                    ballot("cats-vs-dogs", 0x0123_4567_89ab_cdef, 2),
                    ballot("b", u128::MAX, 0x80),
                    ballot("cats-vs-dogs", 3, u64::MAX >> 1),
                ],
                "01 02 0c636174732d76732d646f6773 0162 0003
                 00 00000000000000000123456789abcdef 02
                 01 ffffffffffffffffffffffffffffffff 8001
                 00 00000000000000000000000000000003 ffffffffffffffff7f",
            ),
        ];
        for (ballots, bytes) in vectors {
            assert_eq!(encode(&ballots), hex(bytes));
            assert_eq!(decode(&hex(bytes)), Ok(ballots));
        }
    }

    #[test]
    fn an_entry_says_who_handed_it_in() {
        let one = ballot("a", 1, 1);
        let mut handed_in = EntryBuilder::from_source(Source::TrustedServer);
        handed_in.push(&one);
        let handed_in = handed_in.finish().payload;
        let vector = "03 01 0161 0001  00 00000000000000000000000000000001 01";
        assert_eq!(handed_in, hex(vector));
        assert_eq!(decode(&handed_in), Ok(vec![one.clone()]));
        assert_eq!(source(&handed_in), Source::TrustedServer);
        assert_eq!(source(&encode(&[one])), Source::Voters);
        assert_eq!(source(&[2, 7, 1]), Source::TrustedServer);
        assert_eq!(source(&[2, 7, 0]), Source::Voters);
    }

    #[test]
    fn malformed_entries_say_what_is_wrong() {
        let voter = "00000000000000000000000000000001";
        let cases = [
            ("".into(), MalformedEntry::Truncated),
            ("02".into(), MalformedEntry::Version(2)),
            ("01 00 0001".into(), MalformedEntry::Empty),
            ("01 01 0161 0000".into(), MalformedEntry::Empty),
            ("01 01 0141 0001".into(), MalformedEntry::Poll),
            ("01 01 01ff 0001".into(), MalformedEntry::Poll),
            ("01 01 0561".into(), MalformedEntry::Truncated),
            (
                format!("01 01 0161 0001 01 {voter} 01"),
                MalformedEntry::PollIndex(0),
            ),
            (
                format!("01 01 0161 0001 00 {voter} 8100"),
                MalformedEntry::Choices(0),
            ),
            (
                format!("01 01 0161 0001 00 {voter} ffffffffffffffffff01"),
                MalformedEntry::Choices(0),
            ),
            (
                format!("01 01 0161 0002 00 {voter} 01"),
                MalformedEntry::Truncated,
            ),
            (
                format!("01 01 0161 0001 00 {voter} 01 00"),
                MalformedEntry::Trailing(1),
            ),
        ];
        for (bytes, error) in cases {
            assert_eq!(decode(&hex(&bytes)), Err(error), "{bytes}");
        }
    }

    #[test]
    fn a_full_entry_takes_no_more() {
        let mut entry = EntryBuilder::default();
        for voter in 0..MAX_BALLOTS as u128 {
            assert!(entry.push(&ballot("a", voter, 1)).is_some());
        }
        assert_eq!(entry.push(&ballot("a", 0, 1)), None);
        assert_eq!(decode(&entry.finish().payload).unwrap().len(), MAX_BALLOTS);

        let mut entry = EntryBuilder::default();
        for poll in 0..MAX_POLLS {
            assert!(entry.push(&ballot(&format!("p{poll}"), 1, 1)).is_some());
        }
        assert_eq!(entry.push(&ballot("one-too-many", 1, 1)), None);
        assert!(entry.push(&ballot("p0", 2, 1)).is_some());
        assert_eq!(
            decode(&entry.finish().payload).unwrap().len(),
            MAX_POLLS + 1
        );
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_decodes_the_same(
            ballots in prop::collection::vec(
                ("[a-z0-9]{1,8}", any::<u128>(), 1..=u64::MAX >> 1),
                1..40,
            )
        ) {
            let ballots: Vec<_> =
                ballots.iter().map(|(poll, voter, bits)| ballot(poll, *voter, *bits)).collect();
            prop_assert_eq!(decode(&encode(&ballots)).unwrap(), ballots);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_decodes_encodes_to_the_same_ballots(flip in 0usize..80, to in any::<u8>()) {
            let mut bytes = encode(&[ballot("ab", 7, 3), ballot("c", 8, 1 << 40)]);
            if let Some(byte) = bytes.get_mut(flip) {
                *byte = to;
            }
            if let Ok(ballots) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&ballots)).unwrap(), ballots);
            }
        }
    }
}
