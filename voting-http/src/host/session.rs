//! Who is signed in: a sealed cookie, so that no process has to remember it.

use std::time::Duration;

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, header},
};
use serde::{Deserialize, Serialize};
use voting_core::{SecretKey, StoreError, model::moment::Moment, store::tokens::TokenHash};

use crate::{
    edge::callers::{Caller, Callers},
    tokens::sealed::SealingKey,
};

/// How long somebody stays signed in.
pub(super) const LASTS: Duration = Duration::from_hours(12);

/// What a cookie of this kind is sealed with, beside the key.
const CONTEXT: &[&[u8]] = &[b"host session 2"];

/// By what somebody has signed in. Name and role are not in the cookie: they are looked up with each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    /// The deployment's own token.
    Deployment,
    /// The named token with this hash.
    Named([u8; 32]),
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    by: By,
    /// Tells the deployment's token from others. Another one ends all sessions.
    fingerprint: String,
    /// When they have to sign in again.
    until: Moment,
}

/// What a request says of who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    /// There is no cookie.
    Nothing,
    /// There is a cookie that nobody can use any more: its time is over, the deployment's token was changed, or it is
    /// damaged.
    Over,
    /// Somebody has signed in, with a token that may have been revoked since.
    Signed(Session),
}

/// Makes and reads the cookies.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    key: SealingKey,
    fingerprint: String,
    https: bool,
}

impl Session {
    /// Whose session it is; `None` if the token was revoked.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn caller(&self, callers: &Callers) -> Result<Option<Caller>, StoreError> {
        match self.by {
            By::Deployment => Ok(Some(Caller::operator())),
            By::Named(hash) => callers.with_hash(TokenHash::from_bytes(hash)).await,
        }
    }
}

impl Sessions {
    /// `https`: browsers use HTTPS. Only then they take a cookie with the prefix `__Host-`.
    pub(crate) fn new(token: &SecretKey, https: bool) -> Self {
        Self {
            key: SealingKey::new(token, "host session 1"),
            fingerprint: token.fingerprint().to_string(),
            https,
        }
    }

    fn cookie_name(&self) -> &'static str {
        if self.https { "__Host-host" } else { "host" }
    }

    /// A session of whoever has this token.
    pub(super) fn new_session(&self, token: &str, callers: &Callers, now: Moment) -> Session {
        let by = match callers.is_of_deployment(token) {
            true => By::Deployment,
            false => By::Named(*TokenHash::of(token).as_bytes()),
        };
        Session {
            by,
            fingerprint: self.fingerprint.clone(),
            until: now.plus(LASTS),
        }
    }

    /// Who sent the request.
    pub(crate) fn carried(&self, request: &Request, now: Moment) -> Carried {
        let mut carried = Carried::Nothing;
        for value in values(request.headers(), self.cookie_name()) {
            match self.open(value) {
                Some(session) if session.until > now => return Carried::Signed(session),
                _ => carried = Carried::Over,
            }
        }
        carried
    }

    /// Whether this service has made the request's cookie, be it over or not. Whether its token was revoked is not
    /// looked up.
    pub(crate) fn has_issued(&self, request: &Request) -> bool {
        values(request.headers(), self.cookie_name()).any(|value| self.open(value).is_some())
    }

    fn open(&self, value: &[u8]) -> Option<Session> {
        let bytes = self.key.open(CONTEXT, value).ok()?;
        let session: Session = serde_json::from_slice(&bytes).ok()?;
        (session.fingerprint == self.fingerprint).then_some(session)
    }

    /// Signs the browser in that gets this answer.
    pub(crate) fn begin(&self, answer: &mut Response, session: &Session) {
        let bytes = serde_json::to_vec(session).unwrap_or_default();
        let mut value = String::new();
        self.key.seal(
            CONTEXT,
            bytes.len(),
            |to| to.extend_from_slice(&bytes),
            &mut value,
        );
        self.set(answer, &value, LASTS.as_secs());
    }

    /// Signs the browser out that gets this answer.
    pub(crate) fn end(&self, answer: &mut Response) {
        self.set(answer, "", 0);
    }

    fn set(&self, answer: &mut Response, value: &str, seconds: u64) {
        let name = self.cookie_name();
        let secure = if self.https { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// The values of all cookies of this name. A name may come twice, as from another service on this host.
fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let all = headers.get_all(header::COOKIE).into_iter();
    let all = all.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    all.filter_map(move |cookie| {
        let rest = cookie.trim_ascii().strip_prefix(name.as_bytes())?;
        Some(rest.strip_prefix(b"=")?.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use voting_core::backends::memory::Memory;

    use super::*;
    use crate::tokens::signed::OperatorKey;

    fn sessions(byte: u8, https: bool) -> Sessions {
        Sessions::new(&SecretKey::new([byte; 32]).unwrap(), https)
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_unix_ms(seconds * 1_000).unwrap()
    }

    fn session(sessions: &Sessions, now: Moment) -> Session {
        let token = SecretKey::new([9; 32]).unwrap();
        let store = Arc::new(Memory::default());
        let callers = Callers::new(OperatorKey::new(&token), store);
        sessions.new_session("a token", &callers, now)
    }

    fn signed_in(sessions: &Sessions, now: Moment) -> String {
        let mut answer = Response::default();
        sessions.begin(&mut answer, &session(sessions, now));
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie.to_owned()
    }

    fn request(cookie: &str) -> Request {
        Request::builder().header("cookie", cookie).finish()
    }

    #[test]
    fn a_session_reads_back_until_its_time_is_over() {
        let sessions = sessions(1, false);
        let cookie = signed_in(&sessions, at(0));
        let request = request(&cookie);
        let carried = |seconds| sessions.carried(&request, at(seconds));
        assert_eq!(carried(0), Carried::Signed(session(&sessions, at(0))));
        assert!(matches!(carried(12 * 3_600 - 1), Carried::Signed(_)));
        assert_eq!(carried(12 * 3_600), Carried::Over);
        assert!(sessions.has_issued(&request));
        let none = Request::builder().finish();
        assert_eq!(sessions.carried(&none, at(0)), Carried::Nothing);
    }

    #[test]
    fn another_token_of_the_deployment_ends_all_sessions() {
        let cookie = signed_in(&sessions(1, false), at(0));
        let request = request(&cookie);
        let other = sessions(2, false);
        assert_eq!(other.carried(&request, at(0)), Carried::Over);
        assert!(!other.has_issued(&request));
    }

    #[test]
    fn over_https_no_other_host_can_set_the_cookie() {
        let cookie = signed_in(&sessions(1, true), at(0));
        assert!(cookie.starts_with("__Host-host="), "{cookie}");
        for part in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        let plain = signed_in(&sessions(1, false), at(0));
        assert!(
            plain.starts_with("host=") && !plain.contains("Secure"),
            "{plain}"
        );
    }

    #[test]
    fn a_cookie_is_found_beside_one_of_the_same_name() {
        let sessions = sessions(1, false);
        let cookie = signed_in(&sessions, at(0));
        let own = cookie.split(';').next().unwrap();
        let request = request(&format!("host=x; a=b; {own}"));
        assert!(matches!(
            sessions.carried(&request, at(0)),
            Carried::Signed(_)
        ));
    }
}
