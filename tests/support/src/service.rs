//! Services as processes.

use std::{
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use crate::{
    Program, http,
    wait::{LONG, within_every},
};

/// The secret of the services, which signs cookies and receipts.
pub const SECRET: &str = "the secret of the tests, 32 bytes or more";

/// The key of vote services and workers, which signs the log's entries.
pub const ENTRY_KEY: &str = "the entry key of the tests, 32 bytes or more";

/// Opens the operator's API.
pub const TOKEN: &str = "the token of the tests, 32 bytes or more";

/// What each service is told: to listen on a free port, the secret, the entry key and the token.
pub fn common_settings() -> Vec<(&'static str, String)> {
    let free = || "127.0.0.1:0".to_owned();
    vec![
        ("VOTING_VOTE__LISTEN", free()),
        ("VOTING_RESULT__LISTEN", free()),
        ("VOTING_WORKER__LISTEN", free()),
        ("VOTING_SECRET", SECRET.to_owned()),
        ("VOTING_ENTRY_KEY", ENTRY_KEY.to_owned()),
        ("VOTING_WORKER__TOKEN", TOKEN.to_owned()),
    ]
}

/// One of the services that has a program of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// Takes votes.
    Vote,
    /// Counts them.
    Worker,
    /// Shows the count.
    Result,
}

impl ServiceKind {
    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Vote => "voting-vote",
            Self::Worker => "voting-worker",
            Self::Result => "voting-result",
        }
    }

    /// What precedes its address in the line that it prints.
    pub fn announces(self) -> &'static str {
        match self {
            Self::Vote => "Vote:",
            Self::Worker => "Operator:",
            Self::Result => "Result:",
        }
    }

    /// Whether it is told this setting: the vote service is told nothing of Postgres, and the result service
    /// nothing of Redis and its entries.
    pub fn is_told(self, setting: &str) -> bool {
        match self {
            Self::Vote => !setting.contains("POSTGRES"),
            Self::Worker => true,
            Self::Result => !setting.contains("REDIS") && !setting.contains("ENTR"),
        }
    }
}

/// A service that runs, and is killed when it is dropped.
#[derive(Debug)]
pub struct Service {
    program: Program,
    started: Instant,
    /// Where it is reached.
    pub url: String,
}

impl Service {
    /// Starts it by a command, and waits until it prints its address behind this text.
    pub fn start(command: &mut Command, announces: &str) -> Self {
        let started = Instant::now();
        let mut program = Program::start(command);
        let url = program.address(announces);
        Self {
            program,
            started,
            url,
        }
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Ends it without a warning.
    pub fn kill(self) {
        self.program.kill();
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until a service that was asked to stop has.
    pub fn wait(self) -> ExitStatus {
        self.program.wait()
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        http::is_ready(&http::agent(), &self.url)
    }

    /// Waits until it is ready; how long that is after its start.
    ///
    /// # Panics
    /// It is not ready after a minute.
    #[track_caller]
    pub fn await_ready(&self) -> Duration {
        let ready = within_every(Duration::from_millis(5), LONG, || {
            self.is_ready().then(|| self.started.elapsed())
        });
        ready.expect("the service becomes ready")
    }
}
