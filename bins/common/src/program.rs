//! From the command line to the exit code.

use std::{error::Error, io::IsTerminal, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use tracing_subscriber::{EnvFilter, filter::ParseError};
use voting_core::error::in_one_line;

use crate::{Cli, Config, Exit, config::LogFormat, healthcheck::healthcheck};

/// Runs a service, which listens where `listens` says: reads its command line and settings, then does as
/// `program` says, or only asks the one that is running.
pub fn run<E: Error + 'static>(
    name: &str,
    listens: impl FnOnce(&Config) -> SocketAddr,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> ExitCode {
    let cli = Cli::parse();
    if cli.healthcheck {
        return healthcheck(name, &cli, |config| vec![listens(config)]);
    }
    run_with(name, &cli, program)
}

/// The same, for a program whose command line has more in it.
pub fn run_with<E: Error + 'static>(
    name: &str,
    cli: &Cli,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> ExitCode {
    match try_run(cli, program) {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Failed | Exit::AtOnce) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {}", in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn try_run<E: Error + 'static>(
    cli: &Cli,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> Result<Exit, Box<dyn Error>> {
    let config = Config::load(cli)?;
    start_logging(&config)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(program(config))?;
    // Not for ever, as for a disk or a server that hangs.
    let patience = if exit == Exit::AtOnce { 0 } else { 2 };
    runtime.shutdown_timeout(Duration::from_secs(patience));
    Ok(exit)
}

/// The setting says nothing that can be logged by.
#[derive(Debug, thiserror::Error)]
#[error("log is not a level, or levels by module, such as info or info,voting_core=debug")]
pub(crate) struct BadLog(#[from] ParseError);

/// Whether it can be logged by.
pub(crate) fn check_log(log: &str) -> Result<(), BadLog> {
    EnvFilter::try_new(log)?;
    Ok(())
}

/// Log lines go to the standard error output.
fn start_logging(config: &Config) -> Result<(), BadLog> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.log)?)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
