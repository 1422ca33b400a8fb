//! The services in this process, with the log in memory and the ballots in Postgres or SQLite, so that a test can
//! change the store behind the services.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod liar;

use std::{
    net::TcpListener as StdListener,
    path::Path,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use poem::EndpointExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use voting_core::{
    BallotQueue, BatchFlusher, Poll, PollOption, PollStore, SecretKey, TallyStore, VoteSink,
    Worker, WorkerHandle, WorkerOptions,
    backends::{
        memory::{Memory, MemoryOptions},
        postgres::{Postgres, PostgresOptions},
        sqlite::{Sqlite, SqliteOptions},
    },
};
use voting_http::{ResultService, ServeOptions, VoteService, serve};
use voting_load::{Before, History, Load, Pace, Plan, Secret, Sources};
use voting_testing::PostgresServer;

/// One server for all tests. It ends with the process.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// A new database.
pub fn database(name: &str) -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = MADE.fetch_add(1, Relaxed);
    SERVER.database(&format!("{name}_{made}"))
}

pub async fn run(plan: Plan) -> History {
    let load = Load::start(plan).expect("it starts");
    load.done().await;
    load.stop().await
}

/// Runs SQL that the services do not know of. Returns the number of changed rows.
pub async fn tamper(url: &str, sql: &'static str) -> u64 {
    let url = url.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("connected");
        client.execute(sql, &[]).expect("done")
    });
    done.await.expect("no panic")
}

/// Adds another poll to the database.
pub async fn put_poll(url: &str, id: &str) {
    let postgres = Postgres::new(url, PostgresOptions::default()).expect("an address");
    postgres.put_poll(&cats_vs_dogs(id)).await.expect("put");
}

pub struct Services {
    pub vote: String,
    pub result: String,
    queue: Arc<dyn BallotQueue>,
    workers: Workers,
    stop: CancellationToken,
}

/// Starts a worker.
type StartWorker = Box<dyn Fn() -> WorkerHandle + Send + Sync>;

/// The running worker, and a function that starts another one.
struct Workers {
    start: StartWorker,
    now: Mutex<WorkerHandle>,
}

/// A part that is inserted between the services and their log or store.
type Between<T> = Box<dyn FnOnce(Arc<T>) -> Arc<T> + Send>;

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// There is a second poll.
const POLLS: [&str; 2] = ["cats-vs-dogs", "other"];

fn cats_vs_dogs(id: &str) -> Poll {
    let option = |id: &str| PollOption {
        id: id.parse().expect("an id"),
        label: id.to_owned(),
    };
    let options = vec![option("a"), option("b")];
    Poll::new(id.parse().expect("an id"), "?", options, 1).expect("a poll")
}

impl Services {
    /// The log in memory, the ballots in Postgres.
    pub async fn on_postgres(url: &str) -> Self {
        Self::on_postgres_with(url, |sink| sink).await
    }

    /// The same, with a part in front of the log.
    pub async fn on_postgres_with(
        url: &str,
        wrap: impl FnOnce(Arc<dyn VoteSink>) -> Arc<dyn VoteSink> + Send + 'static,
    ) -> Self {
        Self::on_postgres_between(url, Box::new(wrap), Box::new(|shown| shown)).await
    }

    /// The same, with a part in front of what the result service reads.
    pub async fn on_postgres_between(
        url: &str,
        wrap: Between<dyn VoteSink>,
        show: Between<dyn TallyStore>,
    ) -> Self {
        let postgres = Postgres::new(url, PostgresOptions::default()).expect("an address");
        postgres.migrate().await.expect("migrated");
        let log = Memory::new(MemoryOptions::default());
        for id in POLLS {
            log.put_poll(&cats_vs_dogs(id)).await.expect("put");
        }
        let store = Arc::new(postgres);
        let sink = wrap(Arc::new(log.sink()));
        let queue = Arc::new(log.queue());
        let shown = show(store.clone());
        Self::start(sink, queue, store, shown).await
    }

    /// The log and the store in one file.
    pub async fn on_sqlite(file: &Path) -> Self {
        let store = Arc::new(Sqlite::open(file, SqliteOptions::default()).expect("opened"));
        let (sink, queue) = (Arc::new(store.sink()), Arc::new(store.queue()));
        Self::start(sink, queue, store.clone(), store).await
    }

    async fn start<S>(
        sink: Arc<dyn VoteSink>,
        queue: Arc<dyn BallotQueue>,
        store: Arc<S>,
        shown: Arc<dyn TallyStore>,
    ) -> Self
    where
        S: BatchFlusher + PollStore + 'static,
    {
        for id in POLLS {
            store.put_poll(&cats_vs_dogs(id)).await.expect("put");
        }
        let (kept, reading) = (store.clone(), queue.clone());
        let start: StartWorker = Box::new(move || {
            let options = WorkerOptions {
                max_wait: Duration::from_millis(5),
                ..WorkerOptions::default()
            };
            Worker::new(queue.clone(), kept.clone(), kept.clone(), options).start()
        });
        let now = Mutex::new(start());
        let secret = SecretKey::new([7; 32]).expect("long enough");
        let stop = CancellationToken::new();
        let vote = VoteService::builder(sink, store.clone(), &secret)
            .stop(stop.clone())
            .build();
        let result = ResultService::builder(shown, store, &secret)
            .stop(stop.clone())
            .build();
        let [vote, result] = [vote.boxed(), result.boxed()].map(|endpoint| {
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
            queue: reading,
            workers: Workers { start, now },
            stop,
        }
    }

    /// Stops the worker: from now on nothing is counted.
    pub async fn stop_worker(&self) {
        let worker = self.workers.now.lock().expect("no panic").clone();
        worker.stop().await;
    }

    /// The number of ballots that the log has accepted.
    pub async fn accepted(&self) -> u64 {
        self.queue.stats().await.expect("numbers").accepted
    }

    /// The tally of the result service.
    pub async fn tally(&self) -> serde_json::Value {
        let place = self.result.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(place).await.expect("connected");
        let request = "GET /v1/polls/cats-vs-dogs/tally HTTP/1.0\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).expect("JSON")
    }

    /// Starts a worker again.
    pub fn start_worker(&self) {
        *self.workers.now.lock().expect("no panic") = (self.workers.start)();
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
            secret: Some(Secret::new(&[7; 32])),
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

/// An address whose host does not answer, like a host behind a firewall that drops all packets.
pub struct Hole {
    pub url: String,
    listener: TcpListener,
    waiting: Vec<TcpStream>,
}

impl Hole {
    /// A listener that accepts no connection and whose queue is full. The system then drops new connections.
    pub async fn dig() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = "127.0.0.1:0".parse().expect("an address");
        socket.bind(any).expect("a port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut waiting = Vec::new();
        let short = Duration::from_millis(300);
        while let Ok(stream) = timeout(short, TcpStream::connect(address)).await {
            waiting.push(stream.expect("a place in the queue"));
        }
        Self {
            url: format!("http://{address}"),
            listener,
            waiting,
        }
    }
}
