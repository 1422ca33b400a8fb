//! Notifies the supervisor by systemd's protocol: the process is ready, it stops, its status, and, while it makes
//! progress, that it is alive. Without such a supervisor nothing is sent.

use std::{sync::Arc, time::Duration};

use poem::{Endpoint, Request, Response, endpoint::DynEndpoint, http::Uri};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};
use voting_core::{BallotQueue, pipeline::worker::ProgressWatch};
use voting_http::WhyNotReady;

use crate::runtime::cores;

/// How often a service is asked whether it is ready, so that the log and the supervisor show it.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) type Service = Arc<dyn DynEndpoint<Output = Response>>;

/// Says that all services listen. It does not say that their stores answer: a supervisor that waited for this would
/// kill a process that rightly waits for its stores. `/readyz` shows it.
pub(crate) fn ready() {
    notify("READY=1");
}

/// Says that the process stops.
pub(crate) fn stopping() {
    notify("STOPPING=1\nSTATUS=stopping");
}

#[cfg(unix)]
fn notify(state: &str) {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Custom(state)]) {
        tracing::warn!(%error, "cannot notify the supervisor");
    }
}

/// After this long without a sign of life, the supervisor considers the process dead. `None` if the supervisor has no
/// watchdog.
#[cfg(unix)]
fn watchdog_timeout() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Whether there is a supervisor.
fn is_supervised() -> bool {
    cfg!(unix) && std::env::var_os("NOTIFY_SOCKET").is_some()
}

#[cfg(not(unix))]
fn notify(_: &str) {}

#[cfg(not(unix))]
fn watchdog_timeout() -> Option<Duration> {
    None
}

/// Tells the supervisor that the process is alive, while all of these services and the worker are.
#[derive(Default)]
pub(crate) struct Watchdog {
    pub(crate) services: Vec<Service>,
    pub(crate) worker: Option<ProgressWatch>,
    /// The runtimes that serve connections, if they are not the one that feeds the watchdog.
    pub(crate) runtimes: Vec<Handle>,
}

impl Watchdog {
    /// Runs for ever, if the supervisor has a watchdog. Spawn it: as a task of the runtime, it stops when the threads
    /// of the runtime are stuck.
    pub(crate) async fn feed(mut self) {
        let Some(timeout) = watchdog_timeout() else {
            return;
        };
        let mut ticks = interval((timeout / 4).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(what) = self.is_alive().await {
                tracing::error!("{what}; sending no watchdog message to the supervisor");
                continue;
            }
            notify("WATCHDOG=1");
        }
    }

    async fn is_alive(&mut self) -> Result<(), &'static str> {
        for service in &self.services {
            // The request does not use a socket: if all connections were taken, it would have to wait.
            let request = Request::builder()
                .header("host", "localhost")
                .uri(Uri::from_static("/healthz"));
            let answer = service.get_response(request.finish()).await;
            if !answer.status().is_success() {
                return Err("a service does not answer its health check");
            }
        }
        if !cores::are_alive(&self.runtimes).await {
            return Err("a thread that serves connections is stuck");
        }
        // The progress changes with every claim, even an empty one, with every batch, and with every attempt that
        // fails because of a store. It does not change if a step of the worker is stuck.
        if let Some(worker) = &mut self.worker {
            if !worker.has_changed().unwrap_or(false) {
                return Err("the worker made no progress since the last check");
            }
            worker.mark_unchanged();
        }
        Ok(())
    }
}

/// Asks the services whether they are ready, so that they log each change, and reports it to the supervisor.
#[derive(Default)]
pub(crate) struct Lookout {
    pub(crate) services: Vec<Service>,
    pub(crate) worker: Option<(ProgressWatch, Arc<dyn BallotQueue>)>,
    /// The store behind each need of a service, such as Redis behind the ballot log.
    pub(crate) stores: &'static [(&'static str, &'static str)],
}

impl Lookout {
    /// Runs for ever. Spawn it.
    pub(crate) async fn look(self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = String::new();
        loop {
            ticks.tick().await;
            let status = self.status().await;
            if status != sent {
                notify(&format!("STATUS={status}"));
                sent = status;
            }
        }
    }

    /// The status as a line for `systemctl status`.
    async fn status(&self) -> String {
        for service in &self.services {
            let request = Request::builder()
                .header("host", "localhost")
                .uri(Uri::from_static("/readyz"));
            let answer = service.get_response(request.finish()).await;
            if answer.status().is_success() {
                continue;
            }
            return match answer.data::<WhyNotReady>() {
                Some(WhyNotReady { what, reason }) => {
                    let named = self.stores.iter().find(|(need, _)| need == what);
                    let store = named.map_or(*what, |(_, store)| *store);
                    format!("waiting for {store}: {}", in_one(reason))
                }
                None => "not ready".to_owned(),
            };
        }
        let Some((worker, queue)) = &self.worker else {
            return "ready".to_owned();
        };
        let trouble = worker.borrow().trouble.clone();
        if let Some(trouble) = trouble {
            return in_one(&trouble);
        }
        // The numbers are asked for only if a supervisor shows them.
        if !is_supervised() {
            return String::new();
        }
        match queue.stats().await {
            Ok(stats) if stats.pending == 0 => "ready, all ballots are counted".to_owned(),
            Ok(stats) => format!("counting, {} pending", stats.pending),
            Err(_) => "counting".to_owned(),
        }
    }
}

/// Makes one line of a text. A part of it comes from other programs, and must not add lines to the protocol.
fn in_one(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use voting_core::{
        BallotLog, Worker, WorkerOptions,
        backends::{
            memory::{Memory, MemoryOptions},
            postgres::{Postgres, PostgresOptions},
        },
        log::entry::NewEntry,
        model::position::ShardId,
    };

    use super::*;

    #[tokio::test]
    async fn a_worker_that_bears_a_store_that_is_away_is_alive() {
        // No program listens at this address.
        lives_without("127.0.0.1:1").await;
    }

    #[tokio::test]
    async fn a_worker_that_bears_a_store_that_does_not_answer_is_alive() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        lives_without(&silent.local_addr().unwrap().to_string()).await;
    }

    /// A worker whose store is at this address counts as alive, although it cannot flush anything.
    async fn lives_without(address: &str) {
        let memory = Memory::new(MemoryOptions::default());
        let options = PostgresOptions {
            connect_timeout: Duration::from_millis(100),
            ..PostgresOptions::default()
        };
        let away = Postgres::new(&format!("postgres://user@{address}/voting"), options);
        let away = away.expect("an address");
        let (queue, polls) = (Arc::new(memory.queue()), Arc::new(memory.clone()));
        let worker = Worker::new(queue, polls, Arc::new(away), WorkerOptions::default()).start();
        let entry = NewEntry {
            payload: b"to be set aside".to_vec(),
            ballots: 1,
            polls: Vec::new(),
            traces: Vec::new(),
            deadline_ms: None,
        };
        memory.append(ShardId(0), entry).await.expect("it works");
        let mut progress = worker.progress().clone();
        let in_trouble = progress.wait_for(|progress| progress.trouble.is_some());
        let alive_at = in_trouble.await.expect("it works").alive_at;
        let mut watchdog = Watchdog {
            worker: Some(worker.progress().clone()),
            ..Watchdog::default()
        };
        for _ in 0..5 {
            progress.changed().await.expect("it works");
            watchdog.is_alive().await.expect("it works");
            assert_eq!(progress.borrow_and_update().alive_at, alive_at);
        }
        assert_eq!(
            watchdog.is_alive().await,
            Err("the worker made no progress since the last check")
        );
        let lookout = Lookout {
            worker: Some((worker.progress().clone(), Arc::new(memory.queue()))),
            ..Lookout::default()
        };
        let status = lookout.status().await;
        assert!(status.starts_with("cannot flush: "), "{status}");
    }
}
