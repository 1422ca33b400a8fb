//! The signature of the published polls. Without the entry key nobody can change what vote services read, or bring an
//! older copy back to a service that has read a newer one.
//!
//! The copy is a list of JSON objects. The signature is the first field of the first object. Programs before version
//! 0.2 ignore it there. A list without polls has no place for it, so it is never signed.

use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    log::entry_keys::{EntryKeys, UnknownKey},
};

/// How a signed copy begins.
const BEGIN: &str = r#"[{"signature":"#;

/// A copy without polls.
const NO_POLLS: &str = "[]";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The id of the key.
    key: u8,
    /// A later copy has a greater one.
    revision: u64,
    /// HMAC-SHA-256, cut to 128 bits, over the revision and the length of the log's name, both as 8 bytes, big-endian, the
    /// name, and the copy without this field.
    tag: [u8; 16],
}

/// A copy, with its signature apart.
pub(super) struct Copy {
    /// The text in Redis.
    pub(super) text: String,
    signature: Option<Signature>,
    /// The polls as they were before they were signed.
    pub(super) polls: String,
}

/// Why a copy is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotGenuine {
    #[error("the polls in Redis are not signed, and this process accepts only signed ones")]
    Unsigned,
    #[error("the polls in Redis were changed by somebody who does not have the entry key")]
    WrongTag,
    #[error(
        "the polls in Redis are older than those that were read before: somebody put an earlier copy back"
    )]
    Older,
}

/// The result of the check of a copy.
pub(super) enum Judgement {
    /// It may be used. The revision is that of a signature that was checked.
    Genuine(Option<u64>),
    /// Somebody else wrote it.
    Not(NotGenuine),
}

impl Copy {
    pub(super) fn read(text: String) -> Self {
        match split(&text) {
            Some((signature, polls)) => Self {
                text,
                signature: Some(signature),
                polls,
            },
            None => Self {
                polls: text.clone(),
                text,
                signature: None,
            },
        }
    }

    /// Whether these keys say that the copy may be used. `newest` is the newest revision that was read before.
    ///
    /// # Errors
    /// It is signed under a key that is not here.
    pub(super) fn judge(
        &self,
        keys: &EntryKeys,
        accept_unsigned: bool,
        newest: u64,
    ) -> Result<Judgement, StoreError> {
        let Some(signature) = &self.signature else {
            let may_be = accept_unsigned || keys.is_empty() || self.polls == NO_POLLS;
            return Ok(match may_be {
                true => Judgement::Genuine(None),
                false => Judgement::Not(NotGenuine::Unsigned),
            });
        };
        if keys.is_empty() {
            return Ok(Judgement::Genuine(None));
        }
        let revision = signature.revision;
        let authentic = self.is_authentic(signature, keys);
        let authentic = authentic.map_err(|UnknownKey(id)| {
            let what = format!(
                "the polls in Redis are signed under key {id}, which this process does not have"
            );
            StoreError::unavailable(what)
        })?;
        Ok(if !authentic {
            Judgement::Not(NotGenuine::WrongTag)
        } else if revision < newest {
            Judgement::Not(NotGenuine::Older)
        } else {
            Judgement::Genuine(Some(revision))
        })
    }

    fn is_authentic(&self, signature: &Signature, keys: &EntryKeys) -> Result<bool, UnknownKey> {
        keys.are_polls_authentic(
            (signature.key, &signature.tag),
            signature.revision,
            &self.polls,
        )
    }

    /// The revision, if it is signed under one of these keys.
    pub(super) fn revision(&self, keys: &EntryKeys) -> Option<u64> {
        let signature = self.signature.as_ref()?;
        let authentic = self.is_authentic(signature, keys) == Ok(true);
        authentic.then_some(signature.revision)
    }

    /// The id of the key that it names.
    pub(super) fn key(&self) -> Option<u8> {
        self.signature.as_ref().map(|signature| signature.key)
    }
}

/// The copy as it is written; unsigned if no key signs.
pub(super) fn sign(keys: &EntryKeys, revision: u64, polls: &str) -> Result<String, StoreError> {
    let Some(rest) = polls.strip_prefix("[{") else {
        return Ok(polls.to_owned());
    };
    let Some((key, tag)) = keys.sign_polls(revision, polls) else {
        return Ok(polls.to_owned());
    };
    let signature = Signature { key, revision, tag };
    let signature = serde_json::to_string(&signature).map_err(StoreError::unavailable)?;
    Ok(format!("{BEGIN}{signature},{rest}"))
}

fn split(text: &str) -> Option<(Signature, String)> {
    let rest = text.strip_prefix(BEGIN)?;
    let mut signature = serde_json::Deserializer::from_str(rest).into_iter();
    let read = signature.next()?.ok()?;
    let polls = rest.get(signature.byte_offset()..)?.strip_prefix(',')?;
    Some((read, format!("[{{{polls}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::in_one_line, model::secret::SecretKey};

    const POLLS: &str =
        r#"[{"poll":{"id":"a"},"state":"open"},{"poll":{"id":"b"},"state":"open"}]"#;

    fn keys(byte: u8) -> EntryKeys {
        EntryKeys::new("voting").signing_with(&SecretKey::new([byte; 32]).expect("long enough"))
    }

    fn judge(text: &str, keys: &EntryKeys, newest: u64) -> Result<Option<u64>, String> {
        let judged = Copy::read(text.to_owned()).judge(keys, false, newest);
        match judged.map_err(|error| in_one_line(&error))? {
            Judgement::Genuine(revision) => Ok(revision),
            Judgement::Not(why) => Err(why.to_string()),
        }
    }

    #[test]
    fn a_copy_is_read_as_it_was_signed() {
        let signed = sign(&keys(7), 12, POLLS).expect("signed");
        let copy = Copy::read(signed.clone());
        assert_eq!(copy.polls, POLLS);
        assert_eq!(
            copy.key(),
            Some(EntryKeys::id_of(&SecretKey::new([7; 32]).unwrap()))
        );
        assert_eq!(judge(&signed, &keys(7), 12), Ok(Some(12)));
        // It is still JSON, and has the same polls for programs that know no signature.
        let read: serde_json::Value = serde_json::from_str(&signed).expect("JSON");
        assert_eq!(read[0]["poll"]["id"], "a");
        // Written down, so that no later version reads it otherwise.
        let known = r#"[{"signature":{"key":114,"revision":12,"tag":["#;
        assert!(signed.starts_with(known), "{signed}");
    }

    #[test]
    fn what_was_changed_moved_or_signed_by_others_is_not_used() {
        let signed = sign(&keys(7), 12, POLLS).expect("signed");
        let wrong = Err(NotGenuine::WrongTag.to_string());
        let changed = signed.replace(r#""id":"b""#, r#""id":"c""#);
        assert_eq!(judge(&changed, &keys(7), 0), wrong);
        let newer = signed.replace(r#""revision":12"#, r#""revision":13"#);
        assert_eq!(judge(&newer, &keys(7), 0), wrong);
        let elsewhere = EntryKeys::new("other");
        let elsewhere = elsewhere.signing_with(&SecretKey::new([7; 32]).unwrap());
        assert_eq!(judge(&signed, &elsewhere, 0), wrong);
        let unknown = judge(&signed, &keys(8), 0).expect_err("not its key");
        assert!(unknown.contains("does not have"), "{unknown}");
        let older = judge(&signed, &keys(7), 13);
        assert_eq!(older, Err(NotGenuine::Older.to_string()));
        let unsigned = Err(NotGenuine::Unsigned.to_string());
        assert_eq!(judge(POLLS, &keys(7), 0), unsigned);
        // A signature that cannot be read counts as missing.
        let torn = signed.replace(r#""revision":12"#, r#""revision":-1"#);
        assert_eq!(judge(&torn, &keys(7), 0), unsigned);
    }

    #[test]
    fn without_a_key_or_without_polls_nothing_is_signed() {
        let none = EntryKeys::default();
        assert_eq!(sign(&none, 1, POLLS).expect("written"), POLLS);
        assert_eq!(sign(&keys(7), 1, NO_POLLS).expect("written"), NO_POLLS);
        assert_eq!(judge(POLLS, &none, 0), Ok(None));
        assert_eq!(judge(NO_POLLS, &keys(7), 0), Ok(None));
        let signed = sign(&keys(7), 12, POLLS).expect("signed");
        assert_eq!(judge(&signed, &none, 0), Ok(None));
    }
}
