//! Makes what is sent smaller, for clients that say that they can read it.
//!
//! Gzip only: every browser reads it, over plain HTTP too. Pages are compressed as they are sent; assets
//! once (see [`assets`](crate::assets)). Never an event stream, which would be held back, and never an answer
//! to a cast.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::FutureExt;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::Body as _;
use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderValue, Method, header},
};

/// Below, all of an answer goes in one packet anyway.
const SMALLEST: u64 = 1_024;

/// Above, it would keep others waiting.
const LARGEST: u64 = 256 * 1_024;

/// Pages are compressed for each visitor: quickly.
const FAST: u32 = 1;

const BEST: u32 = 9;

pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Answers differ by this header of the request.
pub(crate) const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Whether an answer may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// What is asked for is not compressed, whatever the client can read.
    Never,
    /// The client does not say that it can read it.
    Refused,
    Accepted,
}

impl Packing {
    pub(crate) fn of(request: &Request) -> Self {
        if *request.method() != Method::GET {
            Self::Never
        } else if accepts_gzip(request.headers()) {
            Self::Accepted
        } else {
            Self::Refused
        }
    }

    /// Compresses an answer if that is worth it.
    pub(crate) fn pack(self, answer: &mut Response) {
        if self == Self::Never
            || !is_text(answer)
            || answer.headers().contains_key(header::CONTENT_ENCODING)
        {
            return;
        }
        answer.headers_mut().append(header::VARY, BY_ENCODING);
        if self != Self::Accepted {
            return;
        }
        let body = BoxBody::from(answer.take_body());
        let size = body.size_hint().exact();
        if !size.is_some_and(|size| (SMALLEST..=LARGEST).contains(&size)) {
            answer.set_body(Body::from(body));
            return;
        }
        // A body of a known size is all there.
        match body.collect().now_or_never() {
            Some(Ok(plain)) => {
                answer.set_body(gzip(&plain.to_bytes(), FAST));
                answer.headers_mut().insert(header::CONTENT_ENCODING, GZIP);
                answer.headers_mut().remove(header::CONTENT_LENGTH);
            }
            _ => *answer = crate::problem::Problem::internal().to_response(),
        }
    }
}

/// As small as it gets, for what is compressed once.
pub(crate) fn gzip_once(plain: &[u8]) -> Bytes {
    gzip(plain, BEST)
}

fn gzip(plain: &[u8], level: u32) -> Bytes {
    let room = Vec::with_capacity(plain.len() / 2);
    let mut encoder = GzEncoder::new(room, Compression::new(level));
    // Into memory, which does not fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default().into()
}

fn is_text(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || kind.starts_with("application/json")
}

/// Whether the client names gzip, or anything, and does not exclude it.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let named = |wanted: &str| {
        let all = headers.get_all(header::ACCEPT_ENCODING).into_iter();
        all.filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|coding| coding.split_once(';').unwrap_or((coding, "")))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, weight)| !is_zero(weight))
    };
    named("gzip").or_else(|| named("*")).unwrap_or(false)
}

/// Whether a weight such as `q=0.0` excludes what it stands at.
fn is_zero(weight: &str) -> bool {
    let value = weight.trim().strip_prefix(['q', 'Q']);
    let value = value.and_then(|value| value.trim_start().strip_prefix('='));
    value.is_some_and(|value| value.trim().parse::<f32>().is_ok_and(|value| value == 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_gzip_gets_it() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&headers)
        };
        for yes in [
            "gzip",
            "deflate, gzip",
            "br;q=1.0, GZIP;q=0.2",
            "*",
            "identity, *;q=0.1",
        ] {
            assert!(accepts(yes), "{yes}");
        }
        for no in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip; q=0.000, *",
            "*;q=0",
            "xgzip",
        ] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
