//! What the services take, at rest and with many connections, and how soon they are ready.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    time::sleep,
};
use voting_load::{Load, Pace, Plan};
use voting_testing::{Programs, Service};

use crate::{
    figures::{memory, ms},
    setup::{deploy, ready},
};

const CONNECTIONS: usize = 1_000;

/// Votes a second over all of them, while memory is looked at.
const RATE: f64 = 10_000.0;

pub(crate) fn measure(programs: &Programs, runtime: &Runtime, seconds: u64) {
    let folder = programs.folder().display().to_string();
    println!("footprint: of the programs in {folder}");
    let deployment = deploy(programs);
    let timed = |service: Service| {
        let ready_after = service.await_ready();
        (ready(service), ready_after)
    };
    let worker = timed(deployment.worker());
    let (vote, result) = (timed(deployment.vote()), timed(deployment.result()));
    let (_, again) = timed(deployment.worker());
    println!(
        "  another voting-worker, with the tables there: ready after {:.0} ms",
        ms(again)
    );
    for (name, (service, ready_after)) in [
        ("voting-vote", &vote),
        ("voting-worker", &worker),
        ("voting-result", &result),
    ] {
        let size = std::fs::metadata(programs.path(name))
            .expect("it is there")
            .len();
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let size = size as f64 / 1_048_576.0;
        let idle = memory(service.id());
        let busy = runtime.block_on(with_connections(service));
        println!(
            "  {name:<14} {size:>5.1} MiB on disk, ready after {:>4.0} ms, resident {idle:>5.1} \
             MiB, with {CONNECTIONS} connections at rest {busy:>5.1} MiB",
            ms(*ready_after)
        );
    }
    let fresh = ready(deployment.vote());
    let voting = runtime.block_on(while_voting(&fresh, Duration::from_secs(seconds)));
    println!(
        "  voting-vote with {CONNECTIONS} connections that cast {RATE} votes a second: {voting:.1} \
         MiB (goal with {CONNECTIONS} connections: 32 MiB)"
    );
}

/// The most memory that it has while votes come in over so many connections.
async fn while_voting(vote: &Service, length: Duration) -> f64 {
    let load = Load::start(Plan {
        votes: vec![vote.url.clone()],
        pace: Pace::Rate(RATE),
        connections: CONNECTIONS,
        duration: Some(length),
        ..Plan::default()
    });
    let load = load.expect("it starts");
    let mut most = 0.0_f64;
    let mut looks = async || {
        loop {
            most = most.max(memory(vote.id()));
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = load.done() => {}
        () = looks() => {}
    }
    let counts = load.stop().await.counts();
    // So many connect at once that one or the other may not get in.
    let taken = counts.acknowledged + counts.unreachable;
    assert_eq!(taken, counts.ended(), "{counts:?}");
    most
}

/// Its memory while so many clients are connected, each of which has been served.
async fn with_connections(service: &Service) -> f64 {
    let address = service.url.trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).await.expect("an answer");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        open.push(stream);
    }
    memory(service.id())
}
