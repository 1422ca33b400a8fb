//! Makes a fault, and puts it right; tells whether it was one.

mod redis;
mod servers;
mod services;

use std::{sync::Arc, thread::sleep, time::Duration};

use tokio::sync::OwnedMutexGuard;
use voting_testing::{PostgresServer, RedisServer};

use crate::{
    cast::Process,
    link::{Link, Weather},
    plan::What,
    player::Player,
    processes::{runs, signal, stands_still},
    stage::{Server, Stage},
    waiting::within,
};

/// So long it is waited for that a fault can be made, and that somebody feels it.
const FELT: Duration = Duration::from_secs(10);

/// What came of a fault.
#[derive(Debug)]
pub struct Suffered {
    /// What there is to say about it; or why it was none.
    pub made: Made,
    /// What processes did that none should, found out on the occasion.
    pub wrong: Vec<String>,
}

/// What there is to say about a fault that was made; or why it was not.
pub type Made = Result<String, String>;

/// The parts that a fault is of, which nobody else may touch in the meantime.
#[derive(Debug, Default)]
pub struct Victims {
    player: Option<OwnedMutexGuard<Player>>,
    redis: Option<OwnedMutexGuard<Server<RedisServer>>>,
    postgres: Option<OwnedMutexGuard<Server<PostgresServer>>>,
    link: Option<OwnedMutexGuard<Arc<Link>>>,
}

impl Victims {
    /// Waits until nothing else is wrong with them.
    pub async fn of(what: &What, stage: &Stage) -> Self {
        let mut victims = Self::default();
        let (redis, postgres) = match what {
            What::Kill(Process::Service(which))
            | What::Pause(Process::Service(which))
            | What::Restart(Process::Service(which)) => {
                let player = Arc::clone(&stage.players[which]);
                victims.player = Some(player.lock_owned().await);
                (false, false)
            }
            What::Kill(process) | What::Pause(process) | What::Restart(process) => {
                (*process == Process::Redis, *process == Process::Postgres)
            }
            What::PowerCut {
                redis, postgres, ..
            } => (*redis, *postgres),
            What::Backend => (false, true),
            What::Memory | What::Jump(_) | What::Rewrite => (true, false),
            What::Network(cable, _) => {
                let link = Arc::clone(&stage.cables[cable]);
                victims.link = Some(link.lock_owned().await);
                (false, false)
            }
        };
        if redis {
            victims.redis = Some(Arc::clone(&stage.redis).lock_owned().await);
        }
        if postgres {
            victims.postgres = Some(Arc::clone(&stage.postgres).lock_owned().await);
        }
        victims
    }

    /// Makes the fault, waits, and puts it right.
    ///
    /// # Panics
    /// It cannot be put right, which fails the run.
    pub fn suffer(mut self, what: What, length: Duration) -> Suffered {
        let mut wrong = Vec::new();
        let (redis, postgres) = (self.redis.as_deref_mut(), self.postgres.as_deref_mut());
        let made = if let Some(player) = &mut self.player {
            services::suffers(player, what, length, &mut wrong)
        } else if let (Some(link), What::Network(_, weather)) = (&self.link, what) {
            network(link, weather, length)
        } else {
            servers::suffer(redis, postgres, what, length, &mut wrong)
        };
        Suffered { made, wrong }
    }
}

/// Lasts from when somebody feels it.
fn network(link: &Link, weather: Weather, length: Duration) -> Made {
    let before = link.felt();
    link.set(weather);
    let felt = within(FELT, || (link.felt() > before).then_some(()));
    if felt.is_some() {
        sleep(length);
    }
    link.set(Weather::Fair);
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
