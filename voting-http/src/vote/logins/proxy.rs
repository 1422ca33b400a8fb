//! Headers of a proxy that signs people in, such as oauth2-proxy or Authelia.

use poem::{Request, http::HeaderName};

use super::{InvalidHeader, Person, ProxyLogins};
use crate::{
    problem::seldom::Seldom,
    server::gate::client_address::{Client, TrustedProxies},
};

/// The issuer of those whom a proxy names.
const ISSUER: &str = "proxy";

/// The longest name of a person, in bytes.
const MAX_NAME: usize = 255;

#[derive(Debug)]
pub(super) struct Proxy {
    proxies: TrustedProxies,
    user: HeaderName,
    groups: Option<HeaderName>,
    email: Option<HeaderName>,
    warnings: Seldom,
}

/// What a proxy says cannot be read: there are two headers, or one is not a text.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::vote) struct Unreadable;

impl Proxy {
    pub(super) fn new(logins: &ProxyLogins) -> Result<Self, InvalidHeader> {
        let header = |name: &String| {
            HeaderName::try_from(name.as_str()).map_err(|_| InvalidHeader(name.clone()))
        };
        Ok(Self {
            proxies: logins.proxies.clone(),
            user: header(&logins.user)?,
            groups: logins.groups.as_ref().map(header).transpose()?,
            email: logins.email.as_ref().map(header).transpose()?,
            warnings: Seldom::default(),
        })
    }

    /// The person whom the proxy names; nobody if it names nobody, or is not a named proxy.
    pub(super) fn person(&self, request: &Request) -> Result<Option<Person>, Unreadable> {
        let header = |name: &HeaderName| {
            let mut values = request.headers().get_all(name).into_iter();
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some(value), None) => {
                    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Unreadable)?;
                    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
                }
                (Some(_), Some(_)) => Err(Unreadable),
            }
        };
        if request.headers().get(&self.user).is_none() {
            return Ok(None);
        }
        let peer = Client::peer(request);
        if !peer.is_among(&self.proxies) {
            if let Some(held_back) = self.warnings.due() {
                tracing::warn!(
                    %peer,
                    header = %self.user,
                    held_back,
                    "ignored a header that names a person, since it did not come from one of trusted_proxies"
                );
            }
            return Ok(None);
        }
        let Some(user) = header(&self.user)? else {
            return Ok(None);
        };
        if user.len() > MAX_NAME {
            return Err(Unreadable);
        }
        let optional = |name: &Option<HeaderName>| match name {
            Some(name) => header(name),
            None => Ok(None),
        };
        let groups = optional(&self.groups)?.unwrap_or_default().split(',');
        let groups = groups.map(str::trim).filter(|group| !group.is_empty());
        Ok(Some(Person {
            issuer: ISSUER.to_owned(),
            subject: user.to_owned(),
            groups: groups.map(str::to_owned).collect(),
            email: optional(&self.email)?.map(str::to_owned),
        }))
    }
}
