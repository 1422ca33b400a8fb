//! Voting inside a poem application: the services are mounted under paths, beside the application's own pages.
//! `cargo run -p voting-examples --bin mount`

use std::{error::Error, time::Duration};

use poem::{Route, get, handler, web::Html};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voting_core::{backends::memory::Memory, prelude::*};
use voting_http::{Gate, PeerLink, ResultService, ServeOptions, Site, VoteService, serve};

#[handler]
fn home() -> Html<&'static str> {
    Html("<h1>The cafeteria</h1><a href=/vote/>Vote on lunch</a>")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let voting = Voting::embedded(Memory::default()).start().await?;
    let poll = Poll::builder("lunch", "What for lunch?")
        .option("soup", "Soup")
        .option("pasta", "Pasta")
        .build()?;
    voting.put_poll(&poll).await?;

    // Keep the secret: it signs the cookies that tell voters apart.
    let secret = SecretKey::new(*b"an example's secret: take your own")?;
    let stop = CancellationToken::new();
    // All services behind one server share a gate, which limits connections and streams for each client.
    let gate = Gate::default();
    let site = |peer: &str| {
        Site::default()
            .with_gate(gate.clone())
            .with_peer(PeerLink::Path(peer.to_owned()))
            .with_served_by("the cafeteria".to_owned())
    };
    let vote = VoteService::builder(voting.sink(), voting.directory(), &secret)
        .site(site("/results"))
        .stop(stop.clone())
        .build();
    let result = ResultService::builder(voting.store(), voting.directory(), &secret)
        .site(site("/vote"))
        .stop(stop.clone())
        .build();
    let app = Route::new()
        .at("/", get(home))
        .nest("/vote", vote)
        .nest("/results", result);

    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    let options = ServeOptions {
        gate,
        ..ServeOptions::default()
    };
    let server = tokio::spawn(serve(listener, app, options, stop.clone()));
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    server.await?;
    voting.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
