//! The key of a poll. The ids of its voters and its codes are made with it.
//!
//! A poll gets 32 random bytes when it is made. They are stored *wrapped*: encrypted and authenticated under a key of the
//! deployment. So the key of the deployment can be exchanged, and no voter and no printed code changes.

use std::fmt;

use aes_siv::{
    KeyInit, Tag,
    siv::{Aes128Siv, IV_SIZE},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ErrorKind, StoreError},
    model::{
        ballot::VoterId,
        code::{CodeTags, Serial},
        id::PollId,
        secret::{MacKey, SecretKey},
        secrets::Secrets,
    },
};

const LEN: usize = 32;

/// What the wrapping key is derived for, and what the wrapped bytes are.
const PURPOSE: &str = "poll keys 1";

/// The key of a poll as stores keep it: it can be read only with a key of the deployment, and only for its poll.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedPollKey {
    /// The fingerprint of the key under which it is wrapped.
    under: String,
    /// The synthetic IV and the encrypted key, as hexadecimal digits.
    sealed: String,
}

/// Shows which key wraps it only.
impl fmt::Debug for WrappedPollKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedPollKey")
            .field("under", &self.under)
            .finish_non_exhaustive()
    }
}

/// Why the key of a poll cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PollKeyError {
    /// This process does not have the key under which it is wrapped.
    #[error(
        "the key of poll {0} is wrapped under a key of the deployment that this process does not have ({1}); set \
         entry_key_file or other_entry_key_files, and in the all-in-one secret_file or other_secret_files"
    )]
    UnknownKey(PollId, String),
    /// The bytes were changed, or are those of another poll.
    #[error("the stored key of poll {0} is damaged, or is that of another poll")]
    Damaged(PollId),
}

/// Why wrapped bytes cannot be read.
#[derive(Clone, Copy)]
enum Unreadable {
    UnknownKey,
    Damaged,
}

/// The keys of the deployment under which the keys of polls are wrapped, and the secrets of webhooks.
#[derive(Clone)]
pub struct PollKeyWrap {
    current: WrappingKey,
    others: Vec<WrappingKey>,
}

#[derive(Clone)]
struct WrappingKey {
    id: String,
    bytes: [u8; LEN],
}

impl WrappingKey {
    fn new(key: &SecretKey) -> Self {
        Self {
            id: key.fingerprint().to_string(),
            bytes: key.derive_bytes(PURPOSE),
        }
    }

    fn cipher(&self) -> Aes128Siv {
        Aes128Siv::new(&self.bytes.into())
    }

    fn seal(&self, of: &str, key: &[u8; LEN]) -> WrappedPollKey {
        let mut bytes = *key;
        let context: [&[u8]; 1] = [of.as_bytes()];
        let iv = self
            .cipher()
            .encrypt_inout_detached(context, bytes.as_mut_slice().into())
            .expect("AES-SIV fails for too much associated data only");
        WrappedPollKey {
            under: self.id.clone(),
            sealed: hex(&[iv.as_slice(), &bytes].concat()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

impl PollKeyWrap {
    /// Wraps under a key that is derived from this one.
    pub fn new(current: &SecretKey) -> Self {
        Self {
            current: WrappingKey::new(current),
            others: Vec::new(),
        }
    }

    /// For the all-in-one, which has no other key of the deployment: wraps under the current secret, and reads also what is
    /// wrapped under the others.
    pub fn of_secrets(secrets: &Secrets) -> Self {
        let others = secrets.others().iter();
        others.fold(Self::new(secrets.current()), Self::reading)
    }

    /// Reads also what is wrapped under this key. While the key of the deployment is exchanged, both are there.
    #[must_use]
    pub fn reading(mut self, other: &SecretKey) -> Self {
        self.others.push(WrappingKey::new(other));
        self
    }

    /// A new, random key for a poll.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn make(&self, poll: &PollId) -> Result<WrappedPollKey, StoreError> {
        let mut key = [0; LEN];
        getrandom::fill(&mut key)
            .map_err(|error| StoreError::of_kind(ErrorKind::Other, error.to_string()))?;
        Ok(self.current.seal(poll.as_str(), &key))
    }

    /// Wraps another secret than the key of a poll. `of` says which one it is, and has a colon, which no id of a poll has: so
    /// none is read as another one.
    pub fn wrap_secret(&self, of: &str, secret: &[u8; LEN]) -> WrappedPollKey {
        self.current.seal(of, secret)
    }

    /// The secret that was [wrapped](Self::wrap_secret); `None` if this process does not have the key, or the bytes are those of
    /// another secret.
    pub fn unwrap_secret(&self, of: &str, wrapped: &WrappedPollKey) -> Option<[u8; LEN]> {
        self.unwrap(of, wrapped).ok()
    }

    /// Whether this is wrapped under the current key of the deployment.
    pub fn is_current(&self, wrapped: &WrappedPollKey) -> bool {
        wrapped.under == self.current.id
    }

    /// The key of a poll.
    ///
    /// # Errors
    /// [`PollKeyError`] says why it cannot be read.
    pub fn open(&self, poll: &PollId, wrapped: &WrappedPollKey) -> Result<PollKey, PollKeyError> {
        Ok(PollKey::new(poll, &self.unwrap_key(poll, wrapped)?))
    }

    /// The same key, wrapped under the current key of the deployment; `None` if it is so already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn rewrap(
        &self,
        poll: &PollId,
        wrapped: &WrappedPollKey,
    ) -> Result<Option<WrappedPollKey>, PollKeyError> {
        if self.is_current(wrapped) {
            return Ok(None);
        }
        let key = self.unwrap_key(poll, wrapped)?;
        Ok(Some(self.current.seal(poll.as_str(), &key)))
    }

    fn unwrap_key(
        &self,
        poll: &PollId,
        wrapped: &WrappedPollKey,
    ) -> Result<[u8; LEN], PollKeyError> {
        self.unwrap(poll.as_str(), wrapped)
            .map_err(|fault| match fault {
                Unreadable::UnknownKey => {
                    // It comes from a store.
                    let id = wrapped.under.chars().take(16).collect();
                    PollKeyError::UnknownKey(poll.clone(), id)
                }
                Unreadable::Damaged => PollKeyError::Damaged(poll.clone()),
            })
    }

    fn unwrap(&self, of: &str, wrapped: &WrappedPollKey) -> Result<[u8; LEN], Unreadable> {
        let mut keys = std::iter::once(&self.current).chain(&self.others);
        let key = keys.find(|key| key.id == wrapped.under);
        let key = key.ok_or(Unreadable::UnknownKey)?;
        let damaged = Unreadable::Damaged;
        let mut bytes = unhex(&wrapped.sealed).ok_or(damaged)?;
        let (iv, sealed) = bytes.split_at_mut_checked(IV_SIZE).ok_or(damaged)?;
        let iv = Tag::try_from(&*iv).map_err(|_| damaged)?;
        let context: [&[u8]; 1] = [of.as_bytes()];
        let opened = key
            .cipher()
            .decrypt_inout_detached(context, (&mut *sealed).into(), &iv);
        opened.map_err(|_| damaged)?;
        (&*sealed).try_into().map_err(|_| damaged)
    }
}

/// Shows no key.
impl fmt::Debug for PollKeyWrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollKeyWrap")
            .field("current", &self.current.id)
            .field("others", &self.others.len())
            .finish()
    }
}

/// The key of one poll. Never shown.
#[derive(Clone)]
pub struct PollKey {
    pseudonyms: MacKey,
    holders: MacKey,
    logins: MacKey,
    programs: MacKey,
    codes: CodeTags,
}

impl PollKey {
    fn new(poll: &PollId, bytes: &[u8; LEN]) -> Self {
        let key = SecretKey::new(*bytes).expect("it is long enough");
        Self {
            pseudonyms: key.derive("pseudonyms 1"),
            holders: key.derive("voters with codes 1"),
            logins: key.derive("voters who sign in 1"),
            programs: key.derive("voters with idempotency keys 1"),
            codes: CodeTags::new(poll, key.derive("codes 1")),
        }
    }

    /// The id under which a voter who is known by a cookie votes in this poll: the first 32 bits of the cookie's id, which
    /// are its time in steps of 65.5 seconds and keep the store's index local, then 96 bits that only the poll's key gives.
    pub fn pseudonym(&self, voter: VoterId) -> VoterId {
        let id = voter.to_bytes();
        let tag = self.pseudonyms.tag(&id);
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&id[..4]);
        bytes[4..].copy_from_slice(&tag[..12]);
        VoterId::from_bytes(bytes)
    }

    /// The id under which the holder of the code with this serial number votes: the same for all generations of the code.
    pub fn holder(&self, serial: Serial) -> VoterId {
        VoterId::from_bytes(self.holders.tag(&serial.to_be_bytes()))
    }

    /// The id under which a person votes who has signed in: `subject` is the person's name at `issuer`.
    pub fn login(&self, issuer: &str, subject: &str) -> VoterId {
        let mut message = Vec::with_capacity(16 + issuer.len() + subject.len());
        for part in [issuer, subject] {
            message.extend((part.len() as u64).to_be_bytes());
            message.extend(part.as_bytes());
        }
        VoterId::from_bytes(self.logins.tag(&message))
    }

    /// The id under which the voter votes whom a program names by this text, in a poll for everybody.
    pub fn program(&self, key: &[u8]) -> VoterId {
        VoterId::from_bytes(self.programs.tag(key))
    }

    /// Makes and checks the poll's codes.
    pub fn codes(&self) -> &CodeTags {
        &self.codes
    }
}

impl fmt::Debug for PollKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).unwrap()
    }

    fn poll(id: &str) -> PollId {
        id.parse().unwrap()
    }

    #[test]
    fn a_key_is_read_under_its_wrapping_key_and_for_its_poll_only() {
        let wrap = PollKeyWrap::new(&secret(1));
        let (ours, other) = (poll("ours"), poll("other"));
        let wrapped = wrap.make(&ours).unwrap();
        let voter = VoterId::issue();
        let id = wrap.open(&ours, &wrapped).unwrap().pseudonym(voter);
        assert_eq!(wrap.open(&ours, &wrapped).unwrap().pseudonym(voter), id);
        assert_eq!(
            wrap.open(&other, &wrapped).unwrap_err(),
            PollKeyError::Damaged(other)
        );
        let stranger = PollKeyWrap::new(&secret(2));
        assert!(matches!(
            stranger.open(&ours, &wrapped),
            Err(PollKeyError::UnknownKey(..))
        ));
        let json = serde_json::to_string(&wrapped).unwrap();
        for index in 0..wrapped.sealed.len() {
            let mut forged = wrapped.clone();
            let other = if &forged.sealed[index..=index] == "0" {
                "1"
            } else {
                "0"
            };
            forged.sealed.replace_range(index..=index, other);
            assert!(wrap.open(&ours, &forged).is_err(), "{json} {index}");
        }
        for sealed in ["", "0", "zz", "é", &wrapped.sealed[2..]] {
            let forged = WrappedPollKey {
                sealed: sealed.to_owned(),
                ..wrapped.clone()
            };
            assert!(wrap.open(&ours, &forged).is_err(), "{sealed}");
        }
    }

    #[test]
    fn under_a_new_key_of_the_deployment_voters_and_codes_stay() {
        let (old, poll) = (PollKeyWrap::new(&secret(1)), poll("ours"));
        let wrapped = old.make(&poll).unwrap();
        assert_eq!(old.rewrap(&poll, &wrapped), Ok(None));
        let both = PollKeyWrap::new(&secret(2)).reading(&secret(1));
        let rewrapped = both.rewrap(&poll, &wrapped).unwrap().unwrap();
        let new = PollKeyWrap::new(&secret(2));
        let (was, is) = (
            old.open(&poll, &wrapped).unwrap(),
            new.open(&poll, &rewrapped).unwrap(),
        );
        let voter = VoterId::issue();
        assert_eq!(was.pseudonym(voter), is.pseudonym(voter));
        assert_eq!(was.holder(7), is.holder(7));
        assert_eq!(was.codes().code(7, 0), is.codes().code(7, 0));
        assert!(new.rewrap(&poll, &wrapped).is_err());
    }

    #[test]
    fn no_two_polls_have_the_same_key_or_the_same_voters() {
        let wrap = PollKeyWrap::new(&secret(1));
        let key = |id: &str| {
            let poll = poll(id);
            wrap.open(&poll, &wrap.make(&poll).unwrap()).unwrap()
        };
        let (one, other) = (key("one"), key("one"));
        let voter = VoterId::issue();
        let [a, b] = [&one, &other].map(|key| key.pseudonym(voter).to_bytes());
        assert_eq!(a[..4], b[..4], "the time");
        assert_ne!(a[4..], b[4..]);
        assert_ne!(a[4..], voter.to_bytes()[4..]);
        assert_ne!(one.holder(1), other.holder(1));
        assert_ne!(one.holder(1), one.holder(2));
        assert_ne!(one.program(b"a"), other.program(b"a"));
        assert_ne!(one.program(b"a"), one.program(b"b"));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let wrap = PollKeyWrap::new(&secret(1));
        let poll = poll("ours");
        let wrapped = wrap.make(&poll).unwrap();
        let printed = format!("{wrap:?} {wrapped:?} {:?}", wrap.open(&poll, &wrapped));
        assert!(!printed.contains(&wrapped.sealed), "{printed}");
    }

    // Voters and printed codes depend on it, so it must never become another one.
    #[test]
    fn test_vectors() {
        let poll = poll("ours");
        let key = PollKey::new(&poll, &[7; LEN]);
        let voter = VoterId::from_bytes([1; 16]);
        assert_eq!(
            key.pseudonym(voter).to_string(),
            "01010101-5794-1e90-6d16-9a7c5160da5e"
        );
        assert_eq!(
            key.holder(5).to_string(),
            "a1b7b902-d5e5-5fa8-3c46-b2f32ea6243f"
        );
        assert_eq!(
            key.program(b"jfq5vC3KWPsIgTFh2hSUbQ").to_string(),
            "91c7b053-bcae-60c5-3103-04809f392cec"
        );
        assert_eq!(key.codes().code(5, 0).to_string(), "0000-01BC-FGEB-GFMR");
        assert_eq!(key.codes().code(5, 1).to_string(), "0000-01BK-VYXY-AQH8");
    }
}
