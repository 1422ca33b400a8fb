//! Signed tokens: the voter's cookie, the voter's tag and the operator's token.

use data_encoding::BASE64URL_NOPAD;
use voting_core::{
    SecretKey, VoterId,
    model::{secret::MacKey, secrets::Secrets},
};

/// The token was not issued with this secret, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token that was issued here")]
pub struct InvalidToken;

const TAG_LEN: usize = 16;

fn seal(key: &MacKey, message: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&[message, &key.tag(message)].concat())
}

/// The message of a token whose tag is valid.
pub(crate) fn open(key: &MacKey, token: &[u8]) -> Result<Vec<u8>, InvalidToken> {
    let mut message = BASE64URL_NOPAD.decode(token).map_err(|_| InvalidToken)?;
    let at = message.len().checked_sub(TAG_LEN).ok_or(InvalidToken)?;
    let tag = message.split_off(at);
    let tag = <&[u8; TAG_LEN]>::try_from(tag.as_slice()).map_err(|_| InvalidToken)?;
    if !key.verify(&message, tag) {
        return Err(InvalidToken);
    }
    Ok(message)
}

/// The message of a token whose tag is valid under one of the keys.
pub(crate) fn open_with(keys: &[MacKey], token: &[u8]) -> Result<Vec<u8>, InvalidToken> {
    let opened = keys.iter().map(|key| open(key, token));
    opened.fold(Err(InvalidToken), Result::or)
}

/// Keys for one purpose, of each secret of a deployment, the current one first.
fn keys(secrets: &Secrets, purpose: &str) -> Vec<MacKey> {
    secrets.all().map(|secret| secret.derive(purpose)).collect()
}

/// Signs the ids of voters who are known by their cookie only.
#[derive(Debug, Clone)]
pub(crate) struct VoterKey(Vec<MacKey>);

impl VoterKey {
    pub(crate) fn new(secrets: &Secrets) -> Self {
        Self(keys(secrets, "voter cookie 1"))
    }

    pub(crate) fn seal(&self, voter: VoterId) -> String {
        seal(&self.0[0], &voter.to_bytes())
    }

    /// The voter of a token. The token need not be text.
    pub(crate) fn open(&self, token: &[u8]) -> Result<VoterId, InvalidToken> {
        let bytes = open_with(&self.0, token)?;
        bytes
            .try_into()
            .map(VoterId::from_bytes)
            .map_err(|_| InvalidToken)
    }
}

/// Makes the tag that names a voter to the page's script: a short text that differs between voters. It reveals
/// nothing of the id, and has no other use.
#[derive(Debug, Clone)]
pub(crate) struct VoterTags(Vec<MacKey>);

impl VoterTags {
    const LEN: usize = 6;

    pub(crate) fn new(secrets: &Secrets) -> Self {
        Self(keys(secrets, "voter tag 1"))
    }

    /// The tag: eight characters that can be in an HTML attribute.
    pub(crate) fn tag(&self, voter: VoterId) -> String {
        Self::tag_by(&self.0[0], voter)
    }

    /// Whether the tag names this voter. A page may come from a service that makes its tags under another secret.
    pub(crate) fn is(&self, tag: &str, voter: VoterId) -> bool {
        self.0.iter().any(|key| Self::tag_by(key, voter) == tag)
    }

    /// The tag as the client has it, if that names the voter; else as it is here. An open page takes another tag for another
    /// voter.
    pub(crate) fn tag_for(&self, client: Option<&str>, voter: VoterId) -> String {
        match client {
            Some(tag) if self.is(tag, voter) => tag.to_owned(),
            _ => self.tag(voter),
        }
    }

    fn tag_by(key: &MacKey, voter: VoterId) -> String {
        BASE64URL_NOPAD.encode(&key.tag(&voter.to_bytes())[..Self::LEN])
    }
}

/// Recognises the operator's token without storing it. The comparison takes the same time for every wrong token.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).unwrap()
    }

    #[test]
    fn a_voter_is_known_by_the_cookie_and_the_tag_of_each_secret() {
        let [old, new, other] = [1, 2, 3].map(|byte| Secrets::new(secret(byte)));
        let both = new.clone().reading(secret(1));
        let voter = VoterId::issue();
        let key = VoterKey::new(&both);
        assert_eq!(key.seal(voter), VoterKey::new(&new).seal(voter));
        for known in [&old, &new] {
            let token = VoterKey::new(known).seal(voter);
            assert_eq!(key.open(token.as_bytes()), Ok(voter));
        }
        let token = VoterKey::new(&other).seal(voter);
        assert_eq!(key.open(token.as_bytes()), Err(InvalidToken));
        let tags = VoterTags::new(&both);
        let [old, new, other] = [old, new, other].map(|known| VoterTags::new(&known).tag(voter));
        assert_eq!(tags.tag(voter), new);
        assert_eq!(tags.tag_for(Some(&old), voter), old);
        assert_eq!(tags.tag_for(Some(&other), voter), new);
        assert_eq!(tags.tag_for(None, voter), new);
        assert!(!tags.is(&old, VoterId::issue()));
    }

    #[test]
    fn a_voter_reads_back_from_the_cookie_and_nobody_else_can_make_it() {
        let key = VoterKey::new(&Secrets::new(secret(1)));
        let voter = VoterId::issue();
        let token = key.seal(voter);
        assert_eq!(key.open(token.as_bytes()), Ok(voter));
        let other = VoterKey::new(&Secrets::new(secret(2)));
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
}
