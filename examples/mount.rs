//! Voting inside an application of your own: the services are mounted under paths of a poem
//! application, beside its own pages. `cargo run -p voting-examples --bin mount`

use std::{error::Error, sync::Arc};

use poem::{Route, get, handler, web::Html};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voting_core::{
    Poll, PollOption, PollStore, SecretKey, Worker, WorkerOptions, backends::memory::Memory,
};
use voting_http::{PeerLink, ResultService, ServeOptions, Site, VoteService, serve};

#[handler]
fn home() -> Html<&'static str> {
    Html("<h1>The cafeteria</h1><a href=/vote/>Vote on lunch</a>")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Memory::default();
    let all = Arc::new(store.clone());
    let options = vec![
        PollOption {
            id: "soup".parse()?,
            label: "Soup".to_owned(),
        },
        PollOption {
            id: "pasta".parse()?,
            label: "Pasta".to_owned(),
        },
    ];
    let poll = Poll::new("lunch".parse()?, "What for lunch?", options, 1)?;
    store.put_poll(&poll).await?;
    let queue = Arc::new(store.queue());
    let worker = Worker::new(queue, all.clone(), all.clone(), WorkerOptions::default()).start();

    // Keep the secret: it signs the cookies that tell voters apart.
    let secret = SecretKey::new(*b"an example's secret: take your own")?;
    let stop = CancellationToken::new();
    let site = |peer: &str| {
        Site::default()
            .with_peer(PeerLink::Path(peer.to_owned()))
            .with_served_by("the cafeteria".to_owned())
    };
    let vote = VoteService::builder(Arc::new(store.sink()), all.clone(), &secret)
        .site(site("/results"))
        .stop(stop.clone())
        .build();
    let result = ResultService::builder(all.clone(), all, &secret)
        .site(site("/vote"))
        .stop(stop.clone())
        .build();
    let app = Route::new()
        .at("/", get(home))
        .nest("/vote", vote)
        .nest("/results", result);

    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    let server = tokio::spawn(serve(listener, app, ServeOptions::default(), stop.clone()));
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    server.await?;
    worker.stop().await;
    Ok(())
}
