//! Answers with tallies, and how long caches may keep them.
//!
//! Only what everybody sees is for shared caches. It is the same for all who ask, so no header of a request beside
//! `Accept-Encoding` changes it.

use bytes::Bytes;
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use crate::{
    cache::sent::Sent,
    pages::compression::{self, BY_ENCODING, GZIP, Packed},
    views::{pointer_view::PointerView, tally_view::TallyView},
};

/// Until it is asked for again, nobody knows whether this is still the current tally.
const CURRENT: HeaderValue = HeaderValue::from_static("public, no-cache");

/// The bytes behind a digest never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A cache in front asks once a second for all viewers, and nobody waits meanwhile.
const A_SECOND: HeaderValue =
    HeaderValue::from_static("public, max-age=1, stale-while-revalidate=4");

/// The count is final, but the host may still archive the poll, and an operator may void ballots.
const A_MINUTE: HeaderValue =
    HeaderValue::from_static("public, max-age=60, stale-while-revalidate=600");

/// Shown to this client only.
const FOR_ONE: HeaderValue = HeaderValue::from_static("private, no-store");

/// The current tally, as everybody sees it.
pub(super) fn current(request: &Request, sent: &Sent) -> TallyAnswer {
    tally(request, sent, CURRENT)
}

/// The current tally, for a client that sees more than everybody.
pub(super) fn for_one(sent: &Sent) -> TallyAnswer {
    TallyAnswer(json::<TallyView>(sent.json.clone(), FOR_ONE))
}

/// The tally with its digest as address.
pub(super) fn by_digest(request: &Request, sent: &Sent) -> TallyAnswer {
    tally(request, sent, FOR_EVER)
}

/// What names the current tally.
pub(super) fn pointer(request: &Request, sent: &Sent, is_final: bool) -> PointerAnswer {
    let caching = if is_final { A_MINUTE } else { A_SECOND };
    let tag = format!("\"{}\"", sent.digest);
    let mut answer = match has(request.headers(), &tag) {
        true => unchanged(caching),
        false => json::<PointerView>(sent.pointer.clone(), caching),
    };
    put_tag(&mut answer, &tag);
    // It is smaller than what compression would add.
    answer.set_data(Packed);
    PointerAnswer(answer)
}

fn tally(request: &Request, sent: &Sent, caching: HeaderValue) -> TallyAnswer {
    let accepts_gzip = compression::accepts_gzip(request.headers());
    let gzip = sent.gzip().filter(|_| accepts_gzip);
    // Different bytes have different tags, also if they are the same tally.
    let tag = match gzip {
        Some(_) => format!("\"{}-gzip\"", sent.digest),
        None => format!("\"{}\"", sent.digest),
    };
    let mut answer = match (has(request.headers(), &tag), gzip) {
        (true, _) => unchanged(caching),
        (false, None) => json::<TallyView>(sent.json.clone(), caching),
        (false, Some(gzip)) => {
            let mut answer = json::<TallyView>(gzip.clone(), caching);
            answer.headers_mut().insert(header::CONTENT_ENCODING, GZIP);
            answer
        }
    };
    put_tag(&mut answer, &tag);
    answer.headers_mut().append(header::VARY, BY_ENCODING);
    answer.set_data(Packed);
    TallyAnswer(answer)
}

fn json<T: Type>(body: Bytes, caching: HeaderValue) -> Response {
    Response::builder()
        .content_type(Json::<T>::CONTENT_TYPE)
        .header(header::CACHE_CONTROL, caching)
        .body(body)
}

fn unchanged(caching: HeaderValue) -> Response {
    Response::builder()
        .status(StatusCode::NOT_MODIFIED)
        .header(header::CACHE_CONTROL, caching)
        .finish()
}

fn put_tag(answer: &mut Response, tag: &str) {
    // Digits and quotation marks are always a header.
    if let Ok(tag) = HeaderValue::from_str(tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
}

/// Whether the client says that it has what this tag names (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let mut named = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim);
    named.any(|named| named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag)
}

/// An answer whose body is a tally.
pub(super) struct TallyAnswer(Response);

/// An answer whose body is a pointer.
pub(super) struct PointerAnswer(Response);

macro_rules! described {
    ($answer:ident, $body:ty, $words:literal) => {
        impl IntoResponse for $answer {
            fn into_response(self) -> Response {
                self.0
            }
        }

        impl ApiResponse for $answer {
            fn meta() -> MetaResponses {
                let found = MetaResponse {
                    content: vec![MetaMediaType {
                        content_type: Json::<$body>::CONTENT_TYPE,
                        schema: Json::<$body>::schema_ref(),
                    }],
                    ..described(200, $words)
                };
                let unchanged = "The client already has it: its `ETag` is in `If-None-Match`.";
                MetaResponses {
                    responses: vec![found, described(304, unchanged)],
                }
            }

            fn register(registry: &mut Registry) {
                <$body>::register(registry);
            }
        }
    };
}

described!(TallyAnswer, TallyView, "The tally.");
described!(PointerAnswer, PointerView, "The pointer.");

/// An answer without a body.
fn described(status: u16, description: &'static str) -> MetaResponse {
    let header = |name: &str, words: &str| MetaHeader {
        name: name.to_owned(),
        description: Some(words.to_owned()),
        required: false,
        deprecated: false,
        schema: String::schema_ref(),
    };
    let headers = vec![
        header(
            "ETag",
            "The digest of the tally. A compressed answer has `-gzip` after it. Absent: this client may see \
             the result, but not everybody may.",
        ),
        header("Cache-Control", "Who may keep the answer, and how long."),
    ];
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: Vec::new(),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_and_also_if_a_proxy_has_made_it_weak() {
        let headers = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(line));
            }
            headers
        };
        for lines in [
            &["\"a\""][..],
            &["W/\"a\""],
            &["\"b\" , \"a\""],
            &["\"b\"", "\"a\""],
            &["*"],
        ] {
            assert!(has(&headers(lines), "\"a\""), "{lines:?}");
        }
        for lines in [&[][..], &["a"], &["\"a-gzip\""], &["\"A\""], &["w/\"a\""]] {
            assert!(!has(&headers(lines), "\"a\""), "{lines:?}");
        }
    }
}
