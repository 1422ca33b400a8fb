//! The jobs in `nomad/` speak of things that there are: settings, programs, flags, ports, secrets, services, and
//! are deployed so that nothing is lost. That Nomad takes and runs them is tried by `nomad/try.sh`.

mod nomad_support;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use nomad_support::{Block, DRIVERS, JOBS, job, job_with, text};
use voting_service::{Cli, Config};
use voting_testing::{LONG, program};

/// Within so many seconds of the signal a service is gone (`bins/common`, services).
const DRAIN: u64 = 25;

/// A task with the names of its job and group.
struct Task {
    job: String,
    group: Block,
    task: Block,
}

impl Task {
    fn name(&self) -> String {
        format!("{}/{}/{}", self.job, self.group.label(), self.task.label())
    }

    /// What it runs: the program and its arguments.
    fn command(&self) -> Vec<String> {
        let config = self.task.only("config");
        let list = |key| config.list(key).unwrap_or_default();
        let mut command = list("entrypoint");
        command.extend(config.text("command"));
        command.extend(list("args"));
        command
    }

    /// The name of the program, without its folder.
    fn program(&self) -> String {
        let command = self.command();
        let path = Path::new(command.first().expect("a program"));
        path.file_name().expect("a name").to_string_lossy().into()
    }

    fn is_ours(&self) -> bool {
        self.program().starts_with("voting")
    }

    fn environment(&self) -> HashMap<String, String> {
        self.task.map("env")
    }
}

/// All tasks of all jobs, as they are for each driver.
fn tasks() -> Vec<Task> {
    let of = |(name, driver): (&str, &str)| {
        let job = job(name, driver);
        let name = job.label().to_owned();
        let mut tasks = Vec::new();
        for group in job.all("group") {
            for task in group.all("task") {
                tasks.push(Task {
                    job: name.clone(),
                    group: group.clone(),
                    task: task.clone(),
                });
            }
        }
        tasks
    };
    let all = JOBS.iter().flat_map(|job| DRIVERS.map(|d| (*job, d)));
    all.flat_map(of).collect()
}

fn seconds(text: &str) -> u64 {
    let number = text.strip_suffix('s').expect("seconds");
    number.parse().expect("a number")
}

#[test]
fn each_variable_is_a_setting() {
    let mut programs = BTreeSet::new();
    for task in tasks().iter().filter(|task| task.is_ours()) {
        let environment = task.environment();
        assert!(
            environment.keys().all(|name| name.starts_with("VOTING_")),
            "{}: {environment:?}",
            task.name()
        );
        let names_proxies = environment
            .get("VOTING_TRUSTED_PROXIES")
            .is_some_and(|named| !named.is_empty());
        let config = Config::load_in(&Cli::default(), environment)
            .unwrap_or_else(|error| panic!("{}: {error}", task.name()));
        // It listens where its service and its checks are.
        let (listen, loopback) = match task.program().as_str() {
            "voting-vote" => (config.vote.listen, config.result.listen),
            "voting-result" => (config.result.listen, config.vote.listen),
            "voting-worker" => (config.worker.listen, config.vote.listen),
            _ => continue,
        };
        assert_eq!(listen.port(), nomad_support::PORT, "{}", task.name());
        assert!(loopback.ip().is_loopback(), "{}", task.name());
        // The front is among them, and says whose request it passes on.
        assert!(names_proxies, "{}", task.name());
        assert!(!config.trusted_proxies.names_everybody());
        programs.insert(task.program());
    }
    assert_eq!(programs.len(), 3, "{programs:?}");
}

#[test]
fn each_program_takes_its_arguments() {
    let mut seen = BTreeSet::new();
    for task in tasks().iter().filter(|task| task.is_ours()) {
        let command = task.command();
        if !seen.insert((task.program(), command[1..].to_vec())) {
            continue;
        }
        // `--help` last: what stands before it is looked at first.
        let mut asked = Command::new(program(&task.program()));
        let asked = asked.args(&command[1..]).arg("--help").output();
        let asked = asked.expect("the program is there");
        assert!(asked.status.success(), "{command:?}: {asked:?}");
        if task.program() != "voting" {
            let cli = Cli::try_parse_from(&command).expect("arguments of a service");
            let config = cli.config.expect("a configuration file");
            let name = config.file_name().expect("a name").to_string_lossy();
            let file = format!("local/{name}");
            assert!(task.task.template(&file).is_some(), "{}", task.name());
        }
    }
}

#[test]
fn a_task_reads_only_secrets_of_its_own_which_are_made_and_hidden() {
    let made = nomad_support::variables(&text("secrets.sh"));
    for task in tasks() {
        let name = task.name();
        let files: Vec<_> = task.environment().into_iter().collect();
        for (variable, path) in files.iter().filter(|(name, _)| name.ends_with("FILE")) {
            let path = path.trim_start_matches('/');
            let template = task.task.template(path);
            assert!(template.is_some(), "{name}: {variable} is {path}");
        }
        for template in task.task.all("template") {
            let data = template.text("data").expect("a text");
            for (path, items) in nomad_support::variables_read(&data) {
                let own = format!("nomad/jobs/{name}/");
                assert!(own.starts_with(&format!("{path}/")), "{name}: {path}");
                let there = made.get(&path).expect(&path);
                assert!(items.is_subset(there), "{name}: {path} has no {items:?}");
                // For its reader only.
                let destination = template.text("destination").expect("a place");
                assert!(destination.starts_with("secrets/"), "{name}: {destination}");
                assert_eq!(template.text("perms").as_deref(), Some("0400"), "{name}");
                assert!(template.number("uid").is_some(), "{name}: {destination}");
            }
        }
        // In no other place.
        for said in [task.command(), task.environment().into_values().collect()].concat() {
            assert!(!said.contains("nomadVar"), "{name}: {said}");
            let named = said.contains("password") || said.contains("://");
            assert!(!named, "{name}: {said}");
        }
    }
}

#[test]
fn a_new_version_is_tried_beside_the_old_one_and_taken_back_if_it_is_not_ready() {
    let job = job("voting", "docker");
    let update = job.only("update");
    assert!(update.number("canary").is_some_and(|count| count >= 1));
    assert_eq!(update.flag("auto_promote"), Some(true));
    assert_eq!(update.flag("auto_revert"), Some(true));
    assert_eq!(update.text("health_check").as_deref(), Some("checks"));
    for group in job.all("group") {
        let label = group.label();
        let document = text(&format!("../openapi/{label}.json"));
        let service = group.only("service");
        // Readiness tells whether a deployment goes on; only what does not live is restarted.
        let restarts: HashMap<_, _> = service
            .all("check")
            .map(|check| {
                let path = check.text("path").expect("a path");
                assert!(document.contains(&format!("\"{path}\"")), "{label}: {path}");
                (path, check.all("check_restart").count() == 1)
            })
            .collect();
        let wanted = [("/readyz".to_owned(), false), ("/healthz".to_owned(), true)];
        assert_eq!(restarts, HashMap::from(wanted), "{label}");
        // What the front leaves out.
        assert_eq!(service.list("canary_tags"), Some(vec!["canary".to_owned()]));
        let disconnect = group.only("disconnect");
        assert_eq!(disconnect.flag("replace"), Some(true), "{label}");
    }
}

#[test]
fn a_store_never_runs_twice_or_beside_its_data() {
    let job = job("stores", "docker");
    let update = job.only("update");
    assert_eq!(update.number("canary"), None);
    assert_eq!(update.flag("auto_revert"), Some(true));
    assert_eq!(job.all("group").count(), 2);
    for group in job.all("group") {
        assert_eq!(group.number("count"), Some(1));
        let volume = group.only("volume");
        let access = volume.text("access_mode").expect("a mode");
        assert_eq!(access, "single-node-single-writer");
        assert_eq!(volume.flag("sticky"), Some(true));
        let disconnect = group.only("disconnect");
        assert_eq!(disconnect.flag("replace"), Some(false));
        assert_eq!(
            disconnect.text("reconcile").as_deref(),
            Some("keep_original")
        );
        let specification = nomad_support::volume(group.label());
        assert_eq!(specification.text("name"), volume.text("source"));
        let capability = specification.only("capability");
        assert_eq!(capability.text("access_mode"), Some(access));
        let task = group.only("task");
        let user = task.text("user").expect("a user");
        assert!(!user.starts_with('0') && user != "root");
        let owner = specification.only("parameters").text("uid").expect("a uid");
        assert!(user.starts_with(&format!("{owner}:")), "{user}: {owner}");
    }
}

#[test]
fn redis_is_durable_and_its_log_is_mended_before_each_start() {
    for driver in DRIVERS {
        let job = job("stores", driver);
        let redis = job.labelled("group", "redis").only("task").clone();
        let settings = redis.template("secrets/redis.conf").expect("a file");
        let settings = settings.text("data").expect("a text");
        for line in [
            "appendonly yes",
            "appendfsync always",
            "no-appendfsync-on-rewrite no",
            "aof-load-truncated no",
            "maxmemory-policy noeviction",
        ] {
            assert!(settings.lines().any(|said| said == line), "{line}");
        }
        let start = redis.template("local/start.sh").expect("a file");
        let start = start.text("data").expect("a text");
        let mend = start
            .find("echo y | redis-check-aof --fix")
            .expect("mended");
        let run = start.find("exec redis-server").expect("started");
        assert!(mend < run);
        assert!(
            start.starts_with("set -eu\n"),
            "a log that cannot be mended"
        );
    }
}

#[test]
fn what_is_asked_to_stop_has_the_time_to() {
    for task in tasks().iter().filter(|task| task.is_ours()) {
        if task.program() == "voting" {
            continue;
        }
        let name = task.name();
        assert_eq!(task.task.text("kill_signal").as_deref(), Some("SIGTERM"));
        let patience = seconds(&task.task.text("kill_timeout").expect("a time"));
        // A client of Nomad gives 30 s unless it is told otherwise.
        assert!((DRAIN + 1..=30).contains(&patience), "{name}: {patience} s");
        if task.program() == "voting-worker" {
            continue;
        }
        // Out of the front before it is told to stop, and still there until the front has looked twice.
        let front = job("front", "docker");
        let front = front.only("group").only("task").only("template").clone();
        let wait = seconds(&front.only("wait").text("max").expect("a time"));
        let delay = seconds(&task.group.text("shutdown_delay").expect("a time"));
        assert!(delay > wait, "{name}: {delay} s, {wait} s");
        let config = Config::load_in(&Cli::default(), task.environment()).expect("settings");
        let data = front.text("data").expect("a text");
        assert!(data.contains("option forwardfor"));
        let looks = "check inter 1s fastinter 500ms fall 2 ";
        assert!(data.contains(looks), "{data}");
        assert!(config.drain_delay_ms > 1_500, "{name}");
    }
}

#[test]
fn services_that_are_looked_for_are_there() {
    let mut there = BTreeSet::new();
    let mut sought = BTreeSet::new();
    for task in tasks() {
        for service in task.group.all("service") {
            assert_eq!(service.text("provider").as_deref(), Some("nomad"));
            let port = service.text("port").expect("a port");
            task.group.only("network").labelled("port", &port);
            there.insert(service.text("name").expect("a name"));
        }
        for template in task.task.all("template") {
            let data = template.text("data").expect("a text");
            for (_, after) in nomad_support::after(&data, "nomadService \"") {
                sought.insert(after.split('"').next().expect("a name").to_owned());
            }
            // The front puts names together.
            if data.contains("nomadService (print \"voting-\" $service)") {
                for (_, after) in nomad_support::after(&data, "parseJSON `") {
                    let json = after.split('`').next().expect("an end");
                    let ports: HashMap<String, String> =
                        serde_json::from_str(json).expect("an object");
                    let defaults = Config::default();
                    assert_eq!(ports["vote"], defaults.vote.listen.port().to_string());
                    assert_eq!(ports["result"], defaults.result.listen.port().to_string());
                    sought.extend(ports.into_keys().map(|name| format!("voting-{name}")));
                }
            }
        }
    }
    assert_eq!(sought.len(), 4, "{sought:?}");
    assert!(sought.is_subset(&there), "{sought:?} {there:?}");
}

#[test]
fn logins_have_the_rights_that_migrating_gives() {
    let migrate = job("migrate", "docker");
    let group = migrate.only("group");
    let logins = group.labelled("task", "logins");
    let logins = logins.template("secrets/logins.sql").expect("a file");
    let logins = logins.text("data").expect("a text");
    let services = job("voting", "docker");
    for (group, role) in [("worker", "voting_worker"), ("result", "voting_result")] {
        assert!(logins.contains(&format!("GRANT {role} TO {role}_login;")));
        assert!(logins.contains(&format!("ALTER ROLE {role}_login LOGIN PASSWORD")));
        let task = services.labelled("group", group).only("task").clone();
        let address = task.template("secrets/postgres").expect("a file");
        let address = address.text("data").expect("a text");
        assert!(address.starts_with(&format!("postgres://{role}_login:")));
    }
    // The first task, and before the other.
    let tables = group.labelled("task", "tables");
    let before = tables.only("lifecycle").text("hook");
    assert_eq!(before.as_deref(), Some("prestart"));
}

#[test]
fn a_typo_in_the_settings_ends_each_service_so_the_old_version_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("voting.toml");
    fs::write(&file, "# As given.\n[vote]\nlistn = \"127.0.0.1:1\"\n").expect("written");
    let job = job("voting", "raw_exec");
    // The first one that fails ends the deployment.
    let update = job.only("update");
    assert_eq!(update.text("progress_deadline").as_deref(), Some("0s"));
    let tasks = tasks().into_iter();
    let mut programs = BTreeSet::new();
    for task in tasks.filter(|task| task.job == "voting") {
        let restart = task.group.only("restart");
        assert_eq!(restart.text("mode").as_deref(), Some("fail"));
        let mut started = Command::new(program(&task.program()));
        for argument in &task.command()[1..] {
            // The place of the file in the task is that of the template.
            let is_file = argument == "/local/voting.toml";
            started.arg(if is_file {
                file.as_os_str()
            } else {
                argument.as_ref()
            });
        }
        let ended = started.env_clear().envs(task.environment()).output();
        let ended = ended.expect("the program is there");
        assert_eq!(ended.status.code(), Some(1), "{}: {ended:?}", task.name());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("vote.listn"), "{}: {said}", task.name());
        programs.insert(task.program());
    }
    assert_eq!(programs.len(), 3, "{programs:?}");
}

#[test]
fn settings_that_look_like_a_template_of_nomad_stay_as_they_are() {
    let config = "default_poll = \"{{ env \\\"HOME\\\" }} ${rice}\"";
    let voting = job_with("voting", "docker", &[("config", config)]);
    for group in voting.all("group") {
        let template = group.only("task").template("local/voting.toml");
        let data = template.expect("a file").text("data").expect("a text");
        // What Nomad makes of a literal, which is all that it has to replace.
        let rendered = data.replace("{{ `{{` }}", "\u{1}");
        assert!(!rendered.contains("{{"), "{data}");
        let rendered = rendered.replace('\u{1}', "{{");
        assert_eq!(rendered.lines().last(), Some(config), "{}", group.label());
    }
}

#[test]
fn the_commands_in_the_readme_name_what_there_is() {
    let readme = text("README.md");
    let commands = nomad_support::commands(&readme);
    let all: String = commands.values().flatten().map(String::as_str).collect();
    let labels: BTreeSet<_> = JOBS
        .map(|name| job(name, "docker").label().to_owned())
        .into();

    // All is taken down: each job, each volume, each secret.
    let down = commands["Take all of it down"].concat();
    for (_, after) in nomad_support::after(&down, "for job in ") {
        let named = after.split(';').next().expect("an end");
        let named: Vec<_> = named.split(' ').map(str::to_owned).collect();
        assert_eq!(BTreeSet::from_iter(named.clone()), labels);
        // The workers finish while the stores are there.
        assert_eq!(named.last().map(String::as_str), Some("voting-stores"));
    }
    for store in ["redis", "postgres"] {
        let name = nomad_support::volume(store).text("name").expect("a name");
        assert!(down.contains(&name), "{name}");
    }
    for path in nomad_support::variables(&text("secrets.sh")).keys() {
        let path = path.strip_prefix("nomad/jobs/").expect("a path of a job");
        let (_, paths) = down.split_once("for path in ").expect("a list");
        let (paths, _) = paths.split_once(';').expect("its end");
        assert!(paths.split(' ').any(|named| named == path), "{path}");
    }

    // Services, groups and secrets that are asked for.
    let services: BTreeSet<_> = tasks()
        .iter()
        .flat_map(|task| task.group.all("service").cloned().collect::<Vec<_>>())
        .filter_map(|service| service.text("name"))
        .collect();
    for (_, after) in nomad_support::after(&all, "$(at ") {
        let service = after.split(')').next().expect("an end");
        assert!(services.contains(service), "{service}");
    }
    let made = nomad_support::variables(&text("secrets.sh"));
    for (_, after) in nomad_support::after(&all, "$(item ") {
        let (item, path) = after.split_once(' ').expect("a path");
        let path = path.split(')').next().expect("an end");
        assert!(made[path].contains(item), "{path}: {item}");
    }
    let voting = job("voting", "docker");
    for (_, after) in nomad_support::after(&all, "nomad job scale voting ") {
        let group = after.split(' ').next().expect("a group");
        voting.labelled("group", group);
    }

    // And `try.sh` types those that there are.
    let script = text("try.sh");
    let mut typed = 0;
    for (_, after) in nomad_support::after(&script, "\ntyped \"") {
        let (heading, numbers) = after.split_once("\" ").expect("a heading");
        let numbers = numbers.lines().next().expect("numbers");
        for number in numbers.split(' ') {
            let number: usize = number.parse().expect("a number");
            assert!(number <= commands[heading].len(), "{heading}: {number}");
            typed += 1;
        }
    }
    assert!(typed >= 7, "{typed}");
}

/// How many processes there are that sleep for this time.
fn sleeping(time: &str) -> usize {
    let line = format!("sleep\0{time}\0");
    let processes = fs::read_dir("/proc").expect("processes");
    let lines = processes.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.filter(|said| said == line.as_bytes()).count()
}

#[test]
fn nothing_is_left_of_a_trial_however_it_ends() {
    if !nomad_support::can_be_alone() {
        return;
    }
    let script = voting_testing::root().join("nomad/alone.sh");
    for (at, end) in ["", "INT", "TERM", "HUP", "KILL"].iter().enumerate() {
        // Nobody else sleeps for just as long.
        let time = format!("98765.{at}{}", std::process::id());
        let shared = format!("/dev/shm/voting-{time}");
        // One in the session of the script and one in its own, as a task of Nomad is.
        let sleeps = format!("sleep {time} & setsid sleep {time} &");
        let trial = format!(
            "{sleeps} touch {shared} $ALONE/file; mkdir $ALONE/mount; mount -t tmpfs tmpfs $ALONE/mount; \
             echo $ALONE; [ -z '{end}' ] || wait; exit 3"
        );
        // Not ignored, as they are in what a shell starts in the background.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT").arg(&script);
        let command = command.args(["bash", "-c", &trial]).stdout(Stdio::piped());
        let mut started = command.spawn().expect("the script is there");
        let mut said = String::new();
        let mut output = BufReader::new(started.stdout.take().expect("its output"));
        output.read_line(&mut said).expect("the folder");
        let folder = Path::new(said.trim());
        let limit = Instant::now() + LONG;
        if !end.is_empty() {
            assert!(folder.join("file").exists(), "{end}");
            while sleeping(&time) < 2 {
                assert!(Instant::now() < limit, "it does not begin");
                thread::sleep(Duration::from_millis(10));
            }
            let id = started.id().to_string();
            let sent = Command::new("kill").args(["-s", *end, &id]).status();
            assert!(sent.expect("kill is there").success());
        }
        let status = started.wait().expect("it has ended").code();
        let wanted = match *end {
            "" => Some(3),
            "HUP" => Some(129),
            "INT" => Some(130),
            "TERM" => Some(143),
            _ => None,
        };
        assert_eq!(status, wanted, "{end}");
        if *end == "KILL" {
            // Nobody is left to wait for what the kernel ends, nor to remove the folder.
            while sleeping(&time) > 0 {
                assert!(Instant::now() < limit, "processes are left");
                thread::sleep(Duration::from_millis(10));
            }
            fs::remove_dir_all(folder).expect("removed");
        }
        assert_eq!(sleeping(&time), 0, "{end}");
        assert!(!folder.exists(), "{end}: {}", folder.display());
        assert!(!Path::new(&shared).exists(), "{end}");
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        assert!(!mounts.contains(said.trim()), "{end}: {mounts}");
    }
}
