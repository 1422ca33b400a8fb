//! Who may vote in a poll: its key, and which of its codes are valid.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ChangeRefusal, Poll, PollExtras, Voters};
use crate::model::{
    code::{Generation, Serial, VoterCode},
    poll_key::{PollKey, WrappedPollKey},
};

/// The most codes that a poll can have.
pub const MAX_CODES: u32 = 100_000_000;

/// The most codes of a poll that can be revoked, and the most that can be replaced: each is named in the copy of the poll
/// that vote services read.
pub const MAX_CHANGED_CODES: usize = 10_000;

/// How a voter's id in a poll follows from who the voter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VoterScheme {
    /// The id in the voter's cookie.
    Raw,
    /// [`PollKey::pseudonym`] of the id in the voter's cookie.
    Pseudonym,
    /// [`PollKey::holder`] of the code's serial number.
    Code,
    /// [`PollKey::login`] of the person who has signed in.
    Login,
}

/// What is stored beside the settings of who may vote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Electorate {
    /// The poll's key. Without one, voters have the ids of their cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<WrappedPollKey>,
    #[serde(skip_serializing_if = "CodeRegister::is_empty")]
    pub(super) codes: CodeRegister,
}

impl Electorate {
    pub(super) fn is_empty(&self) -> bool {
        self.key.is_none() && self.codes.is_empty()
    }
}

/// Which codes of a poll are valid: the first so many serial numbers, except those that are revoked, each in its
/// generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeRegister {
    issued: u32,
    /// The generations of codes that were replaced; the others are of generation 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    replaced: BTreeMap<Serial, Generation>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    revoked: BTreeSet<Serial>,
}

/// Why a code is not taken. Voters are not told which of the first two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CodeRefusal {
    /// It is not a code of this poll.
    #[error("it is not a code of this poll")]
    Wrong,
    /// It was replaced by another one.
    #[error("it was replaced by another code")]
    Replaced,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
}

impl CodeRegister {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many codes were issued, the revoked ones included.
    pub fn issued(&self) -> u32 {
        self.issued
    }

    /// How many codes are revoked.
    pub fn revoked(&self) -> usize {
        self.revoked.len()
    }

    /// Whether the code of this serial number is revoked.
    pub fn is_revoked(&self, serial: Serial) -> bool {
        self.revoked.contains(&serial)
    }

    /// The serial numbers of the codes that are revoked, sorted.
    pub fn revoked_serials(&self) -> impl Iterator<Item = Serial> {
        self.revoked.iter().copied()
    }

    /// How many codes were replaced, once or several times.
    pub fn replaced(&self) -> usize {
        self.replaced.len()
    }

    /// The generation of the code that is valid for this serial number.
    ///
    /// # Errors
    /// No code of this number is valid.
    pub fn generation(&self, serial: Serial) -> Result<Generation, CodeRefusal> {
        if serial >= self.issued {
            return Err(CodeRefusal::Wrong);
        }
        if self.revoked.contains(&serial) {
            return Err(CodeRefusal::Revoked);
        }
        Ok(self.current(serial))
    }

    fn current(&self, serial: Serial) -> Generation {
        self.replaced.get(&serial).copied().unwrap_or_default()
    }

    /// The generation of this code, if it is valid. Nothing is looked up elsewhere.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn check(&self, code: &VoterCode, key: &PollKey) -> Result<Generation, CodeRefusal> {
        let serial = code.serial();
        let current = self.current(serial);
        let is_of = |generation| key.codes().verify(code, generation);
        if serial >= self.issued {
            return Err(CodeRefusal::Wrong);
        }
        if !is_of(current) {
            // Only who has had the code is told that it was replaced.
            return Err(match (0..current).any(is_of) {
                true => CodeRefusal::Replaced,
                false => CodeRefusal::Wrong,
            });
        }
        self.generation(serial)
    }
}

/// A change of a poll's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeChange {
    /// Issues this many more codes. Their serial numbers follow those that were issued before.
    Issue(u32),
    /// The code of this serial number is not taken any more. A ballot that was cast with it stays.
    Revoke(Serial),
    /// The code of this serial number is not taken any more, and the one of the next generation is. Whoever has it is the
    /// same voter.
    Replace(Serial),
}

impl CodeChange {
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Issue(_) => "codes.issued",
            Self::Revoke(_) => "codes.revoked",
            Self::Replace(_) => "codes.replaced",
        }
    }
}

/// What the audit log says of a poll's codes: numbers only.
#[derive(Serialize)]
struct Audited {
    issued: u32,
    revoked: usize,
    replaced: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<Serial>,
}

impl PollExtras {
    /// Which codes of the poll are valid.
    pub fn codes(&self) -> &CodeRegister {
        &self.electorate.codes
    }
}

impl Poll {
    /// The poll's key, as it is stored.
    pub fn wrapped_key(&self) -> Option<&WrappedPollKey> {
        self.extras.electorate.key.as_ref()
    }

    /// Which codes of the poll are valid.
    pub fn codes(&self) -> &CodeRegister {
        self.extras.codes()
    }

    /// The same poll with this key. Once stored, a poll keeps the key that it has.
    #[must_use]
    pub fn with_key(mut self, key: WrappedPollKey) -> Self {
        self.extras.electorate.key = Some(key);
        self
    }

    /// The same poll without a key of its own: voters have the ids of their cookies.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.extras.electorate.key = None;
        self
    }

    /// How a voter's id in this poll follows from who the voter is.
    pub fn voter_scheme(&self) -> VoterScheme {
        match (self.settings().voters, self.wrapped_key()) {
            (Voters::Codes, _) => VoterScheme::Code,
            (Voters::Identity, _) => VoterScheme::Login,
            (Voters::Open, Some(_)) => VoterScheme::Pseudonym,
            (Voters::Open, None) => VoterScheme::Raw,
        }
    }

    /// What the audit log keeps of the codes.
    pub(super) fn audited_codes(&self, change: CodeChange) -> String {
        let codes = self.codes();
        let serial = match change {
            CodeChange::Issue(_) => None,
            CodeChange::Revoke(serial) | CodeChange::Replace(serial) => Some(serial),
        };
        let audited = Audited {
            issued: codes.issued(),
            revoked: codes.revoked(),
            replaced: codes.replaced(),
            serial,
        };
        serde_json::to_string(&audited).unwrap_or_default()
    }

    /// This poll after a change of its codes.
    pub(super) fn with_codes_changed(&self, change: CodeChange) -> Result<Self, ChangeRefusal> {
        if self.settings().voters != Voters::Codes {
            return Err(ChangeRefusal::NoCodes);
        }
        if !self.state.is_open() {
            return Err(ChangeRefusal::CodesFrozen);
        }
        let mut after = self.clone();
        let codes = &mut after.extras.electorate.codes;
        let is_issued = |serial| match serial < codes.issued {
            true => Ok(()),
            false => Err(ChangeRefusal::UnknownCode),
        };
        match change {
            CodeChange::Issue(count) => {
                let issued = codes.issued.checked_add(count);
                codes.issued = issued
                    .filter(|issued| *issued <= MAX_CODES)
                    .ok_or(ChangeRefusal::TooManyCodes)?;
            }
            CodeChange::Revoke(serial) => {
                is_issued(serial)?;
                codes.revoked.insert(serial);
            }
            CodeChange::Replace(serial) => {
                is_issued(serial)?;
                if codes.revoked.contains(&serial) {
                    return Err(ChangeRefusal::UnknownCode);
                }
                let next = codes.current(serial).checked_add(1);
                let next = next.ok_or(ChangeRefusal::TooManyCodes)?;
                codes.replaced.insert(serial, next);
            }
        }
        if codes.revoked.len().max(codes.replaced.len()) > MAX_CHANGED_CODES {
            return Err(ChangeRefusal::TooManyCodes);
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        error::StoreError,
        model::{
            moment::Moment,
            poll::{ChangeTo, Changed, PollBuilder, PollChange, PollSettings, change},
            poll_key::PollKeyWrap,
            poll_state::PollState,
            secret::SecretKey,
        },
    };

    fn wrap() -> PollKeyWrap {
        PollKeyWrap::new(&SecretKey::new([7; 32]).unwrap())
    }

    fn builder() -> PollBuilder {
        let builder = Poll::builder("p", "Which?");
        builder.option("a", "A").option("b", "B")
    }

    fn with_codes() -> Poll {
        let settings = PollSettings {
            voters: Voters::Codes,
            ..PollSettings::default()
        };
        builder().settings(settings).build().unwrap()
    }

    fn apply(stored: Option<&Poll>, to: ChangeTo) -> Result<Changed, StoreError> {
        let now = Moment::from_unix_ms(1_000_000).unwrap();
        change(stored, &PollChange::new("p".parse().unwrap(), to), now)
    }

    fn put(stored: Option<&Poll>, poll: Poll) -> Result<Poll, StoreError> {
        apply(stored, ChangeTo::Put(Box::new(poll))).map(|changed| changed.poll.unwrap())
    }

    fn codes(stored: &Poll, change: CodeChange) -> Result<Poll, ChangeRefusal> {
        match apply(Some(stored), ChangeTo::Codes(change)) {
            Ok(changed) => Ok(changed.poll.unwrap()),
            Err(StoreError::ChangeRefused(_, why)) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    fn stored() -> Poll {
        let poll = with_codes();
        let key = wrap().make(poll.id()).unwrap();
        put(None, poll.with_key(key)).unwrap()
    }

    #[test]
    fn a_poll_with_codes_needs_a_key_and_keeps_it() {
        let refused = put(None, with_codes());
        assert!(matches!(
            refused,
            Err(StoreError::ChangeRefused(_, ChangeRefusal::NoPollKey))
        ));
        let stored = stored();
        let key = stored.wrapped_key().cloned();
        assert!(key.is_some());
        let again = wrap().make(stored.id()).unwrap();
        for poll in [with_codes(), with_codes().with_key(again)] {
            let after = put(Some(&stored), poll).unwrap();
            assert_eq!(after.wrapped_key(), key.as_ref());
        }
        assert!(stored.needs_new_programs());
    }

    #[test]
    fn who_may_vote_is_frozen_once_the_poll_is_open_and_an_open_poll_gets_no_key() {
        let open = put(None, builder().build().unwrap()).unwrap();
        assert_eq!(open.voter_scheme(), VoterScheme::Raw);
        let key = wrap().make(open.id()).unwrap();
        let refused = put(Some(&open), with_codes().with_key(key.clone()));
        assert!(matches!(refused, Err(StoreError::PollConflict(_))));
        let same = put(
            Some(&open),
            builder().build().unwrap().with_key(key.clone()),
        )
        .unwrap();
        assert_eq!(same.voter_scheme(), VoterScheme::Raw);
        let draft = put(None, builder().build().unwrap().as_draft()).unwrap();
        let published = put(Some(&draft), with_codes().with_key(key)).unwrap();
        assert_eq!(published.voter_scheme(), VoterScheme::Code);
    }

    #[test]
    fn a_scheduled_poll_can_come_to_have_codes() {
        let at = Moment::from_unix_ms(9_000_000);
        let scheduled = |voters| {
            let settings = PollSettings {
                voters,
                opens_at: at,
                ..PollSettings::default()
            };
            builder().settings(settings).build().unwrap()
        };
        let stored = put(None, scheduled(Voters::Open)).unwrap();
        let refused = put(Some(&stored), scheduled(Voters::Codes));
        assert!(matches!(
            refused,
            Err(StoreError::ChangeRefused(_, ChangeRefusal::NoPollKey))
        ));
        let key = wrap().make(stored.id()).unwrap();
        let pending = put(Some(&stored), scheduled(Voters::Codes).with_key(key)).unwrap();
        assert_eq!(pending.settings().voters, Voters::Open);
        let times = pending.pending_window().unwrap().times;
        let settled = ChangeTo::Settled {
            times,
            is_confirmed: true,
        };
        let after = apply(Some(&pending), settled).unwrap().poll.unwrap();
        assert_eq!(after.voter_scheme(), VoterScheme::Code);
        assert!(after.wrapped_key().is_some());
    }

    #[test]
    fn a_key_is_wrapped_anew_once_and_nobody_is_said_to_have_changed_the_poll() {
        let stored = stored();
        let other = PollKeyWrap::new(&SecretKey::new([8; 32]).unwrap())
            .reading(&SecretKey::new([7; 32]).unwrap());
        let new = other.rewrap(stored.id(), stored.wrapped_key().unwrap());
        let new = new.unwrap().unwrap();
        let to = ChangeTo::Rewrapped {
            from: Box::new(stored.wrapped_key().unwrap().clone()),
            to: Box::new(new.clone()),
        };
        let changed = apply(Some(&stored), to.clone()).unwrap();
        assert_eq!(changed.note, None);
        let after = changed.poll.unwrap();
        assert_eq!(after.wrapped_key(), Some(&new));
        assert!(!apply(Some(&after), to).unwrap().is_changed);
    }

    #[test]
    fn codes_are_issued_replaced_and_revoked() {
        let stored = stored();
        let key = wrap()
            .open(stored.id(), stored.wrapped_key().unwrap())
            .unwrap();
        let check = |poll: &Poll, serial, generation| {
            poll.codes()
                .check(&key.codes().code(serial, generation), &key)
        };
        assert_eq!(check(&stored, 0, 0), Err(CodeRefusal::Wrong));
        let issued = codes(&stored, CodeChange::Issue(3)).unwrap();
        assert_eq!(check(&issued, 2, 0), Ok(0));
        assert_eq!(check(&issued, 3, 0), Err(CodeRefusal::Wrong));
        let replaced = codes(&issued, CodeChange::Replace(2)).unwrap();
        assert_eq!(check(&replaced, 2, 0), Err(CodeRefusal::Replaced));
        assert_eq!(check(&replaced, 2, 1), Ok(1));
        assert_eq!(check(&replaced, 2, 2), Err(CodeRefusal::Wrong));
        let revoked = codes(&replaced, CodeChange::Revoke(2)).unwrap();
        assert_eq!(check(&revoked, 2, 1), Err(CodeRefusal::Revoked));
        assert_eq!(check(&revoked, 2, 0), Err(CodeRefusal::Replaced));
        assert_eq!(check(&revoked, 1, 0), Ok(0));
        let why = |poll: &Poll, change| codes(poll, change).unwrap_err();
        assert_eq!(
            why(&revoked, CodeChange::Replace(2)),
            ChangeRefusal::UnknownCode
        );
        assert_eq!(
            why(&revoked, CodeChange::Revoke(3)),
            ChangeRefusal::UnknownCode
        );
        assert_eq!(
            why(&revoked, CodeChange::Issue(u32::MAX)),
            ChangeRefusal::TooManyCodes
        );
        let closed = revoked.in_state(PollState::Closing(Default::default()));
        assert_eq!(
            why(&closed, CodeChange::Issue(1)),
            ChangeRefusal::CodesFrozen
        );
        let open = put(None, builder().build().unwrap()).unwrap();
        assert_eq!(why(&open, CodeChange::Issue(1)), ChangeRefusal::NoCodes);
    }

    #[test]
    fn the_audit_log_has_numbers_and_no_key() {
        let stored = stored();
        let issued = apply(Some(&stored), ChangeTo::Codes(CodeChange::Issue(3))).unwrap();
        let note = issued.note.unwrap();
        assert_eq!(note.action, "codes.issued");
        assert_eq!(
            note.before.unwrap(),
            r#"{"issued":0,"revoked":0,"replaced":0}"#
        );
        assert_eq!(
            note.after.unwrap(),
            r#"{"issued":3,"revoked":0,"replaced":0}"#
        );
        let after = issued.poll.unwrap();
        let revoked = apply(Some(&after), ChangeTo::Codes(CodeChange::Revoke(1))).unwrap();
        let reported = revoked.note.unwrap().after.unwrap();
        assert_eq!(
            reported,
            r#"{"issued":3,"revoked":1,"replaced":0,"serial":1}"#
        );
        let poll = with_codes();
        let key = wrap().make(poll.id()).unwrap();
        let sealed = serde_json::to_value(&key).unwrap();
        let note = apply(None, ChangeTo::Put(Box::new(poll.with_key(key))));
        let reported = note.unwrap().note.unwrap().after.unwrap();
        assert!(
            !reported.contains(sealed["sealed"].as_str().unwrap()),
            "{reported}"
        );
    }

    proptest! {
        /// Two who issue at once get different serial numbers, whatever else is changed between.
        #[test]
        fn no_serial_number_is_issued_twice(steps in prop::collection::vec((0u8..3, 1u32..50), 1..60)) {
            let (mut poll, mut next) = (stored(), 0);
            for (what, number) in steps {
                let change = match what {
                    0 => CodeChange::Issue(number),
                    1 => CodeChange::Revoke(number % next.max(1)),
                    _ => CodeChange::Replace(number % next.max(1)),
                };
                if let Ok(after) = codes(&poll, change) {
                    if let CodeChange::Issue(count) = change {
                        prop_assert_eq!(after.codes().issued() - count, next);
                        next = after.codes().issued();
                    }
                    prop_assert!(after.revision() >= poll.revision());
                    poll = after;
                }
            }
        }
    }

    #[test]
    fn a_hundred_thousand_forged_codes_are_all_refused() {
        let poll = codes(&stored(), CodeChange::Issue(1_000)).unwrap();
        let key = wrap().open(poll.id(), poll.wrapped_key().unwrap()).unwrap();
        let other = wrap()
            .open(poll.id(), &wrap().make(poll.id()).unwrap())
            .unwrap();
        let mut tag = [0; 6];
        for n in 0..100_000_u32 {
            // Of another poll, and with a tag that somebody made up.
            let foreign = other.codes().code(n % 1_000, 0);
            let serial = format!("{:08x}", n % 1_000);
            tag.copy_from_slice(&[&serial.as_bytes()[4..], &n.to_be_bytes()[2..]].concat());
            let made_up = VoterCode::from_parts(n % 1_000, tag);
            for code in [foreign, made_up] {
                assert_eq!(
                    poll.codes().check(&code, &key),
                    Err(CodeRefusal::Wrong),
                    "{n}"
                );
            }
        }
    }
}
