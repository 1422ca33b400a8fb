//! A run: the load, the faults, and the verdict.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};
use voting_load::{CheckError, StartError};

use crate::{
    addresses::Addresses,
    broken::Broken,
    disk::{self, NoFuse},
    inject::{Suffered, Victims},
    loads::Loads,
    logs,
    plan::{Fault, Pace, plan},
    programs,
    report::Report,
    stage::{Props, Stage},
    watch::Watch,
};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides the faults.
    pub seed: u64,
    /// How many.
    pub faults: usize,
    /// How fast they come.
    pub pace: Pace,
    /// So many at a time, at most.
    pub at_once: usize,
    /// Ballots a second, over all.
    pub rate: f64,
    /// Goes on until so many are acknowledged.
    pub ballots: u64,
    /// So long a service may take until it is ready again and does its work.
    pub patience: Duration,
    /// What is broken, to see that the run fails.
    pub broken: Option<Broken>,
    /// Where the services log.
    pub logs: PathBuf,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something cannot be started.
    #[error("the stage cannot be set")]
    Stage(#[from] io::Error),
    /// The load cannot be started.
    #[error("there is no load")]
    Load(#[from] StartError),
    /// A service or server did not do in a minute what it should.
    #[error("waited in vain: {0}")]
    InVain(&'static str),
    /// There is nothing to judge by.
    #[error("the ballots cannot be checked")]
    Check(#[from] CheckError),
    /// Power cuts were expected.
    #[error("there must be FUSE: EXPECT_FUSE is set, or --broken everysec asked for")]
    NoFuse(#[source] NoFuse),
    /// A fault could not be put right.
    #[error("a fault could not be put right: {0}")]
    Fault(String),
}

/// Runs, and tells what was found. What happens meanwhile is printed.
///
/// # Errors
/// [`RunError`].
pub async fn run(options: &Options) -> Result<Report, RunError> {
    let broken = options.broken;
    let built = tokio::task::spawn_blocking(move || programs::build(broken)).await;
    let (programs, worker) = built.map_err(io::Error::other)??;
    let props = Props {
        programs,
        worker,
        logs: options.logs.clone(),
        durable: broken != Some(Broken::Everysec),
    };
    let mut stage = Stage::set(&props).await?;
    if let Some(error) = stage.no_fuse.take() {
        // Without power cuts nothing would be found out.
        if disk::is_expected() || broken == Some(Broken::Everysec) {
            return Err(RunError::NoFuse(error));
        }
        println!("{error}: {}. Power cuts are only kills.", error.0);
    }
    let addresses = Addresses::of(&stage).await;
    addresses.prepare().await?;
    let accepted_before = addresses.accepted().await?;

    let start = Instant::now();
    let loads = Loads::start(&addresses.votes, options.rate)?;
    let mut report = Report::new(options, stage.has_power_cuts().await);
    report.accepted_before = accepted_before;
    let watch = Watch::start(&addresses)?;
    let faults = plan(options.seed, options.faults, options.pace);
    hurt(&stage, faults, options.at_once, start, &loads, &mut report).await?;

    println!("{:8.3} s  all is to be well again", secs(start));
    let patience = options.patience;
    let watched = tokio::task::spawn_blocking(move || {
        let wrong = watch.all_is_well(patience);
        (wrong, watch.longest())
    });
    let (wrong, longest) = watched.await.map_err(io::Error::other)?;
    report.services.extend(wrong);
    report.longest_away = longest;
    loads.goes_on(options.ballots).await?;
    let postgres = stage.postgres.lock().await.server.url("voting");
    loads.judge(&addresses, &postgres, &mut report).await?;
    report.services.extend(stage.found_dead().await);
    report.services.extend(stage.stop_services().await);
    report.services.extend(logs::panics(&options.logs)?);
    report.took = start.elapsed();
    Ok(report)
}

fn secs(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// Makes the faults, each when it is due, or once the one before it with the same victim is over.
async fn hurt(
    stage: &Stage,
    faults: Vec<Fault>,
    at_once: usize,
    start: Instant,
    loads: &Loads,
    report: &mut Report,
) -> Result<(), RunError> {
    let turns = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running = JoinSet::new();
    for (nth, fault) in (1..).zip(faults) {
        tokio::time::sleep(fault.gap).await;
        let turn = Arc::clone(&turns).acquire_owned().await;
        let victims = Victims::of(&fault.what, stage).await;
        while let Some(over) = running.try_join_next() {
            told(over, start, loads, report)?;
        }
        running.spawn_blocking(move || {
            let _turn = turn;
            let (began, at) = (Instant::now(), secs(start));
            let suffered = victims.suffer(fault.what, fault.length);
            Over {
                nth,
                fault,
                at,
                took: began.elapsed(),
                suffered,
            }
        });
    }
    while let Some(over) = running.join_next().await {
        told(over, start, loads, report)?;
    }
    Ok(())
}

/// A fault that is put right.
struct Over {
    nth: usize,
    fault: Fault,
    at: f64,
    took: Duration,
    suffered: Suffered,
}

fn told(
    over: Result<Over, tokio::task::JoinError>,
    start: Instant,
    loads: &Loads,
    report: &mut Report,
) -> Result<(), RunError> {
    let over = over.map_err(|error| {
        let panic = error.try_into_panic().ok();
        let text = panic.as_ref().and_then(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            text.or_else(|| panic.downcast_ref::<&str>().copied())
        });
        RunError::Fault(text.unwrap_or("no reason").to_owned())
    })?;
    let Over {
        nth,
        fault,
        at,
        took,
        suffered,
    } = over;
    report.faults.add(fault.kind, suffered.made.is_ok());
    let note = match suffered.made {
        Ok(note) if note.is_empty() => note,
        Ok(note) => format!(" ({note})"),
        Err(why) => format!(" (NOT MADE: {why})"),
    };
    println!(
        "{at:8.3} s  #{nth:<4} {what}{note}, {took:.2} s; {acknowledged} acknowledged by {now:.3} s",
        what = fault.what,
        took = took.as_secs_f64(),
        acknowledged = loads.acknowledged(),
        now = secs(start),
    );
    for wrong in &suffered.wrong {
        println!("{:8.3} s  {wrong}", secs(start));
    }
    report.services.extend(suffered.wrong);
    loads.spread()?;
    Ok(())
}
