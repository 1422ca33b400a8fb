//! A program under test.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use crate::{processes, wait::await_some};

/// A running program, which is killed when the test is over.
#[derive(Debug)]
pub struct Program {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let started = command.stdout(Stdio::piped()).spawn();
        let mut process = started.expect("the program starts");
        let output = process.stdout.take().expect("its output");
        Self {
            process,
            output: BufReader::new(output).lines(),
        }
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> Option<String> {
        self.output.next().map(|line| line.expect("a text"))
    }

    /// The address in the next line that it prints, which must begin with `name`, or be an object that has it.
    pub fn address(&mut self, name: &str) -> String {
        let line = self.line().expect("a line");
        let object: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let said = match &object {
            Some(object) => object["address"].as_str().expect("an address"),
            None => line.strip_prefix(name).expect("the line of that name"),
        };
        let url = said.split_whitespace().next().expect("an address");
        url.trim_end_matches("docs/")
            .trim_end_matches('/')
            .to_owned()
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it without a warning.
    pub fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        assert!(processes::send(name, self.id()), "it has ended");
    }

    /// Waits for its end, once it was asked to end.
    pub fn wait(mut self) -> ExitStatus {
        await_some("the program ends", || {
            self.process.try_wait().expect("its state")
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
