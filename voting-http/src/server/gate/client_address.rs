//! The address of the client that sent a request. Limits depend on it, so the client must not be able to choose it.
//!
//! It is the address of the socket's other end. If that is a proxy which the operator has named, `X-Forwarded-For` is
//! read from the right: each proxy appends the address that it sees. Everything to the left of the last named proxy's
//! own entry was written by the client.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use ipnet::IpNet;
use poem::{Addr, Request, http::HeaderMap};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

/// Names sockets whose other end has no address.
const UNIX: &str = "unix";

/// The proxies whose `X-Forwarded-For` is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[Named]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Net(IpNet),
    Unix,
}

/// The text does not name a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address such as 10.0.0.5, a network such as 10.0.0.0/8, or unix")]
pub struct InvalidProxy(String);

impl FromStr for Named {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        if text == UNIX {
            return Ok(Self::Unix);
        }
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse().map_err(|_| InvalidProxy(text.to_owned()))?,
        };
        Ok(Self::Net(net.trunc()))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

impl TrustedProxies {
    /// The proxies with these names: addresses, networks such as `10.0.0.0/8`, and `unix` for connections by a socket
    /// that has no addresses.
    ///
    /// # Errors
    /// [`InvalidProxy`] for the first name that is none of these.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidProxy> {
        let named = names.into_iter().map(|name| name.trim().parse());
        Ok(Self(named.collect::<Result<_, _>>()?))
    }

    /// Whether the list names nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a network in the list is so large that it may contain anybody.
    pub fn names_everybody(&self) -> bool {
        self.0
            .iter()
            .any(|named| matches!(named, Named::Net(net) if net.prefix_len() == 0))
    }

    /// Whether the list contains a proxy with this address.
    pub(crate) fn has(&self, peer: Option<IpAddr>) -> bool {
        self.0.iter().any(|named| match (named, peer) {
            (Named::Net(net), Some(address)) => net.contains(&address),
            (Named::Unix, None) => true,
            _ => false,
        })
    }
}

/// The names are separated by commas, as in an environment variable.
impl FromStr for TrustedProxies {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let names = text.split(',').map(str::trim);
        Self::new(names.filter(|name| !name.is_empty()))
    }
}

/// A list of texts, or one text with commas in it.
impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = TrustedProxies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of addresses and networks")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TrustedProxies, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<S: SeqAccess<'de>>(
                self,
                mut names: S,
            ) -> Result<TrustedProxies, S::Error> {
                let mut all = Vec::<String>::new();
                while let Some(name) = names.next_element()? {
                    all.push(name);
                }
                let proxies = TrustedProxies::new(all.iter().map(String::as_str));
                proxies.map_err(serde::de::Error::custom)
            }
        }

        from.deserialize_any(Names)
    }
}

impl Serialize for TrustedProxies {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

/// The address of the client that sent a request, if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(Option<IpAddr>);

impl Client {
    /// The address of the socket's other end.
    pub(crate) fn at(peer: Option<SocketAddr>) -> Self {
        Self(peer.map(|peer| peer.ip().to_canonical()))
    }

    /// The other end of the socket.
    pub(crate) fn peer(request: &Request) -> Self {
        Self::at(match &request.remote_addr().0 {
            Addr::SocketAddr(peer) => Some(*peer),
            _ => None,
        })
    }

    pub(crate) fn of(request: &Request, proxies: &TrustedProxies) -> Self {
        Self::peer(request).forwarded(request.headers(), proxies)
    }

    /// The client for whom the socket's other end sends the request.
    fn forwarded(self, headers: &HeaderMap, proxies: &TrustedProxies) -> Self {
        let mut client = self;
        if !proxies.has(client.0) {
            return client;
        }
        let lines = headers.get_all("x-forwarded-for").into_iter();
        for line in lines.rev() {
            let Ok(line) = line.to_str() else {
                return client;
            };
            for hop in line.rsplit(',').map(str::trim) {
                if hop.is_empty() {
                    continue;
                }
                let Some(address) = address_of(hop) else {
                    return client;
                };
                client = Self(Some(address));
                if !proxies.has(client.0) {
                    return client;
                }
            }
        }
        client
    }

    /// Whether the client is a program on this machine, or its address is not known.
    pub(crate) fn is_local_or_unknown(self) -> bool {
        self.0.is_none_or(|address| address.is_loopback())
    }

    pub(crate) fn is_among(self, proxies: &TrustedProxies) -> bool {
        proxies.has(self.0)
    }

    /// The network that counts as one client: an IPv4 address, or the `/64` of an IPv6 address, since a household has
    /// all addresses of at least one `/64`. All clients without an address count as one.
    pub(crate) fn narrow(self) -> IpNet {
        network(self.0.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 64)
    }

    /// The larger network of an IPv6 address. One site commonly has a `/48`, which contains 65,536 networks of `/64`.
    pub(crate) fn wide(self) -> Option<IpNet> {
        let address = self.0.filter(IpAddr::is_ipv6)?;
        Some(network(address, 48))
    }
}

/// Prints the address, for the log.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

fn network(address: IpAddr, of_ipv6: u8) -> IpNet {
    let length = if address.is_ipv4() { 32 } else { of_ipv6 };
    IpNet::new(address, length)
        .unwrap_or_else(|_| address.into())
        .trunc()
}

/// The address of one entry of `X-Forwarded-For`, which may have a port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, proxies: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            let line = HeaderValue::from_str(line).unwrap();
            headers.append("x-forwarded-for", line);
        }
        let peer = match peer {
            UNIX => None,
            peer => Some(SocketAddr::new(peer.parse().unwrap(), 4711)),
        };
        let proxies = proxies.parse().unwrap();
        Client::at(peer).forwarded(&headers, &proxies).to_string()
    }

    #[test]
    fn only_a_named_proxy_is_believed() {
        assert_eq!(client("9.9.9.9", "", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(client("9.9.9.9", "10.0.0.0/8", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(client("10.0.0.7", "10.0.0.0/8", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(client("10.0.0.7", "10.0.0.7", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(client("10.0.0.7", "10.0.0.0/8", &[]), "10.0.0.7");
        assert_eq!(
            client("::ffff:10.0.0.7", "10.0.0.7", &["1.1.1.1"]),
            "1.1.1.1"
        );
    }

    #[test]
    fn a_socket_without_addresses_is_believed_only_where_it_is_named() {
        assert_eq!(client(UNIX, "10.0.0.0/8", &["1.1.1.1"]), "unknown");
        assert_eq!(client(UNIX, "unix", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(client(UNIX, "unix", &[]), "unknown");
    }

    #[test]
    fn the_last_address_that_is_no_named_proxy_is_the_client() {
        let of = |lines: &[&str]| client("10.0.0.1", "10.0.0.0/8, fd00::/8", lines);
        assert_eq!(of(&["6.6.6.6, 1.1.1.1, 10.0.0.2"]), "1.1.1.1");
        assert_eq!(of(&["6.6.6.6", "1.1.1.1, 10.0.0.2", "fd00::3"]), "1.1.1.1");
        // All entries are proxies: the first proxy sent the request for itself.
        assert_eq!(of(&["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(of(&["6.6.6.6,1.1.1.1,,"]), "1.1.1.1");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        let of = |line: &str| client("10.0.0.1", "10.0.0.0/8", &["6.6.6.6", line]);
        for bad in [
            "unknown",
            "1.1.1.1 6.6.6.6",
            "1.1.1.256",
            "_hidden",
            "1.1.1.1:99999",
            "[::1",
            "fe80::1%eth0",
            "<script>",
        ] {
            assert_eq!(of(bad), "10.0.0.1", "{bad}");
            assert_eq!(of(&format!("{bad}, 10.0.0.2")), "10.0.0.2", "{bad}");
            assert_eq!(of(&format!("{bad}, 2.2.2.2")), "2.2.2.2", "{bad}");
        }
    }

    #[test]
    fn ports_and_brackets_are_no_part_of_an_address() {
        let of = |line| client("10.0.0.1", "10.0.0.1", &[line]);
        assert_eq!(of("1.1.1.1:80"), "1.1.1.1");
        assert_eq!(of("[2001:db8::1]:80"), "2001:db8::1");
        assert_eq!(of("[2001:db8::1]"), "2001:db8::1");
        assert_eq!(of("2001:db8::1"), "2001:db8::1");
        assert_eq!(of("::ffff:1.1.1.1"), "1.1.1.1");
        assert_eq!(of("[::ffff:1.1.1.1]:80"), "1.1.1.1");
    }

    #[test]
    fn a_household_is_one_client() {
        let keys = |address: &str| {
            let client = Client(Some(address.parse().unwrap()));
            let wide = client.wide().map(|wide| wide.to_string());
            (client.narrow().to_string(), wide.unwrap_or_default())
        };
        assert_eq!(keys("1.2.3.4"), ("1.2.3.4/32".into(), String::new()));
        assert_eq!(
            keys("2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2::/64".into(), "2001:db8:1::/48".into())
        );
    }

    #[test]
    fn proxies_are_named_in_a_list_or_a_text() {
        let list: TrustedProxies =
            serde_json::from_str(r#"["10.1.2.3/8", "::1", "unix"]"#).unwrap();
        let text: TrustedProxies = serde_json::from_str(r#"" 10.0.0.0/8,::1 , unix,""#).unwrap();
        assert_eq!(list, text);
        assert_eq!(
            serde_json::to_string(&list).unwrap(),
            r#"["10.0.0.0/8","::1/128","unix"]"#
        );
        assert!(!list.names_everybody());
        assert!("::/0".parse::<TrustedProxies>().unwrap().names_everybody());
        for bad in ["proxy", "10.0.0.0/33", "10.0.0", "10.0.0.1:80"] {
            let error = bad.parse::<TrustedProxies>().unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    proptest! {
        /// The proxy's own entry at the end decides, for every value that a client writes.
        #[test]
        fn a_client_cannot_choose_its_address(
            own in prop::collection::vec("[ -~]{0,40}", 0..4),
            address: [u8; 4],
            named: [u8; 4],
        ) {
            let [address, named] = [address, named].map(|bytes| IpAddr::from(bytes).to_string());
            prop_assume!(address != named);
            let mut lines: Vec<&str> = own.iter().map(String::as_str).collect();
            lines.push(&address);
            prop_assert_eq!(client(&named, &named, &lines), address.clone());
            let joined = lines.join(",");
            prop_assert_eq!(client(&named, &named, &[&joined]), address);
        }
    }
}
