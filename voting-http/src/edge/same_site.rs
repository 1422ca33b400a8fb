//! Prevents other sites from casting a visitor's vote.
//!
//! Browsers say where a request comes from, in `Sec-Fetch-Site` or at least in `Origin`, so the form needs no token.
//! A client that sends neither header is not a browser, so there is no visitor whose cookie it could misuse.

use poem::{
    Request,
    http::{Method, Uri, header},
};

use crate::{pages::site::Site, problem::Problem};

pub(crate) fn check(request: &Request, site: &Site) -> Result<(), Problem> {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(());
    }
    let headers = request.headers();
    // A header that exists and cannot be read does not prove that the own page sent the request.
    let same = match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        // `none`: the person caused the request, for example by reloading the page.
        (Some(from), _) => matches!(from.as_bytes(), b"same-origin" | b"none"),
        (None, None) => true,
        (None, Some(origin)) => {
            let origin = origin.to_str().unwrap_or_default();
            // With HTTP/2 the host is in the address.
            let authority = || Some(request.uri().authority()?.as_str());
            let host = request.header(header::HOST).or_else(authority);
            let host = host.unwrap_or_default();
            let is_own = is_own_origin(origin, host, site);
            if !is_own {
                // A proxy that changes `Host` also leads here: then nobody can vote. The operator must be able to
                // find the cause.
                site.gate.other_origin(origin, host);
            }
            is_own
        }
    };
    if same {
        Ok(())
    } else {
        Err(Problem::cross_site())
    }
}

fn is_own_origin(origin: &str, host: &str, site: &Site) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let Some(authority) = origin.authority().map(|authority| authority.as_str()) else {
        return false;
    };
    let public = site.public_url.as_ref().map(|url| url.authority());
    let given = without_default_port(authority);
    let is = |own: &str| !given.is_empty() && without_default_port(own).eq_ignore_ascii_case(given);
    is(host) || public.is_some_and(is)
}

/// Removes the port 80 or 443. A browser omits the default port of a scheme, and some proxies write it. Behind a
/// proxy that ends TLS the scheme is not known here, so both ports count as the default.
fn without_default_port(authority: &str) -> &str {
    let bare = authority.strip_suffix(":443");
    bare.or_else(|| authority.strip_suffix(":80"))
        .unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn post(headers: &[(&'static str, &'static str)]) -> bool {
        post_to("vote.test:8080", headers)
    }

    fn post_to(host: &'static str, headers: &[(&'static str, &'static str)]) -> bool {
        let mut request = Request::builder().method(Method::POST).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let site = Site {
            public_url: Some("https://public.test".parse().unwrap()),
            ..Site::default()
        };
        check(&request.finish(), &site).is_ok()
    }

    #[test]
    fn a_header_that_is_not_text_is_there_all_the_same() {
        for name in ["sec-fetch-site", "origin"] {
            let mut request = Request::builder().method(Method::POST).finish();
            let value = HeaderValue::from_bytes(b"http://evil.test\xff").unwrap();
            request.headers_mut().insert(name, value);
            assert!(check(&request, &Site::default()).is_err(), "{name}");
        }
    }

    #[test]
    fn only_the_own_page_and_programs_may_post() {
        assert!(post(&[]));
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(post(&[("sec-fetch-site", "none")]));
        assert!(post(&[("origin", "http://vote.test:8080")]));
        assert!(post(&[("origin", "https://public.test")]));
        assert!(!post(&[("sec-fetch-site", "cross-site")]));
        assert!(!post(&[("sec-fetch-site", "same-site")]));
        assert!(!post(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://vote.test:8080")
        ]));
        assert!(!post(&[("origin", "http://vote.test")]));
        assert!(!post(&[("origin", "http://evil.test")]));
        assert!(!post(&[("origin", "null")]));
    }

    #[test]
    fn the_default_port_is_no_difference() {
        let from = |host, origin| post_to(host, &[("origin", origin)]);
        assert!(from("x:443", "https://x"));
        assert!(from("x:80", "http://x"));
        assert!(from("x", "https://x:443"));
        assert!(from("X.test", "https://x.test"));
        assert!(from("[::1]:443", "https://[::1]"));
        assert!(!from("x:8443", "https://x"));
        assert!(!from("x:443", "https://x:8443"));
        assert!(!from("x:443", "https://y"));
        assert!(!from("127.0.0.1:8080", "http://vote.example"));
        assert!(!from("", "https://x"));
        assert!(!from("", "https://:443"));
    }
}
