//! What a run leaves behind: a folder of its own, with what it printed, the logs, and the data if that is to
//! be kept.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// So many runs' folders are kept, the new one among them.
const KEPT: usize = 5;

/// The folder of a run, where it also writes what it prints.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Makes a folder for a run with this seed, and removes the oldest.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn begin(parent: &Path, seed: u64) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_err(io::Error::other)?.as_millis();
        let folder = parent.join(format!("{seed}-{now}"));
        fs::create_dir(&folder)?;
        let mut runs = Vec::new();
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            let name = entry.file_name();
            runs.extend(begun(&name.to_string_lossy()).map(|begun| (begun, entry.path())));
        }
        runs.sort();
        for (_, old) in runs.iter().rev().skip(KEPT) {
            fs::remove_dir_all(old)?;
        }
        Ok(Self {
            file: Mutex::new(File::create(folder.join("run.txt"))?),
            folder,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Prints it, and writes it down.
    pub(crate) fn say(&self, line: &str) {
        println!("{line}");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // It was printed, at least.
        let _ = writeln!(file, "{line}");
    }
}

/// When a run began, if this is the name of a run's folder.
fn begun(name: &str) -> Option<u128> {
    let (seed, begun) = name.split_once('-')?;
    seed.parse::<u64>().ok()?;
    begun.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_runs_are_kept_and_what_is_no_run_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let there = |name: &str| parent.path().join(name).exists();
        for name in ["9-1", "7-2", "8-3", "7-4", "7-5", "notes", "a-1"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let journal = Journal::begin(parent.path(), 3).unwrap();
        journal.say("it began");
        assert!(!there("9-1"), "the oldest");
        for kept in ["7-2", "8-3", "7-4", "7-5", "notes", "a-1"] {
            assert!(there(kept), "{kept}");
        }
        let said = fs::read_to_string(journal.folder().join("run.txt")).unwrap();
        assert_eq!(said, "it began\n");
    }
}
