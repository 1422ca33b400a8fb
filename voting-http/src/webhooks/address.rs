//! Which addresses are on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IANA's special-purpose networks, multicast, and what is reserved.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 31, 196, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// The only network from which public addresses are given out. Loopback, link-local, unique local, mapped and multicast
/// addresses are outside of it, and both networks of NAT64.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Networks in `GLOBAL_V6` that are not public: those of protocols (also Teredo), documentation, and 6to4, whose
/// addresses have an IPv4 address in them.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),
    v6(0x2001, 0xdb8, 32),
    v6(0x2002, 0, 16),
    v6(0x3fff, 0, 20),
];

/// Whether an address is on the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(addresses: &[&str], public: bool) {
        for text in addresses {
            let address = text.parse().expect("an address");
            assert_eq!(is_public(address), public, "{text}");
        }
    }

    #[test]
    fn ordinary_addresses_are_public() {
        all(
            &[
                "1.1.1.1",
                "9.255.255.255",
                "100.63.255.255",
                "100.128.0.0",
                "172.15.255.255",
            ],
            true,
        );
        all(
            &[
                "172.32.0.0",
                "192.167.255.255",
                "198.20.0.0",
                "223.255.255.255",
            ],
            true,
        );
        all(
            &["2606:4700::1111", "2001:200::1", "2a00::1", "3ffe::1"],
            true,
        );
    }

    #[test]
    fn addresses_of_this_host_and_of_private_networks_are_not_public() {
        all(
            &[
                "0.0.0.0",
                "0.1.2.3",
                "127.0.0.1",
                "127.255.255.255",
                "::",
                "::1",
            ],
            false,
        );
        all(
            &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
            false,
        );
        all(
            &["100.64.0.1", "100.127.255.255", "fc00::1", "fdff::1"],
            false,
        );
        all(&["169.254.169.254", "fe80::1", "fec0::1"], false);
    }

    #[test]
    fn ipv6_addresses_with_an_ipv4_address_in_them_are_not_public() {
        all(
            &[
                "::ffff:127.0.0.1",
                "::ffff:1.1.1.1",
                "::127.0.0.1",
                "::ffff:0:7f00:1",
            ],
            false,
        );
        all(
            &[
                "64:ff9b::7f00:1",
                "64:ff9b:1::a00:1",
                "2002:7f00:1::",
                "2001:0:1::1",
            ],
            false,
        );
    }

    #[test]
    fn multicast_documentation_and_reserved_addresses_are_not_public() {
        all(
            &[
                "224.0.0.1",
                "239.255.255.255",
                "ff02::1",
                "240.0.0.1",
                "255.255.255.255",
            ],
            false,
        );
        all(
            &[
                "192.0.2.1",
                "198.51.100.1",
                "203.0.113.1",
                "2001:db8::1",
                "3fff::1",
            ],
            false,
        );
        all(
            &[
                "192.0.0.8",
                "192.31.196.1",
                "192.88.99.1",
                "198.18.0.1",
                "198.19.255.255",
            ],
            false,
        );
        all(
            &["100::1", "2001:2::1", "2001:20::1", "5f00::1", "4000::1"],
            false,
        );
    }
}
