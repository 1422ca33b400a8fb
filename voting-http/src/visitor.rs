//! Who sent a request: the voter that the signed cookie names, or a new one.

use cookie::{Cookie, SameSite, time};
use poem::{
    Request, Response,
    http::{HeaderValue, Method, header},
};
use voting_core::VoterId;

use crate::{problem::Problem, token::VoterKey};

/// Browsers keep no cookie for longer.
const MAX_AGE: time::Duration = time::Duration::days(400);

/// The voter behind a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor {
    id: VoterId,
    cookie: CookieFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CookieFound {
    Valid,
    None,
    Invalid,
}

impl Visitor {
    /// The voter, who may vote.
    pub(crate) fn voter(&self) -> Result<VoterId, Problem> {
        match self.cookie {
            // To count a voter with a broken cookie as a new one would let them vote twice.
            CookieFound::Invalid => Err(Problem::forged_cookie()),
            CookieFound::Valid | CookieFound::None => Ok(self.id),
        }
    }

    /// A short name that differs between voters and does not reveal the id.
    pub(crate) fn tag(&self, key: &VoterKey) -> String {
        let sealed = key.seal(self.id);
        sealed[sealed.len() - 8..].to_owned()
    }
}

/// Reads and issues the cookie.
#[derive(Debug, Clone)]
pub(crate) struct VoterCookies {
    pub(crate) key: VoterKey,
    name: &'static str,
    /// What is behind the value, the same for all.
    attributes: String,
}

impl VoterCookies {
    pub(crate) fn new(key: VoterKey, secure: bool) -> Self {
        // The prefix makes browsers refuse the cookie from anywhere but this very host.
        let name = if secure { "__Host-voter" } else { "voter" };
        let cookie = Cookie::build((name, ""))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(secure)
            .max_age(MAX_AGE);
        let mut attributes = cookie.to_string();
        attributes.drain(..=name.len());
        Self {
            key,
            name,
            attributes,
        }
    }

    /// What the cookie is called.
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    fn read(&self, request: &Request) -> Visitor {
        let cookies = request.headers().get_all(header::COOKIE).into_iter();
        let mut found = CookieFound::None;
        for cookie in cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
        {
            let Ok(cookie) = cookie else { continue };
            if cookie.name() != self.name {
                continue;
            }
            match self.key.open(cookie.value()) {
                Ok(id) => {
                    return Visitor {
                        id,
                        cookie: CookieFound::Valid,
                    };
                }
                Err(_) => found = CookieFound::Invalid,
            }
        }
        Visitor {
            id: VoterId::issue(),
            cookie: found,
        }
    }

    fn issue(&self, visitor: &Visitor) -> Option<HeaderValue> {
        let (name, token, attributes) = (self.name, self.key.seal(visitor.id), &self.attributes);
        HeaderValue::try_from(format!("{name}={token}{attributes}")).ok()
    }

    /// Tells the endpoint who the visitor is.
    pub(crate) fn meet(&self, request: &mut Request) -> Visit<'_> {
        let visitor = self.read(request);
        let visit = Visit {
            cookies: self,
            visitor,
            casts: !matches!(
                *request.method(),
                Method::GET | Method::HEAD | Method::OPTIONS
            ),
            docs: request.uri().path().starts_with("/docs"),
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
}

impl Visit<'_> {
    /// Gives a new visitor the cookie: with a page, and with the answer to a cast.
    pub(crate) fn part(&self, answer: &mut Response) {
        let page = answer
            .content_type()
            .is_some_and(|kind| kind.starts_with("text/html"));
        if self.visitor.cookie != CookieFound::Valid
            && (self.casts || page && !self.docs)
            && let Some(cookie) = self.cookies.issue(&self.visitor)
        {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
