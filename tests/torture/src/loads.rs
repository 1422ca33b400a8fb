//! The ballots that are cast all the while, and the judgement on them.

use std::{
    io,
    time::{Duration, Instant},
};

use voting_load::{Before, Elector, Load, Pace, Plan, Secret, Sources, StartError, check};
use voting_testing::SECRET;

use crate::{
    addresses::Addresses,
    ask::{self, POLLS},
    error::RunError,
    report::Report,
    timed,
};

/// Those who change their minds.
const FICKLE: u32 = 200;

/// One load a poll, on these vote services.
pub(crate) struct Loads(Vec<Load>, Vec<String>);

impl Loads {
    /// The electors are those of the last two polls.
    pub(crate) fn start(
        votes: &[String],
        rate: f64,
        electors: [Vec<Elector>; 2],
    ) -> Result<Self, StartError> {
        let usual = Plan {
            votes: votes.to_vec(),
            pace: Pace::Rate(rate / 4.0),
            connections: 32,
            poll: POLLS[0].to_owned(),
            changes: 0.1,
            secret: Some(Secret::new(SECRET.as_bytes())),
            ..Plan::default()
        };
        let fickle = Plan {
            poll: POLLS[1].to_owned(),
            voters: Some(FICKLE),
            changes: 1.0,
            ..usual.clone()
        };
        let [codes, logins] = electors;
        let only = |poll: &str, electors| Plan {
            poll: poll.to_owned(),
            electors,
            ..usual.clone()
        };
        let (codes, logins) = (only(POLLS[2], codes), only(POLLS[3], logins));
        let plans = [usual, fickle, codes, logins].into_iter();
        let loads = plans.map(Load::start).collect::<Result<_, _>>()?;
        Ok(Self(loads, votes.to_vec()))
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.0.iter().map(|load| load.counts().acknowledged).sum()
    }

    /// Spreads the ballots over all vote services again: connections that have left one that was away
    /// would stay with the others.
    pub(crate) fn spread(&self) -> Result<(), StartError> {
        for load in &self.0 {
            load.redirect(&self.1)?;
        }
        Ok(())
    }

    /// Waits until ballots are acknowledged again, and there are so many. What is wrong if they are not.
    pub(crate) async fn goes_on(&self, ballots: u64) -> Option<String> {
        let mut goal = self.acknowledged() + 100;
        loop {
            let deadline = Instant::now() + Duration::from_secs(60);
            while self.acknowledged() < goal {
                if Instant::now() >= deadline {
                    return Some("ballots are not acknowledged again".to_owned());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if goal >= ballots {
                return None;
            }
            goal = ballots.min(goal + 1_000);
        }
    }

    /// Ends the load, and holds what the voters know against what there is.
    pub(crate) async fn judge(
        self,
        addresses: &Addresses,
        postgres: &str,
        report: &mut Report,
    ) -> Result<(), RunError> {
        let mut histories = Vec::new();
        for load in self.0 {
            histories.push(load.stop().await);
        }
        let workers = addresses.workers.clone();
        let drained = tokio::task::spawn_blocking(move || {
            // One may have died, which is found out, too.
            let ready = workers.iter().find(|worker| ask::is_ready(worker));
            let worker = ready.unwrap_or(&workers[0]);
            // Whatever is lost is found below, but not before all that can be counted is.
            let pipeline = ask::settled(worker);
            let recounts = POLLS.map(|poll| ask::until(|| ask::recount(worker, poll)));
            (pipeline, recounts)
        });
        let (pipeline, recounts) = drained.await.map_err(io::Error::other)?;
        report.pipeline = pipeline;
        report.recounts = recounts.to_vec();
        if let Some(voided) = report.voided.take() {
            let (worker, at) = (addresses.workers[0].clone(), postgres.to_owned());
            let judged = tokio::task::spawn_blocking(move || (voided.judge(&worker, &at), voided));
            let (wrong, voided) = judged.await.map_err(io::Error::other)?;
            report.services.extend(wrong);
            report.voided = Some(voided);
        }
        let (polls, at) = (report.timed.clone(), postgres.to_owned());
        let wrong = tokio::task::spawn_blocking(move || timed::judge(&polls, &at));
        report
            .services
            .extend(wrong.await.map_err(io::Error::other)?);
        for history in &histories {
            let sources = Sources {
                result: Some(addresses.results[0].clone()),
                postgres: Some(postgres.to_owned()),
                before: Before::default(),
                // All that can be counted is by now. The store tells of every voter; receipts are
                // asked for on top of that.
                patience: Duration::from_secs(2),
                receipts: 1_000,
            };
            report.verdicts.push(check(history, &sources).await?);
        }
        Ok(())
    }
}
