//! Signals to processes, also to those that a server has started; what Linux' `/proc` tells of them.

use std::{
    fs,
    process::{Command, Stdio},
};

/// Sends signals, by name. Those that are gone already are passed over.
pub fn signal(name: &str, processes: &[u32]) {
    for id in processes {
        send(name, *id);
    }
}

/// Sends one a signal, by name; whether it is there.
pub(crate) fn send(name: &str, id: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, &id.to_string()]);
    let sent = kill.stderr(Stdio::null()).status();
    sent.expect("kill is there").success()
}

/// Whether a process is there, and not only its exit code.
pub fn runs(id: u32) -> bool {
    !matches!(state(id), None | Some('Z' | 'X'))
}

/// Whether a process was stopped, and does nothing until it is told to go on.
pub fn stands_still(id: u32) -> bool {
    state(id) == Some('T')
}

/// What a process does, in a letter.
fn state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    after_name(&stat)?.chars().next()
}

/// What comes after the name, which is in brackets and may hold anything: state, parent, ….
fn after_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(')')?.1.trim_start())
}

/// The processes that a process has started and not lost.
pub fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent: u32 = after_name(&stat)?.split_whitespace().nth(1)?.parse().ok()?;
            (parent == of).then_some(id)
        })
        .collect()
}

/// The line that started a process, or what it has made of it.
pub fn title(id: u32) -> String {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}
