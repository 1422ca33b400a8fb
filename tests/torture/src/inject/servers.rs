//! Faults of Redis and Postgres.

use std::{thread::sleep, time::Duration};

use voting_testing::{
    processes::{children, runs, signal, title},
    within,
};

use super::{
    FELT, Made, PostgresServer, RedisServer, pause,
    redis::{jump, launch, memory, rewrite},
};
use crate::{cluster::Server, disk::PowerCut, plan::What};

type Redis<'a> = Option<&'a mut Server<RedisServer>>;
type Postgres<'a> = Option<&'a mut Server<PostgresServer>>;

/// What is no fault, and was found out, is added to what is wrong.
pub(super) fn hit(
    mut redis: Redis<'_>,
    mut postgres: Postgres<'_>,
    what: What,
    length: Duration,
    wrong: &mut Vec<String>,
) -> Made {
    let mut dead = Vec::new();
    if let Some(redis) = &mut redis
        && let Some(how) = redis.found_dead()
    {
        launch(&mut redis.server);
        dead.push(how);
    }
    if let Some(postgres) = &mut postgres
        && let Some(how) = postgres.found_dead()
    {
        postgres.server.launch();
        dead.push(how);
    }
    if !dead.is_empty() {
        let why = dead.join(", ");
        wrong.extend(dead);
        return Err(why);
    }
    match (what, redis, postgres) {
        (What::Kill(_), redis, postgres) => down(redis, postgres, length, None),
        (What::PowerCut { torn, .. }, redis, postgres) => down(redis, postgres, length, Some(torn)),
        (What::Pause(_), redis, postgres) => {
            let mut processes = Vec::new();
            processes.extend(redis.map(|redis| redis.server.id()));
            if let Some(postgres) = postgres {
                let first = postgres.server.id();
                // From then on it starts no more.
                signal("STOP", &[first]);
                processes.push(first);
                processes.extend(children(first));
            }
            pause(&processes, length)
        }
        (What::Restart(_), redis, postgres) => {
            if let Some(redis) = redis {
                redis.server.stop();
                launch(&mut redis.server);
            }
            if let Some(postgres) = postgres {
                postgres.server.stop();
                postgres.server.launch();
            }
            Ok(String::new())
        }
        (What::Backend, _, Some(postgres)) => backend(&postgres.server),
        (What::Memory, Some(redis), _) => memory(&redis.server, length),
        (What::Jump(by), Some(redis), _) => jump(&redis.server, by),
        (What::Rewrite, Some(redis), _) => rewrite(&redis.server),
        (what, ..) => Err(format!("{what}: of nobody")),
    }
}

/// Kills servers and starts them again; at a power cut their disks forget what was not synced, some of
/// it at a torn one.
fn down(
    mut redis: Redis<'_>,
    mut postgres: Postgres<'_>,
    length: Duration,
    power_cut: Option<Option<u64>>,
) -> Made {
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
    let made = match power_cut {
        None => Ok(String::new()),
        Some(_) if disks.iter().all(Option::is_none) => {
            Err("only killed: there is no FUSE".to_owned())
        }
        Some(torn) => {
            let (mut bytes, mut names) = (0, 0);
            for disk in disks.into_iter().flatten() {
                let cut = disk.cut(torn.map_or_else(PowerCut::all_forgotten, PowerCut::torn));
                bytes += cut.0;
                names += cut.1;
            }
            Ok(format!("{bytes} bytes and {names} names forgotten"))
        }
    };
    sleep(length);
    if let Some(redis) = redis {
        launch(&mut redis.server);
    }
    if let Some(postgres) = postgres {
        postgres.server.launch();
    }
    made
}

/// Kills the process that serves a connection, as soon as there is one.
fn backend(postgres: &PostgresServer) -> Made {
    let first = postgres.id();
    let serving = within(FELT, || {
        let mut children = children(first).into_iter();
        children.find(|id| title(*id).contains(" voting "))
    });
    let serving = serving.ok_or("there was none")?;
    signal("KILL", &[serving]);
    let gone = within(FELT, || (!runs(serving)).then_some(()));
    gone.ok_or("it lives on")?;
    Ok(String::new())
}
