//! Serves an endpoint on a socket: HTTP/1.1 with bounded waits and a graceful stop.
//!
//! Connections are accepted here and not by poem's own server. That server does not set `TCP_NODELAY`. It does not
//! limit how slowly a client may send the head of a request or read an answer. And it retries a failed `accept`
//! without a pause.
//!
//! A client with an open connection cannot know when the server will close it. A request that is sent at that moment
//! is lost, and its sender does not know whether it was carried out. So a server that is to stop first answers with
//! `Connection: close` for a while, and each client that sends a request leaves by itself.

use std::{
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use poem::{
    Addr, EndpointExt, IntoEndpoint, Request, Response,
    endpoint::{DynEndpoint, ToDynEndpoint},
    http::{
        header::{CONNECTION, HeaderValue},
        uri::Scheme,
    },
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    problem::Problem,
    server::gate::{Gate, Place, Room, ShortVisit},
};

/// Time-outs of [`serve()`], and its limits on connections.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// How long a client may take to send a request's head, and how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long the client may accept no data while an answer is sent.
    pub write_timeout: Duration,
    /// Limits on connections, in total and by address. It must be the gate of the service that is served.
    pub gate: Gate,
    /// After `stop`, how long open connections are still served, each for one more request. This time ends as soon as
    /// no connection is open. A client that pauses for longer between requests may find its connection closed.
    pub lame_duck: Duration,
    /// After `lame_duck`, how long to wait for requests in flight.
    pub drain: Duration,
    /// The runtimes that serve the connections: each connection is served by the one that has the fewest. They must last
    /// until [`serve()`] ends. If there are none, the runtime that accepts the connections serves them too.
    pub runtimes: Vec<Handle>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            gate: Gate::default(),
            lame_duck: Duration::from_secs(1),
            drain: Duration::from_secs(10),
            runtimes: Vec::new(),
        }
    }
}

/// How long a connection of the reserve may take to send the head of its request.
const SHORT_HEAD: Duration = Duration::from_secs(5);

/// How long a connection of the reserve may last. A slow ballot takes less.
const SHORT_VISIT: Duration = Duration::from_secs(20);

/// The pause after `accept` failed, for example because there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Shared = Arc<dyn DynEndpoint<Output = Response>>;

/// Serves until `stop` is cancelled. Then it accepts no more connections, and lets clients leave as [`ServeOptions`]
/// says. Returns whether all requests in flight ended in time.
///
/// Connections that are in the socket's queue at that moment are served too. Later connections go to other processes
/// that listen on the same socket, if there are any.
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
    let gate = options.gate;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        // The data that a client sends at once must not grow without bound.
        .max_buf_size(64 * 1024);
    let mut short_http = http.clone();
    short_http
        .header_read_timeout(options.header_timeout.min(SHORT_HEAD))
        .keep_alive(false);
    let server = Server {
        endpoint: Arc::new(ToDynEndpoint(endpoint.into_endpoint().map_to_response())),
        local: listener.local_addr().ok(),
        http,
        short_http,
        write_timeout: options.write_timeout,
        connections: GracefulShutdown::new(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        runtimes: options.runtimes.into_iter().map(Serving::new).collect(),
    };
    let mut failing = false;
    while let Some((stream, room)) = accept(&listener, &gate, &stop, &mut failing).await {
        if let Some(place) = gate.admit(room, stream.peer_addr().ok()) {
            server.open(stream, place);
        }
    }
    // The clients in the queue see an open connection, and may have sent a request.
    let queued = queued(listener);
    let leaving = async {
        for stream in queued {
            let Some(room) = gate.room().await else {
                break;
            };
            if let Some(place) = gate.admit(room, stream.peer_addr().ok()) {
                server.open(stream, place);
            }
        }
        server.tasks.close();
        server.tasks.wait().await;
    };
    // The connections that are open afterwards are idle, or busy with a request.
    let _ = timeout(options.lame_duck, leaving).await;
    timeout(options.drain, server.connections.shutdown())
        .await
        .is_ok()
}

struct Server {
    endpoint: Shared,
    local: Option<SocketAddr>,
    http: http1::Builder,
    /// Serves connections of the reserve.
    short_http: http1::Builder,
    write_timeout: Duration,
    connections: GracefulShutdown,
    tasks: TaskTracker,
    stop: CancellationToken,
    runtimes: Vec<Serving>,
}

/// A runtime, and how many connections it serves.
struct Serving {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Serving {
    fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            connections: Arc::default(),
        }
    }

    /// Counts one more connection, until the guard is dropped.
    fn one_more(&self) -> Served {
        self.connections.fetch_add(1, Relaxed);
        Served(Arc::clone(&self.connections))
    }
}

/// One of the connections of a runtime.
struct Served(Arc<AtomicUsize>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Server {
    /// Serves a connection. Its place is held until the connection ends.
    fn open(&self, stream: TcpStream, place: Place) {
        // An answer is one small write. To wait until a packet is full would only delay it.
        let _ = stream.set_nodelay(true);
        let fewest = self
            .runtimes
            .iter()
            .min_by_key(|serving| serving.connections.load(Relaxed));
        let Some(serving) = fewest else {
            let connection = self.connection(stream, place);
            self.tasks.spawn(connection);
            return;
        };
        // A stream belongs to the runtime in which it is made, and so does a timer.
        let _entered = serving.runtime.enter();
        match stream.into_std().and_then(TcpStream::from_std) {
            Ok(stream) => {
                let served = serving.one_more();
                let connection = self.connection(stream, place);
                let connection = async move {
                    connection.await;
                    drop(served);
                };
                self.tasks.spawn_on(connection, &serving.runtime);
            }
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    }

    /// Serves a connection until it ends.
    fn connection(
        &self,
        stream: TcpStream,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (local, remote) = (self.local, stream.peer_addr().ok());
        let is_short = place.is_short();
        let (endpoint, stop) = (Arc::clone(&self.endpoint), self.stop.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (endpoint, stop) = (Arc::clone(&endpoint), stop.clone());
            let addresses = (
                LocalAddr(local.map_or_else(unknown, Addr::from)),
                RemoteAddr(remote.map_or_else(unknown, Addr::from)),
            );
            async move {
                let answer = async {
                    let (local, remote) = addresses;
                    let mut request = Request::from((request, local, remote, Scheme::HTTP));
                    if is_short {
                        request.extensions_mut().insert(ShortVisit);
                    }
                    // Through `Endpoint`, this future would hold the request too.
                    DynEndpoint::call(endpoint.as_ref(), request).await
                };
                // A panic must not end the connection.
                let answer = AssertUnwindSafe(answer).catch_unwind().await;
                let mut response = match answer {
                    Ok(Ok(response)) => response,
                    Ok(Err(error)) => error.into_response(),
                    Err(_) => Problem::internal().to_response(),
                };
                if stop.is_cancelled() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, io::Error>(hyper::Response::from(response))
            }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        let stream = TokioIo::new(Box::pin(stream));
        let http = if is_short {
            &self.short_http
        } else {
            &self.http
        };
        let connection = http.serve_connection(stream, service);
        let connection = self.connections.watch(connection);
        async move {
            let ended = if is_short {
                timeout(SHORT_VISIT, connection).await.unwrap_or(Ok(()))
            } else {
                connection.await
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        }
    }
}

/// The connections in the socket's queue. They would be closed with the socket, together with the requests in them.
fn queued(listener: TcpListener) -> Vec<TcpStream> {
    let mut taken = Vec::new();
    let Ok(listener) = listener.into_std() else {
        return taken;
    };
    loop {
        // This does not wait; it fails if the queue is empty.
        match listener.accept() {
            Ok((stream, _)) => {
                let stream = stream.set_nonblocking(true).map(|()| stream);
                taken.extend(stream.and_then(TcpStream::from_std));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return taken,
        }
    }
}

fn unknown() -> Addr {
    Addr::custom("unknown", "")
}

/// The next connection and its room; `None` once the server is to stop.
async fn accept(
    listener: &TcpListener,
    gate: &Gate,
    stop: &CancellationToken,
    failing: &mut bool,
) -> Option<(TcpStream, Room)> {
    let next = async {
        let room = gate.room().await?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    *failing = false;
                    return Some((stream, room));
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
