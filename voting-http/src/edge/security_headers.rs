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
