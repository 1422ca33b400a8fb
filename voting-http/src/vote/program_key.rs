//! The keys by which programs without a cookie name their voters: the header `Idempotency-Key`.
//!
//! A key is the same voter each time, so a request that is sent again is not another voter. Whoever knows a key can change
//! the vote. So a key must be hard to guess, and it is not logged.

use sha2::{Digest, Sha256};
use voting_core::{PollId, VoterId};

use crate::problem::Problem;

/// The fewest characters of a key: 22 characters of base64 have 132 bits.
const FEWEST: usize = 22;

/// The fewest hexadecimal digits, which have 128 bits.
const FEWEST_DIGITS: usize = 32;

/// The most characters of a key.
const MOST: usize = 128;

/// A key with fewer different characters was not made at random: of 32 random hexadecimal digits, one of 10^12 keys has
/// so few.
const FEWEST_DIFFERENT: usize = 6;

/// The lengths of the parts of a UUID.
const OF_UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// A key that is long enough, and of the right characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgramKey<'a>(&'a [u8]);

impl<'a> ProgramKey<'a> {
    /// What a key may be.
    pub(crate) const RIGHT: &'static str =
        "32 to 128 hexadecimal digits, or 22 to 128 characters of A-Z, a-z, 0-9, - and _";

    /// Reads the value of the header. It may be in double quotes, as a string of RFC 9651.
    ///
    /// # Errors
    /// The problem says what is wrong, and what is right.
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, Problem> {
        let bare = value.strip_prefix(b"\"");
        let bare = bare.and_then(|value| value.strip_suffix(b"\""));
        Self::check(bare.unwrap_or(value)).map_err(|why| {
            Problem::invalid(format!(
                "The header Idempotency-Key must have at least 128 random bits: {}. This one is not taken: {why}.",
                Self::RIGHT
            ))
        })
    }

    /// The key with this text.
    ///
    /// # Errors
    /// Says why it is not taken.
    pub(crate) fn check(key: &'a [u8]) -> Result<Self, &'static str> {
        Err(if key.len() > MOST {
            "it is longer"
        } else if !key.iter().all(|byte| is_allowed(*byte)) {
            "it has other characters"
        } else if is_uuid(key) {
            "a UUID has fewer random bits"
        } else if key.len() < FEWEST || (is_hexadecimal(key) && digits(key) < FEWEST_DIGITS) {
            "it is shorter"
        } else if different(key) < FEWEST_DIFFERENT {
            "it does not look random"
        } else {
            return Ok(Self(key));
        })
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether these are hexadecimal digits, perhaps in groups.
fn is_hexadecimal(key: &[u8]) -> bool {
    key.iter()
        .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

fn digits(key: &[u8]) -> usize {
    key.iter().filter(|byte| **byte != b'-').count()
}

fn is_uuid(key: &[u8]) -> bool {
    let parts = key.split(|byte| *byte == b'-').map(<[u8]>::len);
    is_hexadecimal(key) && parts.eq(OF_UUID)
}

fn different(key: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in key {
        seen[usize::from(*byte)] = true;
    }
    seen.into_iter().filter(|seen| *seen).count()
}

/// What is hashed begins with this, so that the hash is of no other use.
const PURPOSE: &[u8] = b"voters with idempotency keys 1\0";

impl ProgramKey<'_> {
    /// The id of the voter with this key, in a poll that has no key of its own: another one in each poll. It is a hash: a key
    /// with 128 random bits cannot be found from it. It is not made with the secret of the deployment, since under the next
    /// secret the same key must not be another voter.
    pub(crate) fn voter(self, poll: &PollId) -> VoterId {
        // No id of a poll contains this byte, so no two pairs have the same text.
        let text = [PURPOSE, poll.as_str().as_bytes(), b"\0", self.0].concat();
        let hash: [u8; 32] = Sha256::digest(text).into();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        VoterId::from_bytes(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(key: &str) -> String {
        let problem = ProgramKey::parse(key.as_bytes()).unwrap_err();
        assert_eq!(problem.status().as_u16(), 422);
        problem.detail().to_owned()
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused_with_what_is_right() {
        for (key, why) in [
            ("", "it is shorter."),
            ("\"\"", "it is shorter."),
            ("vote-1", "it is shorter."),
            ("jfq5vC3KWPsIgTFh2hSUb", "it is shorter."),
            ("9f2c4e6a8b0d1f3e5a7c9b8d6f4e2a1", "it is shorter."),
            ("9f2c-4e6a-8b0d-1f3e-5a7c-9b8d-6f4e-2a1", "it is shorter."),
            (
                "3f0e5d0c-9c8b-4a7e-8f6d-2b1a0c9d8e7f",
                "a UUID has fewer random bits.",
            ),
            (
                "00000000000000000000000000000000",
                "it does not look random.",
            ),
            ("jfq5vC3KWPsIgTFh2hSUb+", "it has other characters."),
            ("jfq5vC3KWPsIgTFh2hSUbQ==", "it has other characters."),
            ("jfq5vC3KWPsI gTFh2hSUbQ", "it has other characters."),
            ("\"jfq5vC3KWPsIgTFh2hSUbQ", "it has other characters."),
            ("jfq5vC3KWPsIgTFh2hSUbé", "it has other characters."),
        ] {
            let said = refused(key);
            assert!(said.ends_with(why), "{key}: {said}");
            assert!(said.contains("32 to 128 hexadecimal digits"), "{said}");
        }
        assert!(refused(&"jfq5vC3K".repeat(17)).ends_with("it is longer."));
    }

    #[test]
    fn a_key_is_the_same_with_quotes_and_of_its_poll() {
        let key = ProgramKey::parse(b"jfq5vC3KWPsIgTFh2hSUbQ").unwrap();
        assert_eq!(
            ProgramKey::parse(b"\"jfq5vC3KWPsIgTFh2hSUbQ\"").unwrap(),
            key
        );
        let digits = ProgramKey::parse(b"9f2c4e6a8b0d1f3e5a7c9b8d6f4e2a10").unwrap();
        let [ours, other] = ["ours", "other"].map(|id| id.parse::<PollId>().unwrap());
        assert_eq!(key.voter(&ours), key.voter(&ours));
        assert_ne!(key.voter(&ours), digits.voter(&ours));
        assert_ne!(key.voter(&ours), key.voter(&other));
        // A retry after an upgrade must be the same voter.
        assert_eq!(
            key.voter(&ours).to_string(),
            "0374c19e-7eec-4884-b9d0-1f5108ac4eac"
        );
    }

    proptest! {
        #[test]
        fn random_keys_are_taken(bytes: [u8; 16]) {
            prop_assume!(bytes.iter().collect::<std::collections::HashSet<_>>().len() > 8);
            let digits = data_encoding::HEXLOWER.encode(&bytes);
            let letters = data_encoding::BASE64URL_NOPAD.encode(&bytes);
            prop_assert!(ProgramKey::parse(digits.as_bytes()).is_ok());
            prop_assert!(ProgramKey::parse(letters.as_bytes()).is_ok());
        }
    }
}
