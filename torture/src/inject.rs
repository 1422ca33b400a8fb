//! Makes a fault, and puts it right.

use std::{
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use tokio::sync::OwnedMutexGuard;
use voting_testing::{PostgresServer, RedisServer};

use crate::{
    cast::Process,
    disk::PowerCut,
    link::{Link, Weather},
    plan::What,
    processes::{children, signal, title},
    stage::{Player, Server, Stage},
};

/// Longer than any server takes to start.
const LONG: Duration = Duration::from_secs(60);

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

    /// Makes the fault, waits, and puts it right. What there is to say about it.
    ///
    /// # Panics
    /// It cannot be put right, which fails the run.
    pub fn suffer(mut self, what: What, length: Duration) -> String {
        if let Some(player) = &mut self.player {
            player_suffers(player, what, length);
            return String::new();
        }
        if let Some(link) = &self.link {
            if let What::Network(_, weather) = what {
                link.set(weather);
                sleep(length);
                link.set(Weather::Fair);
            }
            return String::new();
        }
        let (redis, postgres) = (self.redis.as_deref_mut(), self.postgres.as_deref_mut());
        match what {
            What::Kill(_) => down(redis, postgres, length, None),
            What::PowerCut { torn, .. } => down(redis, postgres, length, Some(torn)),
            What::Pause(_) => {
                let mut processes = Vec::new();
                if let Some(redis) = redis {
                    processes.push(redis.server.id());
                }
                if let Some(postgres) = postgres {
                    let first = postgres.server.id();
                    // From then on it starts no more.
                    signal("STOP", &[first]);
                    processes.push(first);
                    processes.extend(children(first));
                }
                signal("STOP", &processes);
                sleep(length);
                signal("CONT", &processes);
                String::new()
            }
            What::Restart(_) => {
                if let Some(redis) = redis {
                    redis.server.stop();
                    launch_redis(&mut redis.server);
                }
                if let Some(postgres) = postgres {
                    postgres.server.stop();
                    postgres.server.launch();
                }
                String::new()
            }
            What::Backend => postgres.map_or_else(String::new, |postgres| {
                let first = postgres.server.id();
                let serving = children(first)
                    .into_iter()
                    .find(|id| title(*id).contains(" voting "));
                signal("KILL", &serving.into_iter().collect::<Vec<_>>());
                serving.map_or_else(|| "there was none".to_owned(), |_| String::new())
            }),
            What::Memory => redis.map_or_else(String::new, |redis| memory(&redis.server, length)),
            What::Jump(by) => redis.map_or_else(String::new, |redis| jump(&redis.server, by)),
            What::Rewrite => redis.map_or_else(String::new, |redis| {
                let said = redis.server.try_command(&["BGREWRITEAOF"]);
                said.map_or_else(|error| error, |_| String::new())
            }),
            What::Network(..) => String::new(),
        }
    }
}

fn player_suffers(player: &mut Player, what: What, length: Duration) {
    match what {
        What::Pause(_) => {
            let processes: Vec<_> = player.id().into_iter().collect();
            signal("STOP", &processes);
            sleep(length);
            signal("CONT", &processes);
        }
        What::Restart(_) => {
            player.stop();
            player.start();
        }
        _ => {
            player.kill();
            sleep(length);
            player.start();
        }
    }
}

/// Kills servers and starts them again; at a power cut their disks forget what was not synced, some of
/// it at a torn one.
fn down(
    redis: Option<&mut Server<RedisServer>>,
    postgres: Option<&mut Server<PostgresServer>>,
    length: Duration,
    power_cut: Option<Option<u64>>,
) -> String {
    let mut redis = redis;
    let mut postgres = postgres;
    // All first, so that none goes on with the others gone.
    if let Some(redis) = &mut redis {
        redis.server.kill();
    }
    if let Some(postgres) = &mut postgres {
        postgres.server.kill();
    }
    let disks = [
        redis.as_ref().and_then(|redis| redis.disk.clone()),
        postgres.as_ref().and_then(|postgres| postgres.disk.clone()),
    ];
    let mut note = String::new();
    if let Some(torn) = power_cut {
        let (mut bytes, mut names) = (0, 0);
        let mut there = false;
        for disk in disks.into_iter().flatten() {
            let how = torn.map_or_else(PowerCut::all_forgotten, PowerCut::torn);
            let cut = disk.cut(how);
            bytes += cut.0;
            names += cut.1;
            there = true;
        }
        note = if there {
            format!("{bytes} bytes and {names} names forgotten")
        } else {
            "only killed: there is no FUSE".to_owned()
        };
    }
    sleep(length);
    if let Some(redis) = redis {
        launch_redis(&mut redis.server);
    }
    if let Some(postgres) = postgres {
        postgres.server.launch();
    }
    note
}

/// Starts it, and waits until it has read its log.
fn launch_redis(redis: &mut RedisServer) {
    redis.launch();
    let deadline = Instant::now() + LONG;
    while redis.try_command(&["PING"]).is_err() {
        assert!(Instant::now() < deadline, "Redis does not come back");
        sleep(Duration::from_millis(20));
    }
}

/// Leaves Redis as much room as some ballots need.
fn memory(redis: &RedisServer, length: Duration) -> String {
    let info = redis.try_command(&["INFO", "memory"]).unwrap_or_default();
    let used = info.lines().find_map(|line| {
        line.strip_prefix("used_memory:")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    let limit = (used.unwrap_or(1) + 100_000).to_string();
    let set = redis.try_command(&["CONFIG", "SET", "maxmemory", &limit]);
    sleep(length);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    set.map_or_else(|error| error, |_| format!("at {limit} bytes"))
}

/// What is next appended has an id so far ahead.
fn jump(redis: &RedisServer, by: Duration) -> String {
    let mut notes = Vec::new();
    let keys = redis
        .try_command(&["KEYS", "voting:*:log"])
        .unwrap_or_default();
    for key in keys.lines() {
        let stream = redis
            .try_command(&["XINFO", "STREAM", key])
            .unwrap_or_default();
        let mut lines = stream.lines();
        lines.find(|line| *line == "last-generated-id");
        let last = lines
            .next()
            .and_then(|id| id.split_once('-')?.0.parse::<u128>().ok());
        let Some(last) = last else { continue };
        let ahead = format!("{}-0", last + by.as_millis());
        if let Err(error) = redis.try_command(&["XSETID", key, &ahead]) {
            notes.push(error);
        }
    }
    notes.join(", ")
}
