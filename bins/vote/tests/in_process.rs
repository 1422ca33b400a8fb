//! The service in this process, without the program around it.

use std::{net::TcpListener, time::Duration};

use tokio_util::sync::CancellationToken;
use voting_service::{Config, Exit, Hidden, NotReady, StopOn, ready};

/// No program listens at this address.
const NOWHERE: &str = "127.0.0.1:1";

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_redis_and_stops_when_it_is_asked_to() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let mut config = Config::default();
    config.vote.listen = free.expect("a free port");
    config.redis.url = Some(Hidden::new(format!("redis://{NOWHERE}/")));
    config.secret = Some(Hidden::new("the secret of all services, 32 bytes"));
    let url = format!("http://{}/", config.vote.listen);
    let stop = CancellationToken::new();
    let service = tokio::spawn(voting_vote::run(config, StopOn::Cancel(stop.clone())));

    let answer = loop {
        let asked = url.clone();
        let asked = tokio::task::spawn_blocking(move || ready(&asked, Duration::from_secs(5)));
        match asked.await.expect("asked") {
            Err(NotReady::Silent(_)) if !service.is_finished() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer => break answer,
        }
    };
    let Err(NotReady::Says(status, _)) = answer else {
        panic!("it cannot be ready without its store: {answer:?}");
    };
    assert_eq!(status, 503);

    stop.cancel();
    let exit = service.await.expect("it does not panic");
    assert_eq!(exit.expect("it starts"), Exit::Clean);
}
