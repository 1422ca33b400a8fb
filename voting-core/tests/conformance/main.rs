//! The built-in back ends pass the suite, and broken ones do not.
//!
//! A part that is about the log only, or the store only, is run once for each log and each store, and
//! not again for each pair of them.

#![allow(unreachable_pub, reason = "these are modules of a test")]

mod broken;
mod changes;

use std::{any::Any, sync::Arc, time::Duration};

use voting_core::{
    BallotLog, BallotQueue, Store,
    backends::{
        memory::{Memory, MemoryOptions},
        sqlite::{Sqlite, SqliteOptions},
    },
    conformance::{Backend, Opening, Reopen},
    store::WebhookStore,
};

const CLAIM_TIMEOUT: Duration = Duration::from_millis(300);

/// A log and a store, of one back end or of two.
fn backend<L, S>(
    log: L,
    queue: impl Fn() -> Arc<dyn BallotQueue> + Send + Sync + 'static,
    store: S,
) -> Backend
where
    L: BallotLog + 'static,
    S: Store + WebhookStore,
{
    let store = Arc::new(store);
    Backend {
        log: Arc::new(log),
        queue: Box::new(queue),
        flusher: store.clone(),
        tallies: store.clone(),
        polls: store.clone(),
        dead_letters: store.clone(),
        audit: store.clone(),
        events: store.clone(),
        exports: store.clone(),
        tokens: store.clone(),
        webhooks: Some(store),
        claim_timeout: CLAIM_TIMEOUT,
        reopen: None,
        keep: Box::new(()),
    }
}

trait With {
    fn with_keep(self, keep: impl Any + Send + Sync) -> Self;
    fn with_reopen(self, reopen: impl FnOnce() -> Opening + Send + Sync + 'static) -> Self;
}

impl With for Backend {
    fn with_keep(mut self, keep: impl Any + Send + Sync) -> Self {
        self.keep = Box::new(keep);
        self
    }

    fn with_reopen(mut self, reopen: impl FnOnce() -> Opening + Send + Sync + 'static) -> Self {
        self.reopen = Some(Box::new(reopen) as Reopen);
        self
    }
}

fn memory_backend(shards: u16) -> Backend {
    let memory = Memory::new(MemoryOptions {
        shards,
        claim_timeout: CLAIM_TIMEOUT,
    });
    let queues = memory.clone();
    backend(memory.clone(), move || Arc::new(queues.queue()), memory)
}

mod memory {
    voting_core::conformance_suite!(async { super::memory_backend(1) });
    voting_core::conformance_suite!(async { super::memory_backend(1) }; webhooks);
}

mod memory_of_several_shards {
    voting_core::conformance_suite!(async { super::memory_backend(5) });
}

mod sqlite {
    use std::path::PathBuf;

    use super::*;

    pub(super) async fn sqlite_backend() -> Backend {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("voting.db");
        open(path).with_keep(folder)
    }

    fn open(path: PathBuf) -> Backend {
        let options = SqliteOptions {
            claim_timeout: CLAIM_TIMEOUT,
        };
        let sqlite = Sqlite::open(&path, options).expect("opened");
        let queues = sqlite.clone();
        backend(sqlite.clone(), move || Arc::new(queues.queue()), sqlite)
            .with_reopen(|| Box::pin(async { open(path) }))
    }

    voting_core::conformance_suite!(sqlite_backend());
    voting_core::conformance_suite!(sqlite_backend(); webhooks);
}

mod redis {
    use std::sync::{LazyLock, Mutex};

    use voting_core::backends::redis::{Redis, RedisOptions};
    use voting_testing::{RedisCluster, RedisServer};

    use super::*;

    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);

    fn log_at(
        url: String,
        shards: u16,
        cluster: bool,
    ) -> impl Fn() -> Redis + Send + Sync + 'static {
        let options = RedisOptions {
            // A log of its own for each test.
            prefix: uuid::Uuid::now_v7().to_string(),
            shards,
            claim_timeout: CLAIM_TIMEOUT,
            cluster,
            ..RedisOptions::default()
        };
        move || Redis::new(&url, options.clone()).expect("an address")
    }

    /// Makes clients of one log.
    pub(super) fn log(shards: u16) -> impl Fn() -> Redis + Send + Sync + 'static {
        log_at(SERVER.url(), shards, false)
    }

    /// A log of Redis and a store, which are both servers: what is opened anew are the clients.
    pub(super) fn with_store<S>(
        log: impl Fn() -> Redis + Send + Sync + 'static,
        store: impl Fn() -> S + Send + Sync + 'static,
    ) -> Backend
    where
        S: Store + WebhookStore,
    {
        let redis = log();
        let queues = redis.clone();
        let queue = move || Arc::new(queues.queue()) as Arc<dyn BallotQueue>;
        backend(redis, queue, store())
            .with_reopen(move || Box::pin(async move { with_store(log, store) }))
    }

    async fn redis_backend(log: impl Fn() -> Redis + Send + Sync + 'static) -> Backend {
        let memory = Memory::default();
        with_store(log, move || memory.clone())
    }

    voting_core::conformance_suite!(
        redis_backend(log(1)); queue, log_range, work, close, times, secrets, restart, restart_times
    );

    mod of_several_shards {
        voting_core::conformance_suite!(
            super::redis_backend(super::log(5));
            queue, log_range, work, close, times, moving, secrets, restart, restart_times
        );
    }

    mod cluster {
        use super::*;

        fn log(shards: u16) -> impl Fn() -> Redis + Send + Sync + 'static {
            log_at(CLUSTER.url(), shards, true)
        }

        voting_core::conformance_suite!(
            redis_backend(log(1)); queue, log_range, work, close, times, secrets, restart, restart_times
        );

        // More than there are masters.
        mod of_several_shards {
            voting_core::conformance_suite!(
                super::redis_backend(super::log(5));
                queue, log_range, work, close, times, moving, secrets, restart, restart_times
            );
        }
    }

    /// Newer engines, whose replica has each entry on its disk before it is acknowledged. Where they are not there, this runs on
    /// the installed one, without a replica.
    mod replicated {
        use voting_testing::{Engine, newer_stores};

        use super::*;

        static REDIS: LazyLock<[RedisServer; 2]> = LazyLock::new(|| pair(Engine::Redis));
        static VALKEY: LazyLock<[RedisServer; 2]> = LazyLock::new(|| pair(Engine::Valkey));

        fn pair(engine: Engine) -> [RedisServer; 2] {
            let master = RedisServer::start_engine(engine, &[]);
            let follow = ["--replicaof", "127.0.0.1", &master.port().to_string()];
            let replica = RedisServer::start_engine(engine, &follow);
            voting_testing::await_that("the replica follows", || {
                let status = master.command(&["INFO", "replication"]);
                status.contains("state=online")
            });
            [master, replica]
        }

        fn log(
            pair: &'static LazyLock<[RedisServer; 2]>,
            shards: u16,
        ) -> impl Fn() -> Redis + Send + Sync + 'static {
            let (url, replicas) = match newer_stores() {
                Some(_) => (pair[0].url(), 1),
                None => (SERVER.url(), 0),
            };
            let options = RedisOptions {
                prefix: uuid::Uuid::now_v7().to_string(),
                shards,
                claim_timeout: CLAIM_TIMEOUT,
                replicas,
                ..RedisOptions::default()
            };
            move || Redis::new(&url, options.clone()).expect("an address")
        }

        voting_core::conformance_suite!(
            redis_backend(log(&REDIS, 3));
            queue, log_range, work, close, times, moving, secrets, restart, restart_times
        );

        mod valkey {
            voting_core::conformance_suite!(
                super::redis_backend(super::log(&super::VALKEY, 3));
                queue, log_range, work, close, times, moving, secrets, restart, restart_times
            );
        }
    }

    /// The server is killed, and started again with what it had written.
    mod that_is_killed {
        use super::*;

        async fn own_server() -> Backend {
            let server = Arc::new(Mutex::new(RedisServer::start()));
            let url = server.lock().expect("no panic").url();
            let log = log_at(url, 2, false);
            let memory = Memory::default();
            let restarted = Arc::clone(&server);
            let reopen = move |log, memory: Memory| async move {
                let restart = move || {
                    let mut server = restarted.lock().expect("no panic");
                    server.kill();
                    server.launch();
                };
                tokio::task::spawn_blocking(restart)
                    .await
                    .expect("no panic");
                with_store(log, move || memory.clone())
            };
            let redis = log();
            let queues = redis.clone();
            let queue = move || Arc::new(queues.queue()) as Arc<dyn BallotQueue>;
            backend(redis, queue, memory.clone())
                .with_keep(server)
                .with_reopen(move || Box::pin(reopen(log, memory)))
        }

        voting_core::conformance_suite!(own_server(); restart, restart_times);
    }
}

mod postgres {
    use std::sync::LazyLock;

    use voting_core::backends::postgres::{Postgres, PostgresOptions};
    use voting_testing::PostgresServer;

    use super::*;

    static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

    fn connect(url: &str) -> Postgres {
        Postgres::new(url, PostgresOptions::default()).expect("an address")
    }

    /// A database of its own for each test: its address, its owner's store, and its name.
    async fn database() -> (String, Postgres, String) {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let url = SERVER.database(&name);
        let store = connect(&url);
        store.migrate().await.expect("migrated");
        (url, store, name)
    }

    pub(super) async fn memory_log() -> Backend {
        let (url, _, _) = database().await;
        over(memory(), url)
    }

    fn memory() -> Memory {
        Memory::new(MemoryOptions {
            shards: 3,
            claim_timeout: CLAIM_TIMEOUT,
        })
    }

    /// The log stays: it stands for another server.
    fn over(memory: Memory, url: String) -> Backend {
        let (log, queues) = (memory.clone(), memory.clone());
        backend(log, move || Arc::new(queues.queue()), connect(&url))
            .with_reopen(move || Box::pin(async move { over(memory, url) }))
    }

    voting_core::conformance_suite!(
        memory_log();
        flush, first, empty, store_range, polls, life, audit, events, webhooks, tokens, sessions, delete, forget, voiding, history,
        export, work, close, times, restart, restart_times
    );

    mod with_the_workers_rights {
        use voting_core::backends::postgres::Roles;

        use super::*;

        async fn memory_log() -> Backend {
            let (url, owner, name) = database().await;
            let roles = Roles::default();
            owner.grant(&roles).await.expect("granted");
            let login = format!("CREATE ROLE {name} LOGIN IN ROLE {}", roles.worker());
            PostgresServer::sql(&url, &login).expect("a login");
            over(memory(), SERVER.url_as(&name, &name))
        }

        voting_core::conformance_suite!(
            memory_log();
            flush, first, empty, store_range, polls, life, audit, events, webhooks, tokens, sessions, delete, forget, voiding, history,
            export, work, close, restart, restart_times
        );
    }

    mod with_redis {
        use super::{super::redis, *};

        async fn redis_log() -> Backend {
            let (url, _, _) = database().await;
            redis::with_store(redis::log(3), move || connect(&url))
        }

        voting_core::conformance_suite!(
            redis_log(); work, delete, forget, voiding, close, times, restart, restart_times
        );
    }

    /// The same statements, over ballots that are in partitions.
    mod in_partitions {
        use voting_core::backends::postgres::Partitions;

        use super::*;

        async fn memory_log() -> Backend {
            let (url, owner, _) = database().await;
            let parts = Partitions::new(4).expect("not too many");
            owner.repartition(parts).await.expect("made");
            over(memory(), url)
        }

        voting_core::conformance_suite!(
            memory_log();
            flush, first, empty, store_range, polls, life, audit, events, tokens, sessions, delete, forget, voiding, history,
            export, work, close, times, restart
        );
    }
}
