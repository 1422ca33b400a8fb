//! The whole voting system in one process, on one file, and the operator's commands.
//!
//! [`run`] serves the voting page, the live result and the operator's API, and runs the worker. It uses the same
//! library code as the separate services, with the embedded store in place of Redis and Postgres. [`main`] is the
//! program `voting`: it calls [`run`], or runs one of the commands.

mod all_in_one;
mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use voting_service::{StopOn, check_config, healthcheck, run_with};

pub use self::all_in_one::{StartError, run};
use self::arguments::{Arguments, Command};

/// The program: from its command line to its exit code.
pub fn main() -> ExitCode {
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
        None => run_with("voting", &settings, |config| run(config, StopOn::Signal)),
        Some(Command::Codes(codes)) => run_with("voting", &settings, async |c| codes.run(&c).await),
        Some(Command::Doctor(doctor)) => doctor.run(&settings),
        Some(Command::Config(config)) => config.run(&settings),
        Some(Command::Export(export)) => {
            run_with("voting", &settings, async |c| export.run(&c).await)
        }
        Some(Command::ForgetVoters(forget)) => {
            run_with("voting", &settings, async |c| forget.run(&c).await)
        }
        Some(Command::ImportPolls(import)) => {
            run_with("voting", &settings, async |c| import.run(&c).await)
        }
        Some(Command::Load(load)) => voting_load::run(&load),
        Some(Command::Migrate(migrate)) => {
            run_with("voting", &settings, async |c| migrate.run(&c).await)
        }
        Some(Command::Rewind(rewind)) => {
            run_with("voting", &settings, async |c| rewind.run(&c).await)
        }
        Some(Command::Void(void)) => run_with("voting", &settings, async |c| void.run(&c).await),
    }
}
