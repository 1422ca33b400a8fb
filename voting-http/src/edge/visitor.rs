//! Who sent a request: the voter whom the signed cookie or the application names, a new voter, or a sender whose
//! cookie cannot be read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use cookie::{Cookie, SameSite, time};
use poem::{
    Request, Response,
    http::{HeaderValue, Method, header},
};
use voting_core::{SecretKey, VoterId, model::poll::CodeRefusal};

use crate::{
    edge::{
        cors::CrossOrigin,
        identity::{Identify, RequestHead},
        voter_cookies::{Carried, Names},
    },
    problem::{Problem, kind::ProblemKind, seldom::Seldom},
    tokens::signed::VoterKey,
};

/// The header by which a program names a voter that has no cookie.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// Browsers keep a cookie for at most this long.
const MAX_AGE: time::Duration = time::Duration::days(400);

/// A voter whose id is older than this gets the cookie again with each page. So the cookie does not expire while it
/// is used; a voter who lost it would count twice.
const RENEWED_AFTER: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The voter behind a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor {
    id: VoterId,
    cookie: CookieFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CookieFound {
    Valid,
    /// The cookie has an older name, or the voter's id is old. It is set again under the current name.
    Older,
    None,
    Refused(Refusal),
    /// No cookie is used: the application says who the voter is.
    Unused,
    /// The voter has a code of the poll.
    Code,
    /// The poll has codes, and the request says none that is valid.
    NoCode(NoCode),
    /// A program without a cookie names the voter by a key of its own.
    Key,
    /// The voter has signed in.
    Login,
    /// The poll's voters sign in, and this one has not, or may not vote.
    NoLogin(NoLogin),
}

/// Why nobody who may vote has signed in with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLogin {
    /// There is no session for the poll, or it is over.
    Needed,
    /// The cookie of the session, or what the proxy says, cannot be read.
    Unreadable,
    /// The person does not have the groups, or the e-mail domain, that the poll asks for.
    NotEligible,
}

impl From<NoLogin> for Problem {
    fn from(why: NoLogin) -> Self {
        match why {
            NoLogin::Needed => Self::said(ProblemKind::SignInNeeded, |t| &t.sign_in_needed),
            NoLogin::Unreadable => Self::said(ProblemKind::SignInNeeded, |t| &t.sign_in_again),
            NoLogin::NotEligible => Self::said(ProblemKind::NotEligible, |t| &t.other_people),
        }
    }
}

/// Why a request about a poll with codes does not say who the voter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoCode {
    /// There is no code, and no cookie for the poll.
    Needed,
    /// The cookie for the poll is damaged, or was not set here, or there are several.
    Unreadable,
    /// The code is not valid.
    Refused(CodeRefusal),
}

/// Attached to each request. A route sets it if the request is about a poll whose voters have no voter cookie.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoVoterCookie(Arc<AtomicBool>);

impl NoVoterCookie {
    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

/// Why a cookie does not say who the voter is. If its sender counted as a new voter, one person could count twice. So
/// no ballot of the sender is counted until the sender asks to start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The cookie was not issued under this secret, or is damaged.
    Unreadable,
    /// There are several cookies with different values.
    Several,
    /// The cookie has a name that any subdomain could have set. Such cookies are no longer accepted.
    Outdated,
}

impl Refusal {
    /// Whether a new cookie would replace this one.
    pub(crate) fn can_start_over(self) -> bool {
        self != Self::Several
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable => Self::new(
                ProblemKind::InvalidVoterCookie,
                "The cookie that names you as a voter is damaged, or was not issued here. To vote as a \
                 new voter, open the voting page and start over there.",
            ),
            Refusal::Several => {
                Self::said(ProblemKind::SeveralVoterCookies, |t| &t.several_cookies)
            }
            Refusal::Outdated => Self::new(
                ProblemKind::OutdatedVoterCookie,
                "The cookie that names you as a voter is of a kind that is no longer taken. To vote as a \
                 new voter, open the voting page and start over there.",
            ),
        }
    }
}

impl Visitor {
    /// The voter whom the application names.
    pub(crate) fn named(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Unused,
        }
    }

    /// The holder of a code.
    pub(crate) fn with_code(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Code,
        }
    }

    /// Somebody without a valid code, in a poll that has codes. The id is nobody's.
    pub(crate) fn without_code(why: NoCode) -> Self {
        Self {
            id: VoterId::from_bytes([0; 16]),
            cookie: CookieFound::NoCode(why),
        }
    }

    /// The voter whom a program names by a key of its own. The id is that in the poll.
    pub(crate) fn with_key(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Key,
        }
    }

    /// Somebody who has signed in.
    pub(crate) fn with_login(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Login,
        }
    }

    /// Somebody who has not signed in, or may not vote, in a poll whose voters sign in. The id is nobody's.
    pub(crate) fn without_login(why: NoLogin) -> Self {
        Self {
            id: VoterId::from_bytes([0; 16]),
            cookie: CookieFound::NoLogin(why),
        }
    }

    /// Why nobody who may vote has signed in, in a poll whose voters sign in.
    pub(crate) fn no_login(&self) -> Option<NoLogin> {
        match self.cookie {
            CookieFound::NoLogin(why) => Some(why),
            _ => None,
        }
    }

    /// Whether the visitor votes as somebody who has signed in here.
    pub(crate) fn has_login(&self) -> bool {
        self.cookie == CookieFound::Login
    }

    /// Why the visitor has no valid code, in a poll that has codes.
    pub(crate) fn no_code(&self) -> Option<NoCode> {
        match self.cookie {
            CookieFound::NoCode(why) => Some(why),
            _ => None,
        }
    }

    /// Whether there is a cookie for a code, and it is not valid.
    pub(crate) fn has_invalid_code(&self) -> bool {
        self.no_code().is_some_and(|why| why != NoCode::Needed)
    }

    /// Whether the visitor votes with a code.
    pub(crate) fn has_code(&self) -> bool {
        self.cookie == CookieFound::Code
    }

    /// Whether the application has named the voter.
    pub(crate) fn is_named(&self) -> bool {
        self.cookie == CookieFound::Unused
    }

    /// Whether a program names the voter by a key of its own.
    pub(crate) fn has_key(&self) -> bool {
        self.cookie == CookieFound::Key
    }

    /// The voter, if this visitor may vote.
    pub(crate) fn voter(&self) -> Result<VoterId, Problem> {
        match self.cookie {
            CookieFound::Refused(refusal) => Err(refusal.into()),
            CookieFound::NoCode(why) => Err(why.into()),
            CookieFound::NoLogin(why) => Err(why.into()),
            _ => Ok(self.id),
        }
    }

    /// Why the cookie does not say who the visitor is.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.cookie {
            CookieFound::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the request came without the cookie. Its sender is new, or keeps no cookies.
    pub(crate) fn is_new(&self) -> bool {
        self.cookie == CookieFound::None
    }

    /// The visitor's voter id; for a refused cookie, the id that the visitor would have after starting over.
    pub(crate) fn id(&self) -> VoterId {
        self.id
    }
}

/// How the service finds out who votes.
#[derive(Clone)]
pub(crate) enum Voters {
    /// The signed cookie says who votes.
    Cookie(Arc<VoterCookies>),
    /// The application says who votes.
    Application(Arc<dyn Identify>),
}

impl Voters {
    /// Who sent a request.
    pub(crate) async fn visitor(&self, request: &Request) -> Result<Visitor, Problem> {
        match self {
            Self::Cookie(_) => {
                // The edge has read the cookie, and sets it.
                let visitor = request.data::<Visitor>().copied();
                visitor.ok_or_else(Problem::internal)
            }
            Self::Application(application) => {
                let voter = application.identify(&RequestHead::of(request)).await?;
                Ok(Visitor::named(voter))
            }
        }
    }

    /// The cookies, if they are used.
    pub(crate) fn cookies(&self) -> Option<&VoterCookies> {
        match self {
            Self::Cookie(cookies) => Some(cookies),
            Self::Application(_) => None,
        }
    }
}

/// Reads and issues the voter's cookie.
#[derive(Debug)]
pub(crate) struct VoterCookies {
    key: VoterKey,
    names: Names,
    /// The part of `Set-Cookie` behind the value. It is the same for all voters.
    attributes: String,
    clock: fn() -> SystemTime,
    warnings: Seldom,
}

impl VoterCookies {
    pub(crate) fn new(secret: &SecretKey, https: bool) -> Self {
        let names = Names::new(secret.fingerprint(), https);
        let cookie = Cookie::build((names.current.as_str(), ""))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(https)
            .max_age(MAX_AGE);
        let mut attributes = cookie.to_string();
        attributes.drain(..=names.current.len());
        Self {
            key: VoterKey::new(secret),
            names,
            attributes,
            clock: SystemTime::now,
            warnings: Seldom::default(),
        }
    }

    /// The name of the cookie.
    pub(crate) fn name(&self) -> &str {
        &self.names.current
    }

    fn read(&self, request: &Request) -> Visitor {
        let new = |cookie| Visitor {
            id: VoterId::issue(),
            cookie,
        };
        match self.names.find(request.headers(), self.clock) {
            Carried::Nothing => new(CookieFound::None),
            Carried::Several => new(CookieFound::Refused(Refusal::Several)),
            Carried::One {
                value,
                is_older,
                is_over,
            } => match self.key.open(value) {
                Ok(_) if is_over => new(CookieFound::Refused(Refusal::Outdated)),
                Ok(id) if is_older || self.is_old(id) => Visitor {
                    id,
                    cookie: CookieFound::Older,
                },
                Ok(id) => Visitor {
                    id,
                    cookie: CookieFound::Valid,
                },
                Err(_) => new(CookieFound::Refused(Refusal::Unreadable)),
            },
        }
    }

    /// Whether the cookie may be about to expire. A voter's id says when it was issued. It is not known when the
    /// cookie was last set, so from this age on it is set again with each page.
    fn is_old(&self, voter: VoterId) -> bool {
        let now = (self.clock)();
        let issued = voter.issued_at();
        issued.is_some_and(|issued| {
            now.duration_since(issued)
                .is_ok_and(|age| age >= RENEWED_AFTER)
        })
    }

    /// The value of `Set-Cookie` that gives a voter the cookie.
    pub(crate) fn issue(&self, voter: VoterId) -> Option<HeaderValue> {
        let (name, token) = (self.names.current.as_str(), self.key.seal(voter));
        // Unlike `format!`, this makes a text of just the right size, which becomes the value without a copy.
        HeaderValue::try_from([name, "=", &token, &self.attributes].concat()).ok()
    }

    /// Attaches the visitor to the request, for the routes.
    pub(crate) fn meet(&self, request: &mut Request) -> Visit<'_> {
        let visitor = self.read(request);
        if let CookieFound::Refused(refusal) = visitor.cookie
            && let Some(held_back) = self.warnings.due()
        {
            let name = self.names.current.as_str();
            // The value is not logged, since it could be somebody's valid cookie.
            tracing::warn!(
                ?refusal,
                cookie = name,
                held_back,
                "refused a voter cookie, no ballot is counted for it"
            );
        }
        let visit = Visit {
            cookies: self,
            visitor,
            casts: !matches!(
                *request.method(),
                Method::GET | Method::HEAD | Method::OPTIONS
            ),
            docs: request.uri().path().starts_with("/docs"),
            crosses: request.data::<CrossOrigin>().is_some(),
            without: NoVoterCookie::default(),
        };
        // A cookie beside the key would name another voter.
        if request.headers().contains_key(KEY_HEADER) {
            visit.without.set();
        }
        request.set_data(visitor);
        request.set_data(visit.without.clone());
        visit
    }
}

/// The facts about a request that its answer needs.
pub(crate) struct Visit<'a> {
    cookies: &'a VoterCookies,
    visitor: Visitor,
    casts: bool,
    docs: bool,
    /// Whether a script of another origin sent the request. It gets the cookie before it casts.
    crosses: bool,
    without: NoVoterCookie,
}

impl Visit<'_> {
    /// Sets the cookie for a new visitor, or for one who has it under an older name: with a page, and with the answer
    /// to a cast. A cookie that cannot be read is never replaced here.
    pub(crate) fn part(&self, answer: &mut Response) {
        let is_page = |answer: &Response| {
            let kind = answer.content_type();
            kind.is_some_and(|kind| kind.starts_with("text/html"))
        };
        if matches!(self.visitor.cookie, CookieFound::None | CookieFound::Older)
            && !self.without.0.load(Relaxed)
            && (self.casts || self.crosses || is_page(answer) && !self.docs)
            && let Some(cookie) = self.cookies.issue(self.visitor.id)
        {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretKey {
        SecretKey::new([7; 32]).unwrap()
    }

    fn visitor(cookies: &VoterCookies, header: &str) -> Visitor {
        let request = Request::builder().header("cookie", header).finish();
        cookies.read(&request)
    }

    #[test]
    fn a_cookie_of_an_older_name_is_the_same_voter_until_a_set_date() {
        let voter = VoterId::issue();
        let mut cookies = VoterCookies::new(&secret(), true);
        let token = cookies.key.seal(voter);
        for name in ["voter", "voter-721edc", "__Host-voter"] {
            let visitor = visitor(&cookies, &format!("{name}={token}"));
            assert_eq!((visitor.id, visitor.cookie), (voter, CookieFound::Older));
        }
        cookies.clock = || SystemTime::now() + Duration::from_secs(10 * 365 * 24 * 3600);
        for name in ["voter", "voter-721edc"] {
            let visitor = visitor(&cookies, &format!("{name}={token}"));
            assert_eq!(visitor.refusal(), Some(Refusal::Outdated), "{name}");
        }
        let bound = visitor(&cookies, &format!("__Host-voter={token}"));
        assert_eq!((bound.id, bound.cookie), (voter, CookieFound::Older));
    }

    #[test]
    fn the_cookie_of_a_voter_who_comes_again_is_given_anew_after_a_month() {
        let voter = VoterId::issue();
        let mut cookies = VoterCookies::new(&secret(), false);
        let token = cookies.key.seal(voter);
        let header = format!("voter-721edc={token}");
        assert_eq!(visitor(&cookies, &header).cookie, CookieFound::Valid);
        cookies.clock = || SystemTime::now() + Duration::from_secs(31 * 24 * 3_600);
        let later = visitor(&cookies, &header);
        assert_eq!((later.id, later.cookie), (voter, CookieFound::Older));
        // The id of a voter whom the application has named contains no time.
        let named = cookies.key.seal(VoterId::from_bytes([7; 16]));
        let header = format!("voter-721edc={named}");
        assert_eq!(visitor(&cookies, &header).cookie, CookieFound::Valid);
    }

    #[test]
    fn a_cookie_of_another_secret_is_unreadable_and_stays_so() {
        let cookies = VoterCookies::new(&secret(), false);
        let other = VoterKey::new(&SecretKey::new([8; 32]).unwrap()).seal(VoterId::issue());
        for header in [
            format!("voter-721edc={other}"),
            format!("voter={other}"),
            "voter=x".to_owned(),
        ] {
            let visitor = visitor(&cookies, &header);
            assert_eq!(visitor.refusal(), Some(Refusal::Unreadable), "{header}");
            assert!(visitor.voter().is_err());
        }
    }
}
