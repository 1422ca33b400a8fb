//! The whole voting system in one process, on one file.
//!
//! Serves the voting page, the live result and the operator's API, and runs the worker between
//! them: the same library code as the separate services, with the embedded store in place of
//! Redis and Postgres.

mod app;
mod cli;
mod config;
mod secrets;
mod signals;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match run(&cli) {
        Ok(clean) => {
            if clean {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("voting: {}", in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Whether all ended as it should.
fn run(cli: &cli::Cli) -> Result<bool, Box<dyn std::error::Error>> {
    let config = config::Config::load(cli)?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.log)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let app = app::App::start(config).await?;
        app.announce();
        Ok(app.run().await)
    })
}

/// An error with its causes.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
