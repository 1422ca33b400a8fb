//! A service for axum, hyper and other users of a [`tower_service::Service`].

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::{BodyDataStream, combinators::BoxBody};
use hyper::body::Body as HttpBody;
use poem::{
    Addr, Body, Endpoint, IntoEndpoint, Request, RequestParts, Response,
    endpoint::{DynEndpoint, ToDynEndpoint},
    http::{self, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};

/// The address of the other end of a request's connection. The code that accepts connections attaches it to the
/// request's extensions. [`Limits`](crate::Limits) by address depend on it; without it, all clients count as one
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// A voting service as a [`tower_service::Service`] over [`http::Request`]: for axum's `nest_service` and
/// `fallback_service`, and for hyper through `hyper_util::service::TowerToHyperService`. It never fails, is always
/// ready, and is cheap to clone.
#[derive(Clone)]
pub struct HttpService(Arc<dyn DynEndpoint<Output = Response>>);

impl HttpService {
    pub(crate) fn new<E>(endpoint: E) -> Self
    where
        E: IntoEndpoint,
        E::Endpoint: Endpoint<Output = Response> + 'static,
    {
        Self(Arc::new(ToDynEndpoint(endpoint.into_endpoint())))
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<http::Request<B>> for HttpService
where
    B: HttpBody + Send + 'static,
    B::Data: Into<Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = http::Response<BoxBody<Bytes, io::Error>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let endpoint = Arc::clone(&self.0);
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<PeerAddress>();
        let peer = peer.map_or_else(unknown, |PeerAddress(peer)| Addr::from(*peer));
        let scheme = parts.uri.scheme().cloned().unwrap_or(Scheme::HTTP);
        let parts = RequestParts::from((parts, LocalAddr(unknown()), RemoteAddr(peer), scheme));
        let body = BodyDataStream::new(body).map_err(io::Error::other);
        let request = Request::from_parts(parts, Body::from_bytes_stream(body));
        Box::pin(async move {
            let answer = endpoint.call(request).await;
            Ok(answer.unwrap_or_else(|error| error.into_response()).into())
        })
    }
}

fn unknown() -> Addr {
    Addr::custom("unknown", "")
}
