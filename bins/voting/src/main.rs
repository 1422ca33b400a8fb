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
use voting_core::error::in_one_line;

use crate::app::Exit;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match run(&cli) {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Failed | Exit::AtOnce) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("voting: {}", in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &cli::Cli) -> Result<Exit, Box<dyn std::error::Error>> {
    let config = config::Config::load(cli)?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.log)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(async {
        let app = app::App::start(config).await?;
        app.announce();
        Ok::<_, app::StartError>(app.run().await)
    })?;
    if exit == Exit::AtOnce {
        // Not even for a disk that hangs.
        runtime.shutdown_background();
    }
    Ok(exit)
}
