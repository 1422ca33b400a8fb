//! The whole system in this process, without the program around it.

use std::{net::TcpListener, time::Duration};

use tokio_util::sync::CancellationToken;
use voting_service::{Config, Exit, StopOn, ready};

#[tokio::test(flavor = "multi_thread")]
async fn it_becomes_ready_and_stops_when_it_is_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let mut config = Config::default();
    config.sqlite.path = folder.path().join("votes.db");
    let [vote, result, worker] = free.map(|free| free.local_addr().expect("an address"));
    (
        config.vote.listen,
        config.result.listen,
        config.worker.listen,
    ) = (vote, result, worker);
    let stop = CancellationToken::new();
    let system = tokio::spawn(voting::run(config, StopOn::Cancel(stop.clone())));

    for listens in [vote, result, worker] {
        let url = format!("http://{listens}/");
        loop {
            let url = url.clone();
            let asked = tokio::task::spawn_blocking(move || ready(&url, Duration::from_secs(5)));
            let Err(not_ready) = asked.await.expect("asked") else {
                break;
            };
            assert!(!system.is_finished(), "{not_ready:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    stop.cancel();
    let exit = system.await.expect("it does not panic");
    assert_eq!(exit.expect("it starts"), Exit::Clean);
}
