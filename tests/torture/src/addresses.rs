//! Where the services are, whether they run or not, and what must be there before they are used.

use std::io;

use crate::{
    ask::{self, POLLS},
    cluster::Cluster,
    electorate,
    error::RunError,
    target::ServiceId,
};

/// Where the services are.
pub(crate) struct Addresses {
    pub(crate) votes: Vec<String>,
    pub(crate) workers: Vec<String>,
    pub(crate) results: Vec<String>,
}

impl Addresses {
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        let mut addresses = Self {
            votes: Vec::new(),
            workers: Vec::new(),
            results: Vec::new(),
        };
        for which in ServiceId::all() {
            let address = cluster.address(which).await;
            match which {
                ServiceId::Vote(_) => addresses.votes.push(address),
                ServiceId::Worker(_) => addresses.workers.push(address),
                ServiceId::Result(_) => addresses.results.push(address),
            }
        }
        addresses
    }

    /// Whose they are.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ServiceId, String)> {
        let addresses = [&self.votes, &self.workers, &self.results];
        ServiceId::all().zip(addresses.into_iter().flatten().cloned())
    }

    /// Waits until the services are ready, and adds the polls.
    pub(crate) async fn prepare(&self) -> Result<(), RunError> {
        let (votes, workers, results) = (
            self.votes.clone(),
            self.workers.clone(),
            self.results.clone(),
        );
        let prepared = tokio::task::spawn_blocking(move || {
            for worker in &workers {
                ask::until(|| ask::is_ready(worker).then_some(()))
                    .ok_or(RunError::Never("a worker is ready"))?;
            }
            for poll in POLLS {
                // The first is there, and cannot have other labels than it has.
                if poll != POLLS[0] {
                    let add = || match electorate::add_poll(&workers[0], poll) {
                        Some(added) => added,
                        None => ask::add_poll(&workers[0], poll),
                    };
                    ask::until(add).ok_or(RunError::Never("a poll is added"))?;
                }
                for vote in &votes {
                    ask::until(|| ask::knows(vote, poll).then_some(()))
                        .ok_or(RunError::Never("a vote service knows the polls"))?;
                }
            }
            for result in &results {
                ask::until(|| ask::is_ready(result).then_some(()))
                    .ok_or(RunError::Never("a result service is ready"))?;
            }
            Ok(())
        });
        prepared.await.map_err(io::Error::other)?
    }

    /// How many ballots the log has ever accepted.
    pub(crate) async fn accepted(&self) -> Result<u64, RunError> {
        let worker = self.workers[0].clone();
        let asked = tokio::task::spawn_blocking(move || {
            ask::until(|| ask::pipeline(&worker)?["accepted"].as_u64())
        });
        let accepted = asked.await.map_err(io::Error::other)?;
        accepted.ok_or(RunError::Never("a worker tells of the pipeline"))
    }
}
