//! Makes a fault, and puts it right; tells whether it was one.

mod redis;
mod servers;
mod services;

use std::{sync::Arc, thread::sleep, time::Duration};

use tokio::sync::OwnedMutexGuard;
use voting_testing::{
    PostgresServer, RedisServer,
    link::{Condition, Link},
    processes::{runs, signal, stands_still},
    within,
};

use crate::{
    cluster::{Cluster, Server},
    plan::What,
    process::Process,
    target::Target,
};

/// So long it is waited for that a fault can be made, and that somebody feels it.
const FELT: Duration = Duration::from_secs(10);

/// What came of a fault.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What there is to say about it; or why it was none.
    pub made: Made,
    /// What processes did that none should, found out on the occasion.
    pub wrong: Vec<String>,
}

/// What there is to say about a fault that was made; or why it was not.
pub(crate) type Made = Result<String, String>;

/// The parts that a fault is of, which nobody else may touch in the meantime.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    service: Option<OwnedMutexGuard<Process>>,
    redis: Option<OwnedMutexGuard<Server<RedisServer>>>,
    postgres: Option<OwnedMutexGuard<Server<PostgresServer>>>,
    link: Option<OwnedMutexGuard<Arc<Link>>>,
}

impl Targets {
    /// Waits until nothing else is wrong with them.
    pub(crate) async fn of(what: &What, cluster: &Cluster) -> Self {
        let mut targets = Self::default();
        let (redis, postgres) = match what {
            What::Kill(Target::Service(which))
            | What::Pause(Target::Service(which))
            | What::Restart(Target::Service(which)) => {
                let service = Arc::clone(&cluster.services[which]);
                targets.service = Some(service.lock_owned().await);
                (false, false)
            }
            What::Kill(server) | What::Pause(server) | What::Restart(server) => {
                (*server == Target::Redis, *server == Target::Postgres)
            }
            What::PowerCut {
                redis, postgres, ..
            } => (*redis, *postgres),
            What::Backend => (false, true),
            What::Timed(_) => (false, false),
            What::Memory | What::Jump(_) | What::Rewrite => (true, false),
            What::Network(cable, _) => {
                let link = Arc::clone(&cluster.cables[cable]);
                targets.link = Some(link.lock_owned().await);
                (false, false)
            }
        };
        if redis {
            targets.redis = Some(Arc::clone(&cluster.redis).lock_owned().await);
        }
        if postgres {
            targets.postgres = Some(Arc::clone(&cluster.postgres).lock_owned().await);
        }
        targets
    }

    /// Makes the fault, waits, and puts it right.
    ///
    /// # Panics
    /// It cannot be put right, which fails the run.
    pub(crate) fn hit(mut self, what: What, length: Duration) -> Outcome {
        let mut wrong = Vec::new();
        let (redis, postgres) = (self.redis.as_deref_mut(), self.postgres.as_deref_mut());
        let made = if let Some(service) = &mut self.service {
            services::hit(service, what, length, &mut wrong)
        } else if let (Some(link), What::Network(_, condition)) = (&self.link, what) {
            network(link, condition, length)
        } else {
            servers::hit(redis, postgres, what, length, &mut wrong)
        };
        Outcome { made, wrong }
    }
}

/// Lasts from when somebody feels it.
fn network(link: &Link, condition: Condition, length: Duration) -> Made {
    let before = link.felt();
    link.set(condition);
    let felt = within(FELT, || (link.felt() > before).then_some(()));
    if felt.is_some() {
        sleep(length);
    }
    link.set(Condition::Normal);
    felt.ok_or("nobody used it")?;
    Ok(format!("felt {} times", link.felt() - before))
}

/// Lets processes stand still.
fn pause(processes: &[u32], length: Duration) -> Made {
    signal("STOP", processes);
    // Of a server's processes some may be about to end.
    let over = |id: &u32| stands_still(*id) || !runs(*id);
    let paused = within(FELT, || {
        let all = processes.iter().all(over);
        (all && processes.iter().any(|id| stands_still(*id))).then_some(())
    });
    if paused.is_some() {
        sleep(length);
    }
    signal("CONT", processes);
    paused.ok_or("it went on all the same")?;
    Ok(String::new())
}
