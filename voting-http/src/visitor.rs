//! Who sent a request: the voter that the signed cookie names, or a new one.

use std::sync::Arc;

use cookie::{Cookie, SameSite, time};
use poem::{
    Endpoint, IntoResponse, Request, Response,
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
    secure: bool,
}

impl VoterCookies {
    pub(crate) fn new(key: VoterKey, secure: bool) -> Self {
        Self { key, secure }
    }

    fn name(&self) -> &'static str {
        // The prefix makes browsers refuse the cookie from anywhere but this very host.
        if self.secure { "__Host-voter" } else { "voter" }
    }

    fn read(&self, request: &Request) -> Visitor {
        let cookies = request.headers().get_all(header::COOKIE).into_iter();
        let mut found = CookieFound::None;
        for cookie in cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
        {
            let Ok(cookie) = cookie else { continue };
            if cookie.name() != self.name() {
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
        let cookie = Cookie::build((self.name(), self.key.seal(visitor.id)))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.secure)
            .max_age(MAX_AGE);
        HeaderValue::try_from(cookie.build().to_string()).ok()
    }

    /// Tells the endpoint who the visitor is, and gives a new one the cookie: with a page, and
    /// with the answer to a cast, also to a failed one, so that a retry is the same voter's.
    pub(crate) async fn around<E: Endpoint>(
        &self,
        endpoint: Arc<E>,
        mut request: Request,
    ) -> poem::Result<Response> {
        let visitor = self.read(&request);
        let docs = request.uri().path().starts_with("/docs");
        let casts = !matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        request.set_data(visitor);
        let mut response = endpoint.call(request).await?.into_response();
        let page = response
            .content_type()
            .is_some_and(|kind| kind.starts_with("text/html"));
        if visitor.cookie != CookieFound::Valid
            && (casts || page && !docs)
            && let Some(cookie) = self.issue(&visitor)
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}
