//! From the arguments to the exit code.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    args::LoadArgs,
    check::{CheckError, check},
    counts::Counts,
    load::{Load, StartError},
    plan::Plan,
    report::Report,
};

/// Something is wrong with the ballots.
const WRONG: u8 = 1;

/// It could not be found out whether something is.
const UNKNOWN: u8 = 2;

/// Between two looks at the counters.
const TICK: Duration = Duration::from_millis(250);

/// Where there is no terminal: ticks from line to line.
const TICKS_A_LINE: u32 = 20;

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
            progress.say("checking");
            Some(check(&history, sources).await?)
        }
        None => None,
    };
    progress.bar.finish_and_clear();
    Ok(Report::new(&history, verdict, took))
}

/// A bar on a terminal, and lines elsewhere.
struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
    ballots: Option<u64>,
    duration: Option<Duration>,
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let known = plan.ballots.is_some() || plan.duration.is_some();
        let bar = ProgressBar::with_draw_target(
            known.then_some(1_000),
            if on_terminal {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        let template = if known {
            "{elapsed_precise} {wide_bar} {percent:>3}%  {msg}"
        } else {
            "{elapsed_precise} {spinner}  {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            on_terminal,
            ballots: plan.ballots,
            duration: plan.duration,
        }
    }

    fn say(&self, what: &'static str) {
        self.bar.set_message(what);
        if !self.on_terminal {
            eprintln!("{what}");
        }
    }

    /// Until all ballots have an outcome.
    async fn follow(&self, load: &Load) {
        let begun = Instant::now();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut before = (begun, Counts::default());
        let mut to_line = TICKS_A_LINE;
        loop {
            let over = tokio::select! {
                () = load.cast() => true,
                _ = ticks.tick() => false,
            };
            if over {
                return;
            }
            let now = (Instant::now(), load.counts());
            to_line -= 1;
            if self.on_terminal || to_line == 0 {
                let line = line(&before, &now, load.latencies());
                if !self.on_terminal {
                    eprintln!("{line}");
                    to_line = TICKS_A_LINE;
                }
                self.bar.set_message(line);
                before = now;
            }
            self.bar.set_position(self.share(begun.elapsed(), &now.1));
        }
    }

    /// How much is done, in thousandths.
    fn share(&self, elapsed: Duration, counts: &Counts) -> u64 {
        let of_ballots = self
            .ballots
            .map(|ballots| counts.ended() * 1_000 / ballots.max(1));
        let of_time = self.duration.map(|duration| {
            let share = elapsed.as_millis() * 1_000 / duration.as_millis().max(1);
            u64::try_from(share).unwrap_or(1_000)
        });
        of_ballots.max(of_time).unwrap_or(0).min(1_000)
    }
}

fn line(before: &(Instant, Counts), now: &(Instant, Counts), [p50, p99]: [Duration; 2]) -> String {
    let millis = (now.0 - before.0).as_millis().max(1);
    let more = u128::from(now.1.acknowledged - before.1.acknowledged);
    let rate = more * 1_000 / millis;
    let Counts {
        acknowledged,
        unknown,
        refused,
        unreachable,
        ..
    } = now.1;
    let in_flight = now.1.missed();
    let [p50, p99] = [p50, p99].map(|time| time.as_secs_f64() * 1_000.0);
    format!(
        "{acknowledged} acknowledged, {rate}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, \
         {in_flight} waiting, {} refused, {unknown} unknown",
        refused + unreachable
    )
}
