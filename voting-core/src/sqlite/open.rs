//! Opening the file.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, atomic::AtomicBool},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::{Inner, Sqlite};
use crate::embedded::{Arrivals, Group};

/// One step a released version; a step that was released never changes.
static MIGRATIONS: LazyLock<Migrations<'static>> =
    LazyLock::new(|| Migrations::new(vec![M::up(include_str!("schema.sql"))]));

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// After this time without an acknowledgement an entry is handed out again.
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
    /// Its folder or its lock file cannot be made.
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
        let mut writer = Connection::open(&path).map_err(failed)?;
        set_up_writer(&writer).map_err(failed)?;
        MIGRATIONS
            .to_latest(&mut writer)
            .map_err(|source| OpenError::Migrate {
                path: path.clone(),
                source,
            })?;
        Ok(Self(Arc::new(Inner {
            writer: Mutex::new(writer),
            tail: Mutex::new(open_reader(&path).map_err(failed)?),
            reader: Mutex::new(open_reader(&path).map_err(failed)?),
            group: Mutex::new(Group::new(options.claim_timeout)),
            arrivals: Arrivals::default(),
            broken: AtomicBool::new(false),
            _lock: lock,
            path,
        })))
    }
}

fn lock_file(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let made = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder),
        _ => Ok(()),
    };
    let failed = |source| OpenError::Lock {
        path: lock_path.clone(),
        source,
    };
    let file = made
        .and_then(|()| File::create(&lock_path))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn set_up_writer(writer: &Connection) -> rusqlite::Result<()> {
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync stops at the drive's cache.
    writer.pragma_update(None, "fullfsync", "ON")?;
    writer.pragma_update(None, "foreign_keys", "ON")?;
    writer.set_prepared_statement_cache_capacity(32);
    Ok(())
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
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
