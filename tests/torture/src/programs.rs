//! The programs of the services, one of which may be broken.

use std::{io, path::PathBuf, process::Command};

use voting_testing::{Programs, root};

use crate::broken::Broken;

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

/// The programs, and the one that is used in place of another of its name, since it is broken.
///
/// # Errors
/// They cannot be built.
pub(crate) fn build(broken: Option<Broken>) -> io::Result<(Programs, Option<PathBuf>)> {
    let shipped = ["voting-vote", "voting-worker", "voting-result", "voting"];
    // What is broken never gets as far as the commands.
    let needed = shipped.len() - usize::from(broken.is_some());
    let programs = Programs::current_of(&shipped[..needed])?;
    let broken = broken.filter(|broken| broken.is_a_build());
    let broken = broken.map(|broken| broken.build_program(&Programs::own_profile()?));
    Ok((programs, broken.transpose()?))
}
