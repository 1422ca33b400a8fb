//! The programs of the services: built when they are not there yet, as this one was.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::broken::Broken;

/// Where the sources are.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

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

/// The folder of the programs, and the worker.
///
/// # Errors
/// They cannot be built.
pub fn build(broken: Option<Broken>) -> io::Result<(PathBuf, PathBuf)> {
    let own = env::current_exe()?;
    let folder = own.parent().unwrap_or(&own);
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let mut build = cargo();
    build.current_dir(root());
    build.args(["build", "--quiet", "--locked", "--profile", profile]);
    for program in ["voting-vote", "voting-worker", "voting-result"] {
        build.args(["-p", program]);
    }
    if !build.status()?.success() {
        return Err(io::Error::other("the services cannot be built"));
    }
    let worker = match broken {
        Some(broken) if broken.is_a_build() => broken.build_worker(profile)?,
        _ => folder.join("voting-worker"),
    };
    Ok((folder.to_owned(), worker))
}
