//! Who votes in a poll: the voter of the cookie, under the id of this poll, or the holder of one of the poll's codes.
//!
//! The holder of a code is known by the code itself, in a header, or by a cookie for the poll. The cookie has the serial
//! number and the generation of the code, not the code, and only the services can read it. Nothing is looked up: the copy of the
//! poll says which codes are valid.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use poem::Request;
use voting_core::{
    Poll, PollId, StoreError, VoterId,
    error::ErrorKind,
    model::{
        code::{Generation, Serial, VoterCode},
        poll::{CodeRefusal, VoterScheme},
        poll_key::{PollKey, PollKeyWrap},
        secrets::Secrets,
    },
};

use super::{
    VoteService,
    poll_cookie::{PollCookies, Unread},
    program_key::ProgramKey,
};
use crate::{
    edge::{
        poll_key::{self, OpenedKey},
        visitor::{KEY_HEADER, NoCode, NoVoterCookie, Visitor},
    },
    problem::{Problem, kind::ProblemKind, seldom::Seldom},
};

/// The header with a code, in the API.
pub(super) const CODE_HEADER: &str = "voter-code";

/// The keys of the polls, and the cookies of codes.
pub(super) struct Electors {
    wrap: Option<PollKeyWrap>,
    known: RwLock<HashMap<PollId, OpenedKey>>,
    codes: PollCookies,
    warnings: Seldom,
}

/// Whoever has this code, in its current generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) serial: Serial,
    pub(super) generation: Generation,
}

impl Electors {
    pub(super) fn new(secrets: &Secrets, wrap: Option<PollKeyWrap>, secure: bool) -> Self {
        Self {
            wrap,
            known: RwLock::default(),
            codes: PollCookies::new(secrets, "code", secure),
            warnings: Seldom::default(),
        }
    }

    /// The key of a poll that has one.
    ///
    /// # Errors
    /// The poll has none, or it cannot be read. Nobody can vote then: under another id a voter would count twice.
    pub(super) fn key(&self, poll: &Poll) -> Result<Arc<PollKey>, Problem> {
        let wrapped = poll.wrapped_key();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some((same, key)), Some(wrapped)) = (known.get(poll.id()), wrapped)
            && same == wrapped
        {
            return Ok(Arc::clone(key));
        }
        drop(known);
        let opened = poll_key::open(self.wrap.as_ref(), poll, &self.warnings);
        let cannot = || StoreError::of_kind(ErrorKind::Other, "the key of the poll cannot be read");
        let opened = opened.ok_or_else(cannot)?;
        let key = Arc::clone(&opened.1);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(poll.id().clone(), opened);
        Ok(key)
    }

    /// The poll's key is destroyed.
    fn forget_key(&self, poll: &PollId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(poll);
    }

    /// The cookie for the holder of a code, as the value of `Set-Cookie`.
    pub(super) fn cookie(&self, request: &Request, poll: &PollId, holder: Holder) -> String {
        self.codes.drop_others(request, poll);
        let [a, b, c, d] = holder.serial.to_be_bytes();
        self.codes.set(poll, &[a, b, c, d, holder.generation])
    }

    /// Drops the cookie for this poll.
    pub(super) fn drop_cookie(&self, request: &Request, poll: &PollId) -> String {
        self.codes.drop_others(request, poll);
        self.codes.drop(poll)
    }

    pub(super) fn of_cookie(&self, request: &Request, poll: &Poll) -> Result<Holder, NoCode> {
        // Which of two codes is this person's is not known.
        let opened = self.codes.read(request, poll.id(), |_, _| None);
        let opened = opened.map_err(|why| match why {
            Unread::Missing => NoCode::Needed,
            Unread::Unreadable => NoCode::Unreadable,
        })?;
        let opened: Option<[u8; 5]> = opened.try_into().ok();
        let Some([a, b, c, d, generation]) = opened else {
            return Err(NoCode::Unreadable);
        };
        let serial = Serial::from_be_bytes([a, b, c, d]);
        match poll.codes().generation(serial) {
            Ok(current) if current == generation => Ok(Holder { serial, generation }),
            Ok(_) => Err(NoCode::Refused(CodeRefusal::Replaced)),
            Err(why) => Err(NoCode::Refused(why)),
        }
    }
}

impl From<NoCode> for Problem {
    fn from(why: NoCode) -> Self {
        match why {
            NoCode::Needed => Self::said(ProblemKind::CodeNeeded, |t| &t.code_needed),
            NoCode::Unreadable => Self::said(ProblemKind::InvalidCode, |t| &t.code_unreadable),
            NoCode::Refused(CodeRefusal::Wrong) => {
                Self::said(ProblemKind::InvalidCode, |t| &t.code_wrong)
            }
            NoCode::Refused(CodeRefusal::Replaced) => {
                Self::said(ProblemKind::InvalidCode, |t| &t.code_replaced)
            }
            NoCode::Refused(CodeRefusal::Revoked) => {
                Self::said(ProblemKind::InvalidCode, |t| &t.code_revoked)
            }
        }
    }
}

impl VoteService {
    /// Who sent a request about this poll.
    ///
    /// # Errors
    /// The application does not name a voter, a header has a wrong code, or the poll's key cannot be read. A sender without a
    /// code is no error.
    pub(super) async fn visitor(&self, request: &Request, poll: &Poll) -> Result<Visitor, Problem> {
        if let Some(key) = request.headers().get(KEY_HEADER) {
            return self.named_by_key(request, poll, key.as_bytes()).await;
        }
        let given = request.headers().get(CODE_HEADER);
        let scheme = poll.voter_scheme();
        let has_own = matches!(scheme, VoterScheme::Code | VoterScheme::Login);
        if poll.voters_are_forgotten() && has_own {
            // Without the poll's key, nobody can be told from anybody else, and nobody can vote.
            self.0.electors.forget_key(poll.id());
            if let Some(without) = request.data::<NoVoterCookie>() {
                without.set();
            }
            return Ok(Visitor::with_code(VoterId::from_bytes([0; 16])));
        }
        if scheme != VoterScheme::Code && given.is_some() {
            // Its sender would become a new voter with each request.
            return Err(Problem::invalid(
                "This poll has no codes: send no header Voter-Code.",
            ));
        }
        if !has_own {
            return self.0.voters.visitor(request).await;
        }
        if let Some(without) = request.data::<NoVoterCookie>() {
            without.set();
        }
        if scheme == VoterScheme::Login {
            return self.signed_in(request, poll).await;
        }
        let holder = match given {
            Some(code) => {
                let code = code.to_str().unwrap_or_default();
                Ok(self.check_code(request, poll, code)?)
            }
            None => self.0.electors.of_cookie(request, poll),
        };
        match holder {
            Ok(holder) => {
                let key = self.0.electors.key(poll)?;
                Ok(Visitor::with_code(key.holder(holder.serial)))
            }
            Err(why) => Ok(Visitor::without_code(why)),
        }
    }

    /// The voter whom a program names by a key.
    ///
    /// # Errors
    /// The key could be guessed, or is not of the alphabet; the poll has voters of another kind; there is a cookie, too; or
    /// the poll's key cannot be read.
    async fn named_by_key(
        &self,
        request: &Request,
        poll: &Poll,
        key: &[u8],
    ) -> Result<Visitor, Problem> {
        let scheme = poll.voter_scheme();
        let has_own = matches!(scheme, VoterScheme::Code | VoterScheme::Login);
        if has_own || self.0.voters.cookies().is_none() {
            return Err(Problem::invalid(
                "Only polls for everybody take the header Idempotency-Key, and the voters of this poll are known otherwise. \
                 Send no such header.",
            ));
        }
        // The cookie may be that of another voter, or one that cannot be read.
        if !self.0.voters.visitor(request).await?.is_new() {
            return Err(Problem::invalid(
                "This request has a voter's cookie and the header Idempotency-Key. Each of them names a voter: send only one \
                 of them.",
            ));
        }
        let key = ProgramKey::parse(key)?;
        let id = match scheme {
            VoterScheme::Pseudonym => self.0.electors.key(poll)?.program(key.as_bytes()),
            _ => key.voter(poll.id()),
        };
        Ok(Visitor::with_key(id))
    }

    /// The holder of this code. A wrong code makes its sender wait; a right one is always taken.
    ///
    /// # Errors
    /// It is not a valid code of this poll.
    pub(super) fn check_code(
        &self,
        request: &Request,
        poll: &Poll,
        code: &str,
    ) -> Result<Holder, Problem> {
        let key = self.0.electors.key(poll)?;
        let read = code.parse::<VoterCode>().map_err(|_| CodeRefusal::Wrong);
        let checked = read.and_then(|code| {
            let generation = poll.codes().check(&code, &key)?;
            Ok(Holder {
                serial: code.serial(),
                generation,
            })
        });
        checked.map_err(|why| match why {
            CodeRefusal::Wrong => self
                .0
                .site
                .gate
                .wrong_code(request, NoCode::Refused(why).into()),
            _ => NoCode::Refused(why).into(),
        })
    }

    /// The holder whose cookie the browser has.
    pub(super) fn current_holder(&self, request: &Request, poll: &Poll) -> Option<Holder> {
        self.0.electors.of_cookie(request, poll).ok()
    }

    /// The id under which a visitor votes in this poll.
    ///
    /// # Errors
    /// The poll's key cannot be read.
    pub(super) fn voter_in(&self, poll: &Poll, visitor: Visitor) -> Result<VoterId, Problem> {
        let id = visitor.voter()?;
        match poll.voter_scheme() {
            // The application decides what its ids are, and its rules know them.
            VoterScheme::Pseudonym if !visitor.is_named() && !visitor.has_key() => {
                Ok(self.0.electors.key(poll)?.pseudonym(id))
            }
            _ => Ok(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use voting_core::{
        SecretKey,
        model::{
            moment::Moment,
            poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters, change},
        },
    };

    use super::*;

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).unwrap()
    }

    fn secrets(byte: u8) -> Secrets {
        Secrets::new(secret(byte))
    }

    fn cookie_of(electors: &Electors, poll: &Poll, holder: Holder) -> String {
        electors.cookie(&with("a=b"), poll.id(), holder)
    }

    fn wrap() -> PollKeyWrap {
        PollKeyWrap::new(&secret(1))
    }

    fn electors() -> Electors {
        Electors::new(&secrets(2), Some(wrap()), false)
    }

    fn applied(stored: Option<&Poll>, poll: &str, to: ChangeTo) -> Poll {
        let to = PollChange::new(poll.parse().unwrap(), to);
        let changed = change(stored, &to, Moment::from_unix_ms(1).unwrap());
        changed.unwrap().poll.unwrap()
    }

    /// A poll with so many codes.
    fn poll(id: &str, codes: u32) -> Poll {
        let builder = Poll::builder(id, "Which?")
            .option("a", "A")
            .option("b", "B");
        let mut settings = PollSettings::default();
        settings.voters = Voters::Codes;
        let poll = builder.settings(settings).build().unwrap();
        let key = wrap().make(poll.id()).unwrap();
        let poll = applied(None, id, ChangeTo::New(Box::new(poll.with_key(key))));
        changed(&poll, CodeChange::Issue(codes))
    }

    fn changed(poll: &Poll, change: CodeChange) -> Poll {
        applied(Some(poll), poll.id().as_str(), ChangeTo::Codes(change))
    }

    fn with(cookies: &str) -> Request {
        Request::builder().header("cookie", cookies).finish()
    }

    fn back(set: &str) -> &str {
        set.split(';').next().unwrap()
    }

    const THIRD: Holder = Holder {
        serial: 2,
        generation: 0,
    };

    #[test]
    fn a_cookie_reads_back_for_its_poll_until_its_code_is_replaced_or_revoked() {
        let (electors, poll) = (electors(), poll("ours", 3));
        let cookie = cookie_of(&electors, &poll, THIRD);
        let request = with(back(&cookie));
        assert_eq!(electors.of_cookie(&request, &poll), Ok(THIRD));
        assert_eq!(electors.of_cookie(&with("a=b"), &poll), Err(NoCode::Needed));
        let replaced = changed(&poll, CodeChange::Replace(2));
        let refused = electors.of_cookie(&request, &replaced);
        assert_eq!(refused, Err(NoCode::Refused(CodeRefusal::Replaced)));
        let revoked = changed(&poll, CodeChange::Revoke(2));
        let refused = electors.of_cookie(&request, &revoked);
        assert_eq!(refused, Err(NoCode::Refused(CodeRefusal::Revoked)));
    }

    #[test]
    fn a_cookie_of_another_poll_or_secret_is_none() {
        let (electors, ours, other) = (electors(), poll("ours", 3), poll("other", 3));
        let cookie = cookie_of(&electors, &ours, THIRD);
        let cookie = back(&cookie);
        let read = electors.of_cookie(&with(cookie), &other);
        assert_eq!(read, Err(NoCode::Needed));
        let moved = cookie.replace(
            &electors.codes.name(ours.id()),
            &electors.codes.name(other.id()),
        );
        let read = electors.of_cookie(&with(&moved), &other);
        assert_eq!(read, Err(NoCode::Unreadable));
        let stranger = Electors::new(&secrets(3), Some(wrap()), false);
        let theirs = cookie_of(&stranger, &ours, THIRD);
        let theirs = back(&theirs).replace(
            &stranger.codes.name(ours.id()),
            &electors.codes.name(ours.id()),
        );
        let read = electors.of_cookie(&with(&theirs), &ours);
        assert_eq!(read, Err(NoCode::Unreadable));
        let fourth = Holder { serial: 3, ..THIRD };
        let both = format!("{cookie}; {}", back(&cookie_of(&electors, &ours, fourth)));
        let read = electors.of_cookie(&with(&both), &ours);
        assert_eq!(read, Err(NoCode::Unreadable));
    }

    #[test]
    fn without_the_key_of_the_deployment_nobody_votes_under_another_id() {
        let poll = poll("ours", 3);
        for wrap in [None, Some(PollKeyWrap::new(&secret(9)))] {
            let electors = Electors::new(&secrets(2), wrap, false);
            let refused = electors.key(&poll).unwrap_err();
            assert_eq!(refused.status().as_u16(), 503);
        }
    }

    proptest! {
        #[test]
        fn a_forged_cookie_is_refused(place in 0usize..28, to in 0u8..64) {
            let (electors, poll) = (electors(), poll("ours", 3));
            let cookie = cookie_of(&electors, &poll, THIRD);
            let (name, value) = back(&cookie).split_once('=').unwrap();
            let mut forged = value.as_bytes().to_vec();
            prop_assert_eq!(forged.len(), 28);
            let to = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(to)];
            prop_assume!(forged[place] != to);
            forged[place] = to;
            let forged = String::from_utf8(forged).unwrap();
            let read = electors.of_cookie(&with(&format!("{name}={forged}")), &poll);
            prop_assert_eq!(read, Err(NoCode::Unreadable));
        }
    }
}
