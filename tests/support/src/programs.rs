//! The programs that are shipped, as the sources say now.
//!
//! Whoever needs them from another package may have to build them. Cargo gives a test the path of a program
//! (`CARGO_BIN_EXE_…`) only within the package that has it, and a dependency on the program of another package
//! (an artifact dependency) is for nightly compilers only. The alternatives are worse: tests in the package
//! of one program still lack the other three; programs of the tests' own, with the same main functions, would be
//! linked with the features of all of them, and what is shipped would stay untested. So each program has a test in its
//! own package, which makes `cargo test --workspace` build it before any test runs: then [`Programs::current`]
//! finds it here and builds nothing. Only who runs the tests of a single package, after a change of a program, has
//! it built by the first test that needs it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::SystemTime,
};

use crate::root;

/// The programs that are shipped.
const PROGRAMS: [&str; 4] = ["voting", "voting-vote", "voting-worker", "voting-result"];

/// A folder that has the programs.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// The programs of the same build profile as this process, built where they are missing or older than their
    /// sources.
    ///
    /// # Panics
    /// They cannot be built.
    pub fn current() -> &'static Self {
        static CURRENT: LazyLock<Programs> =
            LazyLock::new(|| Programs::current_of(&PROGRAMS).expect("the programs are built"));
        &CURRENT
    }

    /// The same, of these programs only.
    ///
    /// # Errors
    /// They cannot be built.
    pub fn current_of(programs: &[&str]) -> io::Result<Self> {
        let folder = own_folder()?;
        if !are_built(&folder, programs) {
            build(&profile(&folder), programs)?;
        }
        Ok(Self(folder))
    }

    /// The services of a build profile, as Cargo calls it. They are built by themselves, so with the features that
    /// they are shipped with.
    ///
    /// # Panics
    /// They cannot be built.
    pub fn of_profile(profile: &str) -> Self {
        build(profile, &PROGRAMS[1..]).expect("the services are built");
        let own = own_folder().expect("this program");
        let target = own.parent().expect("the folder of all profiles");
        // Cargo's own name for the folder of this one.
        Self(target.join(if profile == "dev" { "debug" } else { profile }))
    }

    /// Those in a folder, whoever built them.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Where a program is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The profile that this process was built with, as Cargo calls it.
    ///
    /// # Errors
    /// The system does not say where this process is from.
    pub fn own_profile() -> io::Result<String> {
        Ok(profile(&own_folder()?))
    }
}

/// Where a program of [`Programs::current`] is.
pub fn program(name: &str) -> PathBuf {
    Programs::current().path(name)
}

/// The folder of this process's profile, `target/<profile>`. Tests are one folder further down, in `deps`.
fn own_folder() -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let folder = own.parent().unwrap_or(&own);
    let is_of_test = folder.file_name().is_some_and(|name| name == "deps");
    let folder = folder.parent().filter(|_| is_of_test).unwrap_or(folder);
    Ok(folder.to_owned())
}

fn profile(folder: &Path) -> String {
    match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev".to_owned(),
        Some(profile) => profile.to_owned(),
    }
}

/// Cargo, with the compiler that is beside it, whatever folder a crate is compiled in.
pub fn cargo() -> Command {
    let cargo = Path::new(env!("CARGO"));
    let mut command = Command::new(cargo);
    let compiler = cargo.with_file_name("rustc");
    if compiler.exists() {
        command.env("RUSTC", compiler);
    }
    command
}

fn build(profile: &str, programs: &[&str]) -> io::Result<()> {
    let mut build = cargo();
    build.current_dir(root());
    build.args(["build", "--quiet", "--locked", "--profile", profile]);
    for program in programs {
        build.args(["-p", program]);
    }
    if build.status()?.success() {
        return Ok(());
    }
    Err(io::Error::other("the programs cannot be built"))
}

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
fn are_built(folder: &Path, programs: &[&str]) -> bool {
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
