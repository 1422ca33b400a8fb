//! A service as a process, which is started, killed and stopped over and over.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

use voting_testing::Program;

use crate::{
    cast::{End, Service},
    link::Link,
    processes::runs,
    stage::{CLAIM_TIMEOUT, Props, SECRET, TOKEN, address_of},
};

/// So long a worker that is asked to end waits for a store, before it leaves the rest to others and ends
/// with a failure: its `WorkerOptions::grace`.
const GRACE: Duration = Duration::from_secs(10);

/// A service that runs, or is down.
#[derive(Debug)]
pub struct Player {
    which: Service,
    program: Option<Program>,
    executable: PathBuf,
    settings: Vec<(String, String)>,
    log: PathBuf,
    front: Arc<Link>,
}

/// How a service that was asked to end did.
#[derive(Debug)]
pub struct Ended {
    which: Service,
    status: ExitStatus,
    took: Duration,
}

impl Ended {
    /// What is wrong with it when some store may have been away.
    pub fn wrong(&self) -> Option<String> {
        let waited = matches!(self.which, Service::Worker(_)) && self.took >= GRACE;
        self.wrong_when_all_is_well().filter(|_| !waited)
    }

    /// What is wrong with it when nothing else was.
    pub fn wrong_when_all_is_well(&self) -> Option<String> {
        let Self {
            which,
            status,
            took,
        } = self;
        let what = || {
            let took = took.as_secs_f64();
            format!("{which}, asked to end, did so after {took:.1} s with {status}")
        };
        (!status.success()).then(what)
    }
}

impl Player {
    pub(crate) fn new(which: Service, props: &Props, links: &BTreeMap<End, Arc<Link>>) -> Self {
        let executable = match which {
            Service::Vote(_) => props.programs.join("voting-vote"),
            Service::Worker(_) => props.worker.clone(),
            Service::Result(_) => props.programs.join("voting-result"),
        };
        let name = which.to_string().replace(' ', "-");
        let mut settings: Vec<_> = [
            ("VOTING_VOTE__LISTEN", "127.0.0.1:0"),
            ("VOTING_RESULT__LISTEN", "127.0.0.1:0"),
            ("VOTING_WORKER__LISTEN", "127.0.0.1:0"),
            ("VOTING_SECRET", SECRET),
            ("VOTING_WORKER__TOKEN", TOKEN),
            ("VOTING_REDIS__RETENTION_HOURS", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let mut set = |key: &str, value: String| settings.push((key.to_owned(), value));
        set(
            "VOTING_REDIS__CLAIM_TIMEOUT_MS",
            CLAIM_TIMEOUT.as_millis().to_string(),
        );
        set("VOTING_REDIS__ACCEPT_LOSS", (!props.durable).to_string());
        if let Some(link) = links.get(&End::Redis) {
            set("VOTING_REDIS__URL", format!("redis://{}/", link.address()));
        }
        if let Some(link) = links.get(&End::Postgres) {
            let url = format!("postgres://postgres@{}/voting", link.address());
            set("VOTING_POSTGRES__URL", url);
        }
        Self {
            which,
            program: None,
            executable,
            settings,
            log: props.logs.join(format!("{name}.log")),
            front: Arc::clone(&links[&End::Users]),
        }
    }

    /// Starts it.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(&mut self) {
        let says = match self.which {
            Service::Vote(_) => "Vote:",
            Service::Worker(_) => "Operator:",
            Service::Result(_) => "Result:",
        };
        let log = append_to(&self.log).expect("a log");
        let settings = self.settings.iter().map(|(key, value)| (key, value));
        let mut command = Command::new(&self.executable);
        let mut program = Program::start(command.env_clear().envs(settings).stderr(log));
        self.front.leads_to(address_of(&program.address(says)));
        self.program = Some(program);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            program.kill();
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// It does not end in a minute.
    pub fn stop(&mut self) -> Option<Ended> {
        let program = self.program.take()?;
        let start = Instant::now();
        program.signal("TERM");
        Some(Ended {
            which: self.which,
            status: program.wait(),
            took: start.elapsed(),
        })
    }

    /// If nobody has ended it and it runs no longer: how it has ended. Then it is down.
    pub fn found_dead(&mut self) -> Option<String> {
        let gone = |program: &mut Program| !runs(program.id());
        let status = self.program.take_if(gone)?.wait();
        Some(format!("{} has ended by itself: {status}", self.which))
    }

    /// The id of its process.
    pub fn id(&self) -> Option<u32> {
        self.program.as_ref().map(Program::id)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_that_waited_for_a_store_may_end_with_a_failure() {
        let ended = |program: &str, which, took| Ended {
            which,
            status: Command::new(program).status().unwrap(),
            took,
        };
        let worker = Service::Worker(0);
        assert_eq!(ended("true", worker, Duration::ZERO).wrong(), None);
        assert_eq!(ended("false", worker, GRACE).wrong(), None);
        assert!(ended("false", worker, GRACE / 2).wrong().is_some());
        assert!(ended("false", Service::Vote(0), GRACE).wrong().is_some());
        let waited = ended("false", worker, GRACE);
        assert!(waited.wrong_when_all_is_well().is_some());
    }
}
