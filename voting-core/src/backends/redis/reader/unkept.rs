//! Entries that a worker has taken, and that the replicas may lack.

use tokio::time::Instant;

use crate::{
    backends::redis::{Redis, client::connection::Ran},
    error::StoreError,
    log::claim::LogEntry,
};

/// What was taken and is not counted yet. It is kept in memory only: after the claim time-out the log hands it out again.
#[derive(Default)]
pub(super) struct Unkept(Vec<Aside>);

struct Aside {
    ran: Ran<()>,
    entries: Vec<LogEntry>,
    since: Instant,
}

impl Unkept {
    /// Sets entries aside that were taken so.
    pub(super) fn push(&mut self, ran: Ran<()>, entries: Vec<LogEntry>) {
        self.0.push(Aside {
            ran,
            entries,
            since: Instant::now(),
        });
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The entries that the replicas have now. Those that another consumer may have been given, or that another master may lack,
    /// are forgotten.
    ///
    /// # Errors
    /// There are such entries, and the replicas have none of them yet.
    pub(super) async fn try_again(&mut self, redis: &Redis) -> Result<Vec<LogEntry>, StoreError> {
        let ours_for = redis.0.options.claim_timeout / 2;
        self.0.retain(|aside| {
            aside.since.elapsed() < ours_for && aside.ran.server.turn() == aside.ran.turn
        });
        let mut kept = Vec::new();
        while let Some(aside) = self.0.first() {
            match redis.kept(&aside.ran).await {
                Ok(()) => kept.append(&mut self.0.remove(0).entries),
                Err(error) if kept.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(kept)
    }
}
