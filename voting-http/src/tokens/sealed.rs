//! Text that only the services can make and read: AES-SIV (RFC 5297) with two keys of 128 bits. It needs no nonce; to
//! seal the same message again gives the same text.

use aes_siv::{
    KeyInit, Tag,
    siv::{Aes128Siv, IV_SIZE},
};
use data_encoding::BASE64URL_NOPAD;
use voting_core::{SecretKey, model::secrets::Secrets};

use crate::tokens::signed::InvalidToken;

/// Keys for one purpose, of each secret of a deployment. The current one seals, and all of them open.
#[derive(Debug, Clone)]
pub(crate) struct SealingKeys {
    current: SealingKey,
    others: Vec<SealingKey>,
}

impl SealingKeys {
    pub(crate) fn new(secrets: &Secrets, purpose: &str) -> Self {
        let key = |secret| SealingKey::new(secret, purpose);
        Self {
            current: key(secrets.current()),
            others: secrets.others().iter().map(key).collect(),
        }
    }

    /// As [`SealingKey::seal`].
    pub(crate) fn seal(
        &self,
        context: &[&[u8]],
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
        text: &mut String,
    ) {
        self.current.seal(context, len, write, text);
    }

    /// As [`SealingKey::open`].
    pub(crate) fn open(&self, context: &[&[u8]], text: &[u8]) -> Result<Vec<u8>, InvalidToken> {
        let others = self.others.iter();
        others.fold(self.current.open(context, text), |opened, key| {
            opened.or_else(|_| key.open(context, text))
        })
    }
}

/// A key for one purpose.
#[derive(Clone)]
pub(crate) struct SealingKey([u8; 32]);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl SealingKey {
    pub(crate) fn new(secret: &SecretKey, purpose: &str) -> Self {
        Self(secret.derive_bytes(purpose))
    }

    fn cipher(&self) -> Aes128Siv {
        Aes128Siv::new(&self.0.into())
    }

    /// Appends to `text`, in base64url without padding, the synthetic IV (16 bytes) and the message that `write`
    /// makes, of about `len` bytes. It can be opened only with the same `context`.
    pub(crate) fn seal(
        &self,
        context: &[&[u8]],
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
        text: &mut String,
    ) {
        let mut bytes = Vec::with_capacity(IV_SIZE + len);
        bytes.extend([0; IV_SIZE]);
        write(&mut bytes);
        let (iv, message) = bytes.split_at_mut(IV_SIZE);
        let sealed = self
            .cipher()
            .encrypt_inout_detached(context, message.into());
        iv.copy_from_slice(&sealed.expect("AES-SIV fails for too much associated data only"));
        text.reserve(BASE64URL_NOPAD.encode_len(bytes.len()));
        BASE64URL_NOPAD.encode_append(&bytes, text);
    }

    /// The message in a sealed text.
    pub(crate) fn open(&self, context: &[&[u8]], text: &[u8]) -> Result<Vec<u8>, InvalidToken> {
        let mut bytes = BASE64URL_NOPAD.decode(text).map_err(|_| InvalidToken)?;
        let (iv, message) = bytes.split_at_mut_checked(IV_SIZE).ok_or(InvalidToken)?;
        let iv = Tag::try_from(&*iv).map_err(|_| InvalidToken)?;
        let opened = self
            .cipher()
            .decrypt_inout_detached(context, message.into(), &iv);
        opened.map_err(|_| InvalidToken)?;
        bytes.drain(..IV_SIZE);
        Ok(bytes)
    }
}
