//! The deployment's secret and the keys that are derived from it.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret of a deployment: at least 32 bytes that only its services know. Never shown.
#[derive(Clone)]
pub struct SecretKey(Vec<u8>);

/// A secret that is too short to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret has at least {min} bytes, not {0}", min = SecretKey::MIN_LEN)]
pub struct ShortSecret(usize);

impl SecretKey {
    /// The shortest secret, in bytes.
    pub const MIN_LEN: usize = 32;

    /// Takes a secret.
    ///
    /// # Errors
    /// [`ShortSecret`] below [`SecretKey::MIN_LEN`] bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, ShortSecret> {
        let bytes = bytes.into();
        if bytes.len() < Self::MIN_LEN {
            return Err(ShortSecret(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key for one purpose; a tag made for another purpose is not valid under it.
    pub fn derive(&self, purpose: &str) -> MacKey {
        MacKey(new_mac(&self.derive_bytes(purpose)))
    }

    /// The bytes of a key for one purpose, for a cipher: HMAC-SHA-256 of the purpose under the secret.
    pub fn derive_bytes(&self, purpose: &str) -> [u8; 32] {
        let mut mac = new_mac(&self.0);
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A short value that identifies this secret, and does not reveal it.
    pub fn fingerprint(&self) -> Fingerprint {
        let tag = self.derive("fingerprint 1").tag(b"");
        let mut bytes = [0; Fingerprint::LEN];
        bytes.copy_from_slice(&tag[..Fingerprint::LEN]);
        Fingerprint(bytes)
    }
}

/// Tells one secret from another without telling anything of it: 64 bits, derived for nothing else. As text
/// it is 16 hexadecimal digits. It may be logged and stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; Self::LEN]);

/// The text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the fingerprint of a secret: that has 16 digits of 0-9 and a-f")]
pub struct InvalidFingerprint;

impl Fingerprint {
    const LEN: usize = 8;

    pub(crate) fn first_byte(self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 2 * Self::LEN || !text.as_bytes().iter().all(is_digit) {
            return Err(InvalidFingerprint);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| InvalidFingerprint)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Makes and checks authentication tags (HMAC-SHA-256, cut to 128 bits).
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// The tag of a message.
    pub fn tag(&self, message: &[u8]) -> [u8; 16] {
        let mut mac = self.0.clone();
        mac.update(message);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut tag = [0; 16];
        tag.copy_from_slice(&full[..16]);
        tag
    }

    /// Whether `tag` is the message's, in time that does not depend on where they differ.
    pub fn verify(&self, message: &[u8], tag: &[u8; 16]) -> bool {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_truncated_left(tag).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

fn new_mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_for_its_message_and_purpose_only() {
        let secret = SecretKey::new([7; 32]).unwrap();
        let (one, two) = (secret.derive("one"), secret.derive("two"));
        let tag = one.tag(b"message");
        assert!(one.verify(b"message", &tag));
        assert!(!one.verify(b"massage", &tag));
        assert!(!two.verify(b"message", &tag));
    }

    #[test]
    fn a_fingerprint_is_the_same_for_the_same_secret_only_and_reads_back() {
        let of = |byte| SecretKey::new([byte; 32]).unwrap().fingerprint();
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        // Stored beside logs, so it must never become another one.
        assert_eq!(of(7).to_string(), "721edc07e5846dad");
        assert_eq!(of(7).to_string().parse(), Ok(of(7)));
        for bad in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "+123456789abcdef",
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(InvalidFingerprint), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_long_and_not_shown() {
        assert!(SecretKey::new([0; 31]).is_err());
        let secret = SecretKey::new([b'x'; 32]).unwrap();
        assert!(!format!("{secret:?}").contains('x'));
    }
}
