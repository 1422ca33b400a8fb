//! Voting inside an axum application that has a login of its own: who may vote is for the application to say, and
//! the vote service sets no cookie that names a voter. `cargo run -p voting-examples --bin axum`

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Path, Request, State},
    http::header::{COOKIE, SET_COOKIE},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voting_core::{MacKey, backends::memory::Memory, prelude::*};
use voting_http::{
    PeerAddress, PeerLink, ResultService, SetByApplication, Site, VoteService, Voter,
};

/// Signs users' names, so that nobody can make a session of their own. An application has its own way of doing this.
struct Sessions(MacKey);

impl Sessions {
    fn tag(&self, user: &str) -> String {
        let tag = self.0.tag(user.as_bytes());
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The name in the cookie `session=NAME.TAG`, if it was made here.
    fn user(&self, request: &Request) -> Option<String> {
        let cookies = request.headers().get(COOKIE)?.to_str().ok()?;
        let session = cookies
            .split(';')
            .find_map(|cookie| cookie.trim().strip_prefix("session="))?;
        let (user, tag) = session.split_once('.')?;
        (tag == self.tag(user)).then(|| user.to_owned())
    }
}

/// What the application knows.
struct App {
    sessions: Sessions,
    /// Makes voters of users' names. Keep it: with another key each user would be a new voter.
    voters: MacKey,
}

async fn home() -> Html<&'static str> {
    Html("<h1>The club</h1><a href=/login/ada>Sign in as Ada</a> <a href=/vote/>Vote</a>")
}

/// Of an example only: it asks for no password.
async fn login(State(app): State<Arc<App>>, Path(user): Path<String>) -> Response {
    let user: String = user.chars().filter(char::is_ascii_alphanumeric).collect();
    let tag = app.sessions.tag(&user);
    let cookie = format!("session={user}.{tag}; Path=/; HttpOnly; SameSite=Lax");
    ([(SET_COOKIE, cookie)], Redirect::to("/vote/")).into_response()
}

/// Puts the voter on each request of a user who has signed in, and the client's address on all.
async fn who(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if let Some(user) = app.sessions.user(&request) {
        let voter = VoterId::from_external(&app.voters, &user);
        request.extensions_mut().insert(Voter(voter));
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer.copied() {
        request.extensions_mut().insert(PeerAddress(peer));
    }
    next.run(request).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let voting = Voting::embedded(Memory::default()).start().await?;
    let poll = Poll::builder("venue", "Where do we meet?")
        .option("park", "In the park")
        .option("pub", "In the pub")
        .build()?;
    voting.put_poll(&poll).await?;

    let secret = SecretKey::new(*b"an example's secret: take your own")?;
    let stop = CancellationToken::new();
    let site = |peer: &str| Site::default().with_peer(PeerLink::Path(peer.to_owned()));
    let vote = VoteService::builder(voting.sink(), voting.directory(), &secret)
        .site(site("/results"))
        .identify(SetByApplication::default().or_sign_in_at("/"))
        // axum takes the path off before the service sees the request.
        .base_path("/vote")
        .stop(stop.clone())
        .build();
    let result = ResultService::builder(voting.store(), voting.directory(), &secret)
        .site(site("/vote"))
        .base_path("/results")
        .stop(stop.clone())
        .build();
    let state = Arc::new(App {
        sessions: Sessions(secret.derive("an example's sessions")),
        voters: secret.derive("an example's voters"),
    });
    let app = Router::new()
        .route("/", get(home))
        .route("/login/{user}", get(login))
        .with_state(Arc::clone(&state))
        .nest_service("/vote", vote.into_service())
        .nest_service("/results", result.into_service())
        .layer(middleware::from_fn_with_state(state, who))
        .into_make_service_with_connect_info::<SocketAddr>();

    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let server = tokio::spawn(server.into_future());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    server.await??;
    voting.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
