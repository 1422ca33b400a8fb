//! How people sign in to vote: by a token of an identity provider, or by headers of a proxy that signs people in.

pub(crate) mod jwt;
mod keys;
mod person;
mod proxy;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use poem::Request;

pub(super) use self::{jwt::TokenFault, person::Person};
use self::{jwt::Verifier, proxy::Proxy};
use crate::server::gate::client_address::TrustedProxies;

/// How long a session lasts unless set: half a day.
const SESSION: Duration = Duration::from_secs(12 * 3_600);

/// Where the public keys of an identity provider come from: a JSON Web Key Set (RFC 7517), as its `jwks_uri` answers it.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The key set as JSON, of at most 256 KiB, within a few seconds.
    ///
    /// # Errors
    /// It cannot be had now.
    async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>>;

    /// The least time between two fetches, whatever tokens come. Default: a minute. So long, tokens of a key that the provider
    /// had not published before may be refused.
    fn pause(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// After so long keys are fetched again, so that a key that the provider has withdrawn is not taken for longer. Default: ten
    /// minutes.
    fn keep(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }
}

/// JSON Web Tokens of one identity provider. A token is taken if its `iss` and `aud` are these, it is signed by RS256, ES256
/// or EdDSA with a key of the provider, and it is not over (`exp`, `nbf`; a minute of difference between clocks is
/// allowed). Whoever has the same `iss` and `sub` is the same voter.
#[must_use]
pub struct TokenLogins {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) groups: String,
}

impl TokenLogins {
    /// Takes tokens of `issuer` that are for `audience`, by keys of `keys`.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        keys: impl KeySource + 'static,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            keys: Arc::new(keys),
            groups: "groups".to_owned(),
        }
    }

    /// Sets the claim with the person's groups: a list of texts, or one text. Dots lead into objects: `realm_access.roles`,
    /// unless there is a claim of just this name. Default: `groups`.
    pub fn groups_in(mut self, claim: impl Into<String>) -> Self {
        self.groups = claim.into();
        self
    }
}

/// Headers of a proxy that signs people in. They are believed only if the other end of the connection is one of `proxies`.
/// The proxy must remove these headers from what clients send.
#[derive(Debug, Clone)]
#[must_use]
pub struct ProxyLogins {
    pub(super) proxies: TrustedProxies,
    pub(super) user: String,
    pub(super) groups: Option<String>,
    pub(super) email: Option<String>,
}

impl ProxyLogins {
    /// Believes these proxies. The header `user` names the person: always the same text for the same person.
    pub fn new(proxies: TrustedProxies, user: impl Into<String>) -> Self {
        Self {
            proxies,
            user: user.into(),
            groups: None,
            email: None,
        }
    }

    /// Sets the header with the person's groups, with commas between them.
    pub fn groups_in(mut self, header: impl Into<String>) -> Self {
        self.groups = Some(header.into());
        self
    }

    /// Sets the header with the person's e-mail address, which the proxy has verified.
    pub fn email_in(mut self, header: impl Into<String>) -> Self {
        self.email = Some(header.into());
        self
    }
}

/// How people sign in to vote. By default they cannot.
#[derive(Default)]
#[must_use]
pub struct Logins {
    tokens: Option<Verifier>,
    proxy: Option<Proxy>,
    sign_in_url: Option<String>,
    session: Option<Duration>,
}

/// A header has a name that no header can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a header")]
pub struct InvalidHeader(pub String);

impl Logins {
    /// Takes tokens, at `POST /v1/session`.
    pub fn with_tokens(mut self, tokens: TokenLogins) -> Self {
        self.tokens = Some(Verifier::new(tokens));
        self
    }

    /// Takes what a proxy says, with each request.
    ///
    /// # Errors
    /// [`InvalidHeader`] names what is no header.
    pub fn with_proxy(mut self, proxy: &ProxyLogins) -> Result<Self, InvalidHeader> {
        self.proxy = Some(Proxy::new(proxy)?);
        Ok(self)
    }

    /// Sets the address of the page where people sign in. Pages link to it.
    pub fn sign_in_at(mut self, url: impl Into<String>) -> Self {
        self.sign_in_url = Some(url.into());
        self
    }

    /// Sets how long a session lasts after a token was taken. Default: 12 hours.
    pub fn session(mut self, session: Duration) -> Self {
        self.session = Some(session);
        self
    }

    /// Whether there is a provider whose tokens are taken.
    pub fn takes_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// How many keys the provider publishes now with which it can sign tokens for us.
    ///
    /// # Errors
    /// They cannot be had. The text says why.
    pub async fn count_keys(&self) -> Result<usize, String> {
        match &self.tokens {
            Some(tokens) => tokens.count_keys().await,
            None => Ok(0),
        }
    }

    pub(super) fn tokens(&self) -> Option<&Verifier> {
        self.tokens.as_ref()
    }

    pub(super) fn sign_in_url(&self) -> Option<&str> {
        self.sign_in_url.as_deref()
    }

    pub(super) fn session_length(&self) -> Duration {
        self.session.unwrap_or(SESSION)
    }

    /// The person whom a named proxy names.
    pub(super) fn of_proxy(&self, request: &Request) -> Result<Option<Person>, proxy::Unreadable> {
        match &self.proxy {
            Some(proxy) => proxy.person(request),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("tokens", &self.tokens.is_some())
            .field("proxy", &self.proxy)
            .field("sign_in_url", &self.sign_in_url)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLogins")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
