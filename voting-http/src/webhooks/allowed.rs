//! Hosts and networks that an operator allows beside public addresses.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::Host;

/// Hosts and networks to which webhooks may be sent although they are not public, and without TLS.
///
/// ```
/// use voting_http::webhooks::Allowed;
///
/// let allowed = Allowed::new(["10.0.0.0/8", "hooks.internal"]).unwrap();
/// assert!(allowed.has_address("10.1.2.3".parse().unwrap()));
/// assert!(allowed.has_name("hooks.internal"));
/// assert!(!allowed.has_name("other.hooks.internal"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    names: Vec<String>,
    networks: Vec<IpNet>,
}

/// An entry is neither a network nor an address nor the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network such as 10.0.0.0/8, an address or the name of a host")]
pub struct InvalidAllowed(String);

impl Allowed {
    /// Reads networks (`10.0.0.0/8`), addresses, and exact names of hosts.
    ///
    /// # Errors
    ///
    /// [`InvalidAllowed`] names the first entry that is none of these.
    pub fn new<T: AsRef<str>>(
        entries: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidAllowed> {
        let mut allowed = Self::default();
        for entry in entries {
            let entry = entry.as_ref();
            let network = IpNet::from_str(entry).ok();
            let network = network.or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from));
            match (network, Host::parse(entry)) {
                (Some(network), _) => allowed.networks.push(network),
                (None, Ok(Host::Domain(name))) => allowed.names.push(name),
                (None, _) => return Err(InvalidAllowed(entry.to_owned())),
            }
        }
        Ok(allowed)
    }

    /// Whether this host is allowed by its name. The name is in lower case, as in a [`Target`](super::Target).
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|allowed| allowed == name)
    }

    /// Whether this address is in an allowed network.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_network_address_or_name_is_refused() {
        for entry in [
            "",
            "10.0.0.0/33",
            "http://hooks.internal",
            "a b",
            "hooks.internal:80",
            "0x7f.1",
        ] {
            let refused = Allowed::new([entry]).map(|_| ()).expect_err(entry);
            assert_eq!(refused, InvalidAllowed(entry.to_owned()));
        }
    }

    #[test]
    fn one_address_is_a_network_of_one() {
        let allowed = Allowed::new(["10.0.0.1", "fd00::1"]).expect("valid");
        assert!(allowed.has_address("10.0.0.1".parse().expect("an address")));
        assert!(allowed.has_address("fd00::1".parse().expect("an address")));
        assert!(!allowed.has_address("10.0.0.2".parse().expect("an address")));
    }

    #[test]
    fn names_are_compared_without_case() {
        let allowed = Allowed::new(["Hooks.Internal"]).expect("valid");
        assert!(allowed.has_name("hooks.internal"));
    }
}
