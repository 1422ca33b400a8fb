//! The SQLite back end keeps its ballots beyond its process.

use std::{path::Path, sync::Arc};

use voting_core::{
    Ballot, BallotQueue, BatchFlusher, Poll, PollOption, PollStore, TallyStore, VoteSink, VoterId,
    Worker, WorkerOptions,
    backends::sqlite::{Sqlite, SqliteOptions},
    pipeline::worker::WorkerExit,
};

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, SqliteOptions::default()).expect("opened")
}

fn poll() -> Poll {
    let option = |id: &str| PollOption {
        id: id.parse().expect("an id"),
        label: id.to_owned(),
    };
    Poll::new(
        "p".parse().expect("an id"),
        "Which?",
        vec![option("a"), option("b")],
        1,
    )
    .expect("a poll")
}

fn ballot(poll: &Poll) -> Ballot {
    Ballot {
        poll: poll.id().clone(),
        voter: VoterId::issue(),
        choices: poll.choose(["a"]).expect("a choice"),
        rules: None,
    }
}

async fn drain(store: &Sqlite) {
    let all = Arc::new(store.clone());
    let queue = Arc::new(store.queue());
    let worker = Worker::new(queue, all.clone(), all, WorkerOptions::default()).start();
    assert_eq!(worker.stop().await, WorkerExit::Clean);
}

#[tokio::test]
async fn what_was_cast_is_counted_after_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("voting.db");
    let store = open(&path);
    store.put_poll(&poll()).await.expect("stored");
    let sink = store.sink();
    for _ in 0..10 {
        sink.cast(ballot(&poll())).await.expect("cast");
    }
    // Handed out, and then the process is gone.
    let claim = store
        .queue()
        .claim(1_000, std::time::Duration::ZERO)
        .await
        .expect("claimed");
    assert_eq!(claim.entries.len(), 10);
    sink.close().await;
    drop((sink, store));

    let store = open(&path);
    assert_eq!(store.queue().stats().await.expect("stats").pending, 10);
    drain(&store).await;
    let tally = store
        .tally(poll().id())
        .await
        .expect("a tally")
        .expect("the poll");
    assert_eq!(tally.votes, [10, 0]);
    drop(store);
    assert_eq!(open(&path).totals().await.expect("totals").counted, 10);
}
