//! What intake is compared with: the same serving stack and a handler that takes the form and does
//! nothing.

use poem::{Endpoint, Request, endpoint::make, http::StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voting_http::{ServeOptions, serve as serve_on};

pub(crate) async fn serve() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    println!("Noop: http://{address}/");
    let stop = CancellationToken::new();
    serve_on(socket, handler(), ServeOptions::default(), stop).await;
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
