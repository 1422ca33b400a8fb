//! Redis and Postgres as in a real deployment, with a worker between them, and `voting` run on them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, LazyLock},
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use voting_core::{
    Ballot, BallotQueue, Choices, PollStore, VoteSink, VoterId, Worker, WorkerHandle,
    WorkerOptions,
    backends::{
        postgres::{Postgres, PostgresOptions, Roles},
        redis::{Redis, RedisOptions, RedisQueue},
    },
    log::entry_keys::EntryKeys,
    pipeline::{
        coordinator::Coordinator,
        group_commit::{GroupCommit, GroupCommitOptions},
    },
};
use voting_service::cats_vs_dogs;
use voting_testing::{PostgresServer, RedisServer, SECRET, TOKEN};

static POSTGRES: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// Texts that must never be printed.
pub const SECRETS: [&str; 3] = [SECRET, TOKEN, "the password of the tests"];

/// A worker that is silent for this long is considered dead.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs `voting` without the settings of this process, in an empty folder: with few settings it is the all-in-one,
/// which makes its files in the current folder.
fn voting(settings: &[(&'static str, String)], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting"));
    let pairs = settings.iter().map(|(key, value)| (key, value));
    command.env_clear().envs(pairs).args(arguments);
    command.current_dir(folder.path());
    command.output().expect("the program starts")
}

/// The output of a command.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub text: String,
    pub errors: String,
}

impl Told {
    pub fn by(settings: &[(&'static str, String)], arguments: &[&str]) -> Self {
        let output = voting(settings, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = Self {
            code: output.status.code().expect("an exit code"),
            text: text(&output.stdout),
            errors: text(&output.stderr),
        };
        for secret in SECRETS {
            let is_told = told.text.contains(secret) || told.errors.contains(secret);
            assert!(!is_told, "{secret} in {told:?}");
        }
        told
    }

    /// Whether a line has this beginning and contains all these parts.
    pub fn has(&self, level: &str, check: &str, parts: &[&str]) -> bool {
        let begin = format!("{level:<4}  {check}: ");
        let lines = self.text.lines();
        let mut those = lines.filter(|line| line.starts_with(&begin));
        those.any(|line| parts.iter().all(|part| line.contains(part)))
    }

    /// Checks that there is such a line.
    #[track_caller]
    pub fn says(&self, level: &str, check: &str, parts: &[&str]) -> &Self {
        assert!(
            self.has(level, check, parts),
            "no {level} {check} {parts:?} in\n{self}"
        );
        self
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "\n{self}");
        self
    }

    /// Checks that all lines with this level are of these checks.
    #[track_caller]
    pub fn only(&self, level: &str, checks: &[&str]) -> &Self {
        let begin = format!("{level:<4}  ");
        for line in self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix(&begin))
        {
            let is_meant = checks
                .iter()
                .any(|check| line.starts_with(&format!("{check}: ")));
            assert!(is_meant, "{level} {line} in\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}(exit code {})", self.text, self.errors, self.code)
    }
}

/// A deployment without a worker.
pub struct Deployment {
    pub redis: RedisServer,
    /// The address of the database, for the superuser.
    pub database: String,
    pub settings: Vec<(&'static str, String)>,
    folder: TempDir,
    prefix: String,
    name: String,
    runtime: Runtime,
    log: Redis,
    store: Arc<Postgres>,
    worker: Option<(WorkerHandle, Arc<RedisQueue>)>,
}

impl Deployment {
    /// A deployment with tables and a login in the worker's role.
    pub fn new() -> Self {
        Self::on(
            &POSTGRES,
            RedisServer::start_with(&["--enable-debug-command", "yes"]),
        )
    }

    pub fn on(postgres: &PostgresServer, redis: RedisServer) -> Self {
        let url = redis.url();
        Self::with(postgres, redis, &url, false)
    }

    /// A deployment on this Redis, or on the cluster of which `redis` is a node.
    pub fn with(postgres: &PostgresServer, redis: RedisServer, url: &str, cluster: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let random = folder
            .path()
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let name = random.trim_start_matches('.').to_lowercase();
        let database = postgres.database(&name);
        let runtime = Runtime::new().expect("a runtime");
        let options = RedisOptions {
            claim_timeout: CLAIM_TIMEOUT,
            cluster,
            ..RedisOptions::default()
        };
        let log = {
            let _within = runtime.enter();
            Redis::new(url, options).expect("an address")
        };
        let store = Postgres::new(&database, PostgresOptions::default()).expect("an address");
        let mut this = Self {
            redis,
            settings: vec![
                ("VOTING_REDIS__URL", url.to_owned()),
                ("VOTING_REDIS__CLUSTER", cluster.to_string()),
                (
                    "VOTING_REDIS__CLAIM_TIMEOUT_MS",
                    CLAIM_TIMEOUT.as_millis().to_string(),
                ),
            ],
            folder,
            prefix: name.clone(),
            name,
            runtime,
            log,
            store: Arc::new(store),
            worker: None,
            database,
        };
        this.runtime.block_on(async {
            this.store.migrate().await.expect("migrated");
            this.store.put_poll(&cats_vs_dogs()).await.expect("stored");
            let roles = Roles::with_prefix(&this.prefix).expect("a prefix");
            this.store.grant(&roles).await.expect("granted");
        });
        for (key, file, text) in [
            ("VOTING_SECRET_FILE", "secret", SECRETS[0]),
            ("VOTING_WORKER__TOKEN_FILE", "token", SECRETS[1]),
        ] {
            let path = this.file(file);
            fs::write(&path, text).expect("written");
            set_mode(&path, 0o600);
            this.set(key, path.to_str().expect("a text"));
        }
        let login = this.login(postgres, "worker");
        this.set("VOTING_POSTGRES__URL", &login);
        this
    }

    /// From now on, the worker and the voters connect as this user of Redis.
    pub fn reconnect(&mut self, url: &str) {
        let options = RedisOptions {
            claim_timeout: CLAIM_TIMEOUT,
            ..RedisOptions::default()
        };
        let _within = self.runtime.enter();
        self.log = Redis::new(url, options).expect("an address");
        self.set("VOTING_REDIS__URL", url);
    }

    /// The path of a file in the deployment's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a setting, or replaces it.
    pub fn set(&mut self, key: &'static str, value: &str) {
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.to_owned()));
    }

    pub fn unset(&mut self, key: &str) {
        self.settings.retain(|(known, _)| *known != key);
    }

    /// Makes a login in one of the two roles. Returns its address.
    pub fn login(&self, postgres: &PostgresServer, role: &str) -> String {
        let (login, prefix) = (format!("{}_{role}_login", self.prefix), &self.prefix);
        let make = format!("CREATE ROLE {login} LOGIN IN ROLE {prefix}_{role}");
        self.sql(&make);
        postgres.url_as(&login, &self.name)
    }

    pub fn result_login(&self) -> String {
        self.login(&POSTGRES, "result")
    }

    /// Runs statements as the superuser.
    pub fn sql(&self, statements: &str) -> String {
        PostgresServer::sql(&self.database, statements).expect("done")
    }

    /// Does once what a worker does at its start and then every second.
    pub fn step(&self) {
        self.runtime.block_on(async {
            let (log, queue) = (Arc::new(self.log.clone()), Arc::new(self.log.queue()));
            let coordinator = Coordinator::new(log, queue, self.store.clone());
            coordinator.round().await.expect("a round");
        });
    }

    pub fn start_worker(&mut self) {
        self.step();
        let _within = self.runtime.enter();
        let queue = Arc::new(self.log.queue());
        let options = WorkerOptions::default();
        let worker = Worker::new(
            queue.clone(),
            self.store.clone(),
            self.store.clone(),
            options,
        );
        self.worker = Some((worker.start(), queue));
    }

    /// Stops the worker in order, so that its consumer is removed from Redis.
    pub fn stop_worker(&mut self) {
        if let Some((worker, queue)) = self.worker.take() {
            self.runtime.block_on(async {
                worker.stop().await;
                queue.close().await.expect("closed");
            });
        }
    }

    /// Casts so many ballots. Each is from a new voter.
    pub fn cast(&self, ballots: usize) {
        self.cast_signed(ballots, EntryKeys::default());
    }

    /// The same, in entries that these keys sign.
    pub fn cast_signed(&self, ballots: usize, keys: EntryKeys) {
        self.runtime.block_on(async {
            let log = Arc::new(self.log.clone());
            let sink = GroupCommit::signing(log, GroupCommitOptions::default(), keys);
            for _ in 0..ballots {
                let ballot = Ballot {
                    poll: cats_vs_dogs().id().clone(),
                    voter: VoterId::issue(),
                    choices: Choices::from_bits(1).expect("a choice"),
                    rules: None,
                };
                sink.cast(ballot).await.expect("cast");
            }
            sink.close().await;
        });
    }

    /// Waits until a worker has counted all ballots.
    pub fn settle(&self) {
        self.runtime.block_on(async {
            let queue = self.log.queue();
            let settled = async {
                while queue.stats().await.expect("numbers").pending > 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let waited = tokio::time::timeout(Duration::from_secs(60), settled).await;
            waited.expect("ballots stay pending");
        });
    }

    pub fn doctor(&self, arguments: &[&str]) -> Told {
        let mut all = vec!["doctor"];
        all.extend(arguments);
        self.voting(&all)
    }

    /// Runs another command of `voting`.
    pub fn voting(&self, arguments: &[&str]) -> Told {
        Told::by(&self.settings, arguments)
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}
