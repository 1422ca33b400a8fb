//! A keep-alive connection to a service: one request at a time, without a pool and without retries.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

use crate::plan::InvalidPlan;

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `host:port`.
    authority: String,
    host: HeaderValue,
    /// The beginning of all paths, without a slash at the end.
    base: String,
}

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidPlan> {
        let invalid = || InvalidPlan::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() {
            return Err(invalid());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| invalid())?,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The target of a request for `path`, which begins with a slash.
    pub(crate) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The service has seen nothing of the request, which is returned.
    #[error("the connection was closed")]
    Unsent(Box<Request<Full<Bytes>>>),
    /// The service may have seen the request.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) async fn open(place: &Place) -> io::Result<Self> {
        let stream = TcpStream::connect(&place.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // The caller that waits for the answer gets the error.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Whether the connection can take another request.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request, and returns the head of the answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let answer = self.sender.try_send_request(request).await;
        answer.map_err(|mut error| match error.take_message() {
            Some(request) => NoAnswer::Unsent(Box::new(request)),
            None => NoAnswer::Broken(error.into_error()),
        })
    }
}

/// The whole body of an answer.
pub(crate) async fn body_of(answer: Response<Incoming>) -> Result<Bytes, hyper::Error> {
    Ok(answer.into_body().collect().await?.to_bytes())
}

/// A request without a body.
pub(crate) fn get(place: &Place, path: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = place.target(path).parse().unwrap_or_default();
    request.headers_mut().insert(HOST, place.host());
    request
}
