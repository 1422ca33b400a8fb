//! Receipts as voters get them: sealed, so that only the services can read them. A person who sees a receipt learns
//! neither the voter nor the exact time of the ballot, and cannot tell whether two receipts are of the same voter.
//!
//! A receipt is `2.` and, in base64url without padding, the bytes of AES-SIV (RFC 5297) with two keys of 128 bits and
//! no associated data: 16 bytes of synthetic IV, then as many bytes as the message has. The message is the voter (16
//! bytes), the position's shard (2), milliseconds (8) and number (8), each big endian, and the poll's id. If a
//! receipt is sealed again, the text is the same. The key is derived from the deployment's secret, for this purpose
//! only.
//!
//! An earlier version signed the message and did not encrypt it: base64url of the message and 16 bytes of
//! HMAC-SHA-256. Those receipts can still be read.

use voting_core::{
    PollId, Receipt, VoterId,
    model::{
        position::{Position, ShardId},
        secret::MacKey,
        secrets::Secrets,
    },
};

use crate::tokens::{
    sealed::SealingKeys,
    signed::{self, InvalidToken},
};

/// A sealed receipt begins with this text. A signed receipt contains no dot.
const SEALED: &str = "2.";

/// Receipts have no associated data.
const NOTHING: &[&[u8]] = &[];

/// Makes texts of receipts, and reads them. Only the holder of the secret can do either.
#[derive(Clone)]
pub struct ReceiptKey {
    sealing: SealingKeys,
    /// The keys of signed receipts, as in earlier versions.
    signing: Vec<MacKey>,
}

impl std::fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceiptKey(…)")
    }
}

impl ReceiptKey {
    /// The key of a deployment with this secret, or with these [`Secrets`]: receipts are sealed under the current one, and
    /// opened under each.
    pub fn new(secrets: impl Into<Secrets>) -> Self {
        let secrets = secrets.into();
        let signing = secrets.all().map(|secret| secret.derive("receipt 1"));
        Self {
            sealing: SealingKeys::new(&secrets, "receipt 2"),
            signing: signing.collect(),
        }
    }

    /// The receipt as text that can be part of an address.
    pub fn seal(&self, receipt: &Receipt) -> String {
        let mut text = String::from(SEALED);
        let len = 34 + PollId::MAX_LEN;
        let message = |bytes: &mut Vec<u8>| write(receipt, bytes);
        self.sealing.seal(NOTHING, len, message, &mut text);
        text
    }

    /// The receipt in a text.
    ///
    /// # Errors
    /// [`InvalidToken`] unless [`ReceiptKey::seal`] made it under one of the secrets, now or in an earlier version.
    pub fn open(&self, text: &str) -> Result<Receipt, InvalidToken> {
        let message = match text.strip_prefix(SEALED) {
            Some(sealed) => self.sealing.open(NOTHING, sealed.as_bytes())?,
            None => signed::open_with(&self.signing, text.as_bytes())?,
        };
        read(&message).ok_or(InvalidToken)
    }
}

fn write(receipt: &Receipt, message: &mut Vec<u8>) {
    let Receipt {
        poll,
        voter,
        position,
    } = receipt;
    message.extend(voter.to_bytes());
    message.extend(position.shard().0.to_be_bytes());
    message.extend(position.ms().to_be_bytes());
    message.extend(position.n().to_be_bytes());
    message.extend(poll.as_str().as_bytes());
}

fn read(message: &[u8]) -> Option<Receipt> {
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
    use data_encoding::BASE64URL_NOPAD;
    use voting_core::{SecretKey, model::position::EntryId};

    use super::*;

    fn key(byte: u8) -> ReceiptKey {
        ReceiptKey::new(&SecretKey::new([byte; 32]).unwrap())
    }

    fn receipt() -> Receipt {
        Receipt {
            poll: "cats-vs-dogs".parse().unwrap(),
            voter: VoterId::from_bytes([3; 16]),
            position: Position::new(ShardId(7), EntryId::new(1_790_000_000_000, 3).unwrap(), 9),
        }
    }

    /// A receipt as a version before sealing made it.
    fn signed(key: &ReceiptKey, receipt: &Receipt) -> String {
        let mut message = Vec::new();
        write(receipt, &mut message);
        let tag = key.signing[0].tag(&message);
        message.extend(tag);
        BASE64URL_NOPAD.encode(&message)
    }

    #[test]
    fn a_receipt_reads_back_and_is_the_same_text_each_time() {
        let text = key(1).seal(&receipt());
        assert_eq!(key(1).open(&text), Ok(receipt()));
        assert_eq!(key(1).seal(&receipt()), text);
        // Voters keep receipts, so their format must never change.
        assert_eq!(
            text,
            "2.13HGy3gzMkkqM6i7MzKn1hz_4i2DKByiI_UY9m0Hz9LRHgbpid3Ox8kTnzpMT8A2_5KMOEqoAsJbI-Wr2o4"
        );
    }

    #[test]
    fn nobody_else_can_read_make_or_change_one() {
        let text = key(1).seal(&receipt());
        assert_eq!(key(2).open(&text), Err(InvalidToken));
        for index in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(key(1).open(&forged), Err(InvalidToken), "{forged}");
        }
        for bad in [
            "",
            "2.",
            "2.A",
            "2.AAAA",
            "ä",
            &text[1..],
            &text[2..],
            &format!("{text}A"),
        ] {
            assert_eq!(key(1).open(bad), Err(InvalidToken), "{bad}");
        }
    }

    #[test]
    fn a_receipt_of_each_secret_is_read() {
        let [one, two] = [1, 2].map(|byte| SecretKey::new([byte; 32]).unwrap());
        let both = ReceiptKey::new(Secrets::new(two).reading(one));
        assert_eq!(both.seal(&receipt()), key(2).seal(&receipt()));
        for byte in [1, 2] {
            assert_eq!(both.open(&key(byte).seal(&receipt())), Ok(receipt()));
            assert_eq!(both.open(&signed(&key(byte), &receipt())), Ok(receipt()));
        }
        for text in [key(3).seal(&receipt()), signed(&key(3), &receipt())] {
            assert_eq!(both.open(&text), Err(InvalidToken));
        }
    }

    #[test]
    fn two_receipts_of_one_voter_have_nothing_in_common() {
        let one = receipt();
        let mut two = one.clone();
        two.position = Position::new(ShardId(7), EntryId::new(1_790_000_000_001, 0).unwrap(), 0);
        let bytes = |receipt| {
            let text = key(1).seal(receipt);
            BASE64URL_NOPAD.decode(&text.as_bytes()[2..]).unwrap()
        };
        let (one, two) = (bytes(&one), bytes(&two));
        assert!(
            !one.windows(4)
                .any(|part| two.windows(4).any(|other| other == part))
        );
        assert!(
            !one.windows(4).any(|part| part == [3; 4]),
            "the voter shows"
        );
    }

    #[test]
    fn a_receipt_of_an_earlier_version_is_still_read() {
        let text = signed(&key(1), &receipt());
        assert_eq!(key(1).open(&text), Ok(receipt()));
        assert_eq!(key(2).open(&text), Err(InvalidToken));
        assert_eq!(key(1).open(&format!("2.{text}")), Err(InvalidToken));
        let cookie = signed::VoterKey::new(&Secrets::new(SecretKey::new([1; 32]).unwrap()));
        let cookie = cookie.seal(receipt().voter);
        assert_eq!(key(1).open(&cookie), Err(InvalidToken));
    }
}
