//! The files under `systemd/` against the programs: what they set, name and start is there. How they
//! do in a booted Debian: `systemd/try.sh`.

use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use voting_service::{Cli, Config};
use voting_testing::{
    PostgresServer, Programs, RedisServer, Service, agent, await_that, program, root,
};

fn folder() -> PathBuf {
    root().join("systemd")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect(name)
}

/// The units, by name.
fn units() -> Vec<String> {
    let files = fs::read_dir(folder().join("units")).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name());
    let names = names.map(|name| name.into_string().expect("a text"));
    let mut names: Vec<_> = names.filter(|name| !name.ends_with(".d")).collect();
    names.sort();
    names
}

/// A unit's assignments, in order.
struct Unit(Vec<(String, String)>);

impl Unit {
    fn read(name: &str) -> Self {
        Self::parse(&read(&format!("units/{name}")))
    }

    fn parse(text: &str) -> Self {
        let text = text.replace("\\\n", " ");
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
        let set = lines.filter_map(|line| line.split_once('='));
        Self(
            set.map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }

    fn all(&self, key: &str) -> Vec<&str> {
        let set = self.0.iter().filter(|(name, _)| name == key);
        set.map(|(_, value)| value.as_str()).collect()
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.all(key).pop()
    }
}

/// What systemd does to start a service, for as much of it as matters to the program.
struct Supervisor {
    /// What the operator puts into the files.
    secrets: HashMap<&'static str, String>,
    credentials: TempDir,
    sockets: HashMap<String, TcpListener>,
}

impl Supervisor {
    /// The command of a service, with its settings, its credentials and its socket.
    fn command(&mut self, service: &str, instance: &str) -> Command {
        let settings = folder().join("voting.toml");
        self.command_of("ExecStart", service, instance, &settings)
    }

    /// One of the commands of a service, with these settings in place of those of the package.
    fn command_of(&mut self, key: &str, service: &str, instance: &str, file: &Path) -> Command {
        let unit = Unit::read(service);
        let credentials = self.credentials.path().join(service);
        fs::create_dir_all(&credentials).expect("a folder");
        for credential in unit.all("LoadCredential") {
            let (id, path) = credential.split_once(':').expect("a path");
            let file = path
                .strip_prefix("/etc/voting/credentials/")
                .expect("a secret");
            let secret = self.secrets.get(file).expect("a secret of that name");
            fs::write(credentials.join(id), secret).expect("written");
        }
        let specified = |text: &str| {
            let folder = credentials.to_string_lossy();
            text.replace("%d", &folder).replace("%i", instance)
        };
        let exec = unit.get(key).expect("a command");
        let mut words = exec.split_whitespace();
        let name = words.next().and_then(|path| path.strip_prefix("/usr/bin/"));
        let program = program(name.expect("a program"));
        let hand_over = r#"exec 3<&0 </dev/null; export LISTEN_PID=$$; exec "$0" "$@""#;
        let mut command = match unit.get("Sockets") {
            Some(socket) => {
                let name = Unit::read(socket);
                let name = name.get("FileDescriptorName").expect("a name");
                let socket = self.sockets.entry(socket.to_owned()).or_insert_with(|| {
                    TcpListener::bind("127.0.0.1:0").expect("a port of any number")
                });
                let socket = socket.try_clone().expect("the same socket");
                let mut command = Command::new("/bin/sh");
                command
                    .args(["-c", hand_over])
                    .arg(program)
                    .stdin(OwnedFd::from(socket));
                command
                    .env_clear()
                    .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", name)]);
                command
            }
            None => {
                let mut command = Command::new(program);
                command.stdin(Stdio::null()).env_clear();
                command
            }
        };
        let file = file.to_string_lossy();
        command.args(words.map(|word| word.replace("/etc/voting/voting.toml", &file)));
        for setting in unit.all("Environment") {
            let (name, value) = setting.split_once('=').expect("a value");
            command.env(name, specified(value));
        }
        command
    }
}

#[test]
fn the_units_start_what_takes_votes_and_counts_them() {
    let (redis, postgres) = (RedisServer::start(), PostgresServer::start());
    let owner = postgres.database("voting");
    let roles = "CREATE ROLE voting_worker LOGIN; CREATE ROLE voting_result LOGIN";
    PostgresServer::sql(&owner, roles).expect("made");
    let mut supervisor = Supervisor {
        secrets: HashMap::from([
            ("secret", "the secret, which is 32 bytes or more".to_owned()),
            ("operator-token", voting_testing::TOKEN.to_owned()),
            ("redis-url", redis.url()),
            ("postgres-owner-url", owner),
            (
                "postgres-worker-url",
                postgres.url_as("voting_worker", "voting"),
            ),
            (
                "postgres-result-url",
                postgres.url_as("voting_result", "voting"),
            ),
        ]),
        credentials: tempfile::tempdir().expect("a folder"),
        sockets: HashMap::new(),
    };
    let migrated = supervisor.command("voting-migrate.service", "").output();
    let migrated = migrated.expect("it starts");
    assert!(migrated.status.success(), "{migrated:?}");

    let mut start = |service: &str, says: &str| {
        // As an instance, it is a port; 0 takes a free one.
        Service::start(&mut supervisor.command(service, "0"), says)
    };
    let vote = start("voting-vote@.service", "Vote:");
    let result = start("voting-result.service", "Result:");
    let worker = start("voting-worker@.service", "Operator:");
    for (service, socket) in [
        (&vote, "voting-vote.socket"),
        (&result, "voting-result.socket"),
    ] {
        let address = supervisor.sockets[socket].local_addr();
        let port = address.expect("an address").port();
        assert!(
            service.url.ends_with(&format!(":{port}")),
            "it listens on {socket}"
        );
    }
    for service in [&vote, &result, &worker] {
        service.await_ready();
    }
    let cast = agent().post(&vote.url).send_form([("vote", "a")]);
    assert_eq!(cast.expect("an answer").status(), 200);
    await_that("the vote counts", || {
        let tally = agent()
            .get(format!("{}/v1/polls/cats-vs-dogs/tally", result.url))
            .call();
        let tally = tally.expect("an answer").body_mut().read_to_string();
        tally.expect("a text").contains(r#""voters":1"#)
    });
}

fn services() -> impl Iterator<Item = String> {
    units()
        .into_iter()
        .filter(|name| name.ends_with(".service"))
}

#[test]
fn each_service_checks_its_settings_before_it_starts() {
    let mut supervisor = Supervisor {
        secrets: HashMap::from([
            ("secret", voting_testing::SECRET.to_owned()),
            ("operator-token", voting_testing::TOKEN.to_owned()),
            ("redis-url", "redis://localhost/".to_owned()),
            ("postgres-owner-url", "postgres://localhost/v".to_owned()),
            ("postgres-worker-url", "postgres://localhost/v".to_owned()),
            ("postgres-result-url", "postgres://localhost/v".to_owned()),
        ]),
        credentials: tempfile::tempdir().expect("a folder"),
        sockets: HashMap::new(),
    };
    let wrong = tempfile::NamedTempFile::new().expect("a file");
    fs::write(wrong.path(), "trusted_proxy = []\n").expect("written");
    let right = folder().join("voting.toml");
    for service in services() {
        let unit = Unit::read(&service);
        let start = unit.get("ExecStart").expect("a command");
        let program = start.split_whitespace().next().expect("a program");
        let check = format!("{program} --config /etc/voting/voting.toml --check-config");
        assert_eq!(unit.all("ExecStartPre"), [check], "{service}");
        let mut checked = |settings: &Path| {
            let mut command = supervisor.command_of("ExecStartPre", &service, "8082", settings);
            let output = command.output().expect("it starts");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.success(), text)
        };
        let (is_good, text) = checked(&right);
        assert!(is_good, "{service}: {text}");
        let (is_good, text) = checked(wrong.path());
        assert!(
            !is_good && text.contains("trusted_proxy"),
            "{service}: {text}"
        );
    }
}

#[test]
fn a_service_that_fails_is_tried_again_without_end() {
    // Once systemd gives a service up, it also closes its socket.
    for service in services() {
        let unit = Unit::read(&service);
        assert_eq!(unit.get("StartLimitIntervalSec"), Some("0"), "{service}");
        assert_eq!(unit.get("StartLimitBurst"), None, "{service}");
    }
}

#[test]
fn each_service_asserts_the_secrets_that_it_loads() {
    for service in services() {
        let unit = Unit::read(&service);
        let loaded = unit.all("LoadCredential").into_iter().map(|credential| {
            let (_, path) = credential.split_once(':').expect("a path");
            path
        });
        let loaded: Vec<_> = loaded.collect();
        assert!(!loaded.is_empty(), "{service}");
        assert_eq!(unit.all("AssertPathExists"), loaded, "{service}");
    }
}

/// The ids that a Markdown document gives its headings.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    let id = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            letter => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect()
    };
    lines.map(id).collect()
}

#[test]
fn links_in_the_documents_of_the_package_lead_into_the_package() {
    let package = tempfile::tempdir().expect("a folder");
    let made = Command::new(folder().join("package-docs"))
        .arg(package.path())
        .output()
        .expect("it starts");
    assert!(made.status.success(), "{made:?}");
    let text = |name: &str| fs::read_to_string(package.path().join(name)).expect(name);
    let mut links = 0;
    for name in ["README.md", "operations.md"] {
        for link in text(name).split("](").skip(1) {
            let (link, _) = link.split_once(')').expect("an end");
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            let is_there = package.path().join(file).is_file();
            assert!(is_there, "{name} links {link}");
            let is_there =
                heading.is_empty() || headings(&text(file)).contains(&heading.to_owned());
            assert!(is_there, "{name} links {link}");
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
    let manifest = fs::read_to_string(folder().join("../bins/voting/Cargo.toml")).expect("a text");
    for asset in [
        "package-docs/*.md\", \"usr/share/doc/voting/\"",
        "package-docs/monitoring/*\", \"usr/share/doc/voting/monitoring/\"",
    ] {
        assert!(manifest.contains(asset), "{asset}");
    }
}

/// The script that runs after an upgrade, among programs that only note how they are called.
struct Upgrade(TempDir);

impl Upgrade {
    /// `worker` is the body of the new worker, `check` that of the check of the settings.
    fn new(worker: &str, check: &str) -> Self {
        let deployment = Self(tempfile::tempdir().expect("a folder"));
        let programs = deployment.0.path().join("bin");
        fs::create_dir(&programs).expect("a folder");
        let units = r#"case "$*" in
            *list-units*voting-worker*) echo "voting-worker@8082.service loaded active running A worker" ;;
            *list-units*voting-vote*) echo "voting-vote@1.service loaded active running A replica" ;;
            *list-units*voting-result*) echo "voting-result.service loaded active running Results" ;;
            *list-units*) echo "voting-vote@1.service loaded active running A replica" ;;
            show*) echo "A=1 VOTING_WORKER__LISTEN=127.0.0.1:8082" ;;
        esac"#;
        for (name, body) in [
            ("systemctl", units),
            ("voting", check),
            ("voting-worker", worker),
            ("dpkg", "echo amd64"),
            ("sleep", ""),
            // An hour later each time.
            (
                "date",
                r#"echo x >> "$0.calls"; echo $(($(wc -l < "$0.calls") * 3600))"#,
            ),
        ] {
            let path = programs.join(name);
            let noted = if name == "date" || name == "dpkg" {
                ""
            } else {
                r#"echo "${0##*/} $*" >> "${0%/*}/../calls""#
            };
            fs::write(&path, format!("#!/bin/sh\n{noted}\n{body}\n")).expect("written");
            let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&path, rights).expect("set");
        }
        deployment
    }

    /// Whether it succeeds, how programs were called, and what it says.
    fn run(&self) -> (bool, String, String) {
        let folder = self.0.path().to_string_lossy();
        let script = read("deb/postinst")
            .replace("/usr/bin/", &format!("{folder}/bin/"))
            .replace("/run/systemd/system", &folder)
            .replace("/etc/voting", &format!("{folder}/etc"));
        let path = format!("{folder}/bin:/usr/bin:/bin");
        let output = Command::new("/bin/sh")
            .args(["-c", &script, "postinst", "configure", "1.2.3"])
            .env("PATH", path)
            .output()
            .expect("it starts");
        let calls = fs::read_to_string(self.0.path().join("calls")).expect("a text");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), calls, said)
    }
}

#[test]
fn an_upgrade_waits_for_the_new_worker_before_it_goes_on() {
    let ready_at_last = r#"[ "$(grep -c healthcheck "${0%/*}/../calls")" -ge 2 ]"#;
    let upgrade = Upgrade::new(ready_at_last, "");
    fs::write(upgrade.0.path().join("bin/date"), "#!/bin/sh\necho 0\n").expect("written");
    let (is_done, calls, said) = upgrade.run();
    assert!(is_done, "{said}");
    let steps = calls.lines().filter(|call| {
        let kinds = ["restart", "healthcheck", "check-config"];
        kinds.iter().any(|kind| call.contains(kind))
    });
    let steps: Vec<_> = steps
        .map(|call| call.split_whitespace().next_back().expect("a word"))
        .collect();
    let expected = [
        "--check-config",
        "voting-migrate.service",
        "voting-worker@8082.service",
        "--healthcheck",
        "--healthcheck",
        "voting-vote@1.service",
        "voting-result.service",
    ];
    assert_eq!(steps, expected, "{calls}");
    assert!(
        calls.contains("--worker-listen 127.0.0.1:8082 --healthcheck"),
        "{calls}"
    );
    assert!(
        said.contains("--allow-downgrades ./voting_1.2.3_amd64.deb"),
        "{said}"
    );
}

#[test]
fn an_upgrade_whose_worker_does_not_become_ready_leaves_the_others_alone() {
    let (is_done, calls, said) = Upgrade::new("echo 'not ready: no Postgres'; false", "").run();
    assert!(
        !is_done && calls.contains("restart voting-worker@8082.service"),
        "{calls}"
    );
    for other in ["restart voting-vote", "restart voting-result"] {
        assert!(!calls.contains(other), "{calls}");
    }
    for part in [
        "no Postgres",
        "dpkg --configure voting",
        "./voting_1.2.3_amd64.deb",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn an_upgrade_to_programs_that_refuse_the_settings_restarts_nothing() {
    let (is_done, calls, said) = Upgrade::new("", "echo 'unknown setting' >&2; false").run();
    assert!(!is_done && !calls.contains("restart"), "{calls}");
    for part in [
        "unknown setting",
        "dpkg --configure voting",
        "./voting_1.2.3_amd64.deb",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn ports_are_those_that_the_programs_take_by_themselves() {
    let config = Config::load_in(&Cli::default(), HashMap::new()).expect("settings");
    for (socket, listen) in [
        ("voting-vote.socket", config.vote.listen),
        ("voting-result.socket", config.result.listen),
    ] {
        let socket = Unit::read(socket);
        assert_eq!(
            socket.get("ListenStream"),
            Some(listen.to_string().as_str())
        );
    }
    let worker = Unit::read("voting-worker@.service");
    let port = config.worker.listen.port().to_string();
    assert_eq!(worker.get("DefaultInstance"), Some(port.as_str()));
    let target = Unit::read("voting.target");
    let also = target.get("Also").expect("units");
    assert!(
        also.contains(&format!("voting-worker@{port}.service")),
        "{also}"
    );
}

#[test]
fn units_name_only_units_and_files_that_are_in_the_package() {
    let units = units();
    let package = fs::read_to_string(folder().join("../bins/voting/Cargo.toml")).expect("a text");
    let programs = ["voting", "voting-vote", "voting-worker", "voting-result"];
    for name in &units {
        let unit = Unit::read(name);
        let named = unit.0.iter().filter(|(key, _)| {
            let keys = [
                "Also",
                "PartOf",
                "Requires",
                "Service",
                "Sockets",
                "StopPropagatedFrom",
                "WantedBy",
            ];
            keys.contains(&key.as_str())
        });
        for other in named.flat_map(|(_, value)| value.split_whitespace()) {
            let is_instance = |unit: &String| {
                let (stem, kind) = unit.split_once("@.").unwrap_or((unit, ""));
                other.starts_with(&format!("{stem}@")) && other.ends_with(kind)
            };
            let is_there = units.iter().any(|unit| unit == other || is_instance(unit));
            assert!(
                is_there || other == "multi-user.target",
                "{name} names {other}"
            );
        }
        if let Some(exec) = unit.get("ExecStart") {
            let program = exec.split_whitespace().next().expect("a program");
            let program = program
                .strip_prefix("/usr/bin/")
                .expect("a program of ours");
            assert!(programs.contains(&program), "{name} starts {program}");
            let asset = format!(r#"["target/release/{program}", "usr/bin/", "755"]"#);
            assert!(package.contains(&asset), "the package has {program}");
        }
        if let Some(socket) = unit.get("Sockets") {
            assert_eq!(unit.get("Requires"), Some(socket));
        }
    }
    for asset in package.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("[\"../../systemd/")?;
        line.split('"').next()
    }) {
        let is_pattern = asset.contains('*');
        assert!(
            is_pattern || folder().join(asset).is_file(),
            "there is no {asset}"
        );
    }
    for name in &units {
        // As the pattern in the package has it.
        assert!(name.starts_with("voting"), "{name} is not in the package");
    }
}

#[test]
fn the_examples_in_the_settings_are_settings() {
    let text = read("voting.toml");
    let settings = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let settings: Vec<_> = settings.collect();
    assert!(settings.len() > 8, "{settings:?}");
    fs::write(file.path(), settings.join("\n")).expect("written");
    for path in [file.path(), &folder().join("voting.toml")] {
        let cli = Cli {
            config: Some(path.to_owned()),
            ..Cli::default()
        };
        Config::load_in(&cli, HashMap::new()).expect("settings");
    }
    // A proxy on the same machine is believed.
    assert!(
        text.lines()
            .any(|line| line == r#"trusted_proxies = ["127.0.0.1", "::1"]"#)
    );
}

#[test]
fn redis_is_set_up_to_lose_nothing() {
    let exec = Unit::parse(&read("redis-server.conf"));
    let exec = exec.get("ExecStart").expect("a command");
    let words: Vec<_> = exec.split_whitespace().collect();
    for setting in [
        ["--appendonly", "yes"],
        ["--appendfsync", "always"],
        ["--aof-load-truncated", "no"],
        ["--no-appendfsync-on-rewrite", "no"],
        ["--maxmemory-policy", "noeviction"],
    ] {
        assert!(words.windows(2).any(|pair| pair == setting), "{setting:?}");
    }
}

/// Whether systemd's tool is there. Where it is expected, it has to be.
fn has_systemd_analyze() -> bool {
    let asked = Command::new("systemd-analyze").arg("--version").output();
    let is_there = asked.is_ok_and(|asked| asked.status.success());
    let is_expected = std::env::var("EXPECT_SYSTEMD").is_ok_and(|value| !value.is_empty());
    assert!(is_there || !is_expected, "systemd-analyze is missing");
    if !is_there {
        eprintln!("skipped: there is no systemd-analyze");
    }
    is_there
}

/// The units in a folder of their own, with the programs where cargo has put them.
fn units_with_programs() -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    let dropin = "voting-.service.d/hardening.conf";
    fs::create_dir(copy.path().join("voting-.service.d")).expect("a folder");
    for name in units().iter().map(String::as_str).chain([dropin]) {
        let programs = format!("{}/", Programs::current().folder().display());
        let unit = read(&format!("units/{name}")).replace("/usr/bin/", &programs);
        fs::write(copy.path().join(name), unit).expect("written");
    }
    copy
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !has_systemd_analyze() {
        return;
    }
    let copy = units_with_programs();
    let units = units().into_iter().map(|name| copy.path().join(name));
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(units)
        .output()
        .expect("it is there");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    // It calls some things wrong and succeeds all the same.
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("voting"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn no_service_is_exposed() {
    if !has_systemd_analyze() {
        return;
    }
    let copy = units_with_programs();
    for name in units().iter().filter(|name| name.ends_with(".service")) {
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=10"])
            .arg(copy.path().join(name))
            .output()
            .expect("it is there");
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{name}: {said}");
    }
}
