//! The embedded back end: the log and the store in one SQLite file, durable on disk.
//!
//! The file is in WAL mode with `synchronous=FULL`: a commit is on the disk before it returns.
//! Casts that come together share one commit. Only one process at a time may use the file. A lock on `<file>.lock`
//! enforces this.

mod audit;
mod events;
mod export;
#[cfg(test)]
mod faults;
mod flush;
mod inspect;
mod log;
mod open;
mod polls;
mod read;
mod rows;
mod secrets;
mod sessions;
mod tokens;
mod voiding;
mod webhooks;

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::{
    export::SqliteReader,
    inspect::{FileContent, FileReport, InspectError, inspect},
    log::SqliteQueue,
    open::{OpenError, SqliteOptions},
};
use crate::{
    backends::embedded::{Arrivals, Group},
    error::{ErrorKind, StoreError},
    pipeline::group_commit::{GroupCommit, GroupCommitOptions},
};

/// The log and the store in one file. Clones share the file; the last clone closes it.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// Reads the log.
    tail: Mutex<Connection>,
    /// Reads everything else, so that these reads never make a consumer wait.
    reader: Mutex<Connection>,
    group: Mutex<Group>,
    arrivals: Arrivals,
    /// Writes. SQLite has one writer at a time, so appends, flushes and acknowledgements wait for each other here.
    ///
    /// This field must come after the readers, so that it is dropped after them: the last connection that closes cleans
    /// up the file, and the readers cannot do this.
    writer: Mutex<Connection>,
    /// Cancelled when the disk failed during a commit. What the file contains is then unknown until it is opened again:
    /// a later sync may succeed although it did not write the data of the failed sync.
    broken: CancellationToken,
    /// How many reads may use a thread at a time, so that reads never use up the threads that appends and flushes need.
    reads: Semaphore,
    _lock: File,
}

impl Sqlite {
    /// A sink that writes to the log. Call it within a tokio runtime.
    pub fn sink(&self) -> GroupCommit {
        GroupCommit::new(Arc::new(self.clone()), GroupCommitOptions::default())
    }

    /// A reading end of the log.
    pub fn queue(&self) -> SqliteQueue {
        SqliteQueue(self.clone())
    }

    /// Returns when the disk has failed during a commit. From then on the store takes nothing. Open the file again in a
    /// new process: only then is it known what the file contains.
    pub async fn failed(&self) {
        self.0.broken.cancelled().await;
    }

    /// Runs `work`, which reads, on a thread where it does not block the runtime.
    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _slot = self
            .0
            .reads
            .acquire()
            .await
            .map_err(StoreError::unavailable)?;
        self.blocking(work).await
    }

    /// Runs `work`, which waits for the disk, on a thread where it does not block the runtime.
    async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<TaskLost> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || work(&inner));
        task.await.map_err(TaskLost)?
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn check_sound(&self) -> Result<(), StoreError> {
        if self.broken.is_cancelled() {
            return Err(StoreError::of_kind(
                ErrorKind::Poisoned,
                "the disk failed during a commit; restart to see what the file holds",
            ));
        }
        Ok(())
    }

    /// The only connection that writes.
    fn writer(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let writer = lock(&self.writer);
        // Checked under the lock: the disk may have failed for the caller that had the lock before.
        self.check_sound()?;
        Ok(writer)
    }

    /// Commits, and remembers if the disk fails during the commit.
    fn commit(&self, transaction: Transaction<'_>) -> Result<(), rusqlite::Error> {
        transaction.commit().inspect_err(|error| {
            if !left_nothing(error) {
                self.broken.cancel();
            }
        })
    }

    /// Checks that something can be written now.
    fn check_writable(&self) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        transaction.execute("UPDATE log_state SET accepted = accepted", [])?;
        self.commit(transaction)?;
        Ok(())
    }
}

/// A transaction that has the write lock from its start.
fn begin(writer: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    writer.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Whether a commit that failed with this error has certainly not taken place.
fn left_nothing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
    )
}

/// Locks a connection, also after a panic of another thread that had the lock: a transaction that is dropped is rolled
/// back, so the connection is usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kind of an error of SQLite.
pub(super) fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::TimedOut,
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => ErrorKind::Full,
        Some(ErrorCode::ReadOnly) => ErrorKind::ReadOnly,
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => ErrorKind::Forbidden,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::unavailable(error)
    }
}

/// The task that did the work has panicked, or its runtime has ended. A type of its own, since that of tokio is no part of the
/// public API.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct TaskLost(tokio::task::JoinError);

impl From<TaskLost> for StoreError {
    fn from(TaskLost(error): TaskLost) -> Self {
        Self::unavailable(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: std::os::raw::c_int) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn only_a_disk_that_failed_leaves_a_commit_in_doubt() {
        assert!(left_nothing(&failure(rusqlite::ffi::SQLITE_BUSY)));
        assert!(left_nothing(&failure(rusqlite::ffi::SQLITE_FULL)));
        assert!(!left_nothing(&failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)));
        assert!(!left_nothing(&failure(rusqlite::ffi::SQLITE_IOERR_WRITE)));
    }
}
