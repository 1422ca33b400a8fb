//! Tests of the file under a disk that is full or fails.

use std::{sync::Arc, thread, time::Duration};

use super::{Inner, Sqlite, SqliteOptions, lock};
use crate::{
    error::{CastError, StoreError},
    log::{BallotLog, VoteSink, entry},
    model::{
        ballot::{Ballot, VoterId},
        poll::{Poll, PollOption},
    },
    pipeline::worker::{Worker, WorkerExit, WorkerOptions},
    store::{PollStore, TallyStore},
};

struct Scene {
    store: Sqlite,
    poll: Poll,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        let store = Sqlite::open(path, SqliteOptions::default()).unwrap();
        let options = ["a", "b"].map(|id| PollOption {
            id: id.parse().unwrap(),
            label: id.into(),
        });
        let poll = Poll::new("p".parse().unwrap(), "Which?", options.into(), 1).unwrap();
        store.put_poll(&poll).await.unwrap();
        Self {
            store,
            poll,
            _folder: folder,
        }
    }

    fn ballot(&self) -> Ballot {
        Ballot {
            poll: self.poll.id().clone(),
            voter: VoterId::issue(),
            choices: self.poll.choose(["a"]).unwrap(),
            rules: None,
        }
    }

    /// How many pages the file may have; the disk is full behind them.
    fn limit_pages(&self, pages: u32) {
        let writer = lock(&self.store.0.writer);
        writer.pragma_update(None, "max_page_count", pages).unwrap();
    }

    fn pages(&self) -> u32 {
        let writer = lock(&self.store.0.writer);
        writer
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    }
}

#[tokio::test]
async fn a_full_disk_refuses_ballots_loses_none_and_recovers() {
    let scene = Scene::new().await;
    let sink = scene.store.sink();
    BallotLog::ready_to_append(&scene.store).await.unwrap();
    scene.limit_pages(scene.pages() + 3);
    let mut acknowledged = 0;
    let refused = loop {
        match sink.cast(scene.ballot()).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "the disk is never full");
    };
    assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");

    // The worker cannot write either, and waits.
    let all = Arc::new(scene.store.clone());
    let queue = Arc::new(scene.store.queue());
    let worker = Worker::new(queue, all.clone(), all, WorkerOptions::default()).start();
    let mut progress = worker.progress().clone();
    progress
        .wait_for(|progress| progress.trouble.is_some())
        .await
        .unwrap();

    scene.limit_pages(1_000_000);
    sink.cast(scene.ballot()).await.unwrap();
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    let tally = scene.store.tally(scene.poll.id()).await.unwrap().unwrap();
    assert_eq!(tally.votes, [acknowledged + 1, 0]);
    let recount = scene.store.recount(scene.poll.id()).await.unwrap().unwrap();
    assert!(recount.agrees());
}

#[tokio::test]
async fn after_the_disk_failed_in_a_commit_nothing_more_is_taken() {
    let scene = Scene::new().await;
    let entry = entry::of_one(&scene.ballot());
    let inner: Arc<Inner> = scene.store.0.clone();
    let waiting = {
        // The writer is at work when the ballot comes, and then sees the disk fail.
        let writer = lock(&inner.writer);
        let waiting = thread::spawn({
            let inner = inner.clone();
            move || inner.append(&entry)
        });
        // Until it waits for the writer, which nothing tells.
        thread::sleep(Duration::from_millis(100));
        inner.broken.cancel();
        drop(writer);
        waiting.join().unwrap()
    };
    assert!(matches!(waiting, Err(CastError::Refused(_))), "{waiting:?}");
    let put = scene.store.put_poll(&scene.poll).await;
    assert!(matches!(put, Err(StoreError::Unavailable(_))));
    assert!(BallotLog::ready_to_append(&scene.store).await.is_err());
    assert!(TallyStore::ready_to_read(&scene.store).await.is_err());
    scene.store.failed().await;
}
