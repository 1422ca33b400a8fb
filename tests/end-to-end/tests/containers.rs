//! `compose.yaml`, the `Dockerfile` and what is in `containers/` speak of things that there are: settings,
//! programs, flags, ports, secrets. That they work together is tried by `containers/try.sh`, with Docker.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::TcpStream,
    path::PathBuf,
    process::{Command, Output},
};

use serde_norway::Value;
use voting_service::{Cli, Config};
use voting_testing::{Program, await_that, program, root};

/// A folder or file of the repository.
fn at(path: &str) -> PathBuf {
    root().join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(at(path)).expect(path)
}

/// As Compose reads a text where none of the variables is set.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        plain += before;
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            plain.push('$');
            rest = after;
        } else {
            let variable = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (variable, after) = variable.expect(text);
            let (_, default) = variable.split_once(":-").expect("it has a default");
            plain += default;
            rest = after;
        }
    }
    plain + rest
}

struct Service {
    name: String,
    value: Value,
}

impl Service {
    fn get(&self, key: &str) -> &Value {
        self.value.get(key).unwrap_or(&Value::Null)
    }

    /// A list of texts.
    fn list(&self, key: &str) -> Vec<String> {
        texts(self.get(key))
    }

    fn is_ours(&self) -> bool {
        let image = self.get("image").as_str().expect("an image");
        plain(image) == "voting"
    }

    /// What its containers find in their environment.
    fn environment(&self) -> HashMap<String, String> {
        let Value::Mapping(variables) = self.get("environment") else {
            return HashMap::new();
        };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        variables
            .iter()
            // Those without a value are passed on from whoever starts it.
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (text(name), plain(&text(value))))
            .collect()
    }

    /// Each `host:container` of its volumes, without what follows.
    fn volumes(&self) -> Vec<(String, String)> {
        let of = |volume: &String| {
            let mut parts = volume.split(':').map(str::to_owned);
            Some((parts.next()?, parts.next()?))
        };
        self.list("volumes").iter().filter_map(of).collect()
    }

    /// The folder of `secrets.sh` that it has at `/run/secrets`.
    fn secrets(&self) -> Option<String> {
        let mut volumes = self.volumes().into_iter();
        let (volume, _) = volumes.find(|(_, target)| target == "/run/secrets")?;
        volume.strip_prefix("secrets-").map(str::to_owned)
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_sequence().map(Vec::as_slice).unwrap_or_default();
    let text = |item: &Value| plain(item.as_str().expect("a text"));
    items.iter().map(text).collect()
}

fn compose() -> Value {
    let mut compose: Value = serde_norway::from_str(&text("compose.yaml")).expect("YAML");
    // What is merged may have something to merge itself.
    for _ in 0..2 {
        compose.apply_merge().expect("merged");
    }
    compose
}

fn services() -> Vec<Service> {
    let compose = compose();
    let services = compose["services"].as_mapping().expect("services");
    let service = |(name, value): (&Value, &Value)| Service {
        name: name.as_str().expect("a name").to_owned(),
        value: value.clone(),
    };
    services.iter().map(service).collect()
}

fn service(name: &str) -> Service {
    let found = services().into_iter().find(|service| service.name == name);
    found.expect(name)
}

/// A folder with what `secrets.sh` makes, each part in a folder of its own.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn folders() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (volume, target) in service("secrets").volumes() {
            if volume.starts_with("secrets-") {
                let part = target.strip_prefix("/secrets/").expect("a part");
                fs::create_dir(folder.path().join(part)).expect("made");
            }
        }
        Self(folder)
    }

    fn run(&self) -> Output {
        let mut script = Command::new("bash");
        script.arg(at("containers/secrets.sh")).arg(self.0.path());
        script.output().expect("bash is there")
    }

    fn made() -> Self {
        let secrets = Self::folders();
        let made = secrets.run();
        assert!(made.status.success(), "{made:?}");
        secrets
    }

    /// Where a file that a service finds in `/run/secrets` is here.
    fn file(&self, service: &Service, path: &str) -> PathBuf {
        let name = path.strip_prefix("/run/secrets/").expect("a secret");
        let part = service.secrets().expect("it has secrets");
        self.0.path().join(part).join(name)
    }

    /// All files, with what is in them.
    fn files(&self) -> HashMap<PathBuf, String> {
        let mut files = HashMap::new();
        for part in fs::read_dir(self.0.path()).expect("a folder") {
            for file in fs::read_dir(part.expect("a part").path()).expect("a folder") {
                let path = file.expect("a file").path();
                let text = fs::read_to_string(&path).expect("a text");
                files.insert(path, text);
            }
        }
        files
    }
}

#[tokio::test]
async fn every_setting_exists_and_leads_to_what_the_program_needs() {
    let secrets = Secrets::made();
    for service in services().iter().filter(|service| service.is_ours()) {
        let mut environment = service.environment();
        for (name, value) in &mut environment {
            if name.ends_with("_FILE") {
                let file = secrets.file(service, value);
                assert!(file.is_file(), "{}: no {value} is made", service.name);
                *value = file.to_string_lossy().into_owned();
            }
        }
        let command = service.list("command");
        let at = command.iter().position(|argument| argument == "--config");
        let cli = Cli {
            config: at.map(|at| secrets.file(service, &command[at + 1])),
            ..Cli::default()
        };
        let config = Config::load_in(&cli, environment);
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", service.name));
        let signed = !config.accept_unsigned_entries && config.entry_keys().is_ok();
        let needed = match command.join(" ").as_str() {
            "voting-vote --config /run/secrets/entries.toml" => {
                signed && config.secret().is_ok() && config.redis().is_ok()
            }
            "voting-worker --config /run/secrets/entries.toml" => {
                let token = config.worker.token_file.as_ref();
                let stores = config.redis().is_ok() && config.postgres().is_ok();
                signed && token.is_some() && stores
            }
            "voting-result" => config.secret().is_ok() && config.postgres().is_ok(),
            "voting migrate --create-roles" => config.postgres().is_ok(),
            command => command.starts_with("voting load "),
        };
        assert!(needed, "{} lacks a setting", service.name);
    }
}

#[test]
fn settings_that_are_passed_on_exist() {
    let text = text("compose.yaml");
    let passed = text
        .lines()
        .filter_map(|line| line.trim().strip_suffix(':'))
        .filter(|name| name.starts_with("VOTING_"));
    let mut passed: HashMap<_, _> = passed
        .map(|name| (name.to_owned(), "json".to_owned()))
        .collect();
    assert!(!passed.is_empty());
    for (name, value) in &mut passed {
        let fitting = match name.rsplit("__").next() {
            Some("VOTING_LOG") => "info",
            Some("VOTING_POLLS") => {
                r#"[{"id":"p","title":"?","options":[{"id":"a","label":"A"},{"id":"b","label":"B"}]}]"#
            }
            Some("PUBLIC_URL") => "https://vote.example.org",
            Some("ENDPOINT") => "http://collector:4318",
            Some("SAMPLE_RATIO") => "0.5",
            _ => continue,
        };
        fitting.clone_into(value);
    }
    Config::load_in(&Cli::default(), passed).expect("settings");
}

#[test]
fn every_command_is_one_of_the_programs_in_the_image() {
    let dockerfile = text("Dockerfile");
    let build = dockerfile.split("cargo build").nth(1).expect("a build");
    for service in services().iter().filter(|service| service.is_ours()) {
        let command = service.list("command");
        let (name, arguments) = command.split_first().expect("a command");
        assert!(
            build.contains(&format!("-p {name} ")) && build.contains(&format!(" {name} ")),
            "the image has no {name}"
        );
        let mut checks = vec![arguments.to_vec()];
        if !service.get("healthcheck").is_null() {
            let check = texts(&service.get("healthcheck")["test"]);
            assert_eq!(check[..2], ["CMD", name.as_str()], "{}", service.name);
            checks.push(check[2..].to_vec());
        }
        for arguments in checks {
            // With an argument that does not exist it says so instead.
            let mut help = Command::new(program(name));
            let help = help.env_clear().args(&arguments).arg("--help").output();
            let help = help.expect("it starts");
            assert!(help.status.success(), "{name} {arguments:?}: {help:?}");
        }
    }
}

#[test]
fn every_container_has_no_more_rights_than_it_needs() {
    for service in services() {
        let name = &service.name;
        assert_eq!(*service.get("read_only"), true, "{name}");
        assert_eq!(service.list("cap_drop"), ["ALL"], "{name}");
        assert!(service.get("cap_add").is_null(), "{name}");
        assert!(service.get("privileged").is_null(), "{name}");
        assert_eq!(
            service.list("security_opt"),
            ["no-new-privileges:true"],
            "{name}"
        );
        let user = service.get("user").as_str();
        match name.as_str() {
            "secrets" => {
                // Root, so that what it makes belongs to nobody else, but without a network.
                assert_eq!(user, Some("0:65532"));
                assert_eq!(service.get("network_mode"), "none");
            }
            // Its image says which.
            "proxy" => assert_eq!(user, None),
            "redis" | "postgres" => assert_eq!(user, Some(name.as_str())),
            "logins" => assert_eq!(user, Some("postgres")),
            _ => assert_eq!(user, Some("65532:65532"), "{name}"),
        }
        for volume in service.list("volumes") {
            let is_data = volume.starts_with("redis-data:") || volume.starts_with("postgres-data:");
            let is_made_here = name == "secrets" && volume.starts_with("secrets-");
            assert!(
                is_data || is_made_here || volume.contains(":ro"),
                "{name} may write to {volume}"
            );
        }
    }
}

#[test]
fn stores_can_be_reached_by_services_only_and_services_by_the_proxy_only() {
    let networks = &compose()["networks"];
    for internal in ["front", "back"] {
        assert_eq!(networks[internal]["internal"], true);
    }
    for service in services() {
        let name = service.name.as_str();
        let expected: &[&str] = match name {
            "proxy" => &["public", "front"],
            "vote" | "worker" | "result" => &["front", "back"],
            "load" => &["front"],
            "secrets" => &[],
            _ => &["back"],
        };
        assert_eq!(service.list("networks"), expected, "{name}");
        if name != "proxy" {
            assert!(service.get("ports").is_null(), "{name}");
        }
    }
}

#[test]
fn the_proxy_listens_where_it_is_published_and_asks_services_where_they_listen() {
    let proxy = text("containers/proxy.cfg");
    let has = |line: &str| proxy.lines().any(|each| each.trim() == line);
    for published in service("proxy").list("ports") {
        let parts: Vec<_> = published.split(':').collect();
        let [host, _, port] = parts[..] else {
            panic!("{published}")
        };
        assert_eq!(host, "127.0.0.1", "unless told otherwise");
        assert!(has(&format!("bind :{port}")), "{port}");
    }
    for (name, setting) in [
        ("vote", "VOTING_VOTE__LISTEN"),
        ("result", "VOTING_RESULT__LISTEN"),
        ("worker", "VOTING_WORKER__LISTEN"),
    ] {
        let environment = service(name).environment();
        let listen = &environment[setting];
        let port = listen.strip_prefix("0.0.0.0:").expect("everywhere");
        assert!(has(&format!("server-template {name} 16 {name}:{port}")));
    }
    assert!(has("http-check send meth GET uri /readyz"));
    // It says whose request it is, and is believed.
    assert!(has("option forwardfor"));
    for name in ["vote", "result", "worker"] {
        let named = &service(name).environment()["VOTING_TRUSTED_PROXIES"];
        assert_eq!(named, "172.16.0.0/12", "{name}");
    }
    // A ballot that a service may have seen is not sent to another.
    assert!(has("retry-on conn-failure"));
    let load = service("load").list("command").join(" ");
    assert!(load.contains("--vote http://proxy:8080 --result http://proxy:8081"));
}

#[test]
fn what_others_wait_for_is_there_and_can_be_told() {
    let all = services();
    for service in &all {
        let Value::Mapping(needs) = service.get("depends_on") else {
            continue;
        };
        for (needed, how) in needs {
            let needed = needed.as_str().expect("a name");
            let found = all.iter().find(|each| each.name == needed);
            let found = found.unwrap_or_else(|| panic!("{}: no {needed}", service.name));
            match how["condition"].as_str() {
                Some("service_healthy") => assert!(!found.get("healthcheck").is_null()),
                Some("service_completed_successfully") => {
                    assert_eq!(found.get("restart"), "no", "{needed}");
                }
                other => panic!("{}: {other:?}", service.name),
            }
        }
    }
    let stays = all.iter().filter(|each| each.get("restart") != "no");
    for service in stays {
        assert!(!service.get("healthcheck").is_null(), "{}", service.name);
    }
}

#[test]
fn secrets_are_made_once_for_those_who_need_them_and_nobody_else() {
    let secrets = Secrets::folders();
    let first = secrets.run();
    assert!(first.status.success(), "{first:?}");
    let files = secrets.files();
    for file in files.keys() {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o440, "{}", file.display());
    }
    // Each service that runs in a group of its own can read what is made for ours.
    for service in services() {
        if service.secrets().is_some() && !service.is_ours() {
            assert_eq!(service.list("group_add"), ["65532"], "{}", service.name);
        }
    }
    let of = |part: &str| {
        let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into();
        let inside = |path: &&PathBuf| path.parent().is_some_and(|folder| folder.ends_with(part));
        let names: BTreeSet<String> = files.keys().filter(inside).map(name).collect();
        names.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("vote"), "entries.toml entry-key made redis-url voters");
    assert_eq!(
        of("worker"),
        "entries.toml entry-key made operator postgres-url redis-url"
    );
    assert_eq!(of("result"), "made postgres-url voters");
    // Nobody has the password of another.
    let at = |path: &str| &files[&secrets.0.path().join(path)];
    assert_eq!(at("vote/voters"), at("result/voters"));
    assert_eq!(at("vote/entry-key"), at("worker/entry-key"));
    assert_ne!(at("vote/entry-key"), at("vote/voters"));
    assert_ne!(at("worker/postgres-url"), at("result/postgres-url"));
    assert!(at("owner/postgres-url").contains(at("postgres/owner").trim()));
    assert!(at("worker/redis-url").contains(at("redis/password").trim()));

    let again = secrets.run();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(secrets.files(), files, "they are left alone");
    let others = Secrets::made();
    let other = others.0.path().join("vote/voters");
    assert_ne!(&others.files()[&other], at("vote/voters"));

    assert_eq!(at("vote/entries.toml"), "accept_unsigned_entries = false\n");
    assert_eq!(at("vote/entries.toml"), at("worker/entries.toml"));

    // An earlier version made no key for the log's entries. Its vote services may still write without one.
    let made_later =
        |name: &str| ["vote", "worker"].map(|part| secrets.0.path().join(part).join(name));
    for name in ["entry-key", "entries.toml"] {
        for file in made_later(name) {
            fs::remove_file(file).expect("removed");
        }
    }
    assert!(secrets.run().status.success());
    for name in ["entry-key", "entries.toml"] {
        let [vote, worker] = made_later(name).map(|file| fs::read_to_string(file).expect("made"));
        assert_eq!(vote, worker);
        let is_accepted = vote == "accept_unsigned_entries = true\n";
        assert_eq!(is_accepted, name == "entries.toml");
    }
    assert_eq!(secrets.files().len(), files.len());

    // Of a first start that was cut off before its end.
    for (path, _) in files.iter().filter(|(path, _)| path.ends_with("made")) {
        fs::remove_file(path).expect("removed");
    }
    assert!(secrets.run().status.success());
    let files = secrets.files();

    // Others would not fit what the stores know.
    fs::remove_file(secrets.0.path().join("result/made")).expect("removed");
    let refused = secrets.run();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(secrets.files().len(), files.len() - 1);
}

/// The Redis of `compose.yaml`, on a port of its own, with its data and secrets in folders.
struct Redis {
    server: Option<Program>,
    data: tempfile::TempDir,
    secrets: Secrets,
    port: u16,
}

impl Redis {
    fn new() -> Self {
        let secrets = Secrets::made();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("its address").port();
        let conf = secrets.0.path().join("redis/redis.conf");
        let made = fs::read_to_string(&conf).expect("a text");
        fs::remove_file(&conf).expect("removed");
        fs::write(&conf, format!("{made}\nbind 127.0.0.1\nport {port}\n")).expect("written");
        Self {
            server: None,
            data: tempfile::tempdir().expect("a folder"),
            secrets,
            port,
        }
    }

    fn launch(&mut self) {
        let service = service("redis");
        let mut start = service.list("entrypoint");
        start.extend(service.list("command"));
        let folder = self.secrets.0.path().join("redis");
        let here = |part: &String| part.replace("/run/secrets", &folder.to_string_lossy());
        let start: Vec<_> = start.iter().map(here).collect();
        let mut command = Command::new(&start[0]);
        command.args(&start[1..]).current_dir(self.data.path());
        self.server = Some(Program::start(&mut command));
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        await_that("Redis listens", listens);
    }

    fn command(&self, arguments: &[&str]) -> String {
        let password = self.secrets.0.path().join("redis/password");
        let password = fs::read_to_string(password).expect("a password");
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(arguments);
        let done = command.env("REDISCLI_AUTH", password.trim()).output();
        String::from_utf8(done.expect("it is there").stdout).expect("a text")
    }
}

#[test]
fn redis_is_durable_and_starts_again_from_a_torn_log() {
    let mut redis = Redis::new();
    redis.launch();
    for (name, value) in [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("aof-load-truncated", "no"),
        ("no-appendfsync-on-rewrite", "no"),
        ("maxmemory-policy", "noeviction"),
    ] {
        let said = redis.command(&["CONFIG", "GET", name]);
        assert_eq!(said.trim(), format!("{name}\n{value}"));
    }
    assert_eq!(redis.command(&["SET", "a", "1"]), "OK\n");
    assert_eq!(redis.command(&["SET", "b", "2"]), "OK\n");
    redis.server.take().expect("it runs").kill();

    let log = redis.data.path().join("appendonlydir");
    let log = log.join("appendonly.aof.1.incr.aof");
    let file = fs::OpenOptions::new().write(true).open(log).expect("a log");
    let length = file.metadata().expect("its length").len();
    file.set_len(length - 3).expect("torn");
    redis.launch();
    await_that("it has read its log", || {
        redis.command(&["PING"]) == "PONG\n"
    });
    assert_eq!(redis.command(&["GET", "a"]), "1\n");
    assert_eq!(redis.command(&["EXISTS", "b"]), "0\n");
}

#[test]
fn the_image_is_built_with_the_toolchain_that_the_workspace_needs() {
    let dockerfile = text("Dockerfile");
    let workspace = text("Cargo.toml");
    let version = workspace
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("a version")
        .trim_matches('"');
    assert!(dockerfile.contains(&format!("BUILD_IMAGE=rust:{version}-")));
    assert!(dockerfile.contains("\nUSER 65532:65532\n"));
    assert!(
        workspace.contains("[profile.dist]") && dockerfile.contains("\nARG PROFILE=dist\n"),
        "built as it is shipped"
    );
}

#[test]
fn nothing_that_git_ignores_gets_into_the_image() {
    let kept_out = text(".dockerignore");
    let ignored = text(".gitignore");
    let is_rule = |line: &&str| !line.is_empty() && !line.starts_with('#');
    for ignored in ignored.lines().filter(is_rule) {
        let name = ignored.trim_matches('/');
        let stands = kept_out
            .lines()
            .any(|line| line.trim_start_matches("**/").trim_start_matches('/') == name);
        assert!(stands, "{ignored}");
    }
}
