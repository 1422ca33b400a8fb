//! Signals to processes, also to those that a server has started.

use std::{
    fs,
    process::{Command, Stdio},
};

/// Sends signals, by name. Those that are gone already are passed over.
pub fn signal(name: &str, processes: &[u32]) {
    for id in processes {
        let sent = Command::new("kill")
            .args(["-s", name, &id.to_string()])
            .stderr(Stdio::null())
            .status();
        sent.expect("kill is there");
    }
}

/// The processes that a process has started and not lost, as Linux' `/proc` shows.
pub fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which is in brackets and may hold anything: state, parent.
            let (_, after_name) = stat.rsplit_once(')')?;
            let parent: u32 = after_name.split_whitespace().nth(1)?.parse().ok()?;
            (parent == of).then_some(id)
        })
        .collect()
}

/// The line that started a process, or what it has made of it.
pub fn title(id: u32) -> String {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}
