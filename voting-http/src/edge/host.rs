//! The header `Host`: a request of HTTP/1.1 has exactly one, and it names a host (RFC 9112, 3.2). If a request has
//! none or two, a proxy and the service could take it for requests to different sites. So they could if the request has
//! a whole address (`GET http://x/`) with another host.

use poem::{
    Request,
    http::{Version, header},
};

use crate::problem::Problem;

pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.as_bytes().iter().all(is_of_a_host) && !host.is_empty() => {
            match request.uri().authority() {
                Some(other) if !is_same(other.as_str().as_bytes(), host.as_bytes()) => Err(
                    Problem::bad_request("The address and the header Host name different hosts."),
                ),
                _ => Ok(()),
            }
        }
        (Some(_), None) => Err(Problem::bad_request("The header Host is not valid.")),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "There are two headers Host; send one.",
        )),
        (None, _) if request.version() == Version::HTTP_11 => {
            Err(Problem::bad_request("There is no header Host; send one."))
        }
        // HTTP/1.0 does not require the header; some health checks use HTTP/1.0.
        (None, _) => Ok(()),
    }
}

/// Whether these are one host. The port 80 may be left out.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let bare = |host: &'_ [u8]| {
        host.strip_suffix(b":80")
            .unwrap_or(host)
            .to_ascii_lowercase()
    };
    bare(one) == bare(other)
}

/// Whether the byte can occur in a host name, an address or a port.
fn is_of_a_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(version: Version, hosts: &[&'static str]) -> bool {
        let mut request = Request::builder().version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        check(&request.finish()).is_ok()
    }

    #[test]
    fn a_request_has_one_host() {
        let now = Version::HTTP_11;
        for host in [
            "x",
            "vote.test:8080",
            "[::1]:80",
            "1.2.3.4",
            "b%C3%BCro.test",
        ] {
            assert!(is_taken(now, &[host]), "{host}");
        }
        assert!(!is_taken(now, &[]));
        assert!(!is_taken(now, &["x", "x"]));
        assert!(!is_taken(now, &["x", "y"]));
        for bad in ["", "a b", "x/y", "user@x", "x?y", "x#y", "<x>"] {
            assert!(!is_taken(now, &[bad]), "{bad:?}");
        }
        for (address, fits) in [
            ("http://x/polls", true),
            ("http://X:80/polls", true),
            ("http://y/polls", false),
            ("http://x:8080/polls", false),
            ("http://x@x/polls", false),
        ] {
            let request = Request::builder().version(now).header("host", "x");
            let request = request.uri_str(address).finish();
            assert_eq!(check(&request).is_ok(), fits, "{address}");
        }
        assert!(is_taken(Version::HTTP_10, &[]));
        assert!(!is_taken(Version::HTTP_10, &["x", "y"]));
    }
}
