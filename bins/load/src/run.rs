//! From the arguments to the exit code.

use std::{io::Write, process::ExitCode, time::Instant};

use crate::{
    args::LoadArgs,
    check::{CheckError, check},
    load::{Load, StartError},
    progress::Progress,
    report::Report,
};

/// Something is wrong with the ballots.
const WRONG: u8 = 1;

/// It could not be found out whether something is.
const UNKNOWN: u8 = 2;

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("cannot start")]
    Runtime(#[from] std::io::Error),
}

/// Runs `voting load`: prints the outcome, and says by the exit code whether the promise was kept.
pub fn run(args: &LoadArgs) -> ExitCode {
    match try_run(args) {
        Ok(report) => {
            let text = if args.json {
                serde_json::to_string(&report).unwrap_or_default() + "\n"
            } else {
                report.to_string()
            };
            // Whoever started it may have gone; the exit code tells as well.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if report.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(WRONG)
            }
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                text += &format!(": {error}");
                source = error.source();
            }
            eprintln!("voting load: {text}");
            ExitCode::from(UNKNOWN)
        }
    }
}

fn try_run(args: &LoadArgs) -> Result<Report, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(cast_and_check(args))
}

async fn cast_and_check(args: &LoadArgs) -> Result<Report, RunError> {
    let plan = args.plan().await?;
    let mut sources = args.sources();
    if let Some(sources) = &mut sources {
        sources.look_before(&plan.poll).await?;
    }
    let progress = Progress::new(&plan);
    let begun = Instant::now();
    let load = Load::start(plan)?;
    let took = tokio::select! {
        () = progress.follow(&load) => begun.elapsed(),
        // What was cast until then is checked.
        _ = tokio::signal::ctrl_c() => begun.elapsed(),
    };
    let history = load.stop().await;
    let verdict = match &sources {
        Some(sources) => {
            progress.say("checking".to_owned());
            Some(check(&history, sources).await?)
        }
        None => None,
    };
    progress.finish();
    Ok(Report::new(&history, verdict, took))
}
