//! How people sign in to the host's pages at an identity provider, as the settings say.

use voting_core::store::tokens::Role;
use voting_http::HostLogins;

use crate::{
    secrets::{SecretError, given},
    settings::{
        config::Config,
        provider::{Client, NoAuthorities, agent, is_private},
    },
};

/// The settings of this sign-in do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostLoginError {
    /// Something is missing.
    #[error(
        "to let hosts sign in at an identity provider, set host_login.issuer, host_login.client_id, and one of \
         host_login.client_secret and host_login.client_secret_file"
    )]
    Incomplete,
    /// The provider has no address.
    #[error(
        "host_login.issuer is {0:?}; it must be an https:// address without a query, or http:// on this machine"
    )]
    Issuer(String),
    /// The provider would not know where to send people back to.
    #[error(
        "host_login.issuer is set and worker.public_url is not: set the address that hosts use"
    )]
    NoPublicUrl,
    /// Nobody would be let in.
    #[error(
        "host_login.issuer is set, and no value gives a role: set host_login.hosts, host_login.auditors or \
         host_login.operators"
    )]
    NoRoles,
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of authorities is of no use.
    #[error("host_login.ca_file has no usable certificates")]
    CaFile(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<NoAuthorities> for HostLoginError {
    fn from(error: NoAuthorities) -> Self {
        Self::CaFile(error.into())
    }
}

impl Config {
    /// How people sign in to the host's pages at an identity provider; `None` if they do not.
    ///
    /// # Errors
    /// [`HostLoginError`] says which settings do not fit together.
    pub fn host_logins(&self) -> Result<Option<HostLogins>, HostLoginError> {
        let login = &self.host_login;
        let roles = [
            (&login.operators, Role::Operator),
            (&login.hosts, Role::Host),
            (&login.auditors, Role::Auditor),
        ];
        let has_roles = roles.iter().any(|(values, _)| !values.is_empty());
        let is_set = login.issuer.is_some()
            || login.client_id.is_some()
            || login.client_secret.is_some()
            || login.client_secret_file.is_some()
            || has_roles;
        if !is_set {
            return Ok(None);
        }
        let secret = given(
            "host_login.client_secret",
            login.client_secret.as_ref(),
            login.client_secret_file.as_deref(),
        )?;
        let secret = secret.filter(|secret| !secret.is_empty());
        let (Some(issuer), Some(client_id), Some(secret)) =
            (&login.issuer, &login.client_id, secret)
        else {
            return Err(HostLoginError::Incomplete);
        };
        if !is_private(issuer) || issuer.contains(['?', '#']) {
            return Err(HostLoginError::Issuer(issuer.clone()));
        }
        if !has_roles {
            return Err(HostLoginError::NoRoles);
        }
        let url = self.worker.public_url.clone();
        let url = url.ok_or(HostLoginError::NoPublicUrl)?;
        let client = Client(agent(login.ca_file.as_deref())?);
        let mut logins = HostLogins::new(issuer, client_id, secret, url, client);
        logins = logins.roles_in(&login.roles_claim);
        for (values, role) in roles {
            for value in values {
                logins = logins.role(value, role);
            }
        }
        Ok(Some(logins))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Hidden;

    fn fault(change: impl FnOnce(&mut Config)) -> Option<String> {
        let mut config = Config::default();
        config.worker.public_url = Some("https://host.test".parse().unwrap());
        config.host_login.issuer = Some("https://id.test/club".to_owned());
        config.host_login.client_id = Some("voting".to_owned());
        config.host_login.client_secret = Some(Hidden::new("secret"));
        config.host_login.hosts = vec!["hosts".to_owned()];
        change(&mut config);
        config.host_logins().err().map(|error| error.to_string())
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(Config::default().host_logins().unwrap().is_none());
        assert_eq!(fault(|_| ()), None);
        type Change = fn(&mut Config);
        let cases: [(Change, &str); 8] = [
            (
                |config| config.host_login.issuer = None,
                "host_login.client_id",
            ),
            (
                |config| config.host_login.client_id = None,
                "host_login.client_id",
            ),
            (
                |config| config.host_login.client_secret = None,
                "host_login.client_secret_file",
            ),
            (
                |config| config.host_login.client_secret_file = Some("x".into()),
                "both",
            ),
            (
                |config| config.host_login.issuer = Some("http://id.test".to_owned()),
                "host_login.issuer",
            ),
            (
                |config| config.worker.public_url = None,
                "worker.public_url",
            ),
            (
                |config| config.host_login.hosts = Vec::new(),
                "host_login.hosts",
            ),
            (
                |config| config.host_login.ca_file = Some("/nowhere".into()),
                "host_login.ca_file",
            ),
        ];
        for (change, part) in cases {
            let fault = fault(change).expect(part);
            assert!(fault.contains(part), "{part} in {fault}");
        }
    }
}
