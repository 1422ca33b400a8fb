//! What the services hand out signed: the voter's cookie and receipts.

use data_encoding::BASE64URL_NOPAD;
use voting_core::{
    PollId, Receipt, SecretKey, VoterId,
    position::{Position, ShardId},
    secret::MacKey,
};

/// A token that was not issued with this secret, or was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token that was issued here")]
pub struct InvalidToken;

const TAG_LEN: usize = 16;

fn seal(key: &MacKey, mut message: Vec<u8>) -> String {
    let tag = key.tag(&message);
    message.extend(tag);
    BASE64URL_NOPAD.encode(&message)
}

/// The message of a token, once its tag is checked.
fn open(key: &MacKey, token: &[u8]) -> Result<Vec<u8>, InvalidToken> {
    let mut message = BASE64URL_NOPAD.decode(token).map_err(|_| InvalidToken)?;
    let at = message.len().checked_sub(TAG_LEN).ok_or(InvalidToken)?;
    let tag = message.split_off(at);
    let tag = <&[u8; TAG_LEN]>::try_from(tag.as_slice()).map_err(|_| InvalidToken)?;
    if !key.verify(&message, tag) {
        return Err(InvalidToken);
    }
    Ok(message)
}

/// Signs the ids of voters that have no other name.
#[derive(Debug, Clone)]
pub(crate) struct VoterKey(MacKey);

impl VoterKey {
    pub(crate) fn new(secret: &SecretKey) -> Self {
        Self(secret.derive("voter cookie 1"))
    }

    pub(crate) fn seal(&self, voter: VoterId) -> String {
        seal(&self.0, voter.to_bytes().to_vec())
    }

    /// The voter of a token, which need not be text.
    pub(crate) fn open(&self, token: &[u8]) -> Result<VoterId, InvalidToken> {
        let bytes = open(&self.0, token)?;
        bytes
            .try_into()
            .map(VoterId::from_bytes)
            .map_err(|_| InvalidToken)
    }
}

/// Names voters to the page's script: a short text that differs between voters, tells nothing of the id and
/// is good for nothing else.
#[derive(Debug, Clone)]
pub(crate) struct VoterTags(MacKey);

impl VoterTags {
    const LEN: usize = 6;

    pub(crate) fn new(secret: &SecretKey) -> Self {
        Self(secret.derive("voter tag 1"))
    }

    /// Eight characters, fit for an attribute.
    pub(crate) fn tag(&self, voter: VoterId) -> String {
        BASE64URL_NOPAD.encode(&self.0.tag(&voter.to_bytes())[..Self::LEN])
    }
}

/// Knows the operator's token without keeping it, and compares in time that does not tell how
/// much of it was right.
#[derive(Debug, Clone)]
pub(crate) struct OperatorKey {
    key: MacKey,
    tag: [u8; TAG_LEN],
}

impl OperatorKey {
    pub(crate) fn new(token: &SecretKey) -> Self {
        let key = token.derive("operator token");
        let tag = key.tag(token.as_bytes());
        Self { key, tag }
    }

    pub(crate) fn is(&self, token: &str) -> bool {
        self.key.verify(token.as_bytes(), &self.tag)
    }
}

/// Turns receipts into text that only the holder of the secret can make, and back.
#[derive(Debug, Clone)]
pub struct ReceiptKey(MacKey);

impl ReceiptKey {
    /// The key of a deployment.
    pub fn new(secret: &SecretKey) -> Self {
        Self(secret.derive("receipt 1"))
    }

    /// The receipt as text, fit for an address.
    pub fn seal(&self, receipt: &Receipt) -> String {
        let Receipt {
            poll,
            voter,
            position,
        } = receipt;
        let mut message = Vec::with_capacity(34 + PollId::MAX_LEN + TAG_LEN);
        message.extend(voter.to_bytes());
        message.extend(position.shard().0.to_be_bytes());
        message.extend(position.ms().to_be_bytes());
        message.extend(position.n().to_be_bytes());
        message.extend(poll.as_str().as_bytes());
        seal(&self.0, message)
    }

    /// The receipt that a text stands for.
    ///
    /// # Errors
    /// [`InvalidToken`] unless [`ReceiptKey::seal`] made it with the same secret.
    pub fn open(&self, token: &str) -> Result<Receipt, InvalidToken> {
        let message = open(&self.0, token.as_bytes())?;
        parse_receipt(&message).ok_or(InvalidToken)
    }
}

fn parse_receipt(message: &[u8]) -> Option<Receipt> {
    let (voter, rest) = message.split_first_chunk()?;
    let (shard, rest) = rest.split_first_chunk()?;
    let (ms, rest) = rest.split_first_chunk()?;
    let (n, poll) = rest.split_first_chunk()?;
    Some(Receipt {
        poll: std::str::from_utf8(poll).ok()?.parse().ok()?,
        voter: VoterId::from_bytes(*voter),
        position: Position::from_parts(
            ShardId(u16::from_be_bytes(*shard)),
            u64::from_be_bytes(*ms),
            u64::from_be_bytes(*n),
        )?,
    })
}

#[cfg(test)]
mod tests {
    use voting_core::position::EntryId;

    use super::*;

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).unwrap()
    }

    #[test]
    fn a_voter_reads_back_from_the_cookie_and_nobody_else_can_make_it() {
        let key = VoterKey::new(&secret(1));
        let voter = VoterId::issue();
        let token = key.seal(voter);
        assert_eq!(key.open(token.as_bytes()), Ok(voter));
        let other = VoterKey::new(&secret(2));
        assert_eq!(other.open(token.as_bytes()), Err(InvalidToken));
        for index in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open(&forged), Err(InvalidToken), "{forged:?}");
        }
        for bad in ["", "A", "ä", &token[1..], &format!("{token}A")] {
            assert_eq!(key.open(bad.as_bytes()), Err(InvalidToken), "{bad}");
        }
    }

    #[test]
    fn a_receipt_reads_back_and_is_no_voter_cookie() {
        let key = ReceiptKey::new(&secret(1));
        let receipt = Receipt {
            poll: "cats-vs-dogs".parse().unwrap(),
            voter: VoterId::issue(),
            position: Position::new(ShardId(7), EntryId::new(1_790_000_000_000, 3).unwrap(), 9),
        };
        assert_eq!(key.open(&key.seal(&receipt)), Ok(receipt.clone()));
        let cookie = VoterKey::new(&secret(1)).seal(receipt.voter);
        assert_eq!(key.open(&cookie), Err(InvalidToken));
    }
}
