//! Where a webhook may be sent.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::{Allowed, is_public};

/// The longest URL of an endpoint, in bytes.
const MAX_LEN: usize = 2_048;

/// The URL of an endpoint that may be used.
///
/// The URL says nothing about where its host is: resolve the name, ask [`Target::permitted`], and connect to one of the
/// addresses that it returns, without resolving again. A name that is resolved twice may lead to two places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a URL cannot be that of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// The text is not an absolute URL with a host.
    #[error("the URL is not an absolute URL with a host")]
    NotAUrl,
    /// The URL is longer than 2,048 bytes.
    #[error("the URL is longer than 2,048 bytes")]
    TooLong,
    /// The scheme is neither `https`, nor `http` for a host that is allowed.
    #[error("the URL does not begin with https://")]
    NotHttps,
    /// The URL has a user name or a password.
    #[error("the URL has a user name or a password")]
    HasUser,
    /// The URL has a fragment (`#…`).
    #[error("the URL has a fragment, which is never sent")]
    HasFragment,
    /// The host is an address that is neither public nor allowed.
    #[error("the address in the URL is not public")]
    NotPublic,
}

/// None of the addresses of a host may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no public address")]
pub struct NotPermitted;

impl Target {
    /// Reads the URL of an endpoint.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] says which rule the URL breaks.
    pub fn parse(text: &str, allowed: &Allowed) -> Result<Self, InvalidTarget> {
        if text.len() > MAX_LEN {
            return Err(InvalidTarget::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidTarget::NotAUrl)?;
        let is_allowed = match url.host().ok_or(InvalidTarget::NotAUrl)? {
            Host::Domain(name) => allowed.has_name(name),
            Host::Ipv4(address) => allowed.has_address(address.into()),
            Host::Ipv6(address) => allowed.has_address(address.into()),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_allowed => {}
            _ => return Err(InvalidTarget::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::HasUser);
        }
        if url.fragment().is_some() {
            return Err(InvalidTarget::HasFragment);
        }
        let target = Self(url);
        match target.address() {
            Some(address) if !is_allowed && !is_public(address) => Err(InvalidTarget::NotPublic),
            _ => Ok(target),
        }
    }

    /// The URL as it is requested.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host's address, if the URL has an address in place of a name.
    fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The addresses that may be connected to, out of those to which the host was resolved, in their order.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`] if there is none.
    pub fn permitted(
        &self,
        resolved: impl IntoIterator<Item = SocketAddr>,
        allowed: &Allowed,
    ) -> Result<Vec<SocketAddr>, NotPermitted> {
        let by_name = self.0.domain().is_some_and(|name| allowed.has_name(name));
        let may = |address: IpAddr| by_name || allowed.has_address(address) || is_public(address);
        let resolved = resolved.into_iter();
        let permitted: Vec<_> = resolved.filter(|to| may(to.ip())).collect();
        if permitted.is_empty() {
            return Err(NotPermitted);
        }
        Ok(permitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, InvalidTarget> {
        let allowed = Allowed::new(["10.0.0.0/8", "hooks.internal"]).expect("valid");
        Target::parse(text, &allowed)
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let parsed = texts.iter().map(|text| text.parse().expect("an address"));
        parsed.collect()
    }

    #[test]
    fn https_at_any_port_is_taken() {
        for url in [
            "https://example.org/a?b=c",
            "https://example.org:8443/",
            "https://1.1.1.1/",
        ] {
            assert_eq!(parse(url).expect(url).as_str(), url);
        }
    }

    #[test]
    fn http_is_for_allowed_hosts_only() {
        for url in [
            "http://hooks.internal/",
            "http://HOOKS.internal:8080/",
            "http://10.1.2.3/",
        ] {
            parse(url).expect(url);
        }
        for url in [
            "http://example.org/",
            "http://1.1.1.1/",
            "ftp://hooks.internal/",
            "http://a.hooks.internal/",
        ] {
            assert_eq!(parse(url), Err(InvalidTarget::NotHttps), "{url}");
        }
    }

    #[test]
    fn users_fragments_and_what_is_no_url_are_refused() {
        assert_eq!(
            parse("https://user@example.org/"),
            Err(InvalidTarget::HasUser)
        );
        assert_eq!(
            parse("https://:word@example.org/"),
            Err(InvalidTarget::HasUser)
        );
        assert_eq!(
            parse("https://example.org/#part"),
            Err(InvalidTarget::HasFragment)
        );
        for text in [
            "",
            "example.org",
            "/path",
            "https://",
            "mailto:a@example.org",
        ] {
            assert_eq!(parse(text), Err(InvalidTarget::NotAUrl), "{text}");
        }
        let long = format!("https://example.org/{}", "a".repeat(MAX_LEN));
        assert_eq!(parse(&long), Err(InvalidTarget::TooLong));
    }

    #[test]
    fn each_way_to_write_a_private_address_is_refused() {
        let ways = [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "[::1]",
        ];
        for host in ways
            .into_iter()
            .chain(["[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "①27.0.0.1"])
        {
            let url = format!("https://{host}/");
            assert_eq!(parse(&url), Err(InvalidTarget::NotPublic), "{url}");
        }
    }

    #[test]
    fn only_public_and_allowed_addresses_are_connected_to() {
        let allowed = Allowed::new(["10.0.0.0/8"]).expect("valid");
        let target = parse("https://example.org/").expect("valid");
        let resolved = addresses(&["127.0.0.1:443", "10.0.0.1:443", "[::1]:443", "1.1.1.1:443"]);
        let permitted = target.permitted(resolved, &allowed);
        assert_eq!(permitted, Ok(addresses(&["10.0.0.1:443", "1.1.1.1:443"])));
        let private = addresses(&["127.0.0.1:443", "[fd00::1]:443"]);
        assert_eq!(target.permitted(private, &allowed), Err(NotPermitted));
        assert_eq!(target.permitted([], &allowed), Err(NotPermitted));
    }

    #[test]
    fn an_allowed_name_may_lead_anywhere() {
        let allowed = Allowed::new(["hooks.internal"]).expect("valid");
        let target = parse("http://hooks.internal/").expect("valid");
        let resolved = addresses(&["192.168.0.1:80"]);
        assert_eq!(target.permitted(resolved.clone(), &allowed), Ok(resolved));
    }
}
