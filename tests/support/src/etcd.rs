//! A private etcd.

use std::{
    env,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{agent, free_port, guard::Server, wait::await_that};

/// Whether there is an etcd on this machine; that there is none is said.
///
/// # Panics
/// There is none, and `EXPECT_ETCD` is set.
pub fn has_etcd() -> bool {
    let mut version = Command::new("etcd");
    version.arg("--version").stdout(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return true;
    }
    let is_expected = env::var("EXPECT_ETCD").is_ok_and(|value| !value.is_empty());
    assert!(!is_expected, "there is no etcd");
    eprintln!("skipped: there is no etcd here; Debian has it in the package etcd-server");
    false
}

/// An etcd of one member. It syncs each write to its disk, as etcd does.
#[derive(Debug)]
pub struct EtcdServer {
    server: Option<Server>,
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
}

impl EtcdServer {
    /// Starts it with settings beside the usual ones, such as `--max-request-bytes=4194304`.
    pub fn start_with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned());
        let mut etcd = Self {
            server: None,
            port: free_port(),
            folder: tempfile::tempdir().expect("a folder"),
            settings: settings.collect(),
        };
        etcd.launch();
        etcd
    }

    /// Starts it again, after [`EtcdServer::kill`], with what it had written.
    pub fn launch(&mut self) {
        let (url, data) = (self.url(), self.folder.path().join("data"));
        let data = data.to_string_lossy();
        let mut command = vec![
            "etcd",
            "--data-dir",
            &data,
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
            // It has no peers. Any free port will do, since nobody asks for it.
            "--listen-peer-urls",
            "http://127.0.0.1:0",
            "--logger",
            "zap",
        ];
        command.extend(self.settings.iter().map(String::as_str));
        self.server = Some(Server::start(self.folder.path(), "KILL", &command));
        let health = format!("{url}/health");
        let is_healthy = || {
            let answer = agent().get(&health).call();
            answer.is_ok_and(|answer| answer.status() == 200)
        };
        await_that("etcd is healthy", is_healthy);
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("KILL");
        }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
