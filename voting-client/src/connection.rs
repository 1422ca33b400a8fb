//! Single requests to one address, without a second try. A redirect is not followed: a voter's key, code or token is for the
//! service of this address alone.

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use crate::error::{Error, Problem};

/// An answer with more bytes is not taken.
const MOST_BYTES: usize = 16 << 20;

pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

#[derive(Debug, Clone)]
pub(crate) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at its end.
    address: String,
    headers: Headers,
}

/// A failure of one try.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The service has seen nothing of the request.
    pub(crate) unsent: bool,
    /// The same request may succeed later.
    pub(crate) passing: bool,
    /// How long the answer asks to wait before the next try.
    pub(crate) asked: Option<Duration>,
}

impl Failure {
    fn no_answer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>, unsent: bool) -> Self {
        Self {
            error: Error::NoAnswer(error.into()),
            unsent,
            passing: true,
            asked: None,
        }
    }
}

impl Connection {
    pub(crate) fn new(address: &str, headers: Headers) -> Result<Self, Error> {
        let invalid = Error::Invalid { what: "address" };
        let address = address.trim_end_matches('/');
        let Ok(uri) = address.parse::<Uri>() else {
            return Err(invalid);
        };
        let scheme = uri.scheme_str();
        if uri.authority().is_none()
            || !matches!(scheme, Some("http" | "https"))
            || uri.query().is_some()
        {
            return Err(invalid);
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| Error::Certificates(error.into()))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            address: address.to_owned(),
            headers,
        })
    }

    /// A whole answer with a status of 2xx.
    pub(crate) async fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &Headers,
        body: Option<&Bytes>,
        limit: Duration,
    ) -> Result<Response<Bytes>, Failure> {
        let answered = timeout(limit, async {
            let answer = self.open(method, path, headers, body).await?;
            let (head, body) = answer.into_parts();
            Ok(Response::from_parts(head, read(body).await?))
        });
        match answered.await {
            Ok(answered) => answered,
            Err(elapsed) => Err(Failure::no_answer(elapsed, false)),
        }
    }

    /// An answer with a status of 2xx, whose body is still to come.
    pub(crate) async fn open(
        &self,
        method: &Method,
        path: &str,
        headers: &Headers,
        body: Option<&Bytes>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body.cloned().unwrap_or_default()));
        *request.method_mut() = method.clone();
        let Ok(uri) = format!("{}/{path}", self.address).parse() else {
            return Err(Failure {
                error: Error::Invalid { what: "address" },
                unsent: true,
                passing: false,
                asked: None,
            });
        };
        *request.uri_mut() = uri;
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        for (name, value) in self.headers.iter().chain(headers) {
            request.headers_mut().insert(name, value.clone());
        }
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| {
            let unsent = error.is_connect();
            Failure::no_answer(error, unsent)
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let status = head.status;
        let asked = retry_after(&head.headers);
        let error = match (problem(&head.headers, &read(body).await?), asked) {
            (Some(mut problem), _) => {
                problem.retry_after = asked;
                Error::Problem(Box::new(problem))
            }
            (None, Some(wait)) => Error::Wait {
                status: status.as_u16(),
                wait,
            },
            (None, None) => Error::Status(status.as_u16()),
        };
        let passing = matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
            && error.kind() != Some("proof-needed");
        Err(Failure {
            error,
            unsent: false,
            passing,
            asked,
        })
    }
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, MOST_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(Failure::no_answer(error, false)),
    }
}

fn problem(headers: &HeaderMap, body: &[u8]) -> Option<Problem> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with("application/problem+json") {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// How long an answer asks to wait: a number of seconds, or a date, by the clock that has set the date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let date = headers.get(header::DATE);
    let now = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let now = now.unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

impl Failure {
    /// Whether a ballot that failed so may be stored all the same.
    pub(crate) fn may_be_stored(&self) -> bool {
        match &self.error {
            Error::NoAnswer(_) => !self.unsent,
            Error::Problem(problem) => {
                let refused = ["overloaded", "not-stored", "foreign-secret"];
                problem.status >= 500 && !refused.contains(&problem.kind())
            }
            Error::Status(status) | Error::Wait { status, .. } => *status >= 500,
            error => error.source().is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_asks_to_wait_for_seconds_or_until_a_date() {
        let asked = |after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(after));
            if let Some(date) = date {
                headers.insert(header::DATE, HeaderValue::from_static(date));
            }
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked("0", None), Some(0));
        assert_eq!(asked("99999999999999999999999", None), Some(u64::MAX));
        assert_eq!(asked("Sun, 06 Nov 1994 08:51:37 GMT", date), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:36 GMT", date), Some(0));
        assert_eq!(asked("Sun, 06 Nov 1994 08:51:37 GMT", None), Some(0));
        assert!(asked("Thu, 06 Nov 2994 08:51:37 GMT", None).is_some_and(|wait| wait > 1 << 33));
        assert_eq!(asked("soon", date), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
