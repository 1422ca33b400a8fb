//! Reads what the vote service hands out: cookies and receipts are signed, not secret. What they say
//! is kept without the text, and the text is put together again when it is sent.

use data_encoding::BASE64URL_NOPAD;

/// Where a ballot stands in the log; of two ballots of one voter the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Orders those of one millisecond.
    pub n: u64,
    /// The shard of the log.
    pub shard: u16,
}

/// What ends a token.
type Tag = [u8; 16];

/// The cookie that names a voter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VoterToken {
    pub(crate) voter: u128,
    tag: Tag,
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

    pub(crate) fn text(&self) -> String {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.voter.to_be_bytes());
        bytes[16..].copy_from_slice(&self.tag);
        BASE64URL_NOPAD.encode(&bytes)
    }
}

/// A receipt, but for its voter and poll, which whoever keeps it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptToken {
    pub(crate) position: Position,
    tag: Tag,
}

impl ReceiptToken {
    /// The receipt, which must be of this voter and poll.
    pub(crate) fn parse(text: &str, voter: u128, poll: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (named, rest) = bytes.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (ms, rest) = rest.split_first_chunk()?;
        let (n, rest) = rest.split_first_chunk()?;
        let (place, tag) = rest.split_last_chunk()?;
        let is_own = u128::from_be_bytes(*named) == voter && place == poll.as_bytes();
        is_own.then_some(Self {
            position: Position {
                ms: u64::from_be_bytes(*ms),
                n: u64::from_be_bytes(*n),
                shard: u16::from_be_bytes(*shard),
            },
            tag: *tag,
        })
    }

    #[cfg(test)]
    pub(crate) fn at(position: Position) -> Self {
        Self {
            position,
            tag: [0; 16],
        }
    }

    pub(crate) fn text(&self, voter: u128, poll: &str) -> String {
        let mut bytes = Vec::with_capacity(50 + poll.len());
        bytes.extend(voter.to_be_bytes());
        bytes.extend(self.position.shard.to_be_bytes());
        bytes.extend(self.position.ms.to_be_bytes());
        bytes.extend(self.position.n.to_be_bytes());
        bytes.extend(poll.as_bytes());
        bytes.extend(self.tag);
        BASE64URL_NOPAD.encode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use voting_core::{
        Receipt, SecretKey, VoterId,
        position::{EntryId, Position as CorePosition, ShardId},
    };
    use voting_http::ReceiptKey;

    use super::*;

    #[test]
    fn a_receipt_of_the_service_is_read_and_put_together_again() {
        let receipt = Receipt {
            poll: "cats-vs-dogs".parse().unwrap(),
            voter: VoterId::issue(),
            position: CorePosition::new(ShardId(7), EntryId::new(1_790_000_000_000, 3).unwrap(), 9),
        };
        let key = ReceiptKey::new(&SecretKey::new([1; 32]).unwrap());
        let (text, voter) = (
            key.seal(&receipt),
            u128::from_be_bytes(receipt.voter.to_bytes()),
        );
        let token = ReceiptToken::parse(&text, voter, "cats-vs-dogs").unwrap();
        assert_eq!(
            (token.position.shard, token.position.ms, token.position.n),
            (7, receipt.position.ms(), receipt.position.n())
        );
        assert_eq!(token.text(voter, "cats-vs-dogs"), text);
        assert_eq!(ReceiptToken::parse(&text, voter, "cats"), None);
        assert_eq!(ReceiptToken::parse(&text, voter ^ 1, "cats-vs-dogs"), None);
        assert_eq!(ReceiptToken::parse("AAAA", voter, "cats-vs-dogs"), None);
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
