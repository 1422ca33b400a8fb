//! A private PgBouncer.

use std::{fs, net::TcpStream, process::Command};

use tempfile::TempDir;

use crate::{PostgresServer, free_port, guard::Server, wait::await_that};

/// A pooler before a Postgres, for the user `postgres`.
#[derive(Debug)]
pub struct PgBouncer {
    _server: Server,
    port: u16,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts it with a `pool_mode`, such as `transaction`.
    pub fn start(postgres: &PostgresServer, pool_mode: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let users = folder.path().join("users.txt");
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(&users, "\"postgres\" \"\"\n").expect("written");
        let text = format!(
            "[databases]\n* = user=postgres host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {}\n\
             pool_mode = {pool_mode}\ndefault_pool_size = 10\n",
            postgres.port(),
            users.display()
        );
        fs::write(&settings, text).expect("written");
        let settings = settings.to_string_lossy();
        let mut command = vec!["/usr/sbin/pgbouncer", "-q"];
        if crate::postgres::is_root() {
            // It refuses to run as root.
            let given = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(folder.path())
                .status();
            assert!(given.expect("chown is there").success());
            command.extend(["-u", "postgres"]);
        }
        command.push(&settings);
        let server = Server::start(folder.path(), "KILL", &command);
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        await_that("PgBouncer listens; is pgbouncer installed?", listens);
        Self {
            _server: server,
            port,
            _folder: folder,
        }
    }

    /// Where clients find a database of the server behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}
