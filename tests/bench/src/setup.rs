//! The services, on servers of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use voting_testing::{PostgresServer, Program, RedisServer};

/// Signs cookies and receipts.
const SECRET: &str = "the secret of the benchmarks, 32 bytes or more";

pub(crate) const TOKEN: &str = "the token of the benchmarks, 32 bytes or more";

/// Where the programs are, once built.
pub(crate) struct Programs(PathBuf);

/// Builds the services.
pub(crate) fn build(profile: &str) -> Programs {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--locked", "--profile", profile]);
    for program in ["voting-vote", "voting-worker", "voting-result"] {
        build.args(["-p", program]);
    }
    assert!(build.status().expect("cargo is there").success());
    let own = std::env::current_exe().expect("this program");
    let target = own.ancestors().nth(2).expect("target");
    // Cargo's own name for the folder of this one.
    let folder = if profile == "dev" { "debug" } else { profile };
    Programs(target.join(folder))
}

impl Programs {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) program: Program,
    pub(crate) url: String,
    /// From its start until it said that it was ready.
    pub(crate) ready_after: Duration,
}

impl Service {
    /// Starts a program that says its address behind `says`, and waits until it is ready.
    pub(crate) fn start(program: &Path, says: &str, settings: &[(&str, String)]) -> Self {
        let begun = Instant::now();
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(settings.iter().map(|(key, value)| (key, value)));
        let mut program = Program::start(&mut command);
        let url = program.address(says).replace("localhost", "127.0.0.1");
        let ready = format!("{url}/readyz");
        wait_until("it is ready", || ureq::get(&ready).call().is_ok());
        Self {
            program,
            url,
            ready_after: begun.elapsed(),
        }
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Servers, and how to start services on them.
pub(crate) struct Stage<'a> {
    programs: &'a Programs,
    pub(crate) redis: RedisServer,
    pub(crate) postgres: PostgresServer,
    pub(crate) database: String,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(programs: &'a Programs) -> Self {
        let postgres = PostgresServer::start();
        Self {
            programs,
            redis: RedisServer::start(),
            database: postgres.database("voting"),
            postgres,
        }
    }

    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let free = || "127.0.0.1:0".to_owned();
        vec![
            ("VOTING_LOG", "error".to_owned()),
            ("VOTING_VOTE__LISTEN", free()),
            ("VOTING_RESULT__LISTEN", free()),
            ("VOTING_WORKER__LISTEN", free()),
            // All load has one address.
            ("VOTING_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
            ("VOTING_STREAMS__MAX", "20000".to_owned()),
            ("VOTING_STREAMS__MAX_PER_ADDRESS", "20000".to_owned()),
            ("VOTING_SECRET", SECRET.to_owned()),
            ("VOTING_WORKER__TOKEN", TOKEN.to_owned()),
            ("VOTING_REDIS__URL", self.redis.url()),
            ("VOTING_POSTGRES__URL", self.database.clone()),
        ]
    }

    pub(crate) fn worker(&self) -> Service {
        let program = self.programs.path("voting-worker");
        Service::start(&program, "Operator:", &self.settings())
    }

    /// Starts a worker and does not wait until it is ready.
    pub(crate) fn launch_worker(&self) -> Program {
        let mut command = Command::new(self.programs.path("voting-worker"));
        command.env_clear().envs(self.settings());
        Program::start(&mut command)
    }

    pub(crate) fn vote(&self) -> Service {
        let program = self.programs.path("voting-vote");
        Service::start(&program, "Vote:", &self.settings())
    }

    pub(crate) fn result(&self) -> Service {
        self.result_on(&self.database)
    }

    pub(crate) fn result_on(&self, database: &str) -> Service {
        let mut settings = self.settings();
        settings.push(("VOTING_POSTGRES__URL", database.to_owned()));
        let program = self.programs.path("voting-result");
        Service::start(&program, "Result:", &settings)
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.path(name)
    }

    /// A connection to the database.
    pub(crate) fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.database, postgres::NoTls).expect("connected")
    }
}
