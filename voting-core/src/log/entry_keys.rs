//! The keys under which entries of version 2, and the published polls, are signed and read.

use std::{collections::HashMap, fmt};

use super::{
    entry::MalformedEntry,
    signed_entry::{Marks, SignedEntry, message},
};
use crate::model::{
    ballot::{Ballot, Choices},
    position::{EntryKey, ShardId},
    secret::{MacKey, SecretKey},
};

/// The keys under which a log's entries and its published polls are signed, and the log's name, which the tags are over.
#[derive(Clone, Default)]
pub struct EntryKeys {
    log: String,
    keys: HashMap<u8, Derived>,
    /// The key that signs.
    current: Option<u8>,
}

/// The keys that are derived from one key. A tag for one purpose is not valid for the other.
#[derive(Clone)]
struct Derived {
    entries: MacKey,
    polls: MacKey,
}

impl Derived {
    fn from(key: &SecretKey) -> Self {
        Self {
            entries: key.derive("entries 2"),
            polls: key.derive("published polls"),
        }
    }
}

/// The entry, or the copy of the polls, may be genuine, but was signed under a key that this process does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry is signed under key {0}, which this process does not have")]
pub struct UnknownKey(pub u8);

/// Two keys have the same id, so that an entry does not say which of them signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two keys have the id {0}")]
pub struct SameKeyId(pub u8);

impl EntryKeys {
    /// No keys yet, for the log of this name: of Redis the prefix of its keys.
    pub fn new(log: impl Into<String>) -> Self {
        Self {
            log: log.into(),
            keys: HashMap::new(),
            current: None,
        }
    }

    /// The id of a key, which entries name: the first byte of its fingerprint.
    pub fn id_of(key: &SecretKey) -> u8 {
        key.fingerprint().first_byte()
    }

    /// Adds a key under which entries are read. Keep old keys for as long as the log keeps entries.
    ///
    /// # Errors
    /// [`SameKeyId`]: there is a key with this id, or this key itself.
    pub fn with_secret(self, key: &SecretKey) -> Result<Self, SameKeyId> {
        let id = Self::id_of(key);
        if self.keys.contains_key(&id) {
            return Err(SameKeyId(id));
        }
        Ok(self.with(id, Derived::from(key)))
    }

    /// Signs new entries with this key. They are read under it, too.
    #[must_use]
    pub fn signing_with(mut self, key: &SecretKey) -> Self {
        let id = Self::id_of(key);
        self.current = Some(id);
        self.with(id, Derived::from(key))
    }

    fn with(mut self, id: u8, keys: Derived) -> Self {
        self.keys.insert(id, keys);
        self
    }

    /// Adds a key for entries under any id.
    #[cfg(test)]
    pub(super) fn with_entries(self, id: u8, entries: MacKey) -> Self {
        let polls = entries.clone();
        self.with(id, Derived { entries, polls })
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether new entries are signed.
    pub fn signs(&self) -> bool {
        self.current.is_some()
    }

    /// The id of the key that signs.
    pub fn signing_id(&self) -> Option<u8> {
        self.current
    }

    /// The ids of all keys, in their order.
    pub fn ids(&self) -> Vec<u8> {
        let mut ids: Vec<_> = self.keys.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Adds the tag to an entry, of which `bytes` makes the bytes for the id of the key that signs. `None`: no key signs.
    pub(super) fn sign(
        &self,
        shard: ShardId,
        bytes: impl FnOnce(u8) -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        let id = self.current?;
        let key = self.keys.get(&id)?;
        let mut bytes = bytes(id);
        let tag = key.entries.tag(&message(&self.log, shard, &bytes));
        bytes.extend(tag);
        Some(bytes)
    }

    /// The id of the key that signs, and its tag over this revision of the published polls, which are a text of any form.
    /// `None`: no key signs.
    pub fn sign_polls(&self, revision: u64, polls: &str) -> Option<(u8, [u8; 16])> {
        let id = self.current?;
        let key = self.keys.get(&id)?;
        Some((id, key.polls.tag(&self.polls_message(revision, polls))))
    }

    /// Whether the tag is that of the key with this id over this revision of the published polls.
    ///
    /// # Errors
    /// [`UnknownKey`]: nothing can be said of the polls.
    pub fn are_polls_authentic(
        &self,
        (id, tag): (u8, &[u8; 16]),
        revision: u64,
        polls: &str,
    ) -> Result<bool, UnknownKey> {
        let key = self.keys.get(&id).ok_or(UnknownKey(id))?;
        Ok(key.polls.verify(&self.polls_message(revision, polls), tag))
    }

    fn polls_message(&self, revision: u64, polls: &str) -> Vec<u8> {
        let len = self.log.len() as u64;
        let mut message = Vec::with_capacity(16 + self.log.len() + polls.len());
        message.extend(revision.to_be_bytes());
        message.extend(len.to_be_bytes());
        message.extend(self.log.as_bytes());
        message.extend(polls.as_bytes());
        message
    }

    /// The ballots of an entry of version 2 that stands at this place, once its tag and its deadline are checked.
    ///
    /// # Errors
    /// [`UnknownKey`]: nothing can be said of the entry; it must stay in the log. The inner error says why the entry
    /// is not counted.
    pub fn open(
        &self,
        bytes: &[u8],
        (shard, id): EntryKey,
    ) -> Result<Result<Vec<Ballot>, MalformedEntry>, UnknownKey> {
        let entry = match SignedEntry::read(bytes) {
            Ok(entry) => entry,
            Err(error) => return Ok(Err(error)),
        };
        let key = self.keys.get(&entry.key).ok_or(UnknownKey(entry.key))?;
        if !entry.is_authentic(&key.entries, &self.log, shard) {
            return Ok(Err(MalformedEntry::Unauthenticated));
        }
        if let late @ 1.. = id.ms().saturating_sub(entry.deadline_ms) {
            return Ok(Err(MalformedEntry::Late(late)));
        }
        // Polls of this version have ballots with choices only.
        let ballots = entry
            .ballots
            .into_iter()
            .enumerate()
            .map(|(index, ballot)| {
                let choices = match ballot.marks {
                    Marks::Choice(bits) => Choices::from_code(bits),
                    Marks::Withdrawn => Some(Choices::WITHDRAWN),
                    _ => None,
                };
                Ok(Ballot {
                    poll: ballot.poll,
                    voter: ballot.voter,
                    choices: choices.ok_or(MalformedEntry::Choices(index))?,
                    rules: None,
                })
            });
        Ok(ballots.collect())
    }
}

impl fmt::Debug for EntryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryKeys")
            .field("log", &self.log)
            .field("ids", &self.ids())
            .field("current", &self.current)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_id_of_its_fingerprint_and_no_two_have_the_same() {
        let key = |byte| SecretKey::new([byte; 32]).unwrap();
        // Entries name it, so it must never become another one.
        assert_eq!(EntryKeys::id_of(&key(7)), 0x72);
        let keys = EntryKeys::new("voting").with_secret(&key(7)).unwrap();
        assert!(!keys.signs());
        assert_eq!(
            keys.clone().with_secret(&key(7)).unwrap_err(),
            SameKeyId(0x72)
        );
        let keys = keys.signing_with(&key(8));
        assert!(keys.signs());
        assert_eq!(keys.ids().len(), 2);
    }
}
