//! A private Redis.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    Authority, Clock, free_port, guard::Server, newer::Engine, tls::Identity, wait::await_that,
};

/// The user of an encrypted server, and its password: one that an address cannot hold as it is.
const USER: &str = "voting";
const PASSWORD: &str = "pass/word,2";

/// The folder of its log, in that of its data.
const LOG: &str = "appendonlydir";

fn copy_files(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

/// A Redis that is set up to be durable, unless told otherwise.
#[derive(Debug)]
pub struct RedisServer {
    server: Option<Server>,
    port: u16,
    folder: TempDir,
    data: PathBuf,
    settings: Vec<String>,
    encrypted: Option<Identity>,
    clock: Option<Clock>,
    engine: Engine,
}

impl RedisServer {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with settings beside the usual ones, such as `--maxmemory 10mb`.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut redis = Self::new(free_port(), settings);
        redis.launch();
        redis
    }

    /// Starts one of another engine, with settings beside the usual ones.
    pub fn start_engine(engine: Engine, settings: &[&str]) -> Self {
        let mut redis = Self::new(free_port(), settings);
        redis.engine = engine;
        redis.launch();
        redis
    }

    /// Starts it with a clock of its own.
    pub fn start_by(clock: Clock) -> Self {
        let mut redis = Self::new(free_port(), &[]).with_clock(Some(clock));
        redis.launch();
        redis
    }

    /// Starts it with its data in a folder that is there and stays.
    pub fn start_in(data: &Path, settings: &[&str]) -> Self {
        let mut redis = Self::new(free_port(), settings);
        redis.data = data.to_owned();
        redis.launch();
        redis
    }

    /// Starts one that speaks TLS only, at `localhost`, to a user with a password only.
    pub fn start_encrypted(authority: &Authority) -> Self {
        let mut redis = Self::new(free_port(), &[]);
        let identity = authority.vouch(redis.folder.path());
        // Without its rights Redis would not read all of its own log again.
        let user = format!("user {USER} on >{PASSWORD} ~* &* +@all\nuser default off ~* +@all\n");
        let file = |path: &Path| path.to_string_lossy().into_owned();
        let users = redis.folder.path().join("users.acl");
        fs::write(&users, user).expect("written");
        redis.settings = vec![
            "--port".to_owned(),
            "0".to_owned(),
            "--tls-port".to_owned(),
            redis.port.to_string(),
            "--tls-cert-file".to_owned(),
            file(&identity.certificate),
            "--tls-key-file".to_owned(),
            file(&identity.key),
            "--tls-ca-cert-file".to_owned(),
            file(&identity.authority),
            "--tls-auth-clients".to_owned(),
            "no".to_owned(),
            "--aclfile".to_owned(),
            file(&users),
        ];
        redis.encrypted = Some(identity);
        redis.launch();
        redis
    }

    /// Its clock, if it is not the machine's. It can be set while the server runs.
    pub fn clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    pub(crate) fn with_clock(mut self, clock: Option<Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn new(port: u16, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            server: None,
            port,
            data: folder.path().to_owned(),
            folder,
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
            encrypted: None,
            clock: None,
            engine: Engine::Installed,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again, after [`RedisServer::kill`], with what it had written.
    pub fn launch(&mut self) {
        self.mend();
        let port = self.port.to_string();
        let data = self.data.to_string_lossy().into_owned();
        let clock = self.clock.iter().flat_map(Clock::environment);
        let clock = clock.map(|(name, value)| format!("{name}={}", value.to_string_lossy()));
        let clock: Vec<_> = clock.collect();
        // It becomes the program, so that its id is the server's.
        let mut command = vec!["env"];
        command.extend(clock.iter().map(String::as_str));
        let program = self.engine.program("server");
        command.extend(program.iter().map(String::as_str));
        command.extend([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--dir",
            &data,
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--aof-load-truncated",
            "no",
            "--maxmemory-policy",
            "noeviction",
        ]);
        command.extend(self.settings.iter().map(String::as_str));
        self.server = Some(Server::start(self.folder.path(), "KILL", &command));
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        await_that("Redis listens", listens);
    }

    /// Cuts off what a power cut has torn, before it starts: afterwards would be too late.
    fn mend(&self) {
        let manifest = self.data.join("appendonlydir/appendonly.aof.manifest");
        if !manifest.exists() {
            return;
        }
        let program = self.engine.program("check-aof");
        let mut mend = Command::new(&program[0]);
        mend.args(&program[1..]).arg("--fix").arg(&manifest);
        let mut mend = mend
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-check-aof is there");
        // It asks first. If there is nothing to be asked it has ended already.
        if let Some(mut answer) = mend.stdin.take() {
            let _ = answer.write_all(b"y\n");
        }
        let mended = mend.wait().expect("it ends");
        assert!(mended.success(), "the log cannot be mended");
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("KILL");
        }
    }

    /// Ends it without a warning and takes all it had; [`RedisServer::launch`] starts with nothing.
    pub fn wipe(&mut self) {
        self.kill();
        fs::remove_dir_all(self.data.join(LOG)).expect("removed");
    }

    /// Copies what it has. For that it is ended and started again.
    pub fn back_up(&mut self) -> TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        self.kill();
        copy_files(&self.data.join(LOG), copy.path());
        self.launch();
        copy
    }

    /// Ends it without a warning, and starts it with what was copied.
    pub fn restore(&mut self, copy: &TempDir) {
        self.wipe();
        fs::create_dir(self.data.join(LOG)).expect("a folder");
        copy_files(copy.path(), &self.data.join(LOG));
        self.launch();
    }

    /// The id of its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("it runs").id()
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Stops it for a while, until `CONT`, or sends it another signal.
    pub fn signal(&self, name: &str) {
        self.server.as_ref().expect("it runs").signal(name);
    }

    /// Runs a command on it, with `redis-cli`; what that prints. After a start, waits until the server has read its data.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut answer = Err(String::new());
        await_that("Redis has read its data", || {
            answer = self.try_command(arguments);
            !matches!(&answer, Err(error) if error.starts_with("LOADING"))
        });
        answer.expect("it is carried out")
    }

    /// Runs a command on it, with `redis-cli`; what that prints, or what it says is wrong.
    ///
    /// # Errors
    /// Redis said no, or did not answer.
    pub fn try_command(&self, arguments: &[&str]) -> Result<String, String> {
        let port = self.port.to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port, "-e"]);
        if let Some(identity) = &self.encrypted {
            command
                .args(["-h", "localhost", "--tls", "--user", USER, "--cacert"])
                .arg(&identity.authority)
                .env("REDISCLI_AUTH", PASSWORD);
        }
        let done = command.args(arguments).output();
        let done = done.expect("redis-cli is there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() {
            Ok(text(&done.stdout))
        } else {
            Err(text(&done.stderr))
        }
    }

    /// Connections until it has no room for more (`--maxclients`); it has some again when they are dropped.
    pub fn crowd(&self) -> Vec<TcpStream> {
        let mut crowd = Vec::new();
        loop {
            let mut client = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
            // One that is turned away may not get to say this any more.
            let _ = client.write_all(b"PING\r\n");
            let mut answer = [0; 5];
            let is_in = client.read_exact(&mut answer).is_ok() && &answer == b"+PONG";
            if !is_in {
                return crowd;
            }
            crowd.push(client);
        }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        self.url_at(if self.encrypted.is_some() {
            "localhost"
        } else {
            "127.0.0.1"
        })
    }

    /// The same under another name for this machine.
    pub fn url_at(&self, host: &str) -> String {
        match self.encrypted {
            Some(_) => format!("rediss://{USER}:pass%2Fword%2C2@{host}:{}/", self.port),
            None => format!("redis://{host}:{}/", self.port),
        }
    }
}
