//! A server's process, which ends when the test's process does, however that ends.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::processes;

/// Starts the server, says its id, and waits for a line: then it asks the server to end, and ends it
/// if it does not, as Redis while it writes its first log. If the input ends instead, the test process is gone: then it
/// ends the server at once and removes the folder, which nobody else will.
const GUARD: &str = r#"
folder=$1; at_once=$2; shift 2
"$@" </dev/null >&2 &
id=$!; echo $id
if read -r _; then
    kill -s INT $id 2>/dev/null
    { sleep 10; kill -s $at_once $id; } 2>/dev/null &
    wait $id
    kill $! 2>/dev/null
else
    kill -s $at_once $id 2>/dev/null
    wait $id
    rm -rf "$folder"
fi
"#;

#[derive(Debug)]
pub(crate) struct Server {
    guard: Child,
    id: u32,
}

impl Server {
    /// `at_once` is the signal that ends it without ado.
    pub(crate) fn start(folder: &Path, at_once: &str, command: &[&str]) -> Self {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(folder)
            .arg(at_once)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut id = String::new();
        let mut output = BufReader::new(guard.stdout.take().expect("its output"));
        output.read_line(&mut id).expect("the server's id");
        let id = id.trim().parse().expect("a number");
        Self { guard, id }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Sends the server a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        assert!(processes::send(name, self.id), "no process {}", self.id);
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) {
        // The guard waits for a line first.
        if let Some(mut input) = self.guard.stdin.take() {
            let _ = input.write_all(b"end\n");
        }
        self.guard.wait().expect("ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended();
    }
}
