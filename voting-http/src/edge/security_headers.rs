//! The headers that tell browsers what a page may do: it loads from this site only, no other site may frame it, and
//! no content type is guessed.

use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, header},
};

use crate::pages::site::PublicUrl;

const PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
     object-src 'none'";

/// The policy of a page that contains the script with this SHA-256, in base64.
pub(crate) fn policy_with_script(hash: &str) -> HeaderValue {
    let scripts = format!("script-src 'self' 'sha256-{hash}'");
    let policy = PAGES.replace("script-src 'self'", &scripts);
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(PAGES))
}

/// The policy of a page that these sites may show inside theirs.
pub(crate) fn policy_framed_by(origins: &[PublicUrl]) -> HeaderValue {
    let ancestors = origins
        .iter()
        .fold("frame-ancestors".to_owned(), |list, origin| {
            format!("{list} {origin}")
        });
    let policy = PAGES.replace("frame-ancestors 'none'", &ancestors);
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(PAGES))
}

/// The policy of a page with a form for the address `target`, which may be at another service. An address without a
/// scheme has that of the page. `None` if no policy can name its host: an IPv6 address.
pub(crate) fn policy_with_form(target: &str) -> Option<HeaderValue> {
    let origin = match target.split_once("//") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            format!(
                "{scheme}{}{host}",
                if scheme.is_empty() { "" } else { "//" }
            )
        }
        None => return Some(PAGES_POLICY),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'/');
    if !origin.bytes().all(plain) {
        return None;
    }
    let forms = format!("form-action 'self' {origin}");
    HeaderValue::try_from(PAGES.replace("form-action 'self'", &forms)).ok()
}

// The values are constants, since `from_static` looks at each byte of its text. So the compiler does that, once.

const PAGES_POLICY: HeaderValue = HeaderValue::from_static(PAGES);

/// Swagger UI is one document that contains its script and its style.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
);

/// Assets load nothing.
const ASSETS_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'");

/// The same for all answers.
const FIXED: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, SAME_ORIGIN),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        SAME_ORIGIN,
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        SAME_ORIGIN,
    ),
];

const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

const ALWAYS_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Pages and answers are for one visitor and one moment. Assets set their own value.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The headers that the answer to a request gets.
pub(crate) struct SecurityHeaders {
    policy: HeaderValue,
    https: bool,
}

impl SecurityHeaders {
    pub(crate) fn of(request: &Request, https: bool) -> Self {
        let path = request.uri().path();
        let docs = path == "/docs" || path.starts_with("/docs/");
        let policy = match path {
            _ if docs => DOCS_POLICY,
            _ if path.starts_with("/assets/") => ASSETS_POLICY,
            _ => PAGES_POLICY,
        };
        Self { policy, https }
    }

    pub(crate) fn put_on(&self, answer: &mut Response) {
        let headers = answer.headers_mut();
        // There is space for these headers and a cookie.
        headers.reserve(8);
        // A page may have a policy of its own.
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert_with(|| self.policy.clone());
        for (name, value) in FIXED {
            // An answer may have a value of its own: a stricter one, or a picture that other sites may show.
            headers.entry(name).or_insert(value);
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, ALWAYS_HTTPS);
        }
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_be_sent_to_the_other_service_and_nowhere_else() {
        let forms = |target: &str| {
            let policy = policy_with_form(target)?;
            let policy = policy.to_str().expect("text").to_owned();
            let forms = policy
                .split("; ")
                .find(|part| part.starts_with("form-action"));
            Some(forms.expect("forms").to_owned())
        };
        let other = |target: &str| forms(target).expect("a policy");
        assert_eq!(other("/results/receipt"), "form-action 'self'");
        assert_eq!(
            other("//vote.test:8081/receipt"),
            "form-action 'self' vote.test:8081"
        );
        assert_eq!(
            other("https://results.test/receipt"),
            "form-action 'self' https://results.test"
        );
        assert_eq!(forms("//[::1]:8081/receipt"), None);
        assert_eq!(forms("//a;script-src *:1/receipt"), None);
    }
}
