//! The secrets that messages are signed with.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";

/// The secret of an endpoint: 24 to 64 bytes, as text `whsec_` and the bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A text is not the secret of an endpoint. The error does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl Secret {
    /// A new secret of 32 random bytes.
    ///
    /// # Panics
    ///
    /// If the system has no random bytes.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        Self(bytes)
    }

    /// The secret as text, for whoever receives the messages. Show it once, and keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// The secret with these bytes, which were stored.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| InvalidSecret)?;
        match bytes.len() {
            24..=64 => Ok(Self(bytes)),
            _ => Err(InvalidSecret),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(len: usize) -> String {
        format!("whsec_{}", BASE64.encode(&vec![7; len]))
    }

    #[test]
    fn a_new_secret_is_read_again_and_is_not_shown_by_debug() {
        let secret = Secret::generate();
        assert_eq!(secret.expose().parse(), Ok(secret.clone()));
        assert_ne!(secret, Secret::generate());
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
    }

    #[test]
    fn only_24_to_64_bytes_in_base64_are_a_secret() {
        for len in [24, 64] {
            of(len).parse::<Secret>().expect("a secret");
        }
        let bare = BASE64.encode(&[7; 32]);
        for text in [of(0), of(23), of(65), bare, "whsec_!".into(), String::new()] {
            assert_eq!(text.parse::<Secret>(), Err(InvalidSecret), "{text}");
        }
    }
}
