//! Back ends that are broken in one way each, and the requirement that finds out.
//!
//! Each is a real one in which a single step is done otherwise.

mod events;
mod history;
mod log;
mod logs;
mod polls;
mod secrets;
mod store;
mod stores;
mod tokens;
mod voiding;
mod webhooks;
mod windows;

use voting_core::{backends::memory::Memory, conformance::Backend};

use self::{log::with_log, store::with_store};
use super::{CLAIM_TIMEOUT, With, backend, memory_backend, sqlite::sqlite_backend};

/// Writes a test for each broken back end: the requirement panics.
macro_rules! does_not_pass {
    ($($name:ident: $backend:expr => $how:ident $part:ident::$requirement:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                // Some faults show only when two things meet, which they may not do on a busy machine.
                for _ in 0..3 {
                    let backend = $backend;
                    let tried = tokio::spawn(async move {
                        does_not_pass!(@call $how $part $requirement backend)
                    });
                    if tried.await.is_err_and(|error| error.is_panic()) {
                        return;
                    }
                }
                panic!("it passes");
            }
        )*
    };
    (@call of $part:ident $requirement:ident $backend:ident) => {
        voting_core::conformance::$part::$requirement(&$backend).await
    };
    (@call after $part:ident $requirement:ident $backend:ident) => {
        voting_core::conformance::$part::$requirement($backend).await
    };
}
use does_not_pass;

/// What is around the back ends here breaks nothing by itself.
mod unbroken {
    use super::*;

    #[derive(Default)]
    struct Sound;
    impl log::BrokenLog for Sound {}
    impl store::BrokenStore for Sound {}

    fn around(backend: Backend) -> Backend {
        with_store::<Sound>(with_log::<Sound>(backend))
    }

    voting_core::conformance_suite!(
        async { around(memory_of(3)) }; queue, log_range, flush, first, empty, store_range, polls,
        life, audit, events, tokens, sessions, delete, forget, voiding, history, export, work, close, times, secrets
    );

    voting_core::conformance_suite!(async { around(sqlite_backend().await) }; restart, restart_times);
}

/// All is in the file, but for what the test has in memory.
fn with_memory_instead(
    backend: Backend,
    put_in: impl Fn(Backend, Memory) -> Backend + Send + Sync + 'static,
) -> Backend {
    let reopen = backend.reopen;
    let rest = Backend {
        reopen: None,
        ..backend
    };
    let memory = Memory::new(voting_core::backends::memory::MemoryOptions {
        shards: 1,
        claim_timeout: CLAIM_TIMEOUT,
    });
    let broken = put_in(rest, memory);
    match reopen {
        None => broken,
        Some(reopen) => broken.with_reopen(move || {
            Box::pin(async move { with_memory_instead(reopen().await, put_in) })
        }),
    }
}

does_not_pass! {
    a_log_that_is_gone_with_its_process:
        with_memory_instead(sqlite_backend().await, |on_disk, memory| Backend {
            log: std::sync::Arc::new(memory.clone()),
            queue: Box::new(move || std::sync::Arc::new(memory.queue())),
            ..on_disk
        }) => after restart::what_was_appended_and_not_acknowledged_is_still_there;
    a_store_that_is_gone_with_its_process:
        with_memory_instead(sqlite_backend().await, |on_disk, memory| {
            let all = backend(memory.clone(), || unreachable!("its log is not used"), memory);
            Backend { log: on_disk.log, queue: on_disk.queue, keep: on_disk.keep, ..all }
        }) => after restart::what_was_flushed_is_still_there;
    a_store_whose_deleted_polls_are_gone_with_its_process:
        with_memory_instead(sqlite_backend().await, |on_disk, memory| {
            let all = backend(memory.clone(), || unreachable!("its log is not used"), memory);
            Backend { log: on_disk.log, queue: on_disk.queue, keep: on_disk.keep, ..all }
        }) => after delete::a_poll_that_is_deleted_stays_so;
    a_store_whose_events_are_gone_with_its_process:
        with_memory_instead(sqlite_backend().await, |on_disk, memory| {
            let all = backend(memory.clone(), || unreachable!("its log is not used"), memory);
            Backend { log: on_disk.log, queue: on_disk.queue, keep: on_disk.keep, ..all }
        }) => after events::events_stay_and_their_numbers_go_on;
    a_store_whose_forgotten_voters_are_gone_with_its_process:
        with_memory_instead(sqlite_backend().await, |on_disk, memory| {
            let all = backend(memory.clone(), || unreachable!("its log is not used"), memory);
            Backend { log: on_disk.log, queue: on_disk.queue, keep: on_disk.keep, ..all }
        }) => after forget::voters_that_are_forgotten_stay_so;
}

fn memory_of(shards: u16) -> Backend {
    memory_backend(shards)
}
