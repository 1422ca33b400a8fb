//! The services in this process, with the log in memory and the ballots in Postgres or SQLite, so
//! that a test can reach into the store behind their back.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod liar;

use std::{net::TcpListener as StdListener, path::Path, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voting_core::{
    BatchFlusher, Poll, PollOption, PollStore, SecretKey, TallyStore, VoteSink, Worker,
    WorkerHandle, WorkerOptions,
    memory::{Memory, MemoryOptions},
    postgres::{Postgres, PostgresOptions},
    sqlite::{Sqlite, SqliteOptions},
};
use voting_http::{ResultService, ServeOptions, Site, VoteService, serve};
use voting_load::{Before, Pace, Plan, Sources};

pub struct Services {
    pub vote: String,
    pub result: String,
    pub worker: WorkerHandle,
    stop: CancellationToken,
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn cats_vs_dogs() -> Poll {
    let option = |id: &str| PollOption {
        id: id.parse().expect("an id"),
        label: id.to_owned(),
    };
    let options = vec![option("a"), option("b")];
    Poll::new("cats-vs-dogs".parse().expect("an id"), "?", options, 1).expect("a poll")
}

impl Services {
    /// The log in memory, the ballots in Postgres.
    pub async fn on_postgres(url: &str) -> Self {
        Self::on_postgres_with(url, |sink| sink).await
    }

    /// The same, with something in front of the log.
    pub async fn on_postgres_with(
        url: &str,
        wrap: impl FnOnce(Arc<dyn VoteSink>) -> Arc<dyn VoteSink>,
    ) -> Self {
        let postgres = Postgres::new(url, PostgresOptions::default()).expect("an address");
        postgres.migrate().await.expect("migrated");
        let log = Memory::new(MemoryOptions::default());
        log.put_poll(&cats_vs_dogs()).await.expect("put");
        let store = Arc::new(postgres);
        let sink = wrap(Arc::new(log.sink()));
        let queue = Arc::new(log.queue());
        Self::start(sink, queue, store).await
    }

    /// All in one file.
    pub async fn on_sqlite(file: &Path) -> Self {
        let store = Arc::new(Sqlite::open(file, SqliteOptions::default()).expect("opened"));
        let (sink, queue) = (Arc::new(store.sink()), Arc::new(store.queue()));
        Self::start(sink, queue, store).await
    }

    async fn start<S>(
        sink: Arc<dyn VoteSink>,
        queue: Arc<dyn voting_core::BallotQueue>,
        store: Arc<S>,
    ) -> Self
    where
        S: BatchFlusher + TallyStore + PollStore + 'static,
    {
        store.put_poll(&cats_vs_dogs()).await.expect("put");
        let options = WorkerOptions {
            max_wait: Duration::from_millis(5),
            ..WorkerOptions::default()
        };
        let worker = Worker::new(queue, store.clone(), store.clone(), options).start();
        let secret = SecretKey::new([7; 32]).expect("long enough");
        let stop = CancellationToken::new();
        let site = || Site {
            stop: stop.clone(),
            ..Site::default()
        };
        let vote = VoteService::new(sink, store.clone(), &secret, site()).into_endpoint();
        let result = ResultService::new(store.clone(), store, &secret, site()).into_endpoint();
        let [vote, result] = [vote, result].map(|endpoint| {
            let socket = StdListener::bind("127.0.0.1:0").expect("a port");
            socket.set_nonblocking(true).expect("a socket");
            let address = socket.local_addr().expect("an address");
            let socket = TcpListener::from_std(socket).expect("a socket");
            tokio::spawn(serve(
                socket,
                endpoint,
                ServeOptions::default(),
                stop.clone(),
            ));
            format!("http://{address}")
        });
        Self {
            vote,
            result,
            worker,
            stop,
        }
    }

    pub fn plan(&self) -> Plan {
        Plan {
            votes: vec![self.vote.clone()],
            pace: Pace::FlatOut,
            connections: 8,
            ballots: Some(600),
            voters: Some(200),
            changes: 0.3,
            watch: Some(self.result.clone()),
            ..Plan::default()
        }
    }

    pub fn sources(&self, postgres: Option<&str>) -> Sources {
        Sources {
            result: Some(self.result.clone()),
            postgres: postgres.map(str::to_owned),
            before: Before::default(),
            patience: Duration::from_millis(500),
            ..Sources::default()
        }
    }
}
