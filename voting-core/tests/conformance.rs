//! The built-in back ends pass the suite.

use std::{sync::Arc, time::Duration};

use voting_core::{
    BallotLog, BallotQueue, BatchFlusher, DeadLetterStore, PollStore, TallyStore,
    conformance::Backend,
    memory::{Memory, MemoryOptions},
    sqlite::{Sqlite, SqliteOptions},
};

const CLAIM_TIMEOUT: Duration = Duration::from_millis(300);

/// A log and a store, of one back end or of two.
fn backend<L, S>(
    log: L,
    queue: impl Fn() -> Arc<dyn BallotQueue> + Send + Sync + 'static,
    store: S,
    keep: impl std::any::Any + Send + Sync,
) -> Backend
where
    L: BallotLog + 'static,
    S: BatchFlusher + TallyStore + PollStore + DeadLetterStore + 'static,
{
    let store = Arc::new(store);
    Backend {
        log: Arc::new(log),
        queue: Box::new(queue),
        flusher: store.clone(),
        tallies: store.clone(),
        polls: store.clone(),
        dead_letters: store,
        claim_timeout: CLAIM_TIMEOUT,
        keep: Box::new(keep),
    }
}

fn memory_backend(shards: u16) -> Backend {
    let memory = Memory::new(MemoryOptions {
        shards,
        claim_timeout: CLAIM_TIMEOUT,
    });
    let queues = memory.clone();
    backend(memory.clone(), move || Arc::new(queues.queue()), memory, ())
}

mod memory {
    voting_core::conformance_suite!(async { super::memory_backend(1) });
}

mod memory_of_several_shards {
    voting_core::conformance_suite!(async { super::memory_backend(5) });
}

mod sqlite {
    use super::*;

    async fn sqlite_backend() -> Backend {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = SqliteOptions {
            claim_timeout: CLAIM_TIMEOUT,
        };
        let sqlite = Sqlite::open(folder.path().join("voting.db"), options).expect("opened");
        let queues = sqlite.clone();
        backend(
            sqlite.clone(),
            move || Arc::new(queues.queue()),
            sqlite,
            folder,
        )
    }

    voting_core::conformance_suite!(sqlite_backend());
}

mod redis {
    use std::sync::LazyLock;

    use voting_core::redis::{Redis, RedisOptions};
    use voting_testing::{RedisCluster, RedisServer};

    use super::*;

    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);

    fn log_at(url: &str, shards: u16, cluster: bool) -> Redis {
        let options = RedisOptions {
            // A log of its own for each test.
            prefix: uuid::Uuid::now_v7().to_string(),
            shards,
            claim_timeout: CLAIM_TIMEOUT,
            cluster,
            ..RedisOptions::default()
        };
        Redis::new(url, options).expect("an address")
    }

    pub(super) fn log(shards: u16) -> Redis {
        log_at(&SERVER.url(), shards, false)
    }

    async fn redis_backend(redis: Redis) -> Backend {
        let queues = redis.clone();
        let queue = move || Arc::new(queues.queue()) as Arc<dyn BallotQueue>;
        backend(redis, queue, Memory::default(), ())
    }

    voting_core::conformance_suite!(redis_backend(log(1)));

    mod of_several_shards {
        voting_core::conformance_suite!(super::redis_backend(super::log(5)));
    }

    mod cluster {
        use super::*;

        fn log(shards: u16) -> Redis {
            log_at(&CLUSTER.url(), shards, true)
        }

        voting_core::conformance_suite!(redis_backend(log(1)));

        // More than there are masters.
        mod of_several_shards {
            voting_core::conformance_suite!(super::redis_backend(super::log(5)));
        }
    }
}

mod postgres {
    use std::sync::LazyLock;

    use voting_core::postgres::{Postgres, PostgresOptions};
    use voting_testing::PostgresServer;

    use super::*;

    static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

    /// A database of its own for each test.
    async fn store() -> Postgres {
        let (store, _) = store_and_name().await;
        store
    }

    async fn store_and_name() -> (Postgres, String) {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let url = SERVER.database(&name);
        let store = Postgres::new(&url, PostgresOptions::default()).expect("an address");
        store.migrate().await.expect("migrated");
        (store, name)
    }

    async fn memory_log() -> Backend {
        over_memory_log(store().await)
    }

    fn over_memory_log(store: Postgres) -> Backend {
        let memory = Memory::new(MemoryOptions {
            shards: 3,
            claim_timeout: CLAIM_TIMEOUT,
        });
        let queues = memory.clone();
        backend(memory, move || Arc::new(queues.queue()), store, ())
    }

    voting_core::conformance_suite!(memory_log());

    mod with_the_workers_rights {
        use voting_core::postgres::Roles;

        use super::*;

        async fn memory_log() -> Backend {
            let (owner, name) = store_and_name().await;
            let roles = Roles::default();
            owner.grant(&roles).await.expect("granted");
            let login = format!("CREATE ROLE {name} LOGIN IN ROLE {}", roles.worker());
            PostgresServer::sql(&SERVER.url(&name), &login).expect("a login");
            let url = SERVER.url_as(&name, &name);
            over_memory_log(Postgres::new(&url, PostgresOptions::default()).expect("an address"))
        }

        voting_core::conformance_suite!(memory_log());
    }

    mod with_redis {
        use super::*;

        use super::super::redis;

        async fn redis_log() -> Backend {
            let log = redis::log(3);
            let queues = log.clone();
            let queue = move || Arc::new(queues.queue()) as Arc<dyn BallotQueue>;
            backend(log, queue, store().await, ())
        }

        voting_core::conformance_suite!(redis_log());
    }
}
