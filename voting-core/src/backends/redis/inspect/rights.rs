//! The rights that the services' users need in Redis.

use std::collections::BTreeSet;

use ::redis::RedisError;

use crate::backends::redis::{GROUP, Redis, client::server::Server};
use crate::model::position::ShardId;

/// The commands that the services send and that a user may not send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// The name of the user.
    pub user: String,
    /// The commands of the vote service that the user may not send.
    pub vote_lacks: Vec<String>,
    /// The commands of the worker that the user may not send.
    pub worker_lacks: Vec<String>,
}

/// Which service sends a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Vote,
    Worker,
    Both,
}

/// Each command that a service sends, on a key of each kind. It includes the commands in scripts, which Redis checks
/// against the user's rights too. If a service sends a new command, add a line here.
fn commands(redis: &Redis) -> Vec<(Who, Vec<String>)> {
    let shard = ShardId(0);
    let (log, stats, sealed, windows) = (
        redis.log_key(shard),
        redis.stats_key(shard),
        redis.sealed_key(shard),
        redis.windows_key(shard),
    );
    let (layout, polls) = (redis.layout_key(), redis.polls_key());
    let (secrets, dropped) = (redis.secrets_key(), redis.dropped_secrets_key());
    let earlier = redis.earlier_secrets_key();
    let sha = "0".repeat(40);
    let given: [(Who, &[&str]); 41] = [
        (Who::Both, &["CLIENT", "SETNAME", "x"]),
        (Who::Both, &["CONFIG", "GET", "appendonly"]),
        (Who::Both, &["ACL", "DRYRUN", "default", "PING"]),
        (Who::Both, &["SCRIPT", "LOAD", "return 1"]),
        (
            Who::Both,
            &["EVALSHA", &sha, "4", &log, &stats, &sealed, &windows],
        ),
        (Who::Both, &["TIME"]),
        (Who::Both, &["GET", &polls]),
        (Who::Both, &["GET", &layout]),
        (Who::Both, &["SISMEMBER", &sealed, "p"]),
        (Who::Both, &["HGET", &windows, "p"]),
        (Who::Both, &["INFO", "replication"]),
        (Who::Both, &["EXISTS", &log]),
        (Who::Both, &["HINCRBY", &stats, "f", "1"]),
        (Who::Both, &["XINFO", "GROUPS", &log]),
        (Who::Vote, &["XADD", &log, "*", "b", "x", "n", "1"]),
        // The service that starts first sets up the log.
        (Who::Both, &["SET", &layout, "x"]),
        (
            Who::Both,
            &["XGROUP", "CREATE", &log, GROUP, "0", "MKSTREAM"],
        ),
        (Who::Vote, &["GET", &secrets]),
        (Who::Vote, &["SET", &secrets, "x"]),
        (Who::Vote, &["GET", &earlier]),
        (Who::Vote, &["SET", &earlier, "x"]),
        (Who::Vote, &["GET", &dropped]),
        (Who::Vote, &["SET", &dropped, "x"]),
        (Who::Worker, &["SET", &polls, "x"]),
        (Who::Both, &["XINFO", "STREAM", &log]),
        (Who::Worker, &["XINFO", "CONSUMERS", &log, GROUP]),
        (
            Who::Worker,
            &["XREADGROUP", "GROUP", GROUP, "c", "STREAMS", &log, ">"],
        ),
        (Who::Worker, &["XAUTOCLAIM", &log, GROUP, "c", "1", "0-0"]),
        (Who::Worker, &["XACK", &log, GROUP, "0-1"]),
        (Who::Worker, &["XPENDING", &log, GROUP]),
        (Who::Worker, &["XRANGE", &log, "-", "+"]),
        (Who::Worker, &["XTRIM", &log, "MINID", "0-1"]),
        (Who::Worker, &["XSETID", &log, "0-1"]),
        (Who::Worker, &["XGROUP", "DELCONSUMER", &log, GROUP, "c"]),
        (Who::Worker, &["HGET", &stats, "f"]),
        (Who::Worker, &["HSET", &stats, "f", "1"]),
        (Who::Worker, &["HSET", &windows, "p", "x"]),
        (Who::Worker, &["HMGET", &stats, "f"]),
        (Who::Worker, &["SADD", &sealed, "p"]),
        (Who::Worker, &["EVALSHA", &sha, "1", &log]),
        (Who::Both, &["PING"]),
    ];
    let waits: &[(Who, &[&str])] = match redis.0.options.replicas {
        0 => &[],
        _ => &[(Who::Both, &["WAITAOF", "1", "1", "1"])],
    };
    let owned = |command: &[&str]| command.iter().map(|word| (*word).to_owned()).collect();
    given
        .iter()
        .chain(waits)
        .map(|(who, command)| (*who, owned(command)))
        .collect()
}

/// The commands that services send, in small letters and without subcommands. Programs of an earlier version send no
/// others.
pub(in crate::backends::redis) fn command_names(redis: &Redis) -> BTreeSet<String> {
    let commands = commands(redis).into_iter();
    let mut names: BTreeSet<_> = commands.map(|(_, words)| words[0].to_lowercase()).collect();
    names.remove("client");
    names
}

/// Asks the server about each command. The server carries out none of them.
pub(in crate::backends::redis) async fn missing(
    redis: &Redis,
    server: &Server,
) -> Result<Rights, RedisError> {
    let mut ask = ::redis::cmd("ACL");
    ask.arg("WHOAMI");
    let user: String = server.read(&ask).await?;
    let mut rights = Rights {
        user,
        ..Rights::default()
    };
    for (who, command) in commands(redis) {
        let mut ask = ::redis::cmd("ACL");
        ask.arg("DRYRUN").arg(&rights.user).arg(&command);
        let answer: String = server.read(&ask).await?;
        if answer == "OK" {
            continue;
        }
        let name = name(&command);
        for (one, lacks) in [
            (Who::Vote, &mut rights.vote_lacks),
            (Who::Worker, &mut rights.worker_lacks),
        ] {
            if (who == one || who == Who::Both) && !lacks.contains(&name) {
                lacks.push(name.clone());
            }
        }
    }
    Ok(rights)
}

/// The command, with its subcommand if it has one.
fn name(command: &[String]) -> String {
    let has_sub = ["ACL", "CLIENT", "CONFIG", "SCRIPT", "XGROUP", "XINFO"];
    let words = if has_sub.contains(&command[0].as_str()) {
        2
    } else {
        1
    };
    command[..words].join(" ")
}
