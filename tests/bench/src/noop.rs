//! What intake is compared with: the same serving stack and a handler that takes the form and does
//! nothing.

use std::{future::pending, num::NonZeroUsize, thread};

use poem::{Endpoint, Request, endpoint::make, http::StatusCode};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
};
use tokio_util::sync::CancellationToken;
use voting_http::{ServeOptions, serve as serve_on};

pub(crate) async fn serve() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    println!("Noop: http://{address}/");
    let stop = CancellationToken::new();
    let options = ServeOptions {
        runtimes: runtimes(),
        ..ServeOptions::default()
    };
    serve_on(socket, handler(), options, stop).await;
}

/// A runtime with one thread for each core but one, as the vote service has.
fn runtimes() -> Vec<Handle> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = cores.saturating_sub(1).max(1);
    let start = |_| {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(pending::<()>()));
        handle
    };
    (0..count).map(start).collect()
}

fn handler() -> impl Endpoint<Output = &'static str> {
    make(|mut request: Request| async move {
        if request.uri().path() == "/readyz" {
            return Ok("ready");
        }
        let body = request.take_body().into_bytes().await?;
        let mut fields = form_urlencoded::parse(&body);
        match fields.find(|(name, _)| name == "vote") {
            Some((_, option)) if option == "a" || option == "b" => Ok("taken"),
            _ => Err(poem::Error::from_status(StatusCode::UNPROCESSABLE_ENTITY)),
        }
    })
}
