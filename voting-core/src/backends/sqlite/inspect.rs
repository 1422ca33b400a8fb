//! What is in a file, seen from outside the process that uses it. Changes nothing, and makes no file.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    flush, log,
    open::{MIGRATIONS, as_path, open_reader},
    polls, read, secrets,
};
use crate::{
    error::StoreError,
    log::stats::QueueStats,
    model::{poll::Poll, secrets::LogSecrets},
    store::outcome::Totals,
};

/// How many problems are looked for.
const PROBLEMS: usize = 5;

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// What is damaged; nothing if it is sound.
    pub problems: Vec<String>,
    /// By how many versions the tables are older than the program, or newer if below zero.
    pub versions_behind: i64,
    /// What is in the tables; `None` if they are of another version, or damaged.
    pub content: Option<FileContent>,
}

/// What is in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// The log.
    pub queue: QueueStats,
    /// The store, in the same snapshot.
    pub totals: Totals,
    /// The polls.
    pub polls: Vec<Poll>,
    /// The dead letters, counted by reason.
    pub dead_letters: Vec<(String, u64)>,
    /// The secrets to which the log is held; none if nobody has cast a ballot yet.
    pub secrets: LogSecrets,
}

/// Why it was not found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Its last commits are in a `-wal` file that nobody has opened since it was put there, and to look
    /// at it would make a further file.
    #[error("{0} has a -wal file beside it but no -shm file")]
    Unopened(PathBuf),
    /// SQLite cannot read it.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The version of its tables cannot be told.
    #[error("cannot read the version of the tables in {path}")]
    Version {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rusqlite_migration::Error,
    },
    /// What is in it cannot be read.
    #[error(transparent)]
    Content(#[from] StoreError),
}

/// Looks at a file, be it in use or not. Waits for the disk.
///
/// # Errors
/// It cannot be found out what is in it. That it is damaged is no error.
pub fn inspect(path: &Path) -> Result<FileReport, InspectError> {
    let failed = |source| InspectError::Read {
        path: path.to_owned(),
        source,
    };
    let mut connection = open(path)?;
    let snapshot = connection.transaction().map_err(failed)?;
    let problems = problems(&snapshot);
    if !problems.is_empty() {
        return Ok(FileReport {
            problems,
            versions_behind: 0,
            content: None,
        });
    }
    let behind = MIGRATIONS.pending_migrations(&snapshot);
    let behind = behind.map_err(|source| InspectError::Version {
        path: path.to_owned(),
        source,
    })?;
    let content = match behind {
        0 => Some(FileContent {
            queue: log::stats(&snapshot)?,
            totals: flush::totals(&snapshot)?,
            polls: polls::polls(&snapshot)?,
            dead_letters: read::dead_letter_reasons(&snapshot)?,
            secrets: secrets::held_to(&snapshot)?,
        }),
        _ => None,
    };
    Ok(FileReport {
        problems,
        versions_behind: behind.into(),
        content,
    })
}

pub(super) fn open(path: &Path) -> Result<Connection, InspectError> {
    let failed = |source| InspectError::Read {
        path: path.to_owned(),
        source,
    };
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        Path::new(&name).exists()
    };
    if beside("-wal") {
        if !beside("-shm") {
            return Err(InspectError::Unopened(path.to_owned()));
        }
        return open_reader(path).map_err(failed);
    }
    // Nobody has it open. Otherwise a reader of another user would leave files behind that the service
    // could not write to.
    let path = as_path(path);
    let escaped = path.to_string_lossy();
    let escaped = escaped.replace('%', "%25").replace('?', "%3f");
    let uri = format!("file:{}?immutable=1", escaped.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).map_err(failed)
}

fn problems(connection: &Connection) -> Vec<String> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut query = connection.prepare(&format!("PRAGMA quick_check({PROBLEMS})"))?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.collect()
    };
    // A failure of the question is an answer too.
    let mut found = check().unwrap_or_else(|error| vec![error.to_string()]);
    found.retain(|line| line != "ok");
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::backends::sqlite::{Sqlite, SqliteOptions};

    fn names_in(folder: &Path) -> Vec<String> {
        let there = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = there
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_look_leaves_no_trace_whether_the_file_is_in_use_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a %20?#.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let in_use = names_in(folder.path());
        let report = inspect(&path).unwrap();
        assert!(
            report.problems.is_empty() && report.content.is_some(),
            "{report:?}"
        );
        assert_eq!(names_in(folder.path()), in_use);
        drop(store);
        let unused = names_in(folder.path());
        assert!(unused.len() < in_use.len(), "{unused:?}");
        let report = inspect(&path).unwrap();
        assert!(
            report.problems.is_empty() && report.content.is_some(),
            "{report:?}"
        );
        assert_eq!(names_in(folder.path()), unused);
        // This is so if only a part of a backup was restored.
        fs::write(folder.path().join("a %20?#.db-wal"), "").unwrap();
        let unopened = inspect(&path);
        assert!(
            matches!(unopened, Err(InspectError::Unopened(_))),
            "{unopened:?}"
        );
    }
}
