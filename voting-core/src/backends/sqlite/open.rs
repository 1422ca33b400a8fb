//! Opening the file.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Inner, Sqlite};
use crate::{
    backends::{
        embedded::{Arrivals, Group},
        private_files,
    },
    error::StoreError,
};

/// Reads that may wait for the readers' connections at a time.
const MAX_READS: usize = 16;

/// One step a released version; a step that was released never changes.
pub(super) static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(include_str!("migrations/1_tables.sql")),
        M::up(include_str!("migrations/2_closing.sql")),
        M::up(include_str!("migrations/3_traces.sql")),
        M::up(include_str!("migrations/4_secrets.sql")),
        M::up(include_str!("migrations/5_polls.sql")),
    ])
});

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// After this time without an acknowledgement an entry is handed out again. Default: 30 s.
    pub claim_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            claim_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it, or another [`Sqlite`] of this one.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// Its folder or its lock file cannot be made, or one of its files is not this user's.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite cannot open it: no right to, no space, or no database.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It is where SQLite cannot keep a write-ahead log, as in memory or on some network file
    /// systems, and so a commit could be lost.
    #[error("{path} cannot be made durable: its journal mode is {mode:?}, not \"wal\"")]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// The journal mode that SQLite fell back to.
        mode: String,
    },
    /// It is damaged, as when a backup was put back beside the `-wal` file of another.
    #[error("{path} is damaged: {found}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found first.
        found: String,
    },
    /// The ballots of a poll that was deleted cannot be removed.
    #[error("cannot remove the ballots of a deleted poll from {path}")]
    Leftovers {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// It was written by a newer version of this software, or is of other software.
    #[error("cannot bring {path} to this version's schema")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rusqlite_migration::Error,
    },
}

impl Sqlite {
    /// Opens a file, or makes it, with its folder.
    ///
    /// Entries that are in its log are handed out again: whoever had them is gone.
    ///
    /// # Errors
    /// [`OpenError`] says what to mend.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = path.as_ref().to_path_buf();
        let lock = lock_file(&path)?;
        let failed = |source| OpenError::Open {
            path: path.clone(),
            source,
        };
        let mut writer = open_writer(&path).map_err(failed)?;
        let mode = set_up_writer(&writer).map_err(failed)?;
        if mode != "wal" {
            return Err(OpenError::NotDurable { path, mode });
        }
        // A failure of the question is an answer too.
        let found = writer
            .query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
            .unwrap_or_else(|error| error.to_string());
        if found != "ok" {
            return Err(OpenError::Damaged { path, found });
        }
        MIGRATIONS
            .to_latest(&mut writer)
            .map_err(|source| OpenError::Migrate {
                path: path.clone(),
                source,
            })?;
        let opened = Self(Arc::new(Inner {
            writer: Mutex::new(writer),
            tail: Mutex::new(open_reader(&path).map_err(failed)?),
            reader: Mutex::new(open_reader(&path).map_err(failed)?),
            group: Mutex::new(Group::new(options.claim_timeout)),
            arrivals: Arrivals::default(),
            broken: CancellationToken::new(),
            reads: Semaphore::new(MAX_READS),
            _lock: lock,
            path: path.clone(),
        }));
        // The process may have ended while it removed the ballots of a deleted poll.
        let removed = opened.0.remove_leftovers();
        removed.map_err(|source| OpenError::Leftovers { path, source })?;
        Ok(opened)
    }
}

/// Makes the folder, the lock file and the database file as far as they are missing, for this
/// user only, since ballots say who voted for what; and takes the lock. Files that another user may have put
/// there are refused, also those that SQLite would find beside the database.
fn lock_file(path: &Path) -> Result<File, OpenError> {
    let lock_path = beside(path, ".lock");
    let failed = |source| OpenError::Lock {
        path: lock_path.clone(),
        source,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    private_files::make_folder(folder).map_err(failed)?;
    // Only the database may be kept elsewhere, by a link.
    let database = private_files::resolve(path).map_err(failed)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        private_files::check_file(&beside(&database, suffix)).map_err(failed)?;
    }
    private_files::open_file(&database).map_err(failed)?;
    let file = private_files::open_file(&lock_path).map_err(failed)?;
    // A file whose name is not on the disk is lost with the power, whatever was synced into it.
    private_files::sync_folder(folder).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A path as SQLite takes it for one: it takes a name that begins with `file:` for an address.
pub(super) fn as_path(path: &Path) -> PathBuf {
    if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        return Path::new(".").join(path);
    }
    path.to_owned()
}

fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(as_path(path), flags)
}

/// Returns the journal mode that SQLite has taken.
fn set_up_writer(writer: &Connection) -> rusqlite::Result<String> {
    let mode = writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync stops at the drive's cache.
    writer.pragma_update(None, "fullfsync", "ON")?;
    writer.pragma_update(None, "foreign_keys", "ON")?;
    writer.set_prepared_statement_cache_capacity(32);
    Ok(mode)
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(as_path(path), flags)?;
    reader.busy_timeout(Duration::from_secs(5))?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_sound() {
        MIGRATIONS.validate().unwrap();
    }

    #[test]
    fn a_file_is_used_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/voting.db");
        let first = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let second = Sqlite::open(&path, SqliteOptions::default());
        assert!(matches!(second, Err(OpenError::InUse(_))));
        drop(first);
        Sqlite::open(&path, SqliteOptions::default()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        let text = "not a database, but long enough to look at ".repeat(40);
        std::fs::write(&path, &text).unwrap();
        let opened = Sqlite::open(&path, SqliteOptions::default());
        assert!(matches!(opened, Err(OpenError::Open { .. })), "{opened:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_cannot_be_durable_is_refused() {
        let opened = Sqlite::open(":memory:", SqliteOptions::default());
        std::fs::remove_file(":memory:").unwrap();
        std::fs::remove_file(":memory:.lock").unwrap();
        assert!(
            matches!(opened, Err(OpenError::NotDurable { .. })),
            "{opened:?}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_ballots() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/voting.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        for name in ["new", "new/voting.db", "new/voting.db-wal"] {
            let mode = std::fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
        }
        drop(store);
    }

    #[test]
    fn a_name_that_begins_as_an_address_is_a_name() {
        let folder = Path::new("file:a_name_that_begins.db");
        let store = Sqlite::open(folder, SqliteOptions::default());
        let inspected = crate::backends::sqlite::inspect::inspect(folder);
        let is_there = folder.exists();
        drop(store.expect("it opens"));
        for suffix in ["", ".lock"] {
            std::fs::remove_file(beside(folder, suffix)).unwrap();
        }
        assert!(is_there && inspected.is_ok(), "{inspected:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_file_is_private_and_no_link_is_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        drop(Sqlite::open(&path, SqliteOptions::default()).unwrap());
        let lock = folder.path().join("voting.db.lock");
        let mode = std::fs::metadata(&lock).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let target = folder.path().join("target");
        for name in [
            "voting.db.lock",
            "voting.db-wal",
            "voting.db-shm",
            "voting.db-journal",
        ] {
            std::fs::write(&target, "precious").unwrap();
            let link = folder.path().join(name);
            let _ = std::fs::remove_file(&link);
            symlink(&target, &link).unwrap();
            let refused = Sqlite::open(&path, SqliteOptions::default());
            assert!(
                matches!(refused, Err(OpenError::Lock { .. })),
                "{name}: {refused:?}"
            );
            assert_eq!(std::fs::read(&target).unwrap(), b"precious", "{name}");
            std::fs::remove_file(&link).unwrap();
        }
        // The database may be elsewhere.
        let elsewhere = folder.path().join("elsewhere.db");
        std::fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        Sqlite::open(&path, SqliteOptions::default()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_that_others_could_read_is_taken_from_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(store);
    }

    #[test]
    fn a_file_that_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        drop(Sqlite::open(&path, SqliteOptions::default()).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let third = 2 * 4096;
        bytes[third..third + 200].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let opened = Sqlite::open(&path, SqliteOptions::default());
        assert!(
            matches!(opened, Err(OpenError::Damaged { .. })),
            "{opened:?}"
        );
    }

    #[test]
    fn a_commit_is_on_the_disk_before_it_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let writer = super::super::lock(&store.0.writer);
        let pragma = |name| writer.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        assert_eq!(pragma("journal_mode").unwrap(), "wal");
        let full = 2;
        let synchronous = writer.pragma_query_value(None, "synchronous", |row| row.get(0));
        assert_eq!(synchronous, Ok(full));
    }
}
