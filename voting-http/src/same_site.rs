//! Keeps other sites from casting a visitor's vote.
//!
//! Browsers say where a request comes from, in `Sec-Fetch-Site` or at least in `Origin`, so that
//! no token is needed in the form. A client that says neither is no browser, and has no
//! visitor's cookie to misuse.

use poem::{
    Request,
    http::{Method, Uri, header},
};

use crate::{problem::Problem, site::Site};

pub(crate) fn check(request: &Request, site: &Site) -> Result<(), Problem> {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(());
    }
    let headers = request.headers();
    // One that is there and cannot be read does not say that it is the own page.
    let same = match headers.get("sec-fetch-site") {
        // `none`: the person did it, as by reloading the page.
        Some(from) => matches!(from.as_bytes(), b"same-origin" | b"none"),
        None => headers.get(header::ORIGIN).is_none_or(|origin| {
            let origin = origin.to_str();
            origin.is_ok_and(|origin| is_own_origin(origin, request, site))
        }),
    };
    if same {
        Ok(())
    } else {
        Err(Problem::cross_site())
    }
}

fn is_own_origin(origin: &str, request: &Request, site: &Site) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let Some(authority) = origin.authority().map(|authority| authority.as_str()) else {
        return false;
    };
    let public = site.public_url.as_ref().map(|url| url.authority());
    request.header(header::HOST) == Some(authority) || public == Some(authority)
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn post(headers: &[(&'static str, &'static str)]) -> bool {
        let mut request = Request::builder()
            .method(Method::POST)
            .header("host", "vote.test:8080");
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
}
