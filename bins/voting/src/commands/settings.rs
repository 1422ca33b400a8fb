//! `voting config`: checks and prints the settings, without asking any store.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use voting_service::{Cli, LoadedSettings, Service, announce};

use crate::commands::report::{Finding, Report};

/// Check or print the settings, without asking any store
#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Check(Check),
    /// Print the settings in force, each with where it was set
    Show,
}

/// List everything that is wrong with the settings
///
/// Reads the settings as the services would. Reports unknown settings, invalid values, settings that a service needs
/// and that are not set, and secrets that cannot be read. Exits with 0 if nothing is wrong, else with 1.
#[derive(Debug, Args)]
struct Check {
    /// Check what this service needs; may be given several times
    ///
    /// Without it: the three services if both stores are named in the settings, voting-worker alone if then
    /// the operator's token is set and the secret is not, voting-vote if only Redis is named, voting-result
    /// if only Postgres is, else the all-in-one.
    #[arg(long = "for", value_name = "SERVICE", value_enum)]
    services: Vec<Service>,
    /// Also print the settings, as `voting config show` does
    #[arg(long, conflicts_with = "json")]
    show: bool,
    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,
}

impl Settings {
    pub(crate) fn run(&self, cli: &Cli) -> ExitCode {
        match &self.what {
            What::Check(check) => check.run(cli),
            What::Show => match LoadedSettings::load(cli, None) {
                Ok(loaded) => show(&loaded),
                Err(error) => refuse(&[error.to_string()], false),
            },
        }
    }
}

impl Check {
    fn run(&self, cli: &Cli) -> ExitCode {
        let loaded = match LoadedSettings::load(cli, None) {
            Ok(loaded) => loaded,
            Err(error) => return refuse(&[error.to_string()], self.json),
        };
        if self.show {
            print(&loaded);
        }
        let mut report = Report::new(self.json);
        let services = match (self.services.as_slice(), loaded.config()) {
            ([], Some(config)) => config.services(),
            (given, _) => given.to_vec(),
        };
        let faults = match loaded.faults_for(&services) {
            Ok(faults) => faults,
            Err(error) => return refuse(&[error.to_string()], self.json),
        };
        if let Some(config) = loaded.config() {
            for remark in config.remarks_for(&services) {
                report.add(Finding::warn(
                    "settings",
                    remark,
                    "check whether this is intended",
                ));
            }
        }
        if faults.is_empty() {
            let names: Vec<_> = services.iter().map(|service| service.program()).collect();
            report.add(Finding::ok(
                "settings",
                format!("good for {}", names.join(", ")),
            ));
        }
        for fault in faults {
            report.add(Finding::fail(
                "settings",
                fault,
                "correct it where it is set",
            ));
        }
        report.finish()
    }
}

fn refuse(faults: &[String], is_json: bool) -> ExitCode {
    let mut report = Report::new(is_json);
    for fault in faults {
        report.add(Finding::fail(
            "settings",
            fault,
            "correct it where it is set",
        ));
    }
    report.finish()
}

/// Prints the settings in force, and the faults.
fn show(loaded: &LoadedSettings) -> ExitCode {
    print(loaded);
    let faults = loaded.faults();
    if faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    for fault in faults {
        eprintln!("voting: {fault}");
    }
    ExitCode::FAILURE
}

fn print(loaded: &LoadedSettings) {
    for setting in loaded.settings() {
        let (key, origin) = (&setting.key, &setting.origin);
        announce(&match &setting.value {
            Some(value) => format!("{key} = {value}  # {origin}\n"),
            None => format!("# {key} is not set\n"),
        });
    }
}
