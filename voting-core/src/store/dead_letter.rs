//! Ballots that cannot be counted, kept with the reason.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{
    log::{
        claim::LogEntry,
        entry::{self, MalformedEntry},
    },
    model::{
        placed_ballot::PlacedBallot,
        position::Position,
        rejection::{Refusal, RejectReason},
        source::Source,
    },
};

/// The largest payload that is kept, in bytes. An entry of ours is always smaller, also one of a later
/// version, so whatever may yet be counted is kept as it was found.
pub const MAX_PAYLOAD: usize = 4 * 1024 * 1024;

/// What is kept of a larger one, in bytes.
const HEAD: usize = 64 * 1024;

/// What a list has of each payload, in bytes.
pub const LISTED: usize = 1024;

/// As many bytes of the payload as are asked for, and one more if it has more: so it can be told that it
/// is cut.
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "of stores that cut")
)]
pub(crate) fn and_one_more(bytes: usize) -> usize {
    bytes + 1
}

/// A ballot that was not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it stood in the log; an entry that could not be read is one dead letter at its
    /// index 0.
    pub position: Position,
    /// Why it was not counted.
    pub reason: RejectReason,
    /// The reason in words, for the operator.
    pub detail: String,
    /// The ballot as a log entry of its own (see [`entry`]), or the entry as it was found when it could
    /// not be read; of one that is larger than [`MAX_PAYLOAD`] the beginning, and `detail` says so.
    pub payload: Vec<u8>,
    /// How many ballots it stands for: one, or as many as the entry that could not be read was
    /// appended with.
    pub ballots: u16,
}

impl DeadLetter {
    /// Of a single ballot that could be read.
    pub fn of(placed: &PlacedBallot, reason: RejectReason) -> Self {
        let ballot = &placed.ballot;
        Self {
            position: placed.position,
            reason,
            detail: format!("poll {}, options {:?}", ballot.poll, ballot.choices),
            payload: entry::of_one(ballot).payload,
            ballots: 1,
        }
    }

    /// Of a single ballot that a rule of the application refuses.
    pub fn refused(placed: &PlacedBallot, refusal: &Refusal) -> Self {
        let letter = Self::of(placed, RejectReason::NotEligible);
        Self {
            detail: format!("{refusal}; {}", letter.detail),
            ..letter
        }
    }

    /// The same of a ballot that came from this source. It is counted as one of this source if its cause is mended.
    #[must_use]
    pub fn from_source(mut self, source: Source) -> Self {
        entry::set_source(&mut self.payload, source);
        self
    }

    /// Of a whole entry that cannot be read.
    pub fn of_entry(found: &LogEntry, error: &MalformedEntry) -> Self {
        let detail = found.foreign.clone().unwrap_or_else(|| error.to_string());
        let (detail, payload) = kept(&detail, &found.payload);
        Self {
            position: Position::new(found.shard, found.id, 0),
            reason: error.reason(),
            detail,
            payload,
            ballots: found.ballots,
        }
    }

    /// As a store is to keep it: a payload that is too large is cut.
    pub fn bounded(&self) -> Cow<'_, Self> {
        if self.payload.len() <= MAX_PAYLOAD {
            return Cow::Borrowed(self);
        }
        let (detail, payload) = kept(&self.detail, &self.payload);
        Cow::Owned(Self {
            position: self.position,
            reason: self.reason,
            detail,
            payload,
            ballots: self.ballots,
        })
    }
}

/// What is kept of a payload, and its detail with what is not.
fn kept(detail: &str, payload: &[u8]) -> (String, Vec<u8>) {
    if payload.len() <= MAX_PAYLOAD {
        return (detail.to_owned(), payload.to_vec());
    }
    let hash = Sha256::digest(payload);
    let mut detail = format!(
        "{detail}; of {} bytes the first {HEAD} are kept; SHA-256 of all: ",
        payload.len()
    );
    for byte in hash {
        detail.push_str(&format!("{byte:02x}"));
    }
    (detail, payload[..HEAD].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_too_large_the_beginning_and_the_hash_are_kept() {
        let letter = |length: usize| DeadLetter {
            position: Position::new(
                crate::model::position::ShardId(0),
                crate::model::position::EntryId::MIN,
                0,
            ),
            reason: RejectReason::Malformed,
            detail: "no entry".to_owned(),
            payload: vec![b'a'; length],
            ballots: 3,
        };
        assert_eq!(*letter(MAX_PAYLOAD).bounded(), letter(MAX_PAYLOAD));
        let large = letter(MAX_PAYLOAD + 1);
        let kept = large.bounded().into_owned();
        assert_eq!(kept.payload, large.payload[..HEAD]);
        assert_eq!((kept.ballots, kept.position), (3, large.position));
        let (words, hash) = kept.detail.rsplit_once(' ').unwrap();
        assert_eq!(
            words,
            "no entry; of 4194305 bytes the first 65536 are kept; SHA-256 of all:"
        );
        assert_eq!(hash.len(), 64);
        assert_eq!(*kept.bounded(), kept, "it is not cut again");
    }
}
