//! How people sign in to vote, as the settings say.

use std::{error::Error, fs, io::Read as _, path::PathBuf, time::Duration};

use async_trait::async_trait;
use poem::http::Uri;
use voting_http::{
    InvalidHeader, KeySource, Logins, ProviderClient as _, ProxyLogins, TokenLogins,
};

use crate::settings::{
    config::Config,
    provider::{Client, MAX_LEN, NoAuthorities, agent, is_private},
};

/// The settings of logins do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// Tokens cannot be checked with what is set.
    #[error(
        "to accept tokens, set login.issuer, login.audience, and one of login.jwks_url and login.jwks_file"
    )]
    Tokens,
    /// The keys have no address.
    #[error("login.jwks_url is {0:?}; it must be an https:// address, or http:// on this machine")]
    Url(String),
    /// A page has no address.
    #[error("login.sign_in_url is {0:?}; it must be an http:// or https:// address")]
    SignInUrl(String),
    /// Nobody would be believed.
    #[error(
        "login.user_header is set and trusted_proxies is not: name the proxy that signs people in"
    )]
    NoProxy,
    /// Headers without the one that names the person.
    #[error("login.groups_header and login.email_header need login.user_header")]
    NoUser,
    /// A header has an impossible name.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The file of authorities cannot be read.
    #[error("cannot read login.ca_file")]
    CaFile(#[source] std::io::Error),
    /// The file has no authorities.
    #[error("login.ca_file has no certificate")]
    NoAuthorities,
}

/// A change of the file of keys is seen within this time, also if a key is gone.
const FILE_SEEN_WITHIN: Duration = Duration::from_secs(1);

/// The keys in a file.
struct FileKeys(PathBuf);

#[async_trait]
impl KeySource for FileKeys {
    async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let file = self.0.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let file = fs::File::open(file)?;
            file.take(MAX_LEN + 1).read_to_string(&mut text)?;
            Ok::<_, std::io::Error>(text)
        });
        Ok(read.await??)
    }

    fn pause(&self) -> Duration {
        FILE_SEEN_WITHIN
    }

    /// Whoever takes a key out of the file expects that it is not taken any more.
    fn keep(&self) -> Duration {
        FILE_SEEN_WITHIN
    }
}

/// The keys at an address.
struct UrlKeys {
    client: Client,
    url: String,
}

#[async_trait]
impl KeySource for UrlKeys {
    async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        self.client.get(&self.url).await
    }
}

impl Config {
    /// How people sign in to vote.
    ///
    /// # Errors
    /// [`LoginError`] says which settings do not fit together.
    pub fn logins(&self) -> Result<Logins, LoginError> {
        let login = &self.login;
        let minutes = Duration::from_secs(60 * u64::from(login.session_minutes.get()));
        let mut logins = Logins::default().session(minutes);
        if let Some(tokens) = self.token_logins()? {
            logins = logins.with_tokens(tokens);
        }
        if let Some(user) = &login.user_header {
            if self.trusted_proxies.is_empty() {
                return Err(LoginError::NoProxy);
            }
            let mut proxy = ProxyLogins::new(self.trusted_proxies.clone(), user);
            if let Some(groups) = &login.groups_header {
                proxy = proxy.groups_in(groups);
            }
            if let Some(email) = &login.email_header {
                proxy = proxy.email_in(email);
            }
            logins = logins.with_proxy(&proxy)?;
        } else if login.groups_header.is_some() || login.email_header.is_some() {
            return Err(LoginError::NoUser);
        }
        if let Some(url) = &login.sign_in_url {
            let is_page = url
                .parse::<Uri>()
                .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
            if !is_page {
                return Err(LoginError::SignInUrl(url.clone()));
            }
            logins = logins.sign_in_at(url);
        }
        Ok(logins)
    }

    fn token_logins(&self) -> Result<Option<TokenLogins>, LoginError> {
        let login = &self.login;
        let is_set = login.issuer.is_some()
            || login.audience.is_some()
            || login.jwks_url.is_some()
            || login.jwks_file.is_some();
        if !is_set {
            return Ok(None);
        }
        let (Some(issuer), Some(audience)) = (&login.issuer, &login.audience) else {
            return Err(LoginError::Tokens);
        };
        let tokens = match (&login.jwks_url, &login.jwks_file) {
            (Some(url), None) => TokenLogins::new(issuer, audience, self.url_keys(url)?),
            (None, Some(file)) => TokenLogins::new(issuer, audience, FileKeys(file.clone())),
            _ => return Err(LoginError::Tokens),
        };
        Ok(Some(tokens.groups_in(&login.groups_claim)))
    }

    fn url_keys(&self, url: &str) -> Result<UrlKeys, LoginError> {
        if !is_private(url) {
            return Err(LoginError::Url(url.to_owned()));
        }
        let agent = agent(self.login.ca_file.as_deref()).map_err(|error| match error {
            NoAuthorities::Unreadable(error) => LoginError::CaFile(error),
            NoAuthorities::None => LoginError::NoAuthorities,
        })?;
        Ok(UrlKeys {
            client: Client(agent),
            url: url.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(set: impl FnOnce(&mut Config)) -> Option<String> {
        let mut config = Config::default();
        set(&mut config);
        config.logins().err().map(|error| error.to_string())
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(fault(|_| {}), None);
        let tokens = |config: &mut Config| {
            config.login.issuer = Some("https://id.test".to_owned());
            config.login.audience = Some("voting".to_owned());
        };
        for url in [
            "https://id.test/keys",
            "http://localhost:1/keys",
            "http://127.0.0.1/",
        ] {
            let set = fault(|config| {
                tokens(config);
                config.login.jwks_url = text(url);
            });
            assert_eq!(set, None, "{url}");
        }
        for url in [
            "http://id.test/keys",
            "id.test",
            "file:///keys",
            "http://localhost.evil.test/",
        ] {
            let set = fault(|config| {
                tokens(config);
                config.login.jwks_url = text(url);
            });
            assert!(set.expect(url).contains("jwks_url"));
        }
        let incomplete: [fn(&mut Config); 3] = [
            |config| config.login.issuer = Some("x".to_owned()),
            |config| config.login.jwks_file = Some("keys".into()),
            |config| {
                config.login.issuer = Some("x".to_owned());
                config.login.audience = Some("x".to_owned());
                config.login.jwks_file = Some("keys".into());
                config.login.jwks_url = Some("https://id.test".to_owned());
            },
        ];
        for set in incomplete {
            assert!(fault(set).expect("a fault").contains("login.issuer"));
        }
        let proxy = fault(|config| config.login.user_header = text("Remote-User"));
        assert!(proxy.expect("a fault").contains("trusted_proxies"));
        let named = |config: &mut Config| config.trusted_proxies = "10.0.0.1".parse().unwrap();
        assert_eq!(
            fault(|config| {
                named(config);
                config.login.user_header = text("Remote-User");
            }),
            None
        );
        let bad = fault(|config| {
            named(config);
            config.login.user_header = text("Remote User");
        });
        assert!(bad.expect("a fault").contains("Remote User"));
        let alone = fault(|config| config.login.email_header = text("Remote-Email"));
        assert!(alone.expect("a fault").contains("user_header"));
        let page = fault(|config| config.login.sign_in_url = text("javascript:alert(1)"));
        assert!(page.expect("a fault").contains("sign_in_url"));
    }
}
