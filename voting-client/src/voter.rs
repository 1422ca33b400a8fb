//! Who votes.

use std::fmt;

use data_encoding::HEXLOWER;
use http::{HeaderName, HeaderValue};

use crate::connection::Headers;

/// A voter.
///
/// A ballot takes the voter by `&mut`, so that only one of its ballots is on its way: of two, the older one could arrive
/// last, and count.
pub struct Voter {
    headers: Headers,
    key: Option<String>,
}

/// The key or code has characters that cannot be sent, or is no key.
#[derive(Debug, thiserror::Error)]
#[error("not a valid key or code of a voter")]
pub struct InvalidVoter;

impl Voter {
    /// A new voter, for polls that everybody may vote in. Keep its [key](Self::key): another key is another voter.
    ///
    /// # Panics
    /// The system has no random bytes.
    #[expect(clippy::new_without_default, reason = "each voter is another one")]
    pub fn new() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("random bytes");
        match Self::from_key(&HEXLOWER.encode(&bytes)) {
            Ok(voter) => voter,
            Err(InvalidVoter) => unreachable!("hexadecimal digits are a key"),
        }
    }

    /// The voter with a key that [`new`](Self::new) made.
    ///
    /// # Errors
    /// The key is not one of 32 to 128 hexadecimal digits, or 22 to 128 letters, digits, `-` and `_`.
    pub fn from_key(key: &str) -> Result<Self, InvalidVoter> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(22..=128).contains(&key.len()) || !key.bytes().all(allowed) {
            return Err(InvalidVoter);
        }
        let mut voter = Self::by("idempotency-key", key)?;
        voter.key = Some(key.to_owned());
        Ok(voter)
    }

    /// The holder of a code, for polls with codes.
    ///
    /// # Errors
    /// The code cannot be sent. Whether it is valid, the vote service says.
    pub fn with_code(code: &str) -> Result<Self, InvalidVoter> {
        Self::by("voter-code", code)
    }

    fn by(name: &'static str, value: &str) -> Result<Self, InvalidVoter> {
        let mut value = HeaderValue::from_str(value).map_err(|_| InvalidVoter)?;
        value.set_sensitive(true);
        Ok(Self {
            headers: vec![(HeaderName::from_static(name), value)],
            key: None,
        })
    }

    /// The key of this voter; `None` for the holder of a code. Whoever has it can change the vote, so keep it as secret
    /// as a password.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }
}

impl fmt::Debug for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_shown_to_nobody() {
        let voter = Voter::new();
        let key = voter.key().unwrap();
        assert_eq!(key.len(), 32);
        assert_ne!(Voter::new().key(), Some(key));
        assert_eq!(Voter::from_key(key).unwrap().key(), Some(key));
        assert!(!format!("{voter:?} {:?}", voter.headers()).contains(key));
        assert!(Voter::from_key("short").is_err());
        assert!(Voter::from_key(&format!("{key}\n")).is_err());
    }
}
