//! A run: the load, the faults, and the verdict.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};
use voting_load::{Before, CheckError, Load, Pace as Rate, Plan, Sources, StartError, check};

use crate::{
    ask,
    broken::Broken,
    cast::Service,
    disk::{self, NoFuse},
    inject::Victims,
    plan::{Fault, Pace, plan},
    programs,
    report::Report,
    stage::{Props, Stage},
};

/// Polls to vote in: one by ever new voters, so that no ballot hides the loss of another; one by few who
/// change their minds all the time, so that the order matters.
pub(crate) const POLLS: [&str; 2] = ["cats-vs-dogs", "fickle"];

/// Those who change their minds.
const FICKLE: u32 = 200;

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
    #[error("FUSE is expected, since VOTING_EXPECT_FUSE is set")]
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
        if disk::is_expected() {
            return Err(RunError::NoFuse(error));
        }
        println!("{error}: {}. Power cuts are only kills.", error.0);
    }
    let addresses = Addresses::of(&stage).await;
    addresses.prepare().await?;

    let start = Instant::now();
    let loads = Loads::start(&addresses.votes, options.rate)?;
    let faults = plan(options.seed, options.faults, options.pace);
    hurt(&stage, faults, options.at_once, start, &loads).await?;
    loads.goes_on(options.ballots).await?;

    println!(
        "{:8.3} s  all is well again; waiting until all is counted",
        secs(start)
    );
    let postgres = stage.postgres.lock().await.server.url("voting");
    let mut report = Report::new(options, stage.has_power_cuts().await);
    loads.judge(&addresses, &postgres, &mut report).await?;
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
) -> Result<(), RunError> {
    let turns = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running = JoinSet::new();
    for (nth, fault) in (1..).zip(faults) {
        tokio::time::sleep(fault.gap).await;
        let turn = Arc::clone(&turns).acquire_owned().await;
        let victims = Victims::of(&fault.what, stage).await;
        while let Some(over) = running.try_join_next() {
            told(over, start, loads)?;
        }
        running.spawn_blocking(move || {
            let _turn = turn;
            let (began, at) = (Instant::now(), secs(start));
            let note = victims.suffer(fault.what, fault.length);
            Over {
                nth,
                fault,
                at,
                took: began.elapsed(),
                note,
            }
        });
    }
    while let Some(over) = running.join_next().await {
        told(over, start, loads)?;
    }
    Ok(())
}

/// A fault that is put right.
struct Over {
    nth: usize,
    fault: Fault,
    at: f64,
    took: Duration,
    note: String,
}

fn told(
    over: Result<Over, tokio::task::JoinError>,
    start: Instant,
    loads: &Loads,
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
        note,
    } = over;
    let note = if note.is_empty() {
        note
    } else {
        format!(" ({note})")
    };
    println!(
        "{at:8.3} s  #{nth:<4} {what}{note}, {took:.2} s; {acknowledged} acknowledged by {now:.3} s",
        what = fault.what,
        took = took.as_secs_f64(),
        acknowledged = loads.acknowledged(),
        now = secs(start),
    );
    Ok(())
}

/// Where the services are.
struct Addresses {
    votes: Vec<String>,
    workers: Vec<String>,
    results: Vec<String>,
}

impl Addresses {
    async fn of(stage: &Stage) -> Self {
        let mut addresses = Self {
            votes: Vec::new(),
            workers: Vec::new(),
            results: Vec::new(),
        };
        for which in Service::all() {
            let address = stage.address(which).await;
            match which {
                Service::Vote(_) => addresses.votes.push(address),
                Service::Worker(_) => addresses.workers.push(address),
                Service::Result(_) => addresses.results.push(address),
            }
        }
        addresses
    }

    /// Waits until the services are ready, and adds the polls.
    async fn prepare(&self) -> Result<(), RunError> {
        let (votes, workers, results) = (
            self.votes.clone(),
            self.workers.clone(),
            self.results.clone(),
        );
        let prepared = tokio::task::spawn_blocking(move || {
            for worker in &workers {
                ask::until(|| ask::is_ready(worker).then_some(()))
                    .ok_or(RunError::InVain("a worker is ready"))?;
            }
            for poll in POLLS {
                // The first is there, and cannot have other labels than it has.
                if poll != POLLS[0] {
                    ask::until(|| ask::add_poll(&workers[0], poll))
                        .ok_or(RunError::InVain("a poll is added"))?;
                }
                for vote in &votes {
                    ask::until(|| ask::knows(vote, poll).then_some(()))
                        .ok_or(RunError::InVain("a vote service knows the polls"))?;
                }
            }
            for result in &results {
                ask::until(|| ask::is_ready(result).then_some(()))
                    .ok_or(RunError::InVain("a result service is ready"))?;
            }
            Ok(())
        });
        prepared.await.map_err(io::Error::other)?
    }
}

/// One load a poll.
struct Loads(Vec<Load>);

impl Loads {
    fn start(votes: &[String], rate: f64) -> Result<Self, StartError> {
        let usual = Plan {
            votes: votes.to_vec(),
            pace: Rate::Rate(rate / 2.0),
            connections: 32,
            poll: POLLS[0].to_owned(),
            changes: 0.1,
            ..Plan::default()
        };
        let fickle = Plan {
            poll: POLLS[1].to_owned(),
            voters: Some(FICKLE),
            changes: 1.0,
            ..usual.clone()
        };
        Ok(Self(vec![Load::start(usual)?, Load::start(fickle)?]))
    }

    fn acknowledged(&self) -> u64 {
        self.0.iter().map(|load| load.counts().acknowledged).sum()
    }

    /// Waits until ballots are acknowledged again, and there are so many.
    async fn goes_on(&self, ballots: u64) -> Result<(), RunError> {
        let mut goal = self.acknowledged() + 100;
        loop {
            let deadline = Instant::now() + Duration::from_secs(60);
            while self.acknowledged() < goal {
                if Instant::now() >= deadline {
                    return Err(RunError::InVain("ballots are acknowledged again"));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if goal >= ballots {
                return Ok(());
            }
            goal = ballots.min(goal + 1_000);
        }
    }

    /// Ends the load, and holds what the voters know against what there is.
    async fn judge(
        self,
        addresses: &Addresses,
        postgres: &str,
        report: &mut Report,
    ) -> Result<(), RunError> {
        let mut histories = Vec::new();
        for load in self.0 {
            histories.push(load.stop().await);
        }
        let worker = addresses.workers[0].clone();
        let drained = tokio::task::spawn_blocking(move || {
            // Whatever is lost is found below, but not before all that can be counted is.
            let pipeline = ask::settled(&worker);
            let recounts = POLLS.map(|poll| ask::until(|| ask::recount(&worker, poll)));
            (pipeline, recounts)
        });
        let (pipeline, recounts) = drained.await.map_err(io::Error::other)?;
        report.pipeline = pipeline;
        report.recounts = recounts.to_vec();
        for history in &histories {
            let sources = Sources {
                result: Some(addresses.results[0].clone()),
                postgres: Some(postgres.to_owned()),
                before: Before::default(),
                // All that can be counted is by now. The store tells of every voter; receipts are
                // asked for on top of that.
                patience: Duration::from_secs(2),
                receipts: 5_000,
            };
            report.verdicts.push(check(history, &sources).await?);
        }
        Ok(())
    }
}
