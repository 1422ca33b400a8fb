//! Checks whether Redis keeps what it acknowledges.

pub(super) mod watch;
mod writes;

use std::{collections::HashMap, sync::Arc};

use ::redis::{ErrorKind, RedisError, ServerErrorKind};
use futures_util::future::{join_all, try_join_all, try_join3};
use tokio::time::Instant;

use crate::backends::redis::{
    Redis,
    client::{
        connection::Servers,
        server::{CANNOT_WAIT, Server},
    },
};
use crate::{error::StoreError, model::position::ShardId};

/// The settings without which an acknowledged ballot can be lost.
///
/// With `aof-load-truncated yes`, Redis accepts an append-only file that ends in the middle of a transaction, and the
/// transaction stays open. At the next start, what was written after it may be read as a part of this transaction and
/// be dropped. With `no`, Redis refuses to start, and `redis-check-aof --fix` cuts the file at the right place.
pub(in crate::backends::redis) const NEEDED: [(&str, &str); 5] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("aof-load-truncated", "no"),
    ("no-appendfsync-on-rewrite", "no"),
    ("maxmemory-policy", "noeviction"),
];

/// The setting that prevents a replica from becoming a master without an operator.
pub(in crate::backends::redis) const WAITS: (&str, &str) = ("cluster-replica-no-failover", "yes");

/// The setting that names the master of a server, as host and port. It is empty if the server is not a replica.
const REPLICA_OF: &str = "replicaof";

/// The role of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backends::redis) enum Duty {
    /// The server takes ballots.
    Master,
    /// The server may become a master, which takes ballots.
    Replica,
}

/// Why a server is not known to keep what it acknowledges.
#[derive(Debug, Clone, thiserror::Error)]
pub(in crate::backends::redis) enum Flaw {
    /// The server has said that it may lose ballots.
    #[error("{0}")]
    Told(Arc<str>),
    /// The server has not said that it keeps ballots.
    #[error("{0}")]
    Unknown(Arc<str>),
}

impl Flaw {
    pub(in crate::backends::redis) fn unknown(text: impl Into<Arc<str>>) -> Self {
        Self::Unknown(text.into())
    }
}

/// The kind of the error, if the error is a [`Flaw`].
pub(crate) fn kind_of_flaw(
    error: &(dyn std::error::Error + 'static),
) -> Option<crate::error::ErrorKind> {
    let flaw = error.downcast_ref::<Flaw>()?;
    Some(match flaw {
        Flaw::Told(_) => crate::error::ErrorKind::NotDurable,
        Flaw::Unknown(_) => crate::error::ErrorKind::Unreachable,
    })
}

impl From<Flaw> for StoreError {
    fn from(flaw: Flaw) -> Self {
        Self::unavailable(flaw)
    }
}

/// Checks that each server that takes ballots keeps them, and that no replica can become a master by itself. All
/// servers are asked now; earlier answers do not count.
pub(in crate::backends::redis) async fn check(redis: &Redis) -> Result<(), StoreError> {
    let now = Instant::now();
    let Servers { masters, replicas } = redis.0.connection.each().await?;
    let masters = masters.iter().map(|master| (master, Duty::Master));
    let replicas = replicas.iter().map(|replica| (replica, Duty::Replica));
    let all = masters.chain(replicas);
    let asked = all.map(|(server, duty)| watch::seen_since(redis, server, duty, now));
    for found in join_all(asked).await {
        found?;
    }
    Ok(())
}

/// Asks a server whether it keeps what it acknowledges.
pub(in crate::backends::redis) async fn ask(
    redis: &Redis,
    server: &Server,
    duty: Duty,
) -> Result<(), Flaw> {
    match (redis.0.options.accept_loss, duty) {
        (true, Duty::Replica) => Ok(()),
        // It has all that anybody was told of.
        (false, Duty::Replica) if redis.0.options.replicas > 0 => Ok(()),
        (true, Duty::Master) => {
            let answer = server.read::<()>(&::redis::cmd("PING")).await;
            answer.map_err(|error| no_answer(server.name(), &error))
        }
        (false, Duty::Replica) => ask_replica(server).await,
        (false, Duty::Master) => {
            let (settings, rights) = (ask_master(server), ask_rights(redis, server));
            let replicas = ask_for_replicas(redis, server);
            let found = try_join3(settings, rights, replicas).await;
            if found.is_err() {
                server.look_elsewhere().await;
            }
            found.map(|_| ())
        }
    }
}

async fn ask_master(server: &Server) -> Result<(), Flaw> {
    let name = server.name();
    let wanted = NEEDED.iter().map(|(setting, _)| *setting);
    let there = settings(server, wanted.chain([REPLICA_OF])).await;
    let there = there.map_err(|error| no_settings(name, &error))?;
    // A replica would drop everything that its master does not have.
    if let Some(master) = there.get(REPLICA_OF).filter(|master| !master.is_empty()) {
        let text = format!("{name} is a replica, of {master}, and takes no ballots");
        return Err(Flaw::Told(text.into()));
    }
    let lacking = lacking(&there, &NEEDED);
    if !lacking.is_empty() {
        let needs = lacking.join(", ");
        let text = format!("{name} can lose acknowledged ballots: it needs {needs}");
        return Err(Flaw::Told(text.into()));
    }
    Ok(())
}

/// Checks that a master has as many replicas as are waited for. With fewer, nothing could be acknowledged. With more, one of them could
/// take over without the newest ballots. Sentinel does not help: it chooses by what it heard of the replicas some seconds ago. Without
/// Sentinels an operator decides whether a replica that nobody waits for takes over.
async fn ask_for_replicas(redis: &Redis, server: &Server) -> Result<(), Flaw> {
    let wanted = usize::from(redis.0.options.replicas);
    if wanted == 0 && redis.0.options.sentinels.is_none() {
        return Ok(());
    }
    let name = server.name();
    let mut ask = ::redis::cmd("INFO");
    ask.arg("replication").arg("server");
    let info = server.read::<String>(&ask).await;
    let info = info.map_err(|error| no_answer(name, &error))?;
    if wanted > 0 && !waits_for_disks(&info) {
        let text = format!("{name} can lose acknowledged ballots: {CANNOT_WAIT}");
        return Err(Flaw::Told(text.into()));
    }
    let (online, all) = replicas_in(&info);
    if all > wanted {
        let waits = match wanted {
            0 => "no ballot waits for them; one of them".to_owned(),
            _ => format!("each ballot waits for {wanted}; one of the others"),
        };
        let text = format!(
            "{name} can lose acknowledged ballots: it has {all} replicas, and {waits} may take over without it. \
             Set redis.replicas to {all}"
        );
        return Err(Flaw::Told(text.into()));
    }
    if online < wanted {
        let text = format!(
            "{name} has {online} of {wanted} replicas; no ballot is acknowledged without them"
        );
        return Err(Flaw::unknown(text));
    }
    Ok(())
}

/// Whether a server of this version has `WAITAOF`, from `INFO server`. Valkey names the version of Redis that it is like.
fn waits_for_disks(info: &str) -> bool {
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    let mut numbers = version
        .unwrap_or_default()
        .trim()
        .split('.')
        .map(str::parse::<u32>);
    let (major, minor) = (numbers.next(), numbers.next());
    matches!((major, minor), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (7, 2))
}

/// How many replicas follow a master, and how many it has, from `INFO replication`.
pub(in crate::backends::redis) fn replicas_in(info: &str) -> (usize, usize) {
    let is_replica = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        let number = name.strip_prefix("slave");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let replicas: Vec<_> = info.lines().filter(is_replica).collect();
    let online = replicas.iter().filter(|line| line.contains("state=online"));
    (online.count(), replicas.len())
}

async fn ask_rights(redis: &Redis, server: &Server) -> Result<(), Flaw> {
    let name = server.name();
    let forgotten = forgets(redis, server).await.map_err(|error| {
        let text = "does not report what its user `default` may do (ACL DRYRUN)";
        Flaw::unknown(format!("{name} {text}: {error}"))
    })?;
    match forgotten {
        Some(why) => Err(Flaw::Told(
            format!(
                "{name} can lose acknowledged ballots when it starts again: it reads its own log \
                 with the rights of its user `default`, and {why}; give that user `~* +@all`, it \
                 may be off"
            )
            .into(),
        )),
        None => Ok(()),
    }
}

async fn ask_replica(server: &Server) -> Result<(), Flaw> {
    let name = server.name();
    let lacking = lacks(server, &[WAITS]).await;
    let lacking = lacking.map_err(|error| no_settings(name, &error))?;
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Flaw::Told(
        format!(
            "{name} can lose acknowledged ballots: it is a replica that takes over by itself, \
             without the ballots that have not reached it yet; it needs {} {}, and then a master \
             that is away is waited for, or an operator decides",
            WAITS.0, WAITS.1
        )
        .into(),
    ))
}

/// The first command that Redis would not replay from its append-only file when it starts; `None` if it would replay
/// all.
///
/// Redis checks the commands of transactions and scripts in the file against the rights of the user `default`, and
/// skips commands that this user may not send (redis issue 14541; valkey issue 3983). An operator who has turned that
/// user off does not expect this.
pub(in crate::backends::redis) async fn forgets(
    redis: &Redis,
    server: &Server,
) -> Result<Option<String>, RedisError> {
    let shard = ShardId(0);
    let (log, stats) = (redis.log_key(shard), redis.stats_key(shard));
    let written: [&[&str]; 4] = [
        &["XADD", &log, "*", "b", "x"],
        &["XACK", &log, "g", "0-1"],
        &["HINCRBY", &stats, "f", "1"],
        &["HSET", &stats, "f", "1"],
    ];
    // All are sent at once, so that they take the time of one.
    let asked = written.into_iter().map(|command| async move {
        let mut ask = ::redis::cmd("ACL");
        ask.arg("DRYRUN").arg("default").arg(command);
        server.read::<String>(&ask).await
    });
    let answers = try_join_all(asked).await?;
    Ok(answers.into_iter().find(|answer| answer != "OK"))
}

fn no_answer(name: &str, error: &RedisError) -> Flaw {
    let is_refusal = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
    Flaw::unknown(match writes::why(error) {
        Some(why) if is_refusal => format!("{name} takes no writes: {why} ({error})"),
        _ => format!("{name} does not answer: {error}"),
    })
}

fn no_settings(name: &str, error: &RedisError) -> Flaw {
    // Redis answers a command that was renamed or removed as an unknown command.
    let is_refused = matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
    );
    if is_refused {
        return Flaw::unknown(format!(
            "{name} does not report whether it keeps what it acknowledges: the services' user must be \
             allowed CONFIG GET; {error}"
        ));
    }
    no_answer(name, error)
}

async fn settings(
    server: &Server,
    names: impl Iterator<Item = &str>,
) -> Result<HashMap<String, String>, RedisError> {
    let mut get = ::redis::cmd("CONFIG");
    get.arg("GET");
    for name in names {
        get.arg(name);
    }
    server.read(&get).await
}

/// The required settings that a server does not have.
pub(in crate::backends::redis) async fn lacks(
    server: &Server,
    needed: &[(&str, &str)],
) -> Result<Vec<String>, RedisError> {
    let there = settings(server, needed.iter().map(|(name, _)| *name)).await?;
    Ok(lacking(&there, needed))
}

fn lacking(there: &HashMap<String, String>, needed: &[(&str, &str)]) -> Vec<String> {
    let lacking = needed
        .iter()
        .filter(|(name, value)| there.get(*name).map(String::as_str) != Some(value))
        .map(|(name, value)| format!("{name} {value}"));
    lacking.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_counted() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
                    slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=0\r\n\
                    slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=0\r\n\
                    slave_read_only:1\r\nmaster_replid:8c\r\n";
        assert_eq!(replicas_in(info), (1, 2));
        assert_eq!(replicas_in("role:master\r\nconnected_slaves:0\r\n"), (0, 0));
        for (version, waits) in [
            ("7.0.15", false),
            ("6.2.1", false),
            ("7.2.4", true),
            ("8.0.2", true),
            ("x", false),
        ] {
            let info = format!("# Server\r\nredis_version:{version}\r\n");
            assert_eq!(waits_for_disks(&info), waits, "{version}");
        }
    }
}
