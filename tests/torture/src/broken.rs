//! Builds that break the promise, to see that a run finds out.
//!
//! The sources are copied, changed in a few places, and the program with the change is built from the copy. So no switch
//! that breaks the promise is anywhere in the sources that are shipped, where a `cfg` would be, and a
//! change of theirs that this no longer fits is a failure, not a build that is not broken.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use voting_testing::{cargo, root};

/// How the promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Broken {
    /// Redis syncs its log once a second, and the services were told to accept the loss.
    Everysec,
    /// The worker acknowledges entries before they are in the store.
    AckBeforeCommit,
    /// The store takes a voter's older ballot for the newer one if it comes later.
    NoOrderGuard,
    /// The log takes ballots after the moment at which their poll closes.
    LateBallots,
}

/// A text that is in a file once, and what is put in its place.
struct Change {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const ACK_BEFORE_COMMIT: &[Change] = &[Change {
    file: "voting-core/src/pipeline/worker/run.rs",
    from: "        let mut changed = HashSet::new();\n",
    to: "        let early: Vec<_> = batch.entries.iter().map(|(key, _)| *key).collect();
        retry
            .until_done(\"acknowledge\", &worker.progress, || worker.queue.acknowledge(&early))
            .await?;
        let mut changed = HashSet::new();
",
}];

const NO_ORDER_GUARD: &[Change] = &[Change {
    file: "voting-core/src/backends/postgres/flush.rs",
    from: "const NEWEST: &str = \"(excluded.ms, excluded.n, excluded.shard) > (b.ms, b.n, b.shard)\";",
    to: "const NEWEST: &str = \"true\";",
}];

const LATE_BALLOTS: &[Change] = &[Change {
    file: "voting-core/src/backends/redis/scripts/append.lua",
    from: "if closes ~= '-' and ms >= tonumber(closes) then",
    to: "if false then",
}];

impl Broken {
    fn changes(self) -> &'static [Change] {
        match self {
            Self::Everysec => &[],
            Self::AckBeforeCommit => ACK_BEFORE_COMMIT,
            Self::NoOrderGuard => NO_ORDER_GUARD,
            Self::LateBallots => LATE_BALLOTS,
        }
    }

    /// The program that is broken.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::LateBallots => "voting-vote",
            _ => "voting-worker",
        }
    }

    /// Whether it takes a program of its own.
    pub fn is_a_build(self) -> bool {
        !self.changes().is_empty()
    }

    /// Builds the program, below `target/broken`, and says where it is.
    ///
    /// # Errors
    /// The sources cannot be copied, or no longer have what is to be changed, or cannot be built.
    pub fn build_program(self, profile: &str) -> io::Result<PathBuf> {
        let folder = root().join("target").join("broken");
        let copy = folder.join("source");
        copy_changed(root(), &copy, self.changes())?;
        let target = folder.join("target");
        let built = cargo()
            .current_dir(&copy)
            .args(["build", "--quiet", "--locked", "-p", self.program()])
            .args(["--profile", profile])
            .arg("--target-dir")
            .arg(&target)
            .status()?;
        if !built.success() {
            return Err(io::Error::other("the broken program cannot be built"));
        }
        let profile = if profile == "dev" { "debug" } else { profile };
        // The next one is built in the same place.
        let program = folder.join(format!("{}-{self:?}", self.program()));
        fs::copy(target.join(profile).join(self.program()), &program)?;
        Ok(program)
    }
}

/// Copies sources and makes each change, once. Files that are there as they are to be are left alone, so
/// that what is built of them stays; what is no longer among the sources goes.
fn copy_changed(from: &Path, to: &Path, changes: &[Change]) -> io::Result<()> {
    let mut made = vec![0; changes.len()];
    let is_source = |name: &OsStr| {
        let is_left_out = ["target", "voting-data", "fuzz"]
            .iter()
            .any(|out| name == *out);
        !is_left_out && !name.as_encoded_bytes().starts_with(b".")
    };
    copy_folder(from, to, &is_source, changes, &mut made)?;
    for (change, times) in changes.iter().zip(made) {
        if times != 1 {
            let what = format!("{} is in the sources {times} times, not once", change.file);
            return Err(io::Error::other(what));
        }
    }
    Ok(())
}

fn copy_folder(
    from: &Path,
    to: &Path,
    takes: &dyn Fn(&OsStr) -> bool,
    changes: &[Change],
    made: &mut [u32],
) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let source = from.join(entry.file_name());
        let is_folder = entry.file_type()?.is_dir();
        if source.exists() && source.is_dir() == is_folder {
            continue;
        }
        if is_folder {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        let (from, to) = (from.join(&name), to.join(&name));
        if !takes(&name) {
            continue;
        }
        if from.is_dir() {
            copy_folder(&from, &to, &|_| true, changes, made)?;
        } else {
            copy_file(&from, &to, changes, made)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, changes: &[Change], made: &mut [u32]) -> io::Result<()> {
    let mut wanted = fs::read(from)?;
    for (change, made) in changes.iter().zip(made) {
        if !from.ends_with(change.file) {
            continue;
        }
        let text = String::from_utf8(wanted).map_err(io::Error::other)?;
        if text.matches(change.from).count() != 1 {
            let what = format!("{} has no longer once:\n{}", change.file, change.from);
            return Err(io::Error::other(what));
        }
        wanted = text.replace(change.from, change.to).into_bytes();
        *made += 1;
    }
    if fs::read(to).ok().as_ref() != Some(&wanted) {
        fs::write(to, wanted)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const CHANGES: &[Change] = &[Change {
        file: "part/src/guard.rs",
        from: "guard();",
        to: "",
    }];

    /// Sources with a guard, and where they are copied to.
    fn sources() -> (TempDir, TempDir) {
        let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        fs::create_dir_all(from.path().join("part/src")).unwrap();
        fs::create_dir_all(from.path().join("target")).unwrap();
        fs::write(from.path().join("target/made"), "here").unwrap();
        fs::write(from.path().join("part/src/guard.rs"), "guard(); work();").unwrap();
        fs::write(from.path().join("part/src/other.rs"), "guard();").unwrap();
        (from, to)
    }

    #[test]
    fn the_copy_is_changed_where_it_is_to_be_and_nowhere_else() {
        let (from, to) = sources();
        copy_changed(from.path(), to.path(), CHANGES).unwrap();
        let copied = |name: &str| fs::read_to_string(to.path().join(name)).ok();
        assert_eq!(copied("part/src/guard.rs").unwrap(), " work();");
        assert_eq!(copied("part/src/other.rs").unwrap(), "guard();");
        assert_eq!(copied("target/made"), None);
    }

    #[test]
    fn a_change_whose_file_or_text_is_gone_is_an_error() {
        let (from, to) = sources();
        let guard = from.path().join("part/src/guard.rs");
        fs::rename(&guard, from.path().join("part/guard.rs")).unwrap();
        let error = copy_changed(from.path(), to.path(), CHANGES).unwrap_err();
        assert!(error.to_string().contains("0 times"), "{error}");
        fs::write(&guard, "work();").unwrap();
        let error = copy_changed(from.path(), to.path(), CHANGES).unwrap_err();
        assert!(error.to_string().contains("no longer once"), "{error}");
    }

    #[test]
    fn what_is_no_longer_among_the_sources_leaves_the_copy() {
        let (from, to) = sources();
        copy_changed(from.path(), to.path(), CHANGES).unwrap();
        fs::remove_file(from.path().join("part/src/other.rs")).unwrap();
        fs::create_dir_all(to.path().join("gone/src")).unwrap();
        copy_changed(from.path(), to.path(), CHANGES).unwrap();
        assert!(to.path().join("part/src/guard.rs").exists());
        assert!(!to.path().join("part/src/other.rs").exists());
        assert!(!to.path().join("gone").exists());
    }

    #[test]
    fn what_is_broken_fits_the_sources() {
        let to = TempDir::new().unwrap();
        for broken in [
            Broken::AckBeforeCommit,
            Broken::NoOrderGuard,
            Broken::LateBallots,
        ] {
            copy_changed(root(), to.path(), broken.changes()).unwrap();
        }
    }
}
