//! The whole system in this process, without the program around it.

use std::{net::TcpListener, path::Path, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use voting::StartError;
use voting_service::{Config, Exit, StopOn, ready};

use voting_core::{
    BatchFlusher, Poll, PollDirectory, PollState, PollStore,
    backends::sqlite::{Sqlite, SqliteOptions},
    model::{
        poll::{ChangeTo, PollChange},
        poll_state::Seals,
    },
};

fn poll(id: &str) -> Poll {
    let poll = Poll::builder(id, "Which?")
        .option("a", "A")
        .option("b", "B");
    poll.build().expect("a poll")
}

/// The settings still have a poll that was deleted: the system starts, and another one is at `/`.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_poll_in_the_settings_stops_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("votes.db");
    let store = Sqlite::open(&path, SqliteOptions::default()).expect("opened");
    let gone = poll("gone");
    store.put_poll(&gone).await.expect("stored");
    let done = PollState::Final(Seals::default());
    let there = store.advance_poll(gone.id(), &done).await;
    there.expect("stored");
    let delete = PollChange::new(gone.id().clone(), ChangeTo::Deleted);
    let deleted = store.change_poll(&delete, "operator").await;
    assert_eq!(deleted.expect("deleted"), None);
    drop(store);

    let mut config = config(&path);
    config.polls = Some(vec![gone.clone(), poll("other")]);
    config.default_poll = Some(gone.id().clone());
    let page = format!("http://{}/", config.vote.listen);
    let (stop, system) = start(config).await;
    let shown = tokio::task::spawn_blocking(move || {
        let answer = voting_testing::agent().get(&page).call();
        voting_testing::text_of(answer.expect("an answer"))
    });
    let shown = shown.await.expect("no panic");
    assert!(shown.contains("Which?"), "{shown}");
    stop.cancel();
    let exit = system.await.expect("it does not panic");
    assert_eq!(exit.expect("it starts"), Exit::Clean);
    let store = Sqlite::open(&path, SqliteOptions::default()).expect("opened");
    let left = store.polls().await.expect("polls");
    let left: Vec<_> = left.iter().map(|poll| poll.id().as_str()).collect();
    assert_eq!(left, ["other"]);
    assert_eq!(store.totals().await.expect("totals").counted, 0);
}

fn config(path: &Path) -> Config {
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let mut config = Config::default();
    config.sqlite.path = path.to_owned();
    let [vote, result, worker] = free.map(|free| free.local_addr().expect("an address"));
    (
        config.vote.listen,
        config.result.listen,
        config.worker.listen,
    ) = (vote, result, worker);
    config
}

type Running = JoinHandle<Result<Exit, StartError>>;

async fn start(config: Config) -> (CancellationToken, Running) {
    let listen = [
        config.vote.listen,
        config.result.listen,
        config.worker.listen,
    ];
    let stop = CancellationToken::new();
    let system = tokio::spawn(voting::run(config, StopOn::Cancel(stop.clone())));
    for listens in listen {
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
    (stop, system)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_becomes_ready_and_stops_when_it_is_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (stop, system) = start(config(&folder.path().join("votes.db"))).await;
    stop.cancel();
    let exit = system.await.expect("it does not panic");
    assert_eq!(exit.expect("it starts"), Exit::Clean);
}
