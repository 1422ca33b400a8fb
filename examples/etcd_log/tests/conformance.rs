//! The log over etcd passes the conformance suite, but for what its README names.

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use voting_core::{
    BallotLog, PollId, async_trait,
    backends::memory::Memory,
    conformance::Backend,
    log::entry::{self, NewEntry},
    model::{
        moment::Moment,
        poll::PollSettings,
        position::{EntryId, ShardId},
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
    prelude::*,
};
use voting_etcd_log::EtcdLog;
use voting_testing::{EtcdServer, has_etcd};

/// The shortest that etcd has, with the settings below.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);

fn server() -> EtcdServer {
    EtcdServer::start_with(&[
        "--max-request-bytes=4194304",
        // No lease is shorter than one and a half times this.
        "--election-timeout=500",
        "--heartbeat-interval=100",
    ])
}

fn log_at(url: &str, prefix: &str) -> EtcdLog {
    EtcdLog::new(url, prefix, CLAIM_TIMEOUT)
}

/// Of a log of its own.
fn prefix() -> String {
    format!("{}/", uuid::Uuid::now_v7())
}

/// Two vote services on one log: each call is of the other one. What one of them knows is old when its turn comes.
struct TwoWriters {
    writers: [EtcdLog; 2],
    calls: AtomicUsize,
}

impl TwoWriters {
    fn next(&self) -> &EtcdLog {
        &self.writers[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl BallotLog for TwoWriters {
    fn shards(&self) -> u16 {
        self.next().shards()
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        self.next().append(shard, entry).await
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        self.next().seal(shard, polls).await
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        self.next().ready_to_append().await
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        self.next().check_secrets(secrets).await
    }
}

fn with_store(writers: [EtcdLog; 2], store: &Memory) -> Backend {
    let (readers, store) = (writers[0].clone(), Arc::new(store.clone()));
    Backend {
        log: Arc::new(TwoWriters {
            writers,
            calls: AtomicUsize::new(0),
        }),
        queue: Box::new(move || readers.reader()),
        flusher: store.clone(),
        tallies: store.clone(),
        polls: store.clone(),
        dead_letters: store.clone(),
        audit: store.clone(),
        events: store.clone(),
        exports: store.clone(),
        tokens: store,
        webhooks: None,
        claim_timeout: CLAIM_TIMEOUT,
        reopen: None,
        keep: Box::new(()),
    }
}

static SERVER: LazyLock<EtcdServer> = LazyLock::new(server);

async fn shared() -> Backend {
    let (url, prefix) = (SERVER.url(), prefix());
    with_store([(); 2].map(|()| log_at(&url, &prefix)), &Memory::default())
}

/// The expression ends a test where there is no etcd.
macro_rules! on_etcd {
    ($backend:expr) => {{
        if !has_etcd() {
            return;
        }
        $backend
    }};
}

voting_core::conformance_suite!(on_etcd!(shared()); queue, log_range, work, close, delete, secrets);

/// etcd is killed, and started again with what it had written. The store is in memory, and stays.
mod that_is_killed {
    use super::*;

    async fn own_server() -> Backend {
        again(server(), prefix(), Memory::default())
    }

    fn again(server: EtcdServer, prefix: String, store: Memory) -> Backend {
        let writers = [(); 2].map(|()| log_at(&server.url(), &prefix));
        let backend = with_store(writers, &store);
        let server = Arc::new(Mutex::new(Some(server)));
        let killed = Arc::clone(&server);
        let reopen = async move {
            let mut server = killed.lock().expect("no panic").take().expect("it runs");
            let restart = move || {
                server.kill();
                server.launch();
                server
            };
            let server = tokio::task::spawn_blocking(restart).await;
            again(server.expect("no panic"), prefix, store)
        };
        Backend {
            reopen: Some(Box::new(move || Box::pin(reopen))),
            keep: Box::new(server),
            ..backend
        }
    }

    voting_core::conformance_suite!(on_etcd!(own_server()); restart);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_system_runs_on_it() {
    on_etcd!(());
    let log = log_at(&SERVER.url(), &prefix());
    let voting = Voting::of_parts(log, Memory::default());
    let voting = voting.start().await.unwrap();
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee");
    voting
        .put_poll(&poll.clone().build().unwrap())
        .await
        .unwrap();
    let voter = VoterId::issue();
    for choice in ["tea", "coffee"] {
        voting.cast("drinks", voter, [choice]).await.unwrap();
    }
    voting.counted().await.unwrap();
    assert_eq!(voting.tally("drinks").await.unwrap().votes, [0, 1]);
    // By hand it closes exactly; at a set time it cannot.
    voting.close_poll("drinks").await.unwrap();
    let late = voting.cast("drinks", VoterId::issue(), ["tea"]).await;
    assert!(matches!(late, Err(VotingError::Cast(CastError::Closed(_)))));
    assert_eq!(voting.final_tally("drinks").await.unwrap().votes, [0, 1]);
    let mut settings = PollSettings::default();
    settings.closes_at = Some(Moment::now());
    let timed = poll.settings(settings).build().unwrap();
    let refused = voting.put_poll(&timed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    voting.shutdown(Duration::from_secs(10)).await.unwrap();
}

/// Whether a ballot that was not acknowledged may count is told truly: without etcd it certainly does not.
#[tokio::test(flavor = "multi_thread")]
async fn without_etcd_a_ballot_is_refused_and_later_taken() {
    on_etcd!(());
    let mut server = server();
    let log = log_at(&server.url(), &prefix());
    let ballot = Ballot {
        poll: "p".parse().unwrap(),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).unwrap(),
        rules: None,
    };
    let entry = || entry::of_one(&ballot);
    let shard = ShardId(0);
    let first = log.append(shard, entry()).await.unwrap();
    log.ready_to_append().await.unwrap();
    server.kill();
    let refused = log.append(shard, entry()).await;
    assert!(matches!(refused, Err(CastError::Refused(_))), "{refused:?}");
    let not_ready = log.ready_to_append().await.unwrap_err();
    assert_eq!(not_ready.kind(), ErrorKind::Unreachable);
    server.launch();
    assert!(log.append(shard, entry()).await.unwrap() > first);
    assert_eq!(log.reader().stats().await.unwrap().accepted, 2);
}
