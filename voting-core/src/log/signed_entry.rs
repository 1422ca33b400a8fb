//! Version 2 of a log entry: signed, with a deadline, and with more kinds of ballots. A
//! [`GroupCommit`](crate::GroupCommit) that has a key writes it.
//!
//! Whoever can write to the log, but does not have the key, can neither cast a ballot, nor change one, nor move it
//! to another shard or log. An old entry that is appended again comes after its deadline.
//!
//! Numbers are big-endian unless said otherwise:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 2 |
//! | 1 | id of the key that signed it |
//! | 1 | source: 0 voters, 1 a trusted server |
//! | 8 | deadline: the log's clock, in ms since 1970, after which the entry must not be appended |
//! | 1 | number of polls, 1 to 255 |
//! | for each poll: 1, then as many, then 1 | length of its id in bytes, the id, the kind of its ballots |
//! | 2 | number of ballots, 1 to 65,535 |
//! | for each ballot: 1 | index of its poll in the list above |
//! | 16 | voter |
//! | as the kind says | marks, see [`Marks`] |
//! | 16 | tag: HMAC-SHA-256, cut to 128 bits |
//!
//! The tag is over: the length of the log's name (2 bytes), the name, the shard (2 bytes), and all bytes of the
//! entry before the tag.
//!
//! Each entry has one form only; any other is malformed.

use super::entry::{EntryPoll, MalformedEntry, Reader};
pub use crate::model::source::Source;
use crate::model::{
    ballot::VoterId, id::PollId, poll::MAX_OPTIONS, position::ShardId, secret::MacKey,
};

/// The version of these entries.
pub(crate) const VERSION: u8 = 2;

const TAG_LEN: usize = 16;

/// What a ballot says, by the kind of its poll's ballots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marks {
    /// Kind 0: a set of options: bit `i` is option `i`, as unsigned LEB128. Without bits the ballot is blank.
    Choice(u64),
    /// Kind 0 with bit 63 alone: the voter takes the ballot back.
    Withdrawn,
    /// Kind 1: one byte for the number of ranks, then a byte for each option, the best first. The high bit says that
    /// it is equal to the one before; equal ones follow each other by index.
    Ranking(Vec<Rank>),
    /// Kind 2: one byte for the number of options, then 4 bits for each, the high half of a byte first; 15 is left
    /// blank. An unused half byte is 0.
    Score(Vec<Option<u8>>),
}

/// An option in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// The option, by its index.
    pub option: u8,
    /// Whether it is ranked as high as the one before.
    pub is_equal: bool,
}

/// A ballot of a signed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedBallot {
    /// Its poll.
    pub poll: PollId,
    /// Its voter.
    pub voter: VoterId,
    /// What it says.
    pub marks: Marks,
}

/// A signed entry that could be read. That says nothing about who wrote it: see [`SignedEntry::is_authentic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry<'a> {
    /// The key that signed it, by its id.
    pub key: u8,
    /// Who handed its ballots in.
    pub source: Source,
    /// The log's clock, in ms since 1970, after which it must not be appended.
    pub deadline_ms: u64,
    /// Its ballots, in their order.
    pub ballots: Vec<MarkedBallot>,
    signed: &'a [u8],
    tag: [u8; TAG_LEN],
}

impl<'a> SignedEntry<'a> {
    /// Reads an entry of version 2.
    ///
    /// # Errors
    /// [`MalformedEntry`]: nothing of a malformed entry is used.
    pub fn read(bytes: &'a [u8]) -> Result<Self, MalformedEntry> {
        let signed = bytes.len().checked_sub(TAG_LEN);
        let (signed, tag) = bytes.split_at(signed.ok_or(MalformedEntry::Truncated)?);
        let mut rest = Reader(signed);
        let version = rest.byte()?;
        if version != VERSION {
            return Err(MalformedEntry::Version(version));
        }
        let key = rest.byte()?;
        let source = match rest.byte()? {
            0 => Source::Voters,
            1 => Source::TrustedServer,
            other => return Err(MalformedEntry::Source(other)),
        };
        let deadline_ms = u64::from_be_bytes(rest.array()?);
        let mut polls = Vec::new();
        for _ in 0..rest.byte()? {
            polls.push((rest.poll()?, Kind::of(rest.byte()?)?));
        }
        let count = usize::from(u16::from_be_bytes(rest.array()?));
        if polls.is_empty() || count == 0 {
            return Err(MalformedEntry::Empty);
        }
        let mut ballots = Vec::with_capacity(count);
        for index in 0..count {
            let poll = polls.get(usize::from(rest.byte()?));
            let (poll, kind) = poll.ok_or(MalformedEntry::PollIndex(index))?;
            ballots.push(MarkedBallot {
                poll: poll.clone(),
                voter: VoterId::from_bytes(rest.array()?),
                marks: kind
                    .marks(&mut rest)?
                    .ok_or(MalformedEntry::Choices(index))?,
            });
        }
        match rest.0.len() {
            0 => Ok(Self {
                key,
                source,
                deadline_ms,
                ballots,
                signed,
                tag: Reader(tag).array()?,
            }),
            more => Err(MalformedEntry::Trailing(more)),
        }
    }

    /// Whether it was signed under this key for this shard of this log.
    pub fn is_authentic(&self, key: &MacKey, log: &str, shard: ShardId) -> bool {
        key.verify(&message(log, shard, self.signed), &self.tag)
    }
}

/// What stands before the ballots of an entry.
pub(super) struct Head<'a> {
    pub(super) source: Source,
    pub(super) deadline_ms: u64,
    pub(super) polls: &'a [EntryPoll],
    pub(super) ballots: u16,
}

impl Head<'_> {
    /// All bytes before the tag, with ballots of polls where voters choose options.
    pub(super) fn bytes(&self, key: u8, ballots: &[u8]) -> Vec<u8> {
        let names = self.polls.iter().map(|poll| 2 + poll.id.as_str().len());
        let names: usize = names.sum();
        let mut bytes = Vec::with_capacity(14 + names + ballots.len() + TAG_LEN);
        bytes.extend([VERSION, key, self.source as u8]);
        bytes.extend(self.deadline_ms.to_be_bytes());
        // Both fit: an entry has no 256th poll, and no identifier is that long.
        bytes.push(u8::try_from(self.polls.len()).unwrap_or(u8::MAX));
        for poll in self.polls {
            let id = poll.id.as_str();
            bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
            bytes.extend(id.as_bytes());
            bytes.push(Kind::Choice as u8);
        }
        bytes.extend(self.ballots.to_be_bytes());
        bytes.extend(ballots);
        bytes
    }
}

/// What the tag of an entry is over.
pub(super) fn message(log: &str, shard: ShardId, signed: &[u8]) -> Vec<u8> {
    let name = log.as_bytes();
    // A name of that length is no name of a log; its length is then wrong, and no tag is valid.
    let len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let mut message = Vec::with_capacity(4 + name.len() + signed.len());
    message.extend(len.to_be_bytes());
    message.extend(name);
    message.extend(shard.0.to_be_bytes());
    message.extend(signed);
    message
}

#[derive(Clone, Copy)]
enum Kind {
    Choice = 0,
    Ranking = 1,
    Score = 2,
}

impl Kind {
    fn of(byte: u8) -> Result<Self, MalformedEntry> {
        match byte {
            0 => Ok(Self::Choice),
            1 => Ok(Self::Ranking),
            2 => Ok(Self::Score),
            other => Err(MalformedEntry::Kind(other)),
        }
    }

    /// `None` where the marks are there and cannot be.
    fn marks(self, rest: &mut Reader<'_>) -> Result<Option<Marks>, MalformedEntry> {
        match self {
            Self::Choice => Ok(rest.leb128(64)?.and_then(|bits| match bits {
                0..=0x7fff_ffff_ffff_ffff => Some(Marks::Choice(bits)),
                0x8000_0000_0000_0000 => Some(Marks::Withdrawn),
                _ => None,
            })),
            Self::Ranking => {
                let count = rest.byte()?;
                let bytes = rest.take(usize::from(count))?;
                let ranks = bytes.iter().map(|byte| Rank {
                    option: byte & 0x7f,
                    is_equal: byte & 0x80 != 0,
                });
                let ranks: Vec<_> = ranks.collect();
                Ok(is_ranking(&ranks).then_some(Marks::Ranking(ranks)))
            }
            Self::Score => {
                let count = usize::from(rest.byte()?);
                let bytes = rest.take(count.div_ceil(2))?;
                let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
                let is_padded = count % 2 == 0 || bytes.last().is_none_or(|last| last & 0xf == 0);
                let scores = halves.take(count).map(|half| (half != 15).then_some(half));
                let is_valid = is_padded && count <= MAX_OPTIONS;
                Ok(is_valid.then(|| Marks::Score(scores.collect())))
            }
        }
    }
}

fn is_ranking(ranks: &[Rank]) -> bool {
    let mut seen = 0_u64;
    let mut last: Option<u8> = None;
    for rank in ranks {
        if usize::from(rank.option) >= MAX_OPTIONS || seen & (1 << rank.option) != 0 {
            return false;
        }
        seen |= 1 << rank.option;
        if rank.is_equal && last.is_none_or(|last| last >= rank.option) {
            return false;
        }
        last = Some(rank.option);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        log::{
            entry::EntryBuilder,
            entry_keys::{EntryKeys, UnknownKey},
        },
        model::{
            ballot::{Ballot, Choices},
            position::{EntryId, EntryKey},
            secret::SecretKey,
        },
    };

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        pairs.map(|pair| byte(pair).unwrap()).collect()
    }

    fn key() -> MacKey {
        SecretKey::new([7; 32]).unwrap().derive("entries 2")
    }

    fn signed(body: &str) -> Vec<u8> {
        let mut bytes = hex(body);
        let tag = key().tag(&message("voting", ShardId(3), &bytes));
        bytes.extend(tag);
        bytes
    }

    fn keys() -> EntryKeys {
        EntryKeys::new("voting").with_entries(5, key())
    }

    const HEAD: &str = "02 05 00 0000018bcfe56800";
    const PLACE: EntryKey = (ShardId(3), EntryId::MIN);
    const VOTER: &str = "00112233445566778899aabbccddeeff";

    /// The bytes of one entry, for other languages.
    #[test]
    fn an_entry_matches_the_published_vector() {
        let body = format!("{HEAD} 01 0161 00 0001 00 {VOTER} 05");
        let bytes = signed(&body);
        let tag: String = bytes[bytes.len() - TAG_LEN..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(tag, "fad7788209b681ad67e029499bb84035");
        let entry = SignedEntry::read(&bytes).unwrap();
        assert_eq!((entry.key, entry.source), (5, Source::Voters));
        assert_eq!(entry.deadline_ms, 1_700_000_000_000);
        let ballots = keys().open(&bytes, PLACE).unwrap().unwrap();
        assert_eq!(ballots[0].poll.as_str(), "a");
        assert_eq!(ballots[0].choices.bits(), 0b101);
        assert_eq!(ballots[0].voter.to_bytes().to_vec(), hex(VOTER));
    }

    #[test]
    fn an_entry_holds_for_its_key_its_log_and_its_shard_only() {
        let bytes = signed(&format!("{HEAD} 01 0161 00 0001 00 {VOTER} 05"));
        let open = |keys: &EntryKeys, shard| keys.open(&bytes, (ShardId(shard), PLACE.1));
        assert!(open(&keys(), 3).unwrap().is_ok());
        let unauthenticated = Ok(Err(MalformedEntry::Unauthenticated));
        assert_eq!(open(&keys(), 2), unauthenticated);
        assert_eq!(
            open(&EntryKeys::new("other").with_entries(5, key()), 3),
            unauthenticated
        );
        let other = SecretKey::new([8; 32]).unwrap().derive("entries 2");
        assert_eq!(
            open(&EntryKeys::new("voting").with_entries(5, other), 3),
            unauthenticated
        );
        assert_eq!(
            open(&EntryKeys::new("voting").with_entries(4, key()), 3),
            Err(UnknownKey(5))
        );
        for index in 3..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(keys().open(&changed, PLACE).unwrap().is_err(), "{index}");
        }
    }

    #[test]
    fn an_entry_that_is_appended_after_its_deadline_is_set_aside() {
        let bytes = signed(&format!("{HEAD} 01 0161 00 0001 00 {VOTER} 05"));
        let at = |ms| (ShardId(3), EntryId::new(ms, 7).unwrap());
        let in_time = keys().open(&bytes, at(1_700_000_000_000));
        assert!(in_time.unwrap().is_ok());
        assert_eq!(
            keys().open(&bytes, at(1_700_000_000_042)),
            Ok(Err(MalformedEntry::Late(42)))
        );
    }

    /// The bytes of an entry that is written, for other languages.
    #[test]
    fn what_is_written_matches_the_published_vector_and_reads_back() {
        let ballot = |poll: &str, voter: u128, bits| Ballot {
            poll: poll.parse().unwrap(),
            voter: VoterId::from_bytes(voter.to_be_bytes()),
            choices: Choices::from_bits(bits).unwrap(),
            rules: None,
        };
        let ballots = [
            ballot("cats-vs-dogs", 0x0123_4567_89ab_cdef, 2),
            ballot("b", u128::MAX, 0x80),
            ballot("cats-vs-dogs", 3, u64::MAX >> 1),
        ];
        let mut builder = EntryBuilder::default();
        for ballot in &ballots {
            builder.push(ballot).unwrap();
        }
        let secret = SecretKey::new([7; 32]).unwrap();
        let keys = EntryKeys::new("voting").signing_with(&secret);
        let deadline_ms = 1_700_000_000_000;
        let entry = builder.signed(&keys, ShardId(3), deadline_ms).unwrap();
        let body = "02 72 00 0000018bcfe56800
             02 0c636174732d76732d646f6773 00 0162 00 0003
             00 00000000000000000123456789abcdef 02
             01 ffffffffffffffffffffffffffffffff 8001
             00 00000000000000000000000000000003 ffffffffffffffff7f";
        assert_eq!(entry.payload, signed(body));
        assert_eq!((entry.ballots, entry.deadline_ms), (3, Some(deadline_ms)));
        let read = keys.open(&entry.payload, PLACE).unwrap();
        assert_eq!(read.unwrap(), ballots);
        let unsigned = EntryKeys::new("voting").with_secret(&secret).unwrap();
        assert!(builder.signed(&unsigned, ShardId(3), 0).is_none());
    }

    #[test]
    fn every_kind_of_marks_is_read_in_its_one_form() {
        let read = |kind: u8, marks: &str| {
            let body = format!("{HEAD} 01 0161 {kind:02x} 0001 00 {VOTER} {marks}");
            let bytes = signed(&body);
            SignedEntry::read(&bytes).map(|entry| entry.ballots[0].marks.clone())
        };
        let rank = |option, is_equal| Rank { option, is_equal };
        assert_eq!(read(0, "00"), Ok(Marks::Choice(0)));
        assert_eq!(read(0, "80808080808080808001"), Ok(Marks::Withdrawn));
        let ranking = Marks::Ranking(vec![rank(2, false), rank(0, false), rank(1, true)]);
        assert_eq!(read(1, "03 02 00 81"), Ok(ranking));
        assert_eq!(read(1, "00"), Ok(Marks::Ranking(Vec::new())));
        let score = Marks::Score(vec![Some(9), None, Some(0)]);
        assert_eq!(read(2, "03 9f 00"), Ok(score));
        let malformed = Err(MalformedEntry::Choices(0));
        // Not the shortest form; another bit beside that of a ballot that is taken back.
        assert_eq!(read(0, "8000"), malformed);
        assert_eq!(read(0, "81808080808080808001"), malformed);
        // The first is equal to nothing; an option twice; equal ones in another order; past the 63rd.
        for ranks in ["01 80", "02 01 01", "02 02 81", "01 3f"] {
            assert_eq!(read(1, ranks), malformed, "{ranks}");
        }
        // A half byte that is not used; more than 63 options.
        assert_eq!(read(2, "01 11"), malformed);
        assert_eq!(read(2, &format!("40 {}", "00".repeat(32))), malformed);
        assert_eq!(read(3, "00"), Err(MalformedEntry::Kind(3)));
    }

    #[test]
    fn what_this_version_cannot_count_is_set_aside_and_not_guessed() {
        let bytes = signed(&format!("{HEAD} 01 0161 01 0001 00 {VOTER} 01 00"));
        let opened = keys().open(&bytes, PLACE).unwrap();
        assert_eq!(opened, Err(MalformedEntry::Choices(0)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SignedEntry::read(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let _ = SignedEntry::read(&bytes);
        }
    }
}
