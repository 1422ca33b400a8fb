//! From the arguments to the exit code.

use std::{error::Error, io::Write, process::ExitCode, time::Instant};

use voting_signals::StopSignals;

use crate::{
    args::{InvalidArgs, LoadArgs},
    casting::load::{Load, StartError},
    checking::{check::check_with, error::CheckError},
    plan::Plan,
    progress::Progress,
    report::{Outcome, Report},
};

/// The exit code if the ballots are wrong.
const WRONG: u8 = 1;

/// The exit code if it could not be found out whether the ballots are right.
const UNKNOWN: u8 = 2;

/// The exit code if the ballots are right, but a limit was exceeded.
const OVER_LIMITS: u8 = 3;

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Args(#[from] InvalidArgs),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("cannot start")]
    Runtime(#[from] std::io::Error),
    #[error("stopped before all ballots were answered")]
    Stopped,
}

/// Runs `voting load`: prints the outcome. The exit code says whether the promise was kept.
pub fn run(args: &LoadArgs) -> ExitCode {
    match try_run(args) {
        Ok(report) => {
            let text = if args.json {
                serde_json::to_string(&report).unwrap_or_default() + "\n"
            } else {
                report.to_string()
            };
            // If nothing reads the output, the exit code still shows the outcome.
            let _ = std::io::stdout().write_all(text.as_bytes());
            match report.outcome() {
                Outcome::Well => ExitCode::SUCCESS,
                Outcome::Wrong => ExitCode::from(WRONG),
                Outcome::Unknown => ExitCode::from(UNKNOWN),
                Outcome::OverLimits => ExitCode::from(OVER_LIMITS),
            }
        }
        Err(error) => {
            eprintln!("voting load: {}", in_full(&error));
            ExitCode::from(UNKNOWN)
        }
    }
}

/// An error with all its causes.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

fn try_run(args: &LoadArgs) -> Result<Report, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(cast_and_check(args));
    // A running read of the store is not waited for.
    runtime.shutdown_background();
    report
}

/// The first signal ends the load, and the ballots cast until then are checked. A second signal ends everything.
async fn cast_and_check(args: &LoadArgs) -> Result<Report, RunError> {
    args.check()?;
    let secret = args.secret()?;
    let mut signals = StopSignals::listen()?;
    let mut sources = args.sources();
    let plan = signals.or(async {
        let plan = args.plan().await?;
        if let Some(sources) = &mut sources {
            sources.look_before(&plan.poll).await?;
        }
        Ok::<_, CheckError>(plan)
    });
    let plan = plan.await.ok_or(RunError::Stopped)??;
    let plan = Plan { secret, ..plan };
    let progress = Progress::new(&plan);
    let begun = Instant::now();
    let load = Load::start(plan)?;
    let _ = signals.or(progress.follow(&load)).await;
    let took = begun.elapsed();
    let history = signals.or(load.stop()).await.ok_or(RunError::Stopped)?;
    let verdict = match &sources {
        Some(sources) => {
            progress.say("checking".to_owned());
            let on_step = |step| progress.step(step);
            let verdict = signals.or(check_with(&history, sources, &on_step)).await;
            // The counts are reported even without a verdict.
            Some(match verdict {
                Some(verdict) => verdict.map_err(|error| in_full(&error)),
                None => Err("it was stopped".to_owned()),
            })
        }
        None => None,
    };
    progress.finish();
    Ok(Report::new(&history, verdict, took, &args.limits))
}
