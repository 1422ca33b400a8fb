//! A private Redis.

use std::{net::TcpStream, process::Command};

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
    settings: Vec<String>,
}

impl RedisServer {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with settings beside the usual ones, such as `--maxmemory 10mb`.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut redis = Self {
            server: None,
            port: free_port(),
            folder: tempfile::tempdir().expect("a folder"),
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
        let folder = self.folder.path().to_string_lossy().into_owned();
        let mut command = vec![
            "redis-server",
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--dir",
            &folder,
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
        std::fs::remove_dir_all(self.folder.path().join("appendonlydir")).expect("removed");
    }

    /// Runs a command on it, with `redis-cli`; what that prints.
    pub fn command(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let done = Command::new("redis-cli")
            .args(["-p", &port, "-e"])
            .args(arguments)
            .output();
        let done = done.expect("redis-cli is there");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}
