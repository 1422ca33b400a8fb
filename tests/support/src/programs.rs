//! Whether the programs that tests start are there, as the sources say now.

use std::{fs, io, path::Path, time::SystemTime};

use crate::root;

/// What the programs are made of, below the root of the workspace.
const MADE_OF: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "voting-core",
    "voting-http",
    "bins",
];

/// Whether each of these programs is in `folder`, a `target/<profile>`, and nothing that they are made of has
/// changed since. `cargo test --workspace` has built them then, and to ask Cargo for them alone would build them
/// anew: of fewer packages it selects other features.
pub fn are_built(folder: &Path, programs: &[&str]) -> bool {
    are_newer(folder, programs, &MADE_OF.map(|part| root().join(part))).unwrap_or(false)
}

fn are_newer(folder: &Path, programs: &[&str], sources: &[impl AsRef<Path>]) -> io::Result<bool> {
    let mut changed = SystemTime::UNIX_EPOCH;
    for source in sources {
        changed = changed.max(last_change(source.as_ref())?);
    }
    for program in programs {
        if fs::metadata(folder.join(program))?.modified()? < changed {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When a file, or the last of those in a folder, was changed. Tests are no part of a program.
fn last_change(path: &Path) -> io::Result<SystemTime> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return metadata.modified();
    }
    let mut last = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() != "tests" && entry.file_name() != "target" {
            last = last.max(last_change(&entry.path())?);
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn programs_are_built_while_none_of_their_sources_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("sources/src")).unwrap();
        fs::create_dir_all(at("sources/tests")).unwrap();
        let (source, test) = (at("sources/src/a.rs"), at("sources/tests/b.rs"));
        fs::write(&source, "").unwrap();
        fs::write(&test, "").unwrap();
        let sources = [at("sources")];
        let built = |programs: &[&str]| are_newer(folder.path(), programs, &sources);
        assert!(built(&["program"]).is_err(), "it is not there");
        fs::write(at("program"), "").unwrap();
        assert!(built(&["program"]).unwrap());
        assert!(built(&["program", "other"]).is_err());
        let later = SystemTime::now() + Duration::from_secs(9);
        let change = |file: &Path| {
            let file = fs::File::options().append(true).open(file).unwrap();
            file.set_modified(later).unwrap();
        };
        change(&test);
        assert!(built(&["program"]).unwrap(), "a test is no part of it");
        change(&source);
        assert!(!built(&["program"]).unwrap(), "a source has changed");
        fs::remove_dir_all(at("sources")).unwrap();
        assert!(built(&["program"]).is_err(), "the sources are gone");
    }
}
