//! From the command line to the exit code.

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use clap::{CommandFactory, FromArgMatches};
use voting_core::error::in_one_line;

use crate::{Cli, Config, Exit, healthcheck::healthcheck, logging, traces::Traces};

/// Runs a service, which listens where `listens` says: reads its command line and settings, then does as
/// `program` says, or only asks the one that is running.
pub fn run<E: Error + 'static>(
    name: &'static str,
    listens: impl FnOnce(&Config) -> SocketAddr,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> ExitCode {
    // The command line is the same for all services; by itself it would call itself by the name of this package.
    let given = Cli::command().name(name).get_matches();
    let cli = Cli::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
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
    match try_run(name, cli, program) {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Failed | Exit::AtOnce) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {}", in_one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn try_run<E: Error + 'static>(
    name: &str,
    cli: &Cli,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> Result<Exit, Box<dyn Error>> {
    let config = Config::load(cli)?;
    let traces = Traces::start(name, &config.traces)?;
    logging::start(&config.log, config.log_format, traces.as_ref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(program(config))?;
    // Not for ever, as for a disk or a server that hangs.
    let patience = if exit == Exit::AtOnce { 0 } else { 2 };
    runtime.shutdown_timeout(Duration::from_secs(patience));
    // By now nobody makes any.
    if let Some(traces) = traces
        && exit != Exit::AtOnce
    {
        traces.finish();
    }
    Ok(exit)
}
