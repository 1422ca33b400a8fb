//! Whether Redis keeps what it acknowledges.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use ::redis::RedisError;
use futures_util::future::join_all;

use super::{
    Redis,
    connection::{Connection, Servers, ask_server},
    server::Server,
};
use crate::{error::StoreError, position::ShardId};

/// The settings without which an acknowledged ballot can be lost.
///
/// With `aof-load-truncated yes` Redis starts from a log that was torn in the middle of a transaction, and
/// leaves the transaction open: what is written next may be taken for a part of it at the start after that,
/// and be dropped. With `no` it says that the log is torn, and `redis-check-aof --fix` cuts it where it
/// should be.
pub(super) const NEEDED: [(&str, &str); 5] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("aof-load-truncated", "no"),
    ("no-appendfsync-on-rewrite", "no"),
    ("maxmemory-policy", "noeviction"),
];

/// The setting that keeps a replica from taking over by itself.
pub(super) const WAITS: (&str, &str) = ("cluster-replica-no-failover", "yes");

/// Whether all servers that take ballots were seen to be durable. When a cluster gets new nodes, that is
/// not known any more.
pub(super) struct Seen {
    connection: Connection,
    /// The generation of the servers that were.
    generation: Mutex<Option<u64>>,
}

impl Seen {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            generation: Mutex::default(),
        }
    }

    /// Done if they were seen to be, else once `check` says so.
    pub(super) async fn or_check(
        &self,
        check: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        // As it is before the check: nodes that join meanwhile must not pass with it.
        let now = self.connection.generation();
        let seen = || {
            self.generation
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if *seen() != Some(now) {
            check.await?;
            *seen() = Some(now);
        }
        Ok(())
    }
}

/// Each server that takes ballots answers, and keeps them; none that could take over has fewer.
pub(super) async fn check(redis: &Redis) -> Result<(), StoreError> {
    let Servers { masters, replicas } = redis.0.connection.each().await?;
    if redis.0.options.accept_loss {
        let ping = ::redis::cmd("PING");
        let asked = masters.iter().map(|(_, server)| ask_server(server, &ping));
        let answers: Vec<Result<(), RedisError>> = join_all(asked).await;
        for ((name, _), answer) in masters.iter().zip(answers) {
            answer.map_err(|error| no_answer(name, &error))?;
        }
        return Ok(());
    }
    let asked = masters.iter().map(|(_, server)| lacks(server, &NEEDED));
    let answers = join_all(asked).await;
    for ((name, _), lacking) in masters.iter().zip(answers) {
        let lacking = lacking.map_err(|error| no_answer(name, &error))?;
        if !lacking.is_empty() {
            return Err(StoreError::unavailable(format!(
                "{name} can lose acknowledged ballots: it needs {}",
                lacking.join(", ")
            )));
        }
    }
    let asked = masters.iter().map(|(_, server)| forgets(redis, server));
    let answers = join_all(asked).await;
    for ((name, _), forgotten) in masters.iter().zip(answers) {
        let cannot_tell = |error| {
            let text = "does not tell what its user `default` may do (ACL DRYRUN)";
            StoreError::unavailable(format!("{name} {text}: {error}"))
        };
        if let Some(why) = forgotten.map_err(cannot_tell)? {
            return Err(StoreError::unavailable(format!(
                "{name} can lose acknowledged ballots when it starts again: it reads its own log with \
                 the rights of its user `default`, and {why}; give that user `~* +@all`, it may be off"
            )));
        }
    }
    let asked = replicas.iter().map(|(_, server)| lacks(server, &[WAITS]));
    let answers = join_all(asked).await;
    for ((name, _), lacking) in replicas.iter().zip(answers) {
        let lacking = lacking.map_err(|error| no_answer(name, &error))?;
        if !lacking.is_empty() {
            return Err(StoreError::unavailable(format!(
                "{name} can lose acknowledged ballots: it is a replica that takes over by itself, \
                 without the ballots that have not reached it yet; it needs {} {}, and then a master \
                 that is away is waited for, or an operator decides",
                WAITS.0, WAITS.1
            )));
        }
    }
    Ok(())
}

/// What Redis would not take from its own log when it starts, if there is such a thing.
///
/// It checks the commands of a transaction, and of a script, against the rights of the user `default`, of
/// which nobody thinks who has turned that user off, and goes on without what is not allowed
/// (redis issue 14541; valkey issue 3983).
pub(super) async fn forgets(redis: &Redis, server: &Server) -> Result<Option<String>, RedisError> {
    let shard = ShardId(0);
    let (log, stats) = (redis.log_key(shard), redis.stats_key(shard));
    let written: [&[&str]; 4] = [
        &["XADD", &log, "*", "b", "x"],
        &["XACK", &log, "g", "0-1"],
        &["HINCRBY", &stats, "f", "1"],
        &["HSET", &stats, "f", "1"],
    ];
    for command in written {
        let mut ask = ::redis::cmd("ACL");
        ask.arg("DRYRUN").arg("default").arg(command);
        let answer: String = ask_server(server, &ask).await?;
        if answer != "OK" {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

fn no_answer(name: &str, error: &RedisError) -> StoreError {
    StoreError::unavailable(format!("{name} does not answer: {error}"))
}

/// Which of these settings a server does not have, as they should be.
pub(super) async fn lacks(
    server: &Server,
    needed: &[(&str, &str)],
) -> Result<Vec<String>, RedisError> {
    let mut get = ::redis::cmd("CONFIG");
    get.arg("GET");
    for (name, _) in needed {
        get.arg(*name);
    }
    let there: HashMap<String, String> = ask_server(server, &get).await?;
    let lacking = needed
        .iter()
        .filter(|(name, value)| there.get(*name).map(String::as_str) != Some(value))
        .map(|(name, value)| format!("{name} {value}"));
    Ok(lacking.collect())
}
