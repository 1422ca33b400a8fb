//! The built-in back ends pass the suite.

use std::{sync::Arc, time::Duration};

use voting_core::{
    BallotLog, BallotQueue, BatchFlusher, DeadLetterStore, PollStore, TallyStore,
    conformance::Backend,
    memory::{Memory, MemoryOptions},
    sqlite::{Sqlite, SqliteOptions},
};

const CLAIM_TIMEOUT: Duration = Duration::from_millis(300);

fn backend<T>(
    all: T,
    queue: impl Fn() -> Arc<dyn BallotQueue> + Send + Sync + 'static,
    keep: impl std::any::Any + Send + Sync,
) -> Backend
where
    T: BallotLog + BatchFlusher + TallyStore + PollStore + DeadLetterStore + 'static,
{
    let all = Arc::new(all);
    Backend {
        log: all.clone(),
        queue: Box::new(queue),
        flusher: all.clone(),
        tallies: all.clone(),
        polls: all.clone(),
        dead_letters: all,
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
    backend(memory, move || Arc::new(queues.queue()), ())
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
        backend(sqlite, move || Arc::new(queues.queue()), folder)
    }

    voting_core::conformance_suite!(sqlite_backend());
}
