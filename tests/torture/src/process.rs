//! A service as a process, which is started, killed and stopped over and over.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::{Duration, Instant},
};

use voting_testing::{
    CLAIM_TIMEOUT, Programs, Service, common_settings, link::Link, processes::runs,
};

use crate::{
    electorate::Provider,
    target::{End, ServiceId},
};

/// So long a worker that is asked to end waits for a store, before it leaves the rest to others and ends
/// with a failure: its `WorkerOptions::grace`.
const GRACE: Duration = Duration::from_secs(10);

/// What the services are started with.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the services are.
    pub programs: Programs,
    /// A broken service, which is used in place of the one of its name.
    pub broken: Option<(&'static str, PathBuf)>,
    /// Where the services log.
    pub logs: PathBuf,
    /// Whether Redis is set up to be durable.
    pub durable: bool,
    /// At whom voters sign in.
    pub provider: Arc<Provider>,
}

/// A service that runs, or is down.
#[derive(Debug)]
pub(crate) struct Process {
    which: ServiceId,
    running: Option<Service>,
    executable: PathBuf,
    settings: Vec<(&'static str, String)>,
    log: PathBuf,
    /// From its users to it.
    users: Arc<Link>,
}

/// How a service that was asked to end did.
#[derive(Debug)]
pub(crate) struct Ended {
    which: ServiceId,
    status: ExitStatus,
    took: Duration,
}

impl Ended {
    /// What is wrong with it when some store may have been away.
    pub(crate) fn wrong(&self) -> Option<String> {
        let waited = matches!(self.which, ServiceId::Worker(_)) && self.took >= GRACE;
        self.wrong_when_all_is_well().filter(|_| !waited)
    }

    /// What is wrong with it when nothing else was.
    pub(crate) fn wrong_when_all_is_well(&self) -> Option<String> {
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

impl Process {
    pub(crate) fn new(which: ServiceId, config: &Config, links: &BTreeMap<End, Arc<Link>>) -> Self {
        let program = which.kind().program();
        let executable = match &config.broken {
            Some((broken, executable)) if *broken == program => executable.clone(),
            _ => config.programs.path(program),
        };
        let name = which.to_string().replace(' ', "-");
        let mut settings = common_settings();
        let mut set = |key, value| settings.push((key, value));
        set("VOTING_REDIS__RETENTION_HOURS", "0".to_owned());
        set(
            "VOTING_REDIS__CLAIM_TIMEOUT_MS",
            CLAIM_TIMEOUT.as_millis().to_string(),
        );
        set("VOTING_REDIS__ACCEPT_LOSS", (!config.durable).to_string());
        settings.extend(config.provider.settings());
        let mut set = |key, value| settings.push((key, value));
        if let Some(link) = links.get(&End::Redis) {
            set("VOTING_REDIS__URL", format!("redis://{}/", link.address()));
        }
        if let Some(link) = links.get(&End::Postgres) {
            let url = format!("postgres://postgres@{}/voting", link.address());
            set("VOTING_POSTGRES__URL", url);
        }
        Self {
            which,
            running: None,
            executable,
            settings,
            log: config.logs.join(format!("{name}.log")),
            users: Arc::clone(&links[&End::Users]),
        }
    }

    /// From its next start on it has this setting.
    pub(crate) fn set(&mut self, key: &'static str, value: &str) {
        self.settings.retain(|(other, _)| *other != key);
        self.settings.push((key, value.to_owned()));
    }

    /// What it is started with.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.settings.iter().cloned()
    }

    /// Starts it.
    ///
    /// # Panics
    /// It does not start.
    pub(crate) fn start(&mut self) {
        let log = append_to(&self.log).expect("a log");
        let settings = self.settings.iter().map(|(key, value)| (key, value));
        let mut command = Command::new(&self.executable);
        command.env_clear().envs(settings).stderr(log);
        let service = Service::start(&mut command, self.which.kind().announces());
        self.users.leads_to(address_of(&service.url));
        self.running = Some(service);
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(service) = self.running.take() {
            service.kill();
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// It does not end in a minute.
    pub(crate) fn stop(&mut self) -> Option<Ended> {
        let service = self.running.take()?;
        let start = Instant::now();
        Some(Ended {
            which: self.which,
            status: service.stop(),
            took: start.elapsed(),
        })
    }

    /// If nobody has ended it and it runs no longer: how it has ended. Then it is down.
    pub(crate) fn found_dead(&mut self) -> Option<String> {
        let gone = |service: &mut Service| !runs(service.id());
        let status = self.running.take_if(gone)?.wait();
        Some(format!("{} has ended by itself: {status}", self.which))
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Service::id)
    }
}

/// The address in a URL of a server on this machine.
pub(crate) fn address_of(url: &str) -> SocketAddr {
    let port = url
        .split(['/', '@'])
        .find_map(|part| part.rsplit_once(':')?.1.parse().ok());
    (Ipv4Addr::LOCALHOST, port.expect("a port")).into()
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
        let worker = ServiceId::Worker(0);
        assert_eq!(ended("true", worker, Duration::ZERO).wrong(), None);
        assert_eq!(ended("false", worker, GRACE).wrong(), None);
        assert!(ended("false", worker, GRACE / 2).wrong().is_some());
        assert!(ended("false", ServiceId::Vote(0), GRACE).wrong().is_some());
        let waited = ended("false", worker, GRACE);
        assert!(waited.wrong_when_all_is_well().is_some());
    }
}
