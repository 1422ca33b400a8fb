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
    journal::Journal,
    loads::Loads,
    logs,
    plan::{Fault, Pace, plan},
    programs,
    report::Report,
    stage::{Props, Stage},
    watch::Watch,
};

/// After this time it is said that a fault goes on.
const LONG: Duration = Duration::from_secs(5);

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
    /// Whether the data of Redis and Postgres is kept whatever comes.
    pub keep: bool,
    /// Where each run has a folder; `target/torture` unless given.
    pub logs: Option<PathBuf>,
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
    let default = || voting_testing::root().join("target").join("torture");
    let parent = options.logs.clone().unwrap_or_else(default);
    let journal = Arc::new(Journal::begin(&parent, options.seed)?);
    journal.say(&options.to_string());
    let (revision, folder) = (programs::revision(), journal.folder().display());
    journal.say(&format!("revision {revision}; logs in {folder}"));

    let broken = options.broken;
    let built = tokio::task::spawn_blocking(move || programs::build(broken)).await;
    let (programs, worker) = built.map_err(io::Error::other)??;
    let props = Props {
        programs,
        worker,
        logs: journal.folder().to_owned(),
        durable: broken != Some(Broken::Everysec),
    };
    let mut stage = Stage::set(&props).await?;
    if let Some(error) = stage.no_fuse.take() {
        // Without power cuts nothing would be found out.
        if disk::is_expected() || broken == Some(Broken::Everysec) {
            return Err(RunError::NoFuse(error));
        }
        let why = &error.0;
        journal.say(&format!("{error}: {why}. Power cuts are only kills."));
    }
    let report = play(options, &stage, &journal).await;
    let failed = report
        .as_ref()
        .map_or(true, |report| !report.wrong().is_empty());
    if let Ok(report) = &report {
        journal.say(&report.to_string());
    }
    // What is broken is to fail, over and over.
    if options.keep || failed && broken.is_none() {
        // The verdict stands, whether there is room for the data or not.
        journal.say(&match stage.keep(journal.folder()).await {
            Ok(()) => format!("the stores' data is in {folder}"),
            Err(error) => format!("the stores' data cannot be kept: {error}"),
        });
    }
    report
}

async fn play(
    options: &Options,
    stage: &Stage,
    journal: &Arc<Journal>,
) -> Result<Report, RunError> {
    let addresses = Addresses::of(stage).await;
    addresses.prepare().await?;
    let accepted_before = addresses.accepted().await?;

    let start = Instant::now();
    let loads = Loads::start(&addresses.votes, options.rate)?;
    let mut report = Report::new(options, stage.has_power_cuts().await);
    report.accepted_before = accepted_before;
    let watch = Watch::start(&addresses)?;
    let faults = plan(options.seed, options.faults, options.pace);
    let told = Told {
        start,
        loads: &loads,
        journal,
    };
    hurt(stage, faults, options.at_once, &told, &mut report).await?;

    told.say("all is to be well again");
    let patience = options.patience;
    let watched = tokio::task::spawn_blocking(move || {
        let wrong = watch.all_is_well(patience);
        (wrong, watch.longest())
    });
    let (wrong, longest) = watched.await.map_err(io::Error::other)?;
    report.services.extend(wrong);
    report.longest_away = longest;
    report.services.extend(loads.goes_on(options.ballots).await);
    let postgres = stage.postgres.lock().await.server.url("voting");
    told.say("the load ends, and all is to be counted");
    loads.judge(&addresses, &postgres, &mut report).await?;
    report.services.extend(stage.found_dead().await);
    report.services.extend(stage.stop_services().await);
    report.services.extend(logs::panics(journal.folder())?);
    report.took = start.elapsed();
    Ok(report)
}

fn secs(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// Who tells of the run while it goes on.
struct Told<'a> {
    start: Instant,
    loads: &'a Loads,
    journal: &'a Arc<Journal>,
}

impl Told<'_> {
    fn say(&self, what: &str) {
        self.journal
            .say(&format!("{:8.3} s  {what}", secs(self.start)));
    }
}

/// Makes the faults, each when it is due, or once the one before it with the same victim is over.
async fn hurt(
    stage: &Stage,
    faults: Vec<Fault>,
    at_once: usize,
    told: &Told<'_>,
    report: &mut Report,
) -> Result<(), RunError> {
    let turns = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running = JoinSet::new();
    for (nth, fault) in (1..).zip(faults) {
        tokio::time::sleep(fault.gap).await;
        let turn = Arc::clone(&turns).acquire_owned().await;
        let victims = Victims::of(&fault.what, stage).await;
        while let Some(over) = running.try_join_next() {
            is_over(over, told, report)?;
        }
        let (start, at) = (told.start, secs(told.start));
        let goes_on = tokio::spawn(goes_on(Arc::clone(told.journal), nth, fault, start));
        running.spawn_blocking(move || {
            let _turn = turn;
            let began = Instant::now();
            let suffered = victims.suffer(fault.what, fault.length);
            goes_on.abort();
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
        is_over(over, told, report)?;
    }
    Ok(())
}

/// Says which fault it is that takes so long, should it never be over.
async fn goes_on(journal: Arc<Journal>, nth: usize, fault: Fault, start: Instant) {
    tokio::time::sleep(LONG).await;
    let (now, what) = (secs(start), fault.what);
    journal.say(&format!("{now:8.3} s  #{nth:<4} {what}, and goes on"));
}

/// A fault that is put right.
struct Over {
    nth: usize,
    fault: Fault,
    at: f64,
    took: Duration,
    suffered: Suffered,
}

fn is_over(
    over: Result<Over, tokio::task::JoinError>,
    told: &Told<'_>,
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
    told.journal.say(&format!(
        "{at:8.3} s  #{nth:<4} {what}{note}, {took:.2} s; {acknowledged} acknowledged by {now:.3} s",
        what = fault.what,
        took = took.as_secs_f64(),
        acknowledged = told.loads.acknowledged(),
        now = secs(told.start),
    ));
    for wrong in &suffered.wrong {
        told.say(wrong);
    }
    report.services.extend(suffered.wrong);
    told.loads.spread()?;
    Ok(())
}
