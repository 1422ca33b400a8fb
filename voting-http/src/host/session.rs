//! Who is signed in. The browser has a sealed cookie, which says by what somebody has signed in; the store has the session,
//! which says whether it has ended and when it was used. So a session that has ended is over in every process.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, header},
};
use serde::{Deserialize, Serialize};
use voting_core::{
    SecretKey, StoreError,
    model::moment::Moment,
    store::{Store, sessions::HostSession, tokens::TokenHash},
};

use super::oidc::Provider;
use crate::{
    edge::callers::{Caller, Callers},
    problem::Problem,
    tokens::sealed::SealingKey,
};

/// How long somebody stays signed in.
pub(super) const LASTS: Duration = Duration::from_hours(12);

/// How long somebody stays signed in without doing anything, unless set.
pub(crate) const IDLE: Duration = Duration::from_hours(1);

/// A use of a session is stored only if the one that is stored is older than this part of the idle time.
const NOTED: u32 = 60;

/// What a cookie of this kind is sealed with, beside the key.
const CONTEXT: &[&[u8]] = &[b"host session 2"];

/// The script that loads figures again says so in this header. That is no use of a session.
const REFRESH: &str = "x-refresh";

/// By what somebody has signed in. Name and role of a token are not in the cookie: they are looked up with each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    /// The deployment's own token.
    Deployment,
    /// The named token with this hash.
    Named([u8; 32]),
    /// The identity provider.
    Login {
        /// As in the audit log.
        name: String,
        /// What the provider said that they may do.
        role: String,
        /// Tells the provider and the rule of roles from others.
        provider: String,
    },
}

/// What is in the cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sealed {
    by: By,
    /// Tells the deployment's token from others. Another one ends all sessions.
    fingerprint: String,
    /// When they have to sign in again.
    until: Moment,
    /// A random text, of which the store has the hash. Cookies of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    sealed: Sealed,
    /// By this the store knows the session.
    hash: TokenHash,
}

/// What a request says of who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    /// There is no cookie.
    Nothing,
    /// There is a cookie that nobody can use any more: its time is over, the deployment's token was changed, or it is
    /// damaged.
    Over,
    /// Somebody has signed in. The session may have ended, or the token may have been revoked since.
    Signed(Session),
}

/// Makes and reads the cookies.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    key: SealingKey,
    fingerprint: String,
    https: bool,
    idle: Duration,
}

impl Session {
    /// Whose session it is; `None` if the token was revoked, or the provider or its rule of roles is another one now.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn caller(
        &self,
        callers: &Callers,
        provider: Option<&Provider>,
    ) -> Result<Option<Caller>, StoreError> {
        match &self.sealed.by {
            By::Deployment => Ok(Some(Caller::operator())),
            By::Named(hash) => callers.with_hash(TokenHash::from_bytes(*hash)).await,
            By::Login {
                name,
                role,
                provider: of,
            } => {
                let is_known = provider.is_some_and(|provider| provider.fingerprint() == of);
                let role = role.parse().ok().filter(|_| is_known);
                Ok(role.map(|role| Caller {
                    name: name.as_str().into(),
                    role,
                }))
            }
        }
    }

    /// Whether the identity provider has signed them in.
    pub(super) fn is_by_provider(&self) -> bool {
        matches!(self.sealed.by, By::Login { .. })
    }

    /// By this the store knows the session.
    pub(super) fn hash(&self) -> TokenHash {
        self.hash
    }

    /// What is stored of the session when it begins.
    pub(super) fn stored(&self, caller: &Caller, now: Moment) -> HostSession {
        HostSession {
            hash: self.hash,
            name: caller.name.to_string(),
            role: caller.role,
            began_at: now,
            used_at: now,
            until: self.sealed.until,
            has_ended: false,
        }
    }
}

impl Sessions {
    /// `https`: browsers use HTTPS. Only then they take a cookie with the prefix `__Host-`. `idle`: so long somebody may do
    /// nothing.
    pub(crate) fn new(token: &SecretKey, https: bool, idle: Duration) -> Self {
        Self {
            key: SealingKey::new(token, "host session 1"),
            fingerprint: token.fingerprint().to_string(),
            https,
            idle,
        }
    }

    fn cookie_name(&self) -> &'static str {
        if self.https { "__Host-host" } else { "host" }
    }

    /// A session of whoever has this token.
    ///
    /// # Errors
    /// There are no random numbers.
    pub(super) fn new_session(
        &self,
        token: &str,
        callers: &Callers,
        now: Moment,
    ) -> Result<Session, Problem> {
        let by = match callers.is_of_deployment(token) {
            true => By::Deployment,
            false => By::Named(*TokenHash::of(token).as_bytes()),
        };
        self.begun(by, now)
    }

    /// A session of somebody whom the provider has signed in.
    ///
    /// # Errors
    /// There are no random numbers.
    pub(super) fn new_login(
        &self,
        caller: &Caller,
        provider: &Provider,
        now: Moment,
    ) -> Result<Session, Problem> {
        let by = By::Login {
            name: caller.name.to_string(),
            role: caller.role.to_string(),
            provider: provider.fingerprint().to_owned(),
        };
        self.begun(by, now)
    }

    fn begun(&self, by: By, now: Moment) -> Result<Session, Problem> {
        let id = random_text()?;
        let hash = TokenHash::of(&id);
        let sealed = Sealed {
            by,
            fingerprint: self.fingerprint.clone(),
            until: now.plus(LASTS),
            id: Some(id),
        };
        Ok(Session { sealed, hash })
    }

    /// Who sent the request.
    pub(crate) fn carried(&self, request: &Request, now: Moment) -> Carried {
        let mut carried = Carried::Nothing;
        for value in values(request.headers(), self.cookie_name()) {
            match self.open(value) {
                Some(session) if session.sealed.until > now => return Carried::Signed(session),
                _ => carried = Carried::Over,
            }
        }
        carried
    }

    /// Whether a session goes on: it has not ended, and was used not long ago. This request is a use of it, unless a script
    /// sent it by itself.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn goes_on(
        &self,
        session: &Session,
        caller: &Caller,
        request: &Request,
        store: &dyn Store,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let mut stored = store.session(session.hash).await?;
        // An earlier version has made the cookie, and stored nothing.
        if stored.is_none() && session.sealed.id.is_none() {
            store.add_session(&session.stored(caller, now)).await?;
            stored = store.session(session.hash).await?;
        }
        let Some(stored) = stored else {
            return Ok(false);
        };
        if stored.has_ended || stored.used_at.plus(self.idle) <= now {
            return Ok(false);
        }
        let is_use = !request.headers().contains_key(REFRESH);
        if is_use && now.since(stored.used_at) >= self.idle / NOTED {
            store.use_session(session.hash, now).await?;
        }
        Ok(true)
    }

    /// Whether this service has made the request's cookie, be it over or not. Whether its token was revoked is not
    /// looked up.
    pub(crate) fn has_issued(&self, request: &Request) -> bool {
        values(request.headers(), self.cookie_name()).any(|value| self.open(value).is_some())
    }

    fn open(&self, value: &[u8]) -> Option<Session> {
        let bytes = self.key.open(CONTEXT, value).ok()?;
        let sealed: Sealed = serde_json::from_slice(&bytes).ok()?;
        // What is opened was base64, so it is a text.
        let id = match &sealed.id {
            Some(id) => id,
            None => std::str::from_utf8(value).ok()?,
        };
        let hash = TokenHash::of(id);
        (sealed.fingerprint == self.fingerprint).then_some(Session { sealed, hash })
    }

    /// Signs the browser in that gets this answer.
    pub(crate) fn begin(&self, answer: &mut Response, session: &Session) {
        let bytes = serde_json::to_vec(&session.sealed).unwrap_or_default();
        let mut value = String::new();
        self.key.seal(
            CONTEXT,
            bytes.len(),
            |to| to.extend_from_slice(&bytes),
            &mut value,
        );
        self.set(answer, &value, LASTS.as_secs());
    }

    /// Removes the cookie from the browser that gets this answer.
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

/// 256 random bits.
///
/// # Errors
/// The system has none.
pub(super) fn random_text() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        Problem::internal()
    })?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// The values of all cookies of this name. A name may come twice, as from another service on this host.
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
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

    use voting_core::{
        backends::memory::Memory,
        store::{TokenStore, tokens::Role},
    };

    use super::*;
    use crate::{
        host::oidc::{HostLogins, ProviderClient},
        tokens::signed::OperatorKey,
    };

    fn sessions(byte: u8, https: bool) -> Sessions {
        Sessions::new(&SecretKey::new([byte; 32]).unwrap(), https, IDLE)
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_unix_ms(seconds * 1_000).unwrap()
    }

    fn caller() -> Caller {
        Caller {
            name: "anna".into(),
            role: Role::Host,
        }
    }

    fn session(sessions: &Sessions, now: Moment) -> Session {
        let token = SecretKey::new([9; 32]).unwrap();
        let store = Arc::new(Memory::default());
        let callers = Callers::new(OperatorKey::new(&token), store);
        sessions.new_session("a token", &callers, now).unwrap()
    }

    fn cookie_of(sessions: &Sessions, session: &Session) -> String {
        let mut answer = Response::default();
        sessions.begin(&mut answer, session);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie.to_owned()
    }

    fn signed_in(sessions: &Sessions, now: Moment) -> String {
        cookie_of(sessions, &session(sessions, now))
    }

    fn request(cookie: &str) -> Request {
        Request::builder().header("cookie", cookie).finish()
    }

    #[test]
    fn a_session_reads_back_until_its_time_is_over() {
        let sessions = sessions(1, false);
        let session = session(&sessions, at(0));
        let request = request(&cookie_of(&sessions, &session));
        let carried = |seconds| sessions.carried(&request, at(seconds));
        assert_eq!(carried(0), Carried::Signed(session));
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

    #[test]
    fn each_sign_in_is_another_session() {
        let sessions = sessions(1, false);
        let [one, other] = [(); 2].map(|()| session(&sessions, at(0)));
        assert_ne!(one.hash(), other.hash());
    }

    #[tokio::test]
    async fn what_does_nothing_for_an_hour_is_over_and_a_script_does_nothing() {
        let sessions = sessions(1, false);
        let store = Memory::default();
        let session = session(&sessions, at(0));
        let stored = session.stored(&caller(), at(0));
        let by_person = Request::builder().finish();
        let by_script = Request::builder().header(REFRESH, "1").finish();
        let goes_on = async |request: &Request, second| {
            let caller = caller();
            let goes_on = sessions.goes_on(&session, &caller, request, &store, at(second));
            goes_on.await.unwrap()
        };
        assert!(!goes_on(&by_person, 0).await, "the store knows it not");
        store.add_session(&stored).await.unwrap();
        assert!(goes_on(&by_person, 3_599).await);
        assert!(goes_on(&by_script, 2 * 3_599).await);
        assert!(!goes_on(&by_script, 2 * 3_600).await);
        assert!(!goes_on(&by_person, 2 * 3_600).await);
    }

    #[tokio::test]
    async fn a_cookie_of_an_earlier_version_is_taken_until_somebody_signs_out() {
        let sessions = sessions(1, false);
        let store = Memory::default();
        let mut before = session(&sessions, at(0));
        before.sealed.id = None;
        let cookie = cookie_of(&sessions, &before);
        let request = request(&cookie);
        let Carried::Signed(session) = sessions.carried(&request, at(60)) else {
            panic!("{cookie} is not read");
        };
        let goes_on = async || {
            let caller = caller();
            let goes_on = sessions.goes_on(&session, &caller, &request, &store, at(60));
            goes_on.await.unwrap()
        };
        assert!(goes_on().await);
        assert!(store.end_session(session.hash()).await.unwrap());
        assert!(!goes_on().await);
    }

    #[tokio::test]
    async fn another_provider_or_another_rule_ends_sessions_of_the_provider() {
        let sessions = sessions(1, false);
        let token = SecretKey::new([9; 32]).unwrap();
        let callers = Callers::new(OperatorKey::new(&token), Arc::new(Memory::default()));
        let logins = |issuer: &str, role| {
            let url = "https://host.test".parse().unwrap();
            let logins = HostLogins::new(issuer, "voting", "secret", url, NoClient);
            Provider::new(logins.role("hosts", role))
        };
        let provider = logins("https://id.test", Role::Host);
        let session = sessions.new_login(&caller(), &provider, at(0)).unwrap();
        let cookie = cookie_of(&sessions, &session);
        let Carried::Signed(session) = sessions.carried(&request(&cookie), at(1)) else {
            panic!("{cookie} is not read");
        };
        let of =
            async |provider: Option<&Provider>| session.caller(&callers, provider).await.unwrap();
        assert_eq!(of(Some(&provider)).await, Some(caller()));
        assert_eq!(of(None).await, None);
        assert_eq!(
            of(Some(&logins("https://id.test", Role::Auditor))).await,
            None
        );
        assert_eq!(
            of(Some(&logins("https://id2.test", Role::Host))).await,
            None
        );
    }

    struct NoClient;

    #[async_trait::async_trait]
    impl ProviderClient for NoClient {
        async fn get(&self, _: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
            Err("nothing".into())
        }

        async fn post(
            &self,
            _: &str,
            _: Option<&str>,
            _: String,
        ) -> Result<(u16, String), Box<dyn std::error::Error + Send + Sync>> {
            Err("nothing".into())
        }
    }
}
