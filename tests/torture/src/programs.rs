//! The programs of the services: built when they are not there yet, as this one was.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use voting_testing::{are_built, root};

use crate::broken::Broken;

/// Cargo, with the compiler that is beside it, whatever folder a crate is compiled in.
pub(crate) fn cargo() -> Command {
    let cargo = Path::new(env!("CARGO"));
    let mut command = Command::new(cargo);
    let compiler = cargo.with_file_name("rustc");
    if compiler.exists() {
        command.env("RUSTC", compiler);
    }
    command
}

/// The profile that this program was built with, as Cargo calls it.
pub(crate) fn profile() -> io::Result<String> {
    let own = env::current_exe()?;
    let folder = own.parent().and_then(Path::file_name);
    Ok(match folder.and_then(|name| name.to_str()) {
        None | Some("debug") => "dev".to_owned(),
        Some(profile) => profile.to_owned(),
    })
}

/// The revision of the sources, as far as Git tells, and whether they were changed since.
pub(crate) fn revision() -> String {
    let mut git = Command::new("git");
    git.current_dir(root());
    let told = git
        .args(["describe", "--always", "--abbrev=40", "--dirty"])
        .args(["--exclude", "*"])
        .output();
    let told = told.ok().filter(|told| told.status.success());
    let text = told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    let text = text.filter(|text| !text.is_empty());
    text.unwrap_or_else(|| "unknown".to_owned())
}

/// The folder of the programs, and the worker.
///
/// # Errors
/// They cannot be built.
pub fn build(broken: Option<Broken>) -> io::Result<(PathBuf, PathBuf)> {
    let own = env::current_exe()?;
    let folder = own.parent().unwrap_or(&own);
    let profile = profile()?;
    let profile = profile.as_str();
    let programs = ["voting-vote", "voting-worker", "voting-result"];
    if !are_built(folder, &programs) {
        let mut build = cargo();
        build.current_dir(root());
        build.args(["build", "--quiet", "--locked", "--profile", profile]);
        for program in programs {
            build.args(["-p", program]);
        }
        if !build.status()?.success() {
            return Err(io::Error::other("the services cannot be built"));
        }
    }
    let worker = match broken {
        Some(broken) if broken.is_a_build() => broken.build_worker(profile)?,
        _ => folder.join("voting-worker"),
    };
    Ok((folder.to_owned(), worker))
}
