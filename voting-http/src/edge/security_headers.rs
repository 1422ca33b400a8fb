//! The headers that tell browsers what a page may do: it loads from this site only, no other site may frame it, and
//! no content type is guessed.

use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, header},
};

const PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
     object-src 'none'";

/// The policy of a page in which the script with this SHA-256 stands, in base64.
pub(crate) fn policy_with_script(hash: &str) -> HeaderValue {
    let scripts = format!("script-src 'self' 'sha256-{hash}'");
    let policy = PAGES.replace("script-src 'self'", &scripts);
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(PAGES))
}

/// Swagger UI is one document with its script and style in it.
const DOCS: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
     object-src 'none'";

/// Assets load nothing.
const ASSETS: &str = "default-src 'none'";

/// What the answer to a request is to have.
pub(crate) struct SecurityHeaders {
    policy: &'static str,
    https: bool,
}

impl SecurityHeaders {
    pub(crate) fn of(request: &Request, https: bool) -> Self {
        let path = request.uri().path();
        let docs = path == "/docs" || path.starts_with("/docs/");
        let policy = match path {
            _ if docs => DOCS,
            _ if path.starts_with("/assets/") => ASSETS,
            _ => PAGES,
        };
        Self { policy, https }
    }

    pub(crate) fn put_on(&self, answer: &mut Response) {
        let headers = answer.headers_mut();
        // Room for these and a cookie at once.
        headers.reserve(8);
        // A page may have one of its own.
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static(self.policy));
        let fixed = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.https {
            let always = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, always);
        }
        // What a page or an answer says is true for one visitor and moment; assets say otherwise.
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
}
