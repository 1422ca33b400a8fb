//! `voting doctor`: checks a deployment as its operator sees it. Each finding is a line with what to do about it. It
//! changes nothing and shows no secret.
//!
//! Each file checks one thing. A check that fails does not stop the others, and none takes longer than `--timeout`.

mod certificate;
mod clocks;
mod count;
mod entry_keys;
mod file;
mod host_logins;
mod log;
mod logins;
mod open_files;
mod polls;
mod postgres;
mod redis;
mod secret;
mod services;
mod settings;
mod webhooks;

use std::{process::ExitCode, time::Duration};

use clap::Args;
use voting_core::{
    ErrorKind, StoreError,
    backends::{postgres::Postgres, redis::Redis},
    error::in_one_line,
};
use voting_service::{Cli, Config, LoadedSettings, Service};

use crate::commands::report::{Finding, Report};

/// Check a deployment, and say how to correct what is wrong
///
/// Reads the settings as a service would, and checks what they name: Redis and Postgres, or the file of the all-in-one.
/// It changes nothing. Exits with 0 if nothing is wrong (there may be warnings), with 1 if something is, and with 2 if
/// something could not be checked.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Check what this service needs; may be given several times
    ///
    /// Without it: the three services if both stores are named in the settings, voting-worker alone if then
    /// the operator's token is set and the secret is not, voting-vote if only Redis is named, voting-result
    /// if only Postgres is, else the all-in-one.
    #[arg(long = "for", value_name = "SERVICE", value_enum)]
    services: Vec<Service>,
    /// Also ask this vote service whether it is ready; may be given several times
    #[arg(long, value_name = "URL")]
    vote: Vec<String>,
    /// Also ask this result service
    #[arg(long, value_name = "URL")]
    result: Vec<String>,
    /// Also ask this worker
    #[arg(long, value_name = "URL")]
    worker: Vec<String>,
    /// Seconds that one check may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,
}

/// The data that the checks share.
struct Visit<'a> {
    config: &'a Config,
    /// The services whose needs are checked.
    services: Vec<Service>,
    timeout: Duration,
    report: Report,
}

impl Doctor {
    pub(crate) fn run(&self, cli: &Cli) -> ExitCode {
        let mut report = Report::new(self.json);
        let loaded = match LoadedSettings::load(cli, None) {
            Ok(loaded) => loaded,
            Err(error) => {
                settings::cannot_be_read(&mut report, &[error.to_string()]);
                return report.finish();
            }
        };
        settings::cannot_be_read(&mut report, &loaded.faults());
        // Settings that do not exist, or are out of their bounds, do not prevent the other checks.
        let Some(config) = loaded.config() else {
            return report.finish();
        };
        let runtime = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => {
                report.add(Finding::unknown("doctor", format!("cannot run: {error}")));
                return report.finish();
            }
        };
        let services = match self.services.as_slice() {
            [] => config.services(),
            given => given.to_vec(),
        };
        let visit = Visit {
            config,
            services,
            timeout: Duration::from_secs(self.timeout),
            report,
        };
        let report = runtime.block_on(self.visit(&loaded, visit));
        let exit = report.finish();
        // A hanging call must not prevent the doctor from ending.
        runtime.shutdown_timeout(Duration::ZERO);
        exit
    }

    async fn visit(&self, loaded: &LoadedSettings, mut visit: Visit<'_>) -> Report {
        settings::check(&mut visit, loaded);
        open_files::check(&mut visit);
        logins::check(&mut visit).await;
        host_logins::check(&mut visit).await;
        let uses = |uses: fn(Service) -> bool| visit.services.iter().any(|service| uses(*service));
        let (uses_redis, uses_postgres) = (uses(Service::uses_redis), uses(Service::uses_postgres));
        let redis = match uses_redis {
            true => redis::check(&mut visit).await,
            false => None,
        };
        let postgres = match uses_postgres {
            true => postgres::check(&mut visit).await,
            false => None,
        };
        let redis = redis.as_ref();
        let postgres = postgres.as_ref();
        if let Some(redis) = redis {
            secret::of_redis(&mut visit, redis).await;
            entry_keys::check(&mut visit, redis).await;
            log::check(&mut visit, redis).await;
        }
        if let Some(postgres) = postgres {
            count::dead_letters(&mut visit, postgres).await;
            if visit.services.contains(&Service::Worker) {
                webhooks::check(&mut visit, postgres).await;
            }
            polls::check(&mut visit, redis, postgres).await;
        }
        if let (Some(redis), Some(postgres)) = (redis, postgres) {
            count::conservation(&mut visit, redis, postgres).await;
        }
        clocks::check(&mut visit, redis, postgres).await;
        if visit.services.contains(&Service::AllInOne) {
            file::check(&mut visit).await;
        }
        for (name, urls) in [
            ("vote service", &self.vote),
            ("result service", &self.result),
            ("worker", &self.worker),
        ] {
            services::check(&mut visit, name, urls).await;
        }
        visit.report
    }
}

impl Visit<'_> {
    fn add(&mut self, finding: Finding) {
        self.report.add(finding);
    }

    /// The answer; otherwise adds a line that says why there is none.
    async fn look<T>(
        &mut self,
        check: &'static str,
        ask: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        match self.ask(ask).await {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.add(Finding::unknown(
                    check,
                    format!("could not be checked: {why}"),
                ));
                None
            }
        }
    }

    /// The answer, if it comes in time; otherwise the reason why there is none.
    async fn ask<T>(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
        match tokio::time::timeout(self.timeout, ask).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs())),
        }
    }

    fn is_for(&self, service: Service) -> bool {
        self.services.contains(&service)
    }
}

/// An error, in the words of the doctor.
fn why(error: &StoreError) -> String {
    if error.kind() == ErrorKind::Forbidden {
        let who = match error.backend() {
            Some("redis") => "the user of redis.url",
            _ => "the login of postgres.url",
        };
        return format!("{who} may not look ({})", in_one_line(error));
    }
    // The line already says that the store is unavailable.
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), in_one_line)
}

/// The two stores, if they could be reached.
type Stores<'a> = (Option<&'a Redis>, Option<&'a Postgres>);

/// Text such as `3 ballots`.
fn count_of(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A duration for people, in the largest unit of which it has at least two.
fn for_people(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..2 => format!("{} ms", time.as_millis()),
        2..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
