//! From the command line to the exit code.

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use clap::{CommandFactory, FromArgMatches, ValueEnum};
use voting_core::error::in_one_line;

use crate::{
    runtime::{healthcheck::healthcheck, logging, services::Exit, traces::Traces},
    settings::{
        cli::Cli, config::Config, load::LoadedSettings, log::LogFormat, provenance::with_origin,
        service::Service,
    },
};

/// Runs a service whose addresses `listens` gives: reads its command line and settings, then runs `program`, or only
/// asks the running service.
pub fn run<E: Error + 'static>(
    name: &'static str,
    listens: impl FnOnce(&Config) -> SocketAddr,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> ExitCode {
    // All services have the same command line. Without a name, it would show the name of this package.
    let given = Cli::command().name(name).get_matches();
    let cli = Cli::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    if cli.healthcheck {
        return healthcheck(name, &cli, |config| vec![listens(config)]);
    }
    if cli.check_config {
        return check_config(name, &cli);
    }
    run_with(name, &cli, program)
}

/// `--check-config`: prints what would prevent the program of this name from starting. Ends with 0 if nothing would,
/// otherwise with 1.
pub fn check_config(name: &str, cli: &Cli) -> ExitCode {
    let mut format = LogFormat::default();
    let faults = match LoadedSettings::load(cli, None) {
        Ok(loaded) => {
            format = loaded.log_format();
            let service = Service::value_variants()
                .iter()
                .find(|service| service.program() == name);
            let services: Vec<_> = service.copied().into_iter().collect();
            loaded
                .faults_for(&services)
                .unwrap_or_else(|error| vec![error.to_string()])
        }
        Err(error) => vec![in_one_line(&error)],
    };
    for fault in &faults {
        logging::complain(name, fault, format);
    }
    if faults.is_empty() {
        println!("{name}: the settings are good");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// Runs a program that has further arguments on its command line.
pub fn run_with<E: Error + 'static>(
    name: &str,
    cli: &Cli,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> ExitCode {
    let loaded = match LoadedSettings::load(cli, None) {
        Ok(loaded) => loaded,
        Err(error) => {
            logging::complain(name, &in_one_line(&error), LogFormat::default());
            return ExitCode::FAILURE;
        }
    };
    let format = loaded.log_format();
    let settings = loaded.settings().to_vec();
    match try_run(name, loaded, program) {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Failed | Exit::AtOnce) => ExitCode::FAILURE,
        Err(error) => {
            let error = with_origin(&in_one_line(error.as_ref()), &settings);
            logging::complain(name, &error, format);
            ExitCode::FAILURE
        }
    }
}

fn try_run<E: Error + 'static>(
    name: &str,
    settings: LoadedSettings,
    program: impl AsyncFnOnce(Config) -> Result<Exit, E>,
) -> Result<Exit, Box<dyn Error>> {
    let config = settings.into_config()?;
    let traces = Traces::start(name, &config.traces)?;
    logging::start(&config.log, config.log_format, traces.as_ref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(program(config))?;
    // The wait has a limit: a disk or a server may hang.
    let seconds = if exit == Exit::AtOnce { 0 } else { 2 };
    runtime.shutdown_timeout(Duration::from_secs(seconds));
    // At this point no more spans are made.
    if let Some(traces) = traces
        && exit != Exit::AtOnce
    {
        traces.finish();
    }
    Ok(exit)
}
