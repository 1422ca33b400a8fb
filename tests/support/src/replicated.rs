//! A master with replicas, and Sentinels that let one of them take over.

use std::fs;

use tempfile::TempDir;

use crate::{
    RedisServer, free_port,
    guard::Server,
    newer::Engine,
    wait::{await_some, await_that},
};

/// The name under which the Sentinels know the master.
pub const MASTER: &str = "voting";

/// A master, its replicas, and three Sentinels.
#[derive(Debug)]
pub struct ReplicatedRedis {
    /// The first is the master in the beginning.
    pub servers: Vec<RedisServer>,
    engine: Engine,
    sentinels: Vec<(u16, Server)>,
    folder: TempDir,
}

impl ReplicatedRedis {
    /// Starts them with so many replicas.
    pub fn start(engine: Engine, replicas: usize) -> Self {
        let master = RedisServer::start_engine(engine, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let mut all = Self {
            servers: vec![master],
            engine,
            sentinels: Vec::new(),
            folder,
        };
        for _ in 0..replicas {
            all.add_replica();
        }
        for index in 0..3 {
            let sentinel = all.sentinel(index);
            all.sentinels.push(sentinel);
        }
        // Each has to know of the replicas and of the others, before one of them may take over.
        for (port, _) in &all.sentinels {
            await_that("the Sentinels know each other", || {
                let reported = ask(*port, &["SENTINEL", "MASTER", MASTER]);
                let value = |name: &str| {
                    let mut lines = reported.lines().skip_while(|line| *line != name);
                    lines.nth(1).map(str::to_owned)
                };
                value("num-slaves") == Some(replicas.to_string())
                    && value("num-other-sentinels").as_deref() == Some("2")
            });
        }
        all
    }

    fn sentinel(&self, index: usize) -> (u16, Server) {
        let port = free_port();
        let folder = self.folder.path();
        let file = folder.join(format!("sentinel-{index}.conf"));
        let master = self.servers[0].port();
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n",
            folder.display()
        );
        fs::write(&file, settings).expect("written");
        let file = file.to_string_lossy();
        let program = self.engine.program("server");
        let mut command: Vec<_> = program.iter().map(String::as_str).collect();
        command.extend([&*file, "--sentinel"]);
        let server = Server::start(folder, "KILL", &command);
        await_that("a Sentinel listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        (port, server)
    }

    /// A further replica of the master of now.
    pub fn add_replica(&mut self) -> &RedisServer {
        let master = self.servers[self.master()].port().to_string();
        let replica =
            RedisServer::start_engine(self.engine, &["--replicaof", "127.0.0.1", &master]);
        await_that("the replica follows", || {
            replica
                .command(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        self.servers.push(replica);
        self.servers.last().expect("one")
    }

    /// The index of the master, by what the servers say. The one that took over last, if there are two.
    ///
    /// # Panics
    /// There is none.
    pub fn master(&self) -> usize {
        let is_master = |server: &RedisServer| {
            let role = server.try_command(&["ROLE"]);
            role.is_ok_and(|role| role.starts_with("master"))
        };
        self.servers.iter().rposition(is_master).expect("a master")
    }

    /// Ends the master without a warning, takes its disk away, and waits until a replica has taken over. Returns its index.
    pub fn lose_master(&mut self) -> usize {
        let lost = self.master();
        self.servers[lost].wipe();
        self.taken_over_from(lost)
    }

    /// Waits until another server than this one is the master. Returns its index.
    pub fn taken_over_from(&self, lost: usize) -> usize {
        let port = self.servers[lost].port();
        await_some("a replica takes over", || {
            let reported = ask(
                self.sentinels[0].0,
                &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER],
            );
            let now: u16 = reported.lines().nth(1)?.parse().ok()?;
            let index = self
                .servers
                .iter()
                .position(|server| server.port() == now)?;
            let role = self.servers[index].try_command(&["ROLE"]).ok()?;
            (now != port && role.starts_with("master")).then_some(index)
        })
    }

    /// The address of the log: the master's name.
    pub fn url(&self) -> String {
        format!("redis://{MASTER}/")
    }

    /// The addresses of the Sentinels.
    pub fn sentinels(&self) -> String {
        let urls = self.sentinels.iter();
        let urls: Vec<_> = urls
            .map(|(port, _)| format!("redis://127.0.0.1:{port}"))
            .collect();
        urls.join(",")
    }
}

/// Asks a Sentinel; what it says, a value a line.
fn ask(port: u16, command: &[&str]) -> String {
    let asked = std::process::Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(command)
        .output();
    String::from_utf8_lossy(&asked.expect("redis-cli is there").stdout).into_owned()
}
