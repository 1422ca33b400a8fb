//! A run: the load, the faults, and the verdict.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};
use voting_core::model::moment::Moment;

use crate::{
    addresses::Addresses,
    broken::Broken,
    cluster::Cluster,
    disk,
    electorate::{self, Provider},
    error::RunError,
    forgotten,
    inject::{Outcome, Targets},
    journal::Journal,
    loads::Loads,
    logs,
    options::Options,
    plan::{Fault, What, plan},
    process::Config,
    programs,
    report::Report,
    timed::{self, TimedPoll},
    voided::Voiding,
    watch::Watch,
};

/// After this time it is said that a fault goes on.
const LONG: Duration = Duration::from_secs(5);

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
    let (programs, executable) = built.map_err(io::Error::other)??;
    let config = Config {
        programs,
        broken: broken.map(Broken::program).zip(executable),
        logs: journal.folder().to_owned(),
        durable: broken != Some(Broken::Everysec),
        provider: Arc::new(Provider::in_folder(journal.folder())?),
    };
    let mut cluster = Cluster::start(&config).await?;
    if let Some(error) = cluster.no_fuse.take() {
        // Without power cuts nothing would be found out.
        if disk::is_expected() || broken == Some(Broken::Everysec) {
            return Err(RunError::NoFuse(error));
        }
        let why = &error.0;
        journal.say(&format!("{error}: {why}. Power cuts are only kills."));
    }
    let report = torture(options, &cluster, &journal, &config).await;
    let failed = report
        .as_ref()
        .map_or(true, |report| !report.wrong().is_empty());
    if let Ok(report) = &report {
        journal.say(&report.to_string());
    }
    // What is broken is to fail, over and over.
    if options.keep || failed && broken.is_none() {
        // The verdict stands, whether there is room for the data or not.
        journal.say(&match cluster.keep(journal.folder()).await {
            Ok(()) => format!("the stores' data is in {folder}"),
            Err(error) => format!("the stores' data cannot be kept: {error}"),
        });
    }
    report
}

async fn torture(
    options: &Options,
    cluster: &Cluster,
    journal: &Arc<Journal>,
    config: &Config,
) -> Result<Report, RunError> {
    let addresses = Addresses::of(cluster).await;
    addresses.prepare().await?;
    let postgres = cluster.postgres.lock().await.server.url("voting");
    let electors = electorate::electors(&config.provider, &addresses, &postgres).await?;
    let accepted_before = addresses.accepted().await?;
    let voiding = Voiding::start(&addresses, &postgres, options.seed).await?;

    let start = Instant::now();
    let loads = Loads::start(&addresses.votes, options.rate, electors)?;
    let mut report = Report::new(options, cluster.has_power_cuts().await);
    report.accepted_before = accepted_before;
    let watch = Watch::start(&addresses)?;
    let faults = plan(options.seed, options.faults, options.pace);
    let told = Told {
        start,
        loads: &loads,
        addresses: &addresses,
        journal,
    };
    make_faults(cluster, faults, options.at_once, &told, &mut report).await?;

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
    told.say("the load ends, and all is to be counted");
    report.voided = Some(voiding.end().await?);
    let told = |what: &str| journal.say(&format!("{:8.3} s  {what}", secs(start)));
    loads.judge(&addresses, &postgres, &mut report).await?;
    report.services.extend(cluster.found_dead().await);
    if options.broken.is_none() {
        told("the voters of a poll are forgotten, and the log is rewound");
        let wrong = forgotten::judge(cluster, &addresses, &config.programs).await?;
        report.services.extend(wrong);
        told("the result without voters is compared");
    }
    report.services.extend(cluster.stop_services().await);
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
    addresses: &'a Addresses,
    journal: &'a Arc<Journal>,
}

impl Told<'_> {
    fn say(&self, what: &str) {
        self.journal
            .say(&format!("{:8.3} s  {what}", secs(self.start)));
    }
}

/// Makes the faults, each when it is due, or once the one before it with the same target is over.
async fn make_faults(
    cluster: &Cluster,
    faults: Vec<Fault>,
    at_once: usize,
    told: &Told<'_>,
    report: &mut Report,
) -> Result<(), RunError> {
    let turns = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running = JoinSet::new();
    // Redis' ids are not ahead of its clock before they jump.
    let mut ids = Moment::now();
    for (nth, fault) in (1..).zip(faults) {
        tokio::time::sleep(fault.gap).await;
        // What is no fault does not keep faults from being made.
        let timed = match fault.what {
            What::Timed(lasts) => Some((
                lasts,
                told.addresses.votes.clone(),
                told.addresses.workers.clone(),
            )),
            _ => None,
        };
        let turn = match timed {
            Some(_) => None,
            None => Some(Arc::clone(&turns).acquire_owned().await),
        };
        let targets = Targets::of(&fault.what, cluster).await;
        if let What::Jump(by) = fault.what {
            ids = Moment::now().max(ids).plus(by);
        }
        while let Some(over) = running.try_join_next() {
            is_over(over, told, report)?;
        }
        let (start, at) = (told.start, secs(told.start));
        let goes_on = tokio::spawn(goes_on(Arc::clone(told.journal), nth, fault, start));
        running.spawn_blocking(move || {
            let _turn = turn;
            let began = Instant::now();
            let (outcome, timed) = match timed {
                Some((lasts, votes, workers)) => {
                    let (outcome, poll) =
                        timed::hold(&format!("timed-{nth}"), lasts, ids, &votes, &workers);
                    (outcome, poll)
                }
                None => (targets.hit(fault.what, fault.length), None),
            };
            goes_on.abort();
            Over {
                timed,
                nth,
                fault,
                at,
                took: began.elapsed(),
                outcome,
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
    outcome: Outcome,
    timed: Option<TimedPoll>,
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
        outcome,
        timed,
    } = over;
    report.timed.extend(timed);
    report.faults.add(fault.kind, outcome.made.is_ok());
    let note = match outcome.made {
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
    for wrong in &outcome.wrong {
        told.say(wrong);
    }
    report.services.extend(outcome.wrong);
    told.loads.spread()?;
    Ok(())
}
