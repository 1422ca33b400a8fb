//! The address that a service listens on, as people write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Deserializer, de::Error};

/// Reads an address and a port. A name is looked up as on this machine, and stands for its first IPv4 address; if it
/// has none, for its first address.
///
/// # Errors
/// Says how to write the address.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = |why: &str| Err(format!("{text:?} is not an address to listen on: {why}"));
    if text.contains("://") {
        return wrong(
            "leave the scheme out, and write an address and a port, such as 127.0.0.1:8080",
        );
    }
    let everywhere = |port: &str| {
        wrong(&format!(
            "write 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} for all its addresses"
        ))
    };
    if text.parse::<u16>().is_ok() {
        return everywhere(text);
    }
    let Some((host, port)) = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.ends_with(':'))
    else {
        return wrong("the port is missing, as in 127.0.0.1:8080");
    };
    let Ok(number) = port.parse::<u16>() else {
        return wrong("its port is not a number in 0 to 65535, as in 127.0.0.1:8080");
    };
    match host {
        "" | "*" => everywhere(port),
        // The name is not looked up, whatever address this machine has for it.
        _ if host.eq_ignore_ascii_case("localhost") => Ok((Ipv4Addr::LOCALHOST, number).into()),
        _ => match (host, number).to_socket_addrs() {
            Ok(found) => {
                let mut found: Vec<_> = found.collect();
                found.sort_by_key(SocketAddr::is_ipv6);
                let first = found.first().copied();
                first.map_or_else(|| wrong("the name has no address"), Ok)
            }
            Err(error) => wrong(&format!(
                "the name cannot be looked up ({error}); write an address, such as 127.0.0.1:{port}"
            )),
        },
    }
}

/// Whether one of two services could not listen on its address because of the other.
pub(crate) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    // Port 0 takes a free port.
    if one.port() != other.port() || one.port() == 0 {
        return false;
    }
    let (one, other) = (one.ip().to_canonical(), other.ip().to_canonical());
    let all = |all: IpAddr, other: IpAddr| {
        // The unspecified address of IPv6 includes all addresses of IPv4.
        all.is_unspecified() && (all.is_ipv6() || other.is_ipv4())
    };
    one == other || all(one, other) || all(other, one)
}

/// Reads the address of a setting.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_this_machine_is_an_address() {
        let of = |text: &str| parse(text).map(|address| address.to_string());
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            (" [::1]:80\n", "[::1]:80"),
            ("localhost:0", "127.0.0.1:0"),
            ("LOCALHOST:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn two_that_cannot_both_listen_clash() {
        for (one, other, is) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::]:80", "[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let [a, b] = [one, other].map(|text| text.parse().expect("an address"));
            assert_eq!((clash(a, b), clash(b, a)), (is, is), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_address_is_reported_with_how_to_write_it() {
        for (text, hint) in [
            (":8080", "0.0.0.0:8080 for all"),
            ("*:8080", "127.0.0.1:8080 for this machine only"),
            ("8080", "127.0.0.1:8080 for this machine only"),
            ("127.0.0.1", "the port is missing"),
            ("localhost", "the port is missing"),
            ("::1", "the port is missing"),
            ("localhost:http", "0 to 65535"),
            ("127.0.0.1:99999", "0 to 65535"),
            ("http://localhost:8080", "leave the scheme out"),
            ("nowhere.invalid:8080", "cannot be looked up"),
        ] {
            let reported = parse(text).expect_err(text);
            assert!(reported.contains(hint), "{reported}");
        }
    }
}
