//! The real binary, started in a folder of its own on free ports.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod browser;
pub mod deployment;
pub mod front;
pub mod line;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use voting_testing::{Operator, Program, get_json};

pub struct Voting {
    program: Program,
    pub vote: String,
    pub result: String,
    pub operator: String,
    pub folder: PathBuf,
}

/// The command, set up to run in `folder` and to take free ports.
pub fn command(folder: &Path) -> Command {
    command_with_hosts_at(folder, "127.0.0.1:0")
}

/// The same, with this address for the host's pages.
pub fn command_with_hosts_at(folder: &Path, worker: &str) -> Command {
    command_at(folder, ["127.0.0.1:0", "127.0.0.1:0", worker])
}

/// The same, with the addresses of the vote and the result service and of the host's pages.
pub fn command_at(folder: &Path, addresses: [&str; 3]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting"));
    command.current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VOTING_")) {
        command.env_remove(name);
    }
    let flags = ["--vote-listen", "--result-listen", "--worker-listen"];
    for (flag, address) in flags.into_iter().zip(addresses) {
        command.args([flag, address]);
    }
    command
}

impl Voting {
    /// Starts the program, and waits until it prints its addresses.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    pub fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_as(folder, command(folder).args(arguments))
    }

    /// The same with a given command.
    pub fn start_as(folder: &Path, command: &mut Command) -> Self {
        let mut program = Program::start(command);
        Self {
            vote: program.address("Vote:"),
            result: program.address("Result:"),
            operator: program.address("Operator:"),
            folder: folder.to_owned(),
            program,
        }
    }

    pub fn kill(self) {
        self.program.kill();
    }

    /// Sends the signal with this name.
    pub fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// Waits for the end of a process that was asked to end.
    pub fn wait(self) -> ExitStatus {
        self.program.wait()
    }

    pub fn operator_token(&self) -> String {
        let token = std::fs::read_to_string(self.folder.join("voting-data/operator-token"));
        token.expect("the token").trim().to_owned()
    }

    /// The operator's API of the process.
    pub fn api(&self) -> Operator {
        Operator::new(&self.operator, &self.operator_token())
    }

    /// Asks the operator's API to close a poll.
    pub fn close(&self, poll: &str) {
        self.api().close(poll);
    }

    pub fn tally(&self) -> serde_json::Value {
        get(&format!("{}/v1/polls/cats-vs-dogs/tally", self.result))
    }

    /// The numbers of the pipeline, once no ballot is pending.
    pub fn settled(&self) -> serde_json::Value {
        self.api().settled()
    }
}

pub fn get(url: &str) -> serde_json::Value {
    get_json(url).expect("JSON")
}
