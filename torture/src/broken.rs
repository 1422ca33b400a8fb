//! Builds that break the promise, to see that a run finds out.
//!
//! The sources are copied, changed in a few places, and the worker is built from the copy. So no switch
//! that breaks the promise is anywhere in the sources that are shipped, where a `cfg` would be, and a
//! change of theirs that this no longer fits is a failure, not a build that is not broken.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::programs::{cargo, root};

/// How the promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Broken {
    /// Redis syncs its log once a second, and the services were told to accept the loss.
    Everysec,
    /// The worker acknowledges entries before they are in the store.
    AckBeforeCommit,
    /// The store takes a voter's older ballot for the newer one if it comes later.
    NoOrderGuard,
}

/// A text that is in a file once, and what is put in its place.
struct Change {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const ACK_BEFORE_COMMIT: &[Change] = &[Change {
    file: "voting-core/src/worker/run.rs",
    from: "        let mut changed_again = false;\n",
    to: "        let early: Vec<_> = batch.entries.iter().map(|(key, _)| *key).collect();
        patience
            .until_done(\"acknowledge\", &worker.progress, || worker.queue.acknowledge(&early))
            .await?;
        let mut changed_again = false;
",
}];

const NO_ORDER_GUARD: &[Change] = &[Change {
    file: "voting-core/src/postgres/flush.rs",
    from: "WHERE (excluded.ms, excluded.n, excluded.shard) > (b.ms, b.n, b.shard)",
    to: "",
}];

impl Broken {
    fn changes(self) -> &'static [Change] {
        match self {
            Self::Everysec => &[],
            Self::AckBeforeCommit => ACK_BEFORE_COMMIT,
            Self::NoOrderGuard => NO_ORDER_GUARD,
        }
    }

    /// Whether it takes a worker of its own.
    pub fn is_a_build(self) -> bool {
        !self.changes().is_empty()
    }

    /// Builds the worker, below `target/broken`, and says where it is.
    ///
    /// # Errors
    /// The sources cannot be copied, or no longer have what is to be changed, or cannot be built.
    pub fn build_worker(self, profile: &str) -> io::Result<PathBuf> {
        let folder = root().join("target").join("broken");
        let copy = folder.join("source");
        fs::create_dir_all(&copy)?;
        for entry in fs::read_dir(root())? {
            let name = entry?.file_name();
            let is_source = !matches!(name.to_str(), None | Some("target" | "voting-data"));
            if is_source && !name.as_encoded_bytes().starts_with(b".") {
                copy_changed(&root().join(&name), &copy.join(&name), self.changes())?;
            }
        }
        let target = folder.join("target");
        let built = cargo()
            .current_dir(&copy)
            .args(["build", "--quiet", "--locked", "-p", "voting-worker"])
            .args(["--profile", profile])
            .arg("--target-dir")
            .arg(&target)
            .status()?;
        if !built.success() {
            return Err(io::Error::other("the broken worker cannot be built"));
        }
        let profile = if profile == "dev" { "debug" } else { profile };
        // The next one is built in the same place.
        let worker = folder.join(format!("voting-worker-{self:?}"));
        fs::copy(target.join(profile).join("voting-worker"), &worker)?;
        Ok(worker)
    }
}

/// Copies files that are not there yet as they are to be, so that what is built of the others stays.
fn copy_changed(from: &Path, to: &Path, changes: &[Change]) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_changed(&from.join(&name), &to.join(&name), changes)?;
        }
        return Ok(());
    }
    let mut wanted = fs::read(from)?;
    for change in changes.iter().filter(|change| from.ends_with(change.file)) {
        let text = String::from_utf8(wanted).map_err(io::Error::other)?;
        if text.matches(change.from).count() != 1 {
            let what = format!("{} has no longer once:\n{}", change.file, change.from);
            return Err(io::Error::other(what));
        }
        wanted = text.replace(change.from, change.to).into_bytes();
    }
    if fs::read(to).ok().as_ref() != Some(&wanted) {
        fs::write(to, wanted)?;
    }
    Ok(())
}
