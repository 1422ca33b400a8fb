//! Starts a torture run; see the library.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use voting_torture::{Broken, Options, Pace, run};

/// Runs the services under load, on servers of their own, while everything around them fails.
///
/// Ends with 0 if each acknowledged ballot counts, once.
#[derive(Debug, Parser)]
struct Cli {
    /// Decides which faults there are; one by chance unless given
    #[arg(long)]
    seed: Option<u64>,
    /// How many faults
    #[arg(long, default_value_t = 100)]
    faults: usize,
    /// From one fault to the next, on average, in milliseconds
    #[arg(long, default_value_t = 800)]
    gap_ms: u64,
    /// The longest fault, in milliseconds
    #[arg(long, default_value_t = 4_000)]
    longest_ms: u64,
    /// How many faults at a time, at most
    #[arg(long, default_value_t = 3)]
    at_once: usize,
    /// Ballots a second
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Go on until so many ballots are acknowledged
    #[arg(long, default_value_t = 0)]
    ballots: u64,
    /// How long a service may take until it is ready again and does its work, in milliseconds
    #[arg(long, default_value_t = 60_000)]
    patience_ms: u64,
    /// Break something, to see that the run fails
    #[arg(long)]
    broken: Option<Broken>,
    /// Keep the data of Redis and Postgres, which is kept anyway if the run fails and nothing was broken
    #[arg(long)]
    keep: bool,
    /// Where each run has a folder with its logs, of which the last few stay; `target/torture` unless given
    #[arg(long)]
    logs: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = Options {
        seed: cli.seed.unwrap_or_else(|| fastrand::u64(..)),
        faults: cli.faults,
        pace: Pace {
            gap: Duration::from_millis(cli.gap_ms),
            longest: Duration::from_millis(cli.longest_ms),
        },
        at_once: cli.at_once,
        rate: cli.rate,
        ballots: cli.ballots,
        patience: Duration::from_millis(cli.patience_ms),
        broken: cli.broken,
        keep: cli.keep,
        logs: cli.logs,
    };
    match run(&options).await {
        Ok(report) => {
            if report.wrong().is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                eprintln!("{error}");
                cause = error.source();
            }
            eprintln!("No verdict. The same faults again: {options}");
            ExitCode::from(2)
        }
    }
}
