//! The whole voting system in one process, on one file.
//!
//! Serves the voting page, the live result and the operator's API, and runs the worker between
//! them: the same library code as the separate services, with the embedded store in place of
//! Redis and Postgres. Its commands are tools for operators.

mod app;
mod command;
mod doctor;
mod migrate;
mod report;
mod rewind;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use command::{Arguments, Command};
use voting_service::{check_config, healthcheck, run_with};

fn main() -> ExitCode {
    let Arguments { settings, command } = Arguments::parse();
    match command {
        None if settings.healthcheck => healthcheck("voting", &settings, |config| {
            vec![
                config.vote.listen,
                config.result.listen,
                config.worker.listen,
            ]
        }),
        None if settings.check_config => check_config("voting", &settings),
        None => run_with("voting", &settings, app::run),
        Some(Command::Doctor(doctor)) => doctor.run(&settings),
        Some(Command::Config(config)) => config.run(&settings),
        Some(Command::Load(load)) => voting_load::run(&load),
        Some(Command::Migrate(migrate)) => {
            run_with("voting", &settings, async |c| migrate.run(&c).await)
        }
        Some(Command::Rewind(rewind)) => {
            run_with("voting", &settings, async |c| rewind.run(&c).await)
        }
    }
}
