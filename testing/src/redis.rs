//! A private Redis.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    free_port,
    process::{Server, await_that},
};

/// A Redis that is set up to be durable, unless told otherwise.
#[derive(Debug)]
pub struct RedisServer {
    server: Option<Server>,
    port: u16,
    folder: TempDir,
    data: PathBuf,
    settings: Vec<String>,
}

impl RedisServer {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with settings beside the usual ones, such as `--maxmemory 10mb`.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::launch_new(None, settings)
    }

    /// Starts it with its data in a folder that is there and stays.
    pub fn start_in(data: &Path, settings: &[&str]) -> Self {
        Self::launch_new(Some(data), settings)
    }

    fn launch_new(data: Option<&Path>, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut redis = Self {
            server: None,
            port: free_port(),
            data: data.unwrap_or(folder.path()).to_owned(),
            folder,
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
        };
        redis.launch();
        redis
    }

    /// Starts it again, after [`RedisServer::kill`], with what it had written.
    pub fn launch(&mut self) {
        let port = self.port.to_string();
        let data = self.data.to_string_lossy().into_owned();
        let mut command = vec![
            "redis-server",
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
            "--maxmemory-policy",
            "noeviction",
        ];
        command.extend(self.settings.iter().map(String::as_str));
        self.server = Some(Server::start(self.folder.path(), "KILL", &command));
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        await_that("Redis listens", listens);
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("KILL");
        }
    }

    /// Makes it stand still, with its connections open.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`RedisServer::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        if let Some(server) = &self.server {
            server.signal(name);
        }
    }

    /// Ends it without a warning and takes all it had; [`RedisServer::launch`] starts with nothing.
    pub fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.data.join("appendonlydir")).expect("removed");
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

    /// Runs a command on it, with `redis-cli`; what that prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        self.try_command(arguments).expect("it is carried out")
    }

    /// Runs a command on it, with `redis-cli`; what that prints, or what it says is wrong.
    ///
    /// # Errors
    /// Redis said no, or did not answer.
    pub fn try_command(&self, arguments: &[&str]) -> Result<String, String> {
        let port = self.port.to_string();
        let done = Command::new("redis-cli")
            .args(["-p", &port, "-e"])
            .args(arguments)
            .output();
        let done = done.expect("redis-cli is there");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() {
            Ok(text(&done.stdout))
        } else {
            Err(text(&done.stderr))
        }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}
