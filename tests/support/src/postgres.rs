//! A private Postgres.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{Authority, free_port, guard::Server, processes, wait::await_that};

/// The password that an encrypted server asks for.
const PASSWORD: &str = "pass word";

/// A Postgres with a superuser `postgres` who needs no password, unless it is encrypted.
#[derive(Debug)]
pub struct PostgresServer {
    server: Option<Server>,
    port: u16,
    folder: TempDir,
    /// Holds `data`.
    parent: PathBuf,
    is_encrypted: bool,
}

/// The folder of the server's programs: Debian keeps them out of the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path(),
            ))
        })
        .max();
    newest.map(|(_, path)| path.join("bin")).unwrap_or_default()
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.expect("id is there").stdout.trim_ascii() == b"0"
}

/// Postgres refuses to run as root; then it runs as the user that its package made.
fn as_other_user() -> &'static [&'static str] {
    if is_root() {
        // Unlike runuser it becomes the program, so that its id is the server's.
        &[
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ]
    } else {
        &[]
    }
}

impl PostgresServer {
    /// Makes a new one and starts it.
    pub fn start() -> Self {
        Self::launch_new(None)
    }

    /// Makes a new one, with its data in a folder that is there and stays, and starts it.
    pub fn start_in(parent: &Path) -> Self {
        Self::launch_new(Some(parent))
    }

    /// Makes a hot standby of it, which follows it and answers questions, and starts that.
    pub fn standby(&self) -> Self {
        let mut standby = Self::without_data(None);
        let copy = programs().join("pg_basebackup");
        let command: Vec<&Path> = as_other_user()
            .iter()
            .map(Path::new)
            .chain([copy.as_path()])
            .collect();
        let copied = Command::new(command[0])
            .args(&command[1..])
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", "postgres", "--checkpoint=fast", "--no-sync"])
            // It says in the copy whom it is to follow.
            .args(["--write-recovery-conf", "-D"])
            .arg(standby.data())
            .output()
            .expect("pg_basebackup is there");
        succeeded(&copied);
        standby.launch();
        standby
    }

    /// One that is to have its data there, and has none yet.
    fn without_data(parent: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let parent = parent.unwrap_or(folder.path()).to_owned();
        if !as_other_user().is_empty() {
            let given = Command::new("chown")
                .arg("postgres")
                .args([folder.path(), &parent])
                .status();
            assert!(
                given.expect("chown is there").success(),
                "is postgres installed?"
            );
        }
        Self {
            server: None,
            port: free_port(),
            folder,
            parent,
            is_encrypted: false,
        }
    }

    fn launch_new(parent: Option<&Path>) -> Self {
        let mut postgres = Self::without_data(parent);
        let data = postgres.data();
        let initdb = programs().join("initdb");
        let arguments = [
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        let command: Vec<&Path> = as_other_user()
            .iter()
            .map(Path::new)
            .chain([initdb.as_path()])
            .collect();
        let made = Command::new(command[0])
            .args(&command[1..])
            .args(arguments)
            .arg("-D")
            .arg(&data)
            .output()
            .expect("initdb is there");
        succeeded(&made);
        postgres.launch();
        postgres
    }

    /// Makes one that takes encrypted connections only, at `localhost`, and asks for a password.
    pub fn start_encrypted(authority: &Authority) -> Self {
        let mut postgres = Self::start();
        let set = format!("ALTER USER postgres PASSWORD '{PASSWORD}'");
        let reported = Command::new(programs().join("psql"))
            .args([
                "-U",
                "postgres",
                "-p",
                &postgres.port.to_string(),
                "-c",
                &set,
                "-h",
            ])
            .arg(postgres.folder.path())
            .output();
        succeeded(&reported.expect("psql is there"));
        postgres.stop();
        let data = postgres.data();
        let identity = authority.vouch(&data);
        fs::set_permissions(&identity.key, fs::Permissions::from_mode(0o600)).expect("private");
        if !as_other_user().is_empty() {
            let given = Command::new("chown")
                .arg("postgres")
                .args([&identity.key, &identity.certificate, &identity.authority])
                .output();
            succeeded(&given.expect("chown is there"));
        }
        let who = "local all all trust\nhostssl all all all scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), who).expect("written");
        let settings = data.join("postgresql.auto.conf");
        let encrypt = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
        fs::write(settings, encrypt).expect("written");
        postgres.is_encrypted = true;
        postgres.launch();
        postgres
    }

    fn data(&self) -> PathBuf {
        self.parent.join("data")
    }

    /// Starts it again, after [`PostgresServer::kill`] or [`PostgresServer::stop`].
    pub fn launch(&mut self) {
        let (data, port) = (self.data(), self.port.to_string());
        let program = programs().join("postgres");
        let folder = self.folder.path().to_string_lossy().into_owned();
        let mut command = as_other_user().to_vec();
        let (program, data) = (program.to_string_lossy(), data.to_string_lossy());
        command.extend([
            program.as_ref(),
            "-D",
            &data,
            "-p",
            &port,
            "-h",
            "127.0.0.1",
            "-k",
            &folder,
        ]);
        // Many tests share it, each with connections of its own.
        command.extend(["-c", "max_connections=200"]);
        self.server = Some(Server::start(self.folder.path(), "QUIT", &command));
        let ready = || {
            let asked = Command::new(programs().join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status();
            asked.expect("pg_isready is there").success()
        };
        await_that("Postgres is ready", ready);
    }

    /// From now on its commits wait for a standby, and returns once there is one that they wait for.
    ///
    /// # Panics
    /// There is none after a minute.
    pub fn wait_for_standby(&self) {
        self.set("synchronous_standby_names", "*");
        let url = self.url("postgres");
        await_that("the standby is synchronous", || {
            let ask = "SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            Self::sql(&url, ask) == Ok("1".to_owned())
        });
    }

    /// A standby gets nothing more from its primary.
    ///
    /// # Panics
    /// It still does after a minute.
    pub fn stop_following(&self) {
        self.set("primary_conninfo", "");
        let url = self.url("postgres");
        await_that("it follows nobody", || {
            Self::sql(&url, "SELECT COUNT(*) FROM pg_stat_wal_receiver") == Ok("0".to_owned())
        });
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// It is none after a minute.
    pub fn promote(&self) {
        let promoted = Self::sql(&self.url("postgres"), "SELECT pg_promote()");
        assert_eq!(promoted, Ok("t".to_owned()));
    }

    /// Changes a setting that needs no restart.
    ///
    /// # Panics
    /// It cannot be changed.
    pub fn set(&self, setting: &str, value: &str) {
        let url = self.url("postgres");
        let set = format!("ALTER SYSTEM SET {setting} = '{value}'");
        for statement in [set.as_str(), "SELECT pg_reload_conf()"] {
            Self::sql(&url, statement).expect("done");
        }
    }

    /// Ends it and all its processes at once, as a power cut does.
    pub fn kill_at_once(&mut self) {
        let id = self.id();
        let mut all = processes::children(id);
        all.push(id);
        processes::signal("KILL", &all);
        self.server = None;
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("QUIT");
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its first process, whose children are the others.
    ///
    /// # Panics
    /// It does not run.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("it runs").id()
    }

    /// Makes a database, and says where clients find it.
    pub fn database(&self, name: &str) -> String {
        let made = Command::new(programs().join("createdb"))
            .args(["-U", "postgres", "-p", &self.port.to_string(), name, "-h"])
            .arg(self.folder.path())
            .output()
            .expect("createdb is there");
        succeeded(&made);
        self.url(name)
    }

    /// Writes a backup of the database at this address.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn backup(url: &str, file: &Path) {
        let mut dump = Self::tool("pg_dump");
        dump.args(["--format=custom", "--file"]).arg(file);
        assert!(dump.arg(url).status().expect("it is there").success());
    }

    /// Restores a backup into an empty database of this server.
    ///
    /// # Panics
    /// It cannot be restored.
    pub fn restore(&self, file: &Path, name: &str) {
        let mut restore = Self::tool("pg_restore");
        restore.args(["--exit-on-error", "--dbname"]);
        restore.arg(self.url(name)).arg(file);
        assert!(restore.status().expect("it is there").success());
    }

    /// Restores a backup in place of the database `voting`, which is gone.
    ///
    /// # Panics
    /// It cannot be restored.
    pub fn restore_voting(&self, file: &Path) {
        let others = self.url("postgres");
        for statement in [
            "DROP DATABASE voting WITH (FORCE)",
            "CREATE DATABASE voting",
        ] {
            Self::sql(&others, statement).expect("done");
        }
        self.restore(file, "voting");
    }

    /// One of the programs that come with it, such as `pg_dump`.
    pub fn tool(name: &str) -> Command {
        Command::new(programs().join(name))
    }

    /// `psql` on a database of it, which reads statements from its input; it stops at the first
    /// that fails.
    pub fn psql(url: &str) -> Command {
        let mut psql = Self::tool("psql");
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", url]);
        psql
    }

    /// Runs statements on a database of it: the rows, or what the server said.
    ///
    /// # Errors
    /// What the server said.
    pub fn sql(url: &str, statements: &str) -> Result<String, String> {
        let mut psql = Self::psql(url);
        let done = psql.args(["-c", statements]).output();
        let done = done.expect("psql is there");
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).trim().to_owned())
        }
    }

    /// Where clients find a database of it.
    pub fn url(&self, database: &str) -> String {
        if self.is_encrypted {
            return self.url_at("localhost", database);
        }
        self.url_at("127.0.0.1", database)
    }

    /// The same under another name for this machine.
    pub fn url_at(&self, host: &str, database: &str) -> String {
        let port = self.port;
        if self.is_encrypted {
            let user = format!("postgres:{}", PASSWORD.replace(' ', "%20"));
            return format!("postgres://{user}@{host}:{port}/{database}?sslmode=require");
        }
        format!("postgres://postgres@{host}:{port}/{database}")
    }

    /// The address of two servers: that of the one that takes writes is used.
    pub fn url_of_primary(&self, other: &Self, database: &str) -> String {
        let host = |server: &Self| match server.is_encrypted {
            true => format!("localhost:{}", server.port),
            false => format!("127.0.0.1:{}", server.port),
        };
        let both = format!("{},{}", host(self), host(other));
        let url = self.url(database).replacen(&host(self), &both, 1);
        let next = if url.contains('?') { '&' } else { '?' };
        format!("{url}{next}target_session_attrs=read-write")
    }

    /// The same, for a role other than the superuser.
    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }
}

fn succeeded(done: &Output) {
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}
