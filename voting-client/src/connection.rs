//! Single requests to one address, without a second try.

use std::{error::Error as _, time::Duration};

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
}

impl Failure {
    fn no_answer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>, unsent: bool) -> Self {
        Self {
            error: Error::NoAnswer(error.into()),
            unsent,
            passing: true,
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
        let error = match problem(&head.headers, &read(body).await?) {
            Some(problem) => Error::Problem(Box::new(problem)),
            None => Error::Status(status.as_u16()),
        };
        let passing = matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
            && error.kind() != Some("proof-needed");
        Err(Failure {
            error,
            unsent: false,
            passing,
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
    let mut problem: Problem = serde_json::from_slice(body).ok()?;
    let after = headers.get(header::RETRY_AFTER);
    let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
    problem.retry_after = after.map(Duration::from_secs);
    Some(problem)
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
            Error::Status(status) => *status >= 500,
            error => error.source().is_some(),
        }
    }
}
