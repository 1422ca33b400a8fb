//! Who sent a request: the voter whom the signed cookie or the application names, a new voter, or a sender whose
//! cookie cannot be read.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cookie::{Cookie, SameSite, time};
use poem::{
    Request, Response,
    http::{HeaderValue, Method, header},
};
use voting_core::{SecretKey, VoterId};

use crate::{
    edge::{
        cors::CrossOrigin,
        identity::{Identify, RequestHead},
        voter_cookies::{Carried, Names},
    },
    problem::{Problem, kind::ProblemKind, seldom::Seldom},
    tokens::signed::VoterKey,
};

/// Browsers keep no cookie for longer.
const MAX_AGE: time::Duration = time::Duration::days(400);

/// A cookie of a voter who was issued so long ago is given anew, so that it does not end while it is used: whoever
/// lost it would count twice.
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
    /// Under an older name, or issued long ago: to be given anew under the current one.
    Older,
    None,
    Refused(Refusal),
    /// None is used: the application says who the voter is.
    Unused,
}

/// Why a cookie that is there does not say who the voter is. To count its sender as a new voter would let
/// one person count twice, so nothing is counted until they ask to start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was not issued under this secret, or is damaged.
    Unreadable,
    /// There are several, and they differ.
    Several,
    /// It is one that any subdomain could have set, and those are not taken over any more.
    Outdated,
}

impl Refusal {
    /// Whether a new cookie would take the place of this one.
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
            Refusal::Several => Self::new(
                ProblemKind::SeveralVoterCookies,
                "Your browser sent several cookies that name a voter, and they differ. Delete the cookies \
                 of this site in your browser, and of the site above it, then open this page again.",
            ),
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

    /// Whether the application has named the voter.
    pub(crate) fn is_named(&self) -> bool {
        self.cookie == CookieFound::Unused
    }

    /// The voter, who may vote.
    pub(crate) fn voter(&self) -> Result<VoterId, Problem> {
        match self.cookie {
            CookieFound::Refused(refusal) => Err(refusal.into()),
            _ => Ok(self.id),
        }
    }

    /// Why it cannot be said who it is.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.cookie {
            CookieFound::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the request came without the cookie: from somebody who is new, or keeps no cookies.
    pub(crate) fn is_new(&self) -> bool {
        self.cookie == CookieFound::None
    }

    /// The voter that it is, or would be after starting over.
    pub(crate) fn id(&self) -> VoterId {
        self.id
    }
}

/// How it is found out who votes.
#[derive(Clone)]
pub(crate) enum Voters {
    /// By the signed cookie.
    Cookie(Arc<VoterCookies>),
    /// The application says so.
    Application(Arc<dyn Identify>),
}

impl Voters {
    /// Who sent a request.
    pub(crate) async fn visitor(&self, request: &Request) -> Result<Visitor, Problem> {
        match self {
            Self::Cookie(_) => {
                // It was read at the edge, which also gives it.
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

/// Reads and issues the cookie.
#[derive(Debug)]
pub(crate) struct VoterCookies {
    key: VoterKey,
    names: Names,
    /// What is behind the value, the same for all.
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

    /// What the cookie is called.
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

    /// Whether the cookie may be about to end. A voter's id says when it was issued; nothing says when its cookie
    /// was last given, so from then on it is given with each page.
    fn is_old(&self, voter: VoterId) -> bool {
        let now = (self.clock)();
        let issued = voter.issued_at();
        issued.is_some_and(|issued| {
            now.duration_since(issued)
                .is_ok_and(|age| age >= RENEWED_AFTER)
        })
    }

    /// The header that gives a voter the cookie.
    pub(crate) fn issue(&self, voter: VoterId) -> Option<HeaderValue> {
        let (name, token, attributes) =
            (&self.names.current, self.key.seal(voter), &self.attributes);
        HeaderValue::try_from(format!("{name}={token}{attributes}")).ok()
    }

    /// Tells the endpoint who the visitor is.
    pub(crate) fn meet(&self, request: &mut Request) -> Visit<'_> {
        let visitor = self.read(request);
        if let CookieFound::Refused(refusal) = visitor.cookie
            && let Some(held_back) = self.warnings.due()
        {
            let name = self.names.current.as_str();
            // Its value could be somebody's proof of who they are.
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
        };
        request.set_data(visitor);
        visit
    }
}

/// A request, as far as its answer must know it.
pub(crate) struct Visit<'a> {
    cookies: &'a VoterCookies,
    visitor: Visitor,
    casts: bool,
    docs: bool,
    /// Sent by a script of another origin, which is to have the cookie before it casts.
    crosses: bool,
}

impl Visit<'_> {
    /// Gives the cookie to a new visitor, or to one who has it under an older name: with a page, and with
    /// the answer to a cast. One that cannot be read is never replaced here.
    pub(crate) fn part(&self, answer: &mut Response) {
        let page = answer
            .content_type()
            .is_some_and(|kind| kind.starts_with("text/html"));
        if matches!(self.visitor.cookie, CookieFound::None | CookieFound::Older)
            && (self.casts || self.crosses || page && !self.docs)
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
        // A voter whom the application has named was not issued at any time.
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
