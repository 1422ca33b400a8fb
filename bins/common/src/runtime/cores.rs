//! A thread for each core but one, each with a runtime of its own.
//!
//! A runtime with several threads gives a task to another thread whenever one is idle. A ballot is a few microseconds of
//! work in some four tasks, so waking the other threads costs more than the work. On these runtimes, all tasks of a
//! connection and of its ballots run on one thread.

use std::{io, num::NonZeroUsize, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A runtime that takes longer to begin a task is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// The threads and their runtimes. They end when this is dropped, and their tasks with them.
#[derive(Debug)]
pub struct Cores {
    runtimes: Vec<Handle>,
    _end: DropGuard,
}

impl Cores {
    /// Starts a thread for each core that the process may use, but one: the kernel and Redis' answers need some time too.
    ///
    /// # Errors
    /// The system gives no further thread, or no file descriptor for its runtime.
    pub fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::of(cores.saturating_sub(1).max(1))
    }

    fn of(count: usize) -> io::Result<Self> {
        let end = CancellationToken::new();
        // If one thread cannot be started, the others end.
        let guard = end.clone().drop_guard();
        let runtimes = (0..count).map(|core| start(core, end.clone()));
        Ok(Self {
            runtimes: runtimes.collect::<io::Result<_>>()?,
            _end: guard,
        })
    }

    /// The runtimes.
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }
}

fn start(core: usize, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || {
        runtime.block_on(end.cancelled());
        // Whatever blocks need not hold up the end of the process.
        runtime.shutdown_background();
    };
    thread::Builder::new()
        .name(format!("core-{core}"))
        .spawn(run)?;
    Ok(handle)
}

/// Whether each of these runtimes still begins tasks.
pub(crate) async fn are_alive(runtimes: &[Handle]) -> bool {
    for runtime in runtimes {
        let begun = timeout(PATIENCE, runtime.spawn(async {})).await;
        if !matches!(begun, Ok(Ok(()))) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    async fn name() -> Option<String> {
        tokio::task::yield_now().await;
        thread::current().name().map(str::to_owned)
    }

    #[tokio::test]
    async fn each_runtime_has_one_thread_and_they_end_together() {
        let cores = Cores::of(2).unwrap();
        for (core, runtime) in cores.runtimes().iter().enumerate() {
            for _ in 0..3 {
                let reported = runtime.spawn(name()).await.unwrap();
                assert_eq!(reported.unwrap(), format!("core-{core}"));
            }
        }
        let runtimes = cores.runtimes().to_vec();
        let left = runtimes[0].spawn(std::future::pending::<()>());
        drop(cores);
        assert!(left.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn a_thread_that_is_stuck_is_noticed() {
        let cores = Cores::of(2).unwrap();
        assert!(are_alive(cores.runtimes()).await);
        let (release, stuck) = mpsc::channel::<()>();
        let held = cores.runtimes()[1].spawn(async move { stuck.recv() });
        assert!(!are_alive(cores.runtimes()).await);
        drop(release);
        assert!(held.await.is_ok());
        assert!(are_alive(cores.runtimes()).await);
    }
}
