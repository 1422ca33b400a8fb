//! The services over a private Redis and a private Postgres.

use std::{
    fs::File,
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use crate::{
    Authority, PostgresServer, Programs, RedisCluster, RedisServer, Service, ServiceKind,
    service::common_settings,
};

/// After this time without an acknowledgement another worker takes over, in tests.
pub const CLAIM_TIMEOUT: Duration = Duration::from_millis(1_000);

/// The servers, and how to start services that use them.
#[derive(Debug)]
pub struct Deployment {
    /// The log.
    pub redis: RedisServer,
    /// The store.
    pub postgres: PostgresServer,
    /// Where services find their database.
    pub database: String,
    programs: Programs,
    /// Settings of all services; [`Deployment::more`] takes precedence.
    pub usual: Vec<(&'static str, String)>,
    /// Settings of the services that are started from now on.
    pub more: Vec<(&'static str, String)>,
    /// Settings that the services which are started from now on do not know.
    pub without: Vec<&'static str>,
    /// Where services log, if not to the standard error output of this process.
    pub log: Option<File>,
}

impl Default for Deployment {
    fn default() -> Self {
        Self::new()
    }
}

impl Deployment {
    /// Starts the servers. Settings are those of a test: small batches, and entries of a dead worker are soon
    /// taken over.
    pub fn new() -> Self {
        Self::over(RedisServer::start(), PostgresServer::start())
    }

    /// On servers that speak TLS only, and ask for a password.
    pub fn encrypted(authority: &Authority) -> Self {
        let ca_file = authority.file().to_string_lossy().into_owned();
        let redis = RedisServer::start_encrypted(authority);
        let mut deployment = Self::over(redis, PostgresServer::start_encrypted(authority));
        deployment.more = vec![
            ("VOTING_REDIS__CA_FILE", ca_file.clone()),
            ("VOTING_POSTGRES__CA_FILE", ca_file),
        ];
        deployment
    }

    /// With the log in a cluster instead of its own Redis.
    pub fn on(cluster: &RedisCluster) -> Self {
        let mut deployment = Self::new();
        deployment.more = vec![
            ("VOTING_REDIS__CLUSTER", "true".to_owned()),
            ("VOTING_REDIS__URL", cluster.url()),
            ("VOTING_REDIS__SHARDS", "6".to_owned()),
        ];
        deployment
    }

    /// Of these programs, with these settings in place of those of a test.
    pub fn of(programs: &Programs, usual: Vec<(&'static str, String)>) -> Self {
        let (redis, postgres) = (RedisServer::start(), PostgresServer::start());
        Self {
            database: postgres.database("voting"),
            redis,
            postgres,
            programs: programs.clone(),
            usual,
            more: Vec::new(),
            without: Vec::new(),
            log: None,
        }
    }

    fn over(redis: RedisServer, postgres: PostgresServer) -> Self {
        let claim_timeout = CLAIM_TIMEOUT.as_millis().to_string();
        Self {
            redis,
            database: postgres.database("voting"),
            postgres,
            programs: Programs::current().clone(),
            usual: vec![
                ("VOTING_WORKER__MAX_BALLOTS", "200".to_owned()),
                ("VOTING_REDIS__CLAIM_TIMEOUT_MS", claim_timeout),
            ],
            more: Vec::new(),
            without: Vec::new(),
            log: None,
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = common_settings();
        settings.push(("VOTING_REDIS__URL", self.redis.url()));
        settings.push(("VOTING_POSTGRES__URL", self.database.clone()));
        for later in [&self.usual, &self.more] {
            settings.retain(|(key, _)| later.iter().all(|(again, _)| key != again));
            settings.extend(later.iter().cloned());
        }
        settings.retain(|(key, _)| !self.without.contains(key));
        settings
    }

    /// The programs of which services are started.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Starts services of these programs from now on.
    pub fn set_programs(&mut self, programs: &Programs) {
        self.programs = programs.clone();
    }

    /// How a service is started, with its settings.
    pub fn command(&self, kind: ServiceKind) -> Command {
        let mut command = Command::new(self.programs.path(kind.program()));
        self.set_up(&mut command, |setting| kind.is_told(setting));
        command
    }

    fn set_up(&self, command: &mut Command, is_told: impl Fn(&str) -> bool) {
        let settings = self.settings().into_iter();
        let settings = settings.filter(|(key, _)| is_told(key));
        command.env_clear().envs(settings);
        if let Some(log) = &self.log {
            command.stderr(log.try_clone().expect("the same file"));
        }
    }

    /// Starts a service, which need not be ready yet.
    pub fn start(&self, kind: ServiceKind) -> Service {
        Service::start(&mut self.command(kind), kind.announces())
    }

    /// Starts a vote service.
    pub fn vote(&self) -> Service {
        self.start(ServiceKind::Vote)
    }

    /// Starts a worker.
    pub fn worker(&self) -> Service {
        self.start(ServiceKind::Worker)
    }

    /// Starts a result service.
    pub fn result(&self) -> Service {
        self.start(ServiceKind::Result)
    }

    /// Starts a vote service on a socket that is handed over as a supervisor does it: as descriptor 3, by name.
    pub fn vote_on(&self, socket: &TcpListener) -> Service {
        let hand_over = r#"exec 3<&0 </dev/null; export LISTEN_PID=$$; exec "$0""#;
        let mut command = Command::new("/bin/sh");
        self.set_up(&mut command, |setting| ServiceKind::Vote.is_told(setting));
        command
            .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "vote")])
            .args(["-c", hand_over])
            .arg(self.programs.path(ServiceKind::Vote.program()))
            .stdin(OwnedFd::from(socket.try_clone().expect("the same socket")));
        Service::start(&mut command, ServiceKind::Vote.announces())
    }

    /// Starts all services in one process, on a file of its own.
    pub fn all_in_one(&self, file: &Path) -> Service {
        let mut command = Command::new(self.programs.path("voting"));
        self.set_up(&mut command, |setting| {
            !setting.contains("REDIS") && !setting.contains("POSTGRES")
        });
        command.env("VOTING_SQLITE__PATH", file);
        Service::start(&mut command, ServiceKind::Vote.announces())
    }

    /// Runs a command of `voting` to its end.
    pub fn voting(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.path("voting"));
        command.env_clear().envs(self.settings()).args(arguments);
        command.output().expect("the program starts")
    }
}
