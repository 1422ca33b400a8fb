//! Reads the tokens of the vote service. Cookies are signed, not secret: their contents are kept without the text,
//! and the text is made again when it is sent. Receipts are sealed. With the deployment's secret, this program opens
//! them with its own code, and also keeps only the contents. Without the secret, it keeps their text.

use aes_siv::{
    KeyInit, Tag,
    siv::{Aes128Siv, IV_SIZE},
};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The place of a ballot in the log. Of two ballots of one voter, the one with the greater place counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// The number within the millisecond.
    pub n: u64,
    /// The shard of the log.
    pub shard: u16,
}

/// The signature at the end of a cookie.
type MacTag = [u8; 16];

/// Who a voter is, and the cookie that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VoterToken {
    pub(crate) voter: u128,
    tag: MacTag,
}

impl VoterToken {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (voter, tag) = bytes.split_first_chunk()?;
        Some(Self {
            voter: u128::from_be_bytes(*voter),
            tag: tag.try_into().ok()?,
        })
    }

    /// Of a voter who has no cookie. Its text is never sent.
    pub(crate) fn of_elector(voter: u128) -> Self {
        Self {
            voter,
            tag: [0; 16],
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.voter.to_be_bytes());
        bytes[16..].copy_from_slice(&self.tag);
        BASE64URL_NOPAD.encode(&bytes)
    }
}

/// The keys that open receipts, derived from the secret of the services. They are never shown.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A sealed receipt begins with this text.
const SEALED: &str = "2.";

/// Receipts have no associated data.
const NOTHING: [&[u8]; 0] = [];

impl Secret {
    /// The keys of this secret, without white space around it, as the services read it.
    pub fn new(secret: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret);
        let mut mac = mac.expect("HMAC takes a key of any length");
        mac.update(b"receipt 2");
        Self(mac.finalize().into_bytes().into())
    }

    /// The place of the ballot, if the receipt is for this voter and poll.
    fn open(&self, text: &str, voter: u128, poll: &str) -> Option<Position> {
        let sealed = text.strip_prefix(SEALED)?.as_bytes();
        let mut bytes = BASE64URL_NOPAD.decode(sealed).ok()?;
        let (iv, message) = bytes.split_at_mut_checked(IV_SIZE)?;
        let iv = Tag::try_from(&*iv).ok()?;
        let mut cipher = Aes128Siv::new(&self.0.into());
        let opened = cipher.decrypt_inout_detached(NOTHING, message.into(), &iv);
        opened.ok()?;
        let (named, rest) = bytes[IV_SIZE..].split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (ms, rest) = rest.split_first_chunk()?;
        let (n, place) = rest.split_first_chunk()?;
        let is_own = u128::from_be_bytes(*named) == voter && place == poll.as_bytes();
        is_own.then_some(Position {
            ms: u64::from_be_bytes(*ms),
            n: u64::from_be_bytes(*n),
            shard: u16::from_be_bytes(*shard),
        })
    }

    fn seal(&self, position: Position, voter: u128, poll: &str) -> String {
        let mut bytes = vec![0; IV_SIZE];
        bytes.extend(voter.to_be_bytes());
        bytes.extend(position.shard.to_be_bytes());
        bytes.extend(position.ms.to_be_bytes());
        bytes.extend(position.n.to_be_bytes());
        bytes.extend(poll.as_bytes());
        let (iv, message) = bytes.split_at_mut(IV_SIZE);
        let mut cipher = Aes128Siv::new(&self.0.into());
        let sealed = cipher.encrypt_inout_detached(NOTHING, message.into());
        iv.copy_from_slice(&sealed.expect("AES-SIV fails for too much associated data only"));
        format!("{SEALED}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

/// A receipt without its voter and poll, which are known from the voter's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReceiptToken {
    /// The contents.
    Opened(Position),
    /// The text: without the secret, its contents are unknown.
    Closed(Box<str>),
}

impl ReceiptToken {
    /// Reads a receipt. With the secret, it must be for this voter and poll.
    pub(crate) fn read(
        text: &str,
        secret: Option<&Secret>,
        voter: u128,
        poll: &str,
    ) -> Option<Self> {
        match secret {
            Some(secret) => secret.open(text, voter, poll).map(Self::Opened),
            None => Some(Self::Closed(text.into())),
        }
    }

    /// The place of the ballot, if it is known.
    pub(crate) fn position(&self) -> Option<Position> {
        match self {
            Self::Opened(position) => Some(*position),
            Self::Closed(_) => None,
        }
    }

    /// The text of the receipt. `None` if it was opened and the secret is no longer known.
    pub(crate) fn text(&self, secret: Option<&Secret>, voter: u128, poll: &str) -> Option<String> {
        match self {
            Self::Opened(position) => Some(secret?.seal(*position, voter, poll)),
            Self::Closed(text) => Some(text.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use voting_core::{
        Receipt, SecretKey, VoterId,
        model::position::{EntryId, Position as CorePosition, ShardId},
    };
    use voting_http::ReceiptKey;

    use super::*;

    fn receipt() -> (String, u128, CorePosition) {
        let receipt = Receipt {
            poll: "cats-vs-dogs".parse().unwrap(),
            voter: VoterId::issue(),
            position: CorePosition::new(ShardId(7), EntryId::new(1_790_000_000_000, 3).unwrap(), 9),
        };
        let key = ReceiptKey::new(&SecretKey::new([1; 32]).unwrap());
        let voter = u128::from_be_bytes(receipt.voter.to_bytes());
        (key.seal(&receipt), voter, receipt.position)
    }

    #[test]
    fn a_receipt_of_the_service_is_opened_and_put_together_again() {
        let (text, voter, position) = receipt();
        let (own, other) = (Secret::new(&[1; 32]), Secret::new(&[2; 32]));
        let read = |secret, voter, poll| ReceiptToken::read(&text, Some(secret), voter, poll);
        let token = read(&own, voter, "cats-vs-dogs").unwrap();
        let there = token.position().unwrap();
        assert_eq!(
            (there.shard, there.ms, there.n),
            (7, position.ms(), position.n())
        );
        let again = token.text(Some(&own), voter, "cats-vs-dogs");
        assert_eq!(again.as_ref(), Some(&text));
        assert_eq!(read(&other, voter, "cats-vs-dogs"), None);
        assert_eq!(read(&own, voter, "cats"), None);
        assert_eq!(read(&own, voter ^ 1, "cats-vs-dogs"), None);
        for bad in ["", "2.", "2.AAAA", &text[2..], &text[..60]] {
            let read = ReceiptToken::read(bad, Some(&own), voter, "cats-vs-dogs");
            assert_eq!(read, None, "{bad}");
        }
    }

    #[test]
    fn without_the_secret_a_receipt_is_kept_as_it_came() {
        let (text, voter, _) = receipt();
        let token = ReceiptToken::read(&text, None, voter, "cats-vs-dogs").unwrap();
        assert_eq!(token.position(), None);
        assert_eq!(token.text(None, voter, "cats-vs-dogs"), Some(text));
    }

    #[test]
    fn a_cookie_is_read_and_put_together_again() {
        let mut bytes = [3; 32];
        bytes[15] = 9;
        let text = BASE64URL_NOPAD.encode(&bytes);
        let token = VoterToken::parse(&text).unwrap();
        assert_eq!(token.voter.to_be_bytes()[15], 9);
        assert_eq!(token.text(), text);
        assert_eq!(VoterToken::parse(&text[1..]), None);
    }
}
