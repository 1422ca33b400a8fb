//! Serves an endpoint on a socket: HTTP/1.1 with bounded waits and a graceful stop.
//!
//! poem's own server sets neither `TCP_NODELAY` nor a limit on how slowly a client may send its
//! request's head or take its answer, and retries a failed `accept` without a pause, so
//! connections are accepted here.

use std::{io, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use poem::{
    Addr, Endpoint, EndpointExt, IntoEndpoint, Request, Response,
    endpoint::{DynEndpoint, ToDynEndpoint},
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// How patient [`serve()`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// How long a client may take to send a request's head, and a connection may idle.
    pub header_timeout: Duration,
    /// How long a client may take none of what is sent to it.
    pub write_timeout: Duration,
    /// Connections at a time; further ones wait to be accepted.
    pub max_connections: usize,
    /// Once asked to stop, how long requests in flight are waited for.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_connections: 20_000,
            drain: Duration::from_secs(10),
        }
    }
}

/// After `accept` failed, as when file descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Shared = Arc<dyn DynEndpoint<Output = Response>>;

/// Serves until `stop` is cancelled, then lets the requests in flight end. Returns whether they
/// all did in time.
pub async fn serve<E>(
    listener: TcpListener,
    endpoint: E,
    options: ServeOptions,
    stop: CancellationToken,
) -> bool
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let endpoint: Shared = Arc::new(ToDynEndpoint(endpoint.into_endpoint().map_to_response()));
    let local = listener.local_addr().ok();
    let places = Arc::new(Semaphore::new(options.max_connections));
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        // What a client sends in one go must not grow without bound.
        .max_buf_size(64 * 1024);

    let mut failing = false;
    while let Some((stream, place)) = accept(&listener, &places, &stop, &mut failing).await {
        let remote = stream.peer_addr().ok();
        let endpoint = Arc::clone(&endpoint);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let endpoint = Arc::clone(&endpoint);
            let addresses = (
                LocalAddr(local.map_or_else(unknown, Addr::from)),
                RemoteAddr(remote.map_or_else(unknown, Addr::from)),
            );
            async move {
                let (local, remote) = addresses;
                let request = Request::from((request, local, remote, Scheme::HTTP));
                let response = endpoint.get_response(request).await;
                Ok::<_, io::Error>(hyper::Response::from(response))
            }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(options.write_timeout));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = connections.watch(http.serve_connection(stream, service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    timeout(options.drain, connections.shutdown()).await.is_ok()
}

fn unknown() -> Addr {
    Addr::custom("unknown", "")
}

/// The next connection and its place among the connections; `None` once the server is to stop.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
    failing: &mut bool,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let next = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // An answer is one small write; waiting to fill a packet only delays it.
                    let _ = stream.set_nodelay(true);
                    *failing = false;
                    return Some((stream, place));
                }
                Err(error) => {
                    if !std::mem::replace(failing, true) {
                        tracing::warn!(%error, "cannot accept connections; trying again");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(next).await.flatten()
}
