//! From the command line to the exit code.

use std::{error::Error, io::IsTerminal, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, ParseError, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};
use voting_core::{error::in_one_line, trace::TARGET};

use crate::{
    Cli, Config, Exit,
    config::LogFormat,
    healthcheck::healthcheck,
    traces::{Traces, WithTrace},
};

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
    start_logging(&config, traces.as_ref())?;
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

/// The setting says nothing that can be logged by.
#[derive(Debug, thiserror::Error)]
#[error("log is not a level, or levels by module, such as info or info,voting_core=debug")]
pub(crate) struct BadLog(#[from] ParseError);

/// Whether it can be logged by.
pub(crate) fn check_log(log: &str) -> Result<(), BadLog> {
    EnvFilter::try_new(log)?;
    Ok(())
}

/// Log lines go to the standard error output, and what is followed to where its traces go.
fn start_logging(config: &Config, traces: Option<&Traces>) -> Result<(), BadLog> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .map_event_format(WithTrace)
            .boxed(),
    };
    let lines = lines.with_filter(EnvFilter::try_new(&config.log)?);
    let spans = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_level(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .init();
    Ok(())
}
