//! Hosts who sign in at an identity provider: OpenID Connect with the authorization code flow, PKCE, state and nonce.

mod attempt;
mod discovery;
mod exchange;
mod roles;

use std::{error::Error, fmt, sync::Arc};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use voting_core::{SecretKey, store::tokens::Role};

pub(super) use self::{
    attempt::{Attempt, Attempts},
    exchange::{Answer, Fault, Person},
};
use self::{discovery::Discovery, roles::Rule};
use crate::{
    pages::site::PublicUrl,
    vote::{TokenLogins, jwt::Verifier},
};

/// How many requests to the provider are made at a time, at most. Each holds a thread for as long as the provider takes.
const AT_ONCE: usize = 8;

/// Sends requests to an identity provider. It follows no redirects and waits for a few seconds at most.
#[async_trait]
pub trait ProviderClient: Send + Sync {
    /// The body of the answer, if its status is 200: a text of at most 256 KiB.
    ///
    /// # Errors
    /// It cannot be had now.
    async fn get(&self, url: &str) -> Result<String, Box<dyn Error + Send + Sync>>;

    /// Sends a form, with this header `Authorization` if there is one. Returns the status and the body, whatever the status
    /// is.
    ///
    /// # Errors
    /// There is no answer.
    async fn post(
        &self,
        url: &str,
        authorization: Option<&str>,
        form: String,
    ) -> Result<(u16, String), Box<dyn Error + Send + Sync>>;
}

/// An identity provider at which hosts sign in, by OpenID Connect. A person has the role that a claim of the ID token
/// gives; who has none is not let in. The provider must sign ID tokens by RS256, ES256 or EdDSA.
#[derive(Clone)]
#[must_use]
pub struct HostLogins {
    issuer: String,
    client_id: String,
    client_secret: SecretText,
    public_url: PublicUrl,
    rule: Rule,
    client: Arc<dyn ProviderClient>,
}

/// A secret that is never shown.
#[derive(Clone)]
struct SecretText(String);

impl HostLogins {
    /// People sign in at `issuer`, where this deployment is known as `client_id` with a secret. `public_url` is the address
    /// of the operator's service; the provider must know the address `/sign-in/back` there.
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        public_url: PublicUrl,
        client: impl ProviderClient + 'static,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: SecretText(client_secret.into()),
            public_url,
            rule: Rule::default(),
            client: Arc::new(client),
        }
    }

    /// Sets the claim that gives roles: a list of texts, or one text. Dots lead into objects: `realm_access.roles`, unless
    /// there is a claim of just this name. Default: `groups`.
    pub fn roles_in(mut self, claim: impl Into<String>) -> Self {
        self.rule.claim = claim.into();
        self
    }

    /// Gives a role to people whose claim has this value. Whoever has several gets the first of operator, host and auditor.
    pub fn role(mut self, value: impl Into<String>, role: Role) -> Self {
        self.rule.values.push((value.into(), role));
        self
    }

    /// Asks the provider whether people can sign in there. Returns what is probably wrong, for people, and the number of
    /// keys with which it can sign tokens for us.
    ///
    /// # Errors
    /// Nobody can sign in there now. The text says why.
    pub async fn check(self) -> Result<(usize, Vec<&'static str>), String> {
        let provider = Provider::new(self);
        let document = provider.discovery.get().await?;
        let keys = provider.verifier.count_keys().await?;
        Ok((keys, document.remarks()))
    }
}

impl fmt::Debug for HostLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostLogins")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The provider at which hosts sign in, as the pages use it.
pub(crate) struct Provider {
    issuer: String,
    client_id: String,
    client_secret: SecretText,
    public_url: PublicUrl,
    rule: Rule,
    client: Arc<dyn ProviderClient>,
    discovery: Arc<Discovery>,
    verifier: Verifier,
    requests: Semaphore,
    fingerprint: String,
}

impl Provider {
    pub(crate) fn new(logins: HostLogins) -> Self {
        let HostLogins {
            issuer,
            client_id,
            client_secret,
            public_url,
            rule,
            client,
        } = logins;
        let discovery = Arc::new(Discovery::new(&issuer, Arc::clone(&client)));
        let keys = discovery::Keys(Arc::clone(&discovery));
        let verifier = Verifier::new(TokenLogins::new(&issuer, &client_id, keys));
        let mut digest = Sha256::new();
        for part in [&issuer, &client_id].into_iter().chain(rule.parts().iter()) {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let fingerprint = data_encoding::HEXLOWER.encode(&digest.finalize()[..8]);
        Self {
            issuer,
            client_id,
            client_secret,
            public_url,
            rule,
            client,
            discovery,
            verifier,
            requests: Semaphore::new(AT_ONCE),
            fingerprint,
        }
    }

    /// Tells the provider and the rule of roles from others. With another one, people have to sign in again.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The provider, for people: its host.
    pub(crate) fn name(&self) -> &str {
        let rest = self.issuer.split_once("://");
        let rest = rest.map_or(&*self.issuer, |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }

    /// Where the provider sends people back to. `prefix` is where the service is mounted.
    fn back(&self, prefix: &str) -> String {
        format!("{}{prefix}/sign-in/back", self.public_url)
    }
}

/// What the pages need of a deployment's sign-in at a provider.
pub(crate) struct Oidc {
    pub(crate) provider: Provider,
    pub(super) attempts: Attempts,
}

impl Oidc {
    /// `token` is the deployment's own token.
    pub(crate) fn new(logins: HostLogins, token: &SecretKey, https: bool) -> Self {
        Self {
            provider: Provider::new(logins),
            attempts: Attempts::new(token, https),
        }
    }
}
