//! Facts about one server, for operators. This module only reads, and never changes anything.

use std::collections::HashMap;

use ::redis::{Cmd, FromRedisValue};

use crate::backends::redis::{
    Redis,
    client::{connection::Servers, server::Server},
    durability,
    inspect::rights,
};
use crate::error::StoreError;

pub use crate::backends::redis::inspect::rights::Rights;

/// A server of the log: the single server, or one of a cluster.
#[derive(Clone)]
pub struct Node {
    /// The name of the server in messages.
    pub name: String,
    /// Whether the server is a replica, which takes no ballots.
    pub is_replica: bool,
    server: Server,
    redis: Redis,
}

/// The facts in a server's answer to `INFO`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// The version, such as `7.0.15`.
    pub version: String,
    /// The size of its data, in bytes.
    pub used_memory: u64,
    /// The limit of its memory, in bytes; 0 means that there is no limit.
    pub max_memory: u64,
    /// The memory of the machine, in bytes; 0 if the server does not say.
    pub system_memory: u64,
    /// Whether it is still loading its data after a start.
    pub is_loading: bool,
    /// The host and the port of its master; `None` if the server is not a replica.
    pub replica_of: Option<String>,
    /// How many replicas follow it, and how many it has.
    pub replicas: (usize, usize),
    /// Whether the last write to the append-only file succeeded; `None` if there is no such file.
    pub last_write_is_ok: Option<bool>,
    /// Whether the last rewrite of the append-only file succeeded; `None` if there is no such file.
    pub last_rewrite_is_ok: Option<bool>,
    /// The size of the append-only file, in bytes.
    pub log_size: u64,
}

/// A connection that may be of a program of an earlier version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierProgram {
    /// Where it comes from: a host and a port.
    pub address: String,
    /// Its user.
    pub user: String,
    /// Its last command, in small letters and without a subcommand.
    pub command: String,
}

impl EarlierProgram {
    /// From a line of `CLIENT LIST`. `None` if the client has a name.
    fn read(line: &str) -> Option<Self> {
        let fields: HashMap<&str, &str> = line
            .split(' ')
            .filter_map(|field| field.split_once('='))
            .collect();
        let field = |name| fields.get(name).copied().unwrap_or_default();
        field("name").is_empty().then(|| Self {
            address: field("addr").to_owned(),
            user: field("user").to_owned(),
            command: field("cmd")
                .split('|')
                .next()
                .unwrap_or_default()
                .to_lowercase(),
        })
    }
}

/// The fields of an answer to `INFO`.
pub(in crate::backends::redis) fn fields(info: &str) -> HashMap<&str, &str> {
    let lines = info.lines();
    lines
        .filter_map(|line| line.trim().split_once(':'))
        .collect()
}

impl NodeInfo {
    /// The major version; 0 if it is not known.
    pub fn major_version(&self) -> u32 {
        let first = self.version.split('.').next();
        first.and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    fn read(text: &str) -> Self {
        let reply = fields(text);
        let number = |name: &str| reply.get(name).and_then(|n| n.parse().ok()).unwrap_or(0);
        let keeps_log = reply.get("aof_enabled") == Some(&"1");
        let is_ok = |name| keeps_log.then(|| reply.get(name) == Some(&"ok"));
        let replica_of = || {
            let (host, port) = (reply.get("master_host")?, reply.get("master_port")?);
            Some(format!("{host}:{port}"))
        };
        Self {
            replica_of: replica_of(),
            replicas: durability::replicas_in(text),
            version: reply.get("redis_version").copied().unwrap_or("").to_owned(),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            system_memory: number("total_system_memory"),
            is_loading: reply.get("loading") == Some(&"1"),
            last_write_is_ok: is_ok("aof_last_write_status"),
            last_rewrite_is_ok: is_ok("aof_last_bgrewrite_status"),
            log_size: number("aof_current_size"),
        }
    }
}

impl Redis {
    /// The servers that take ballots, then the servers that may come to take ballots. A cluster is asked for its
    /// current servers; a single server is not asked yet.
    ///
    /// # Errors
    /// No node of the cluster answers.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let Servers { masters, replicas } = self.0.connection.each().await?;
        let all = masters.into_iter().map(|master| (false, master));
        let all = all.chain(replicas.into_iter().map(|replica| (true, replica)));
        let nodes = all.map(|(is_replica, server)| Node {
            name: server.name().to_owned(),
            is_replica,
            server,
            redis: self.clone(),
        });
        Ok(nodes.collect())
    }
}

impl Node {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        Ok(self.server.read(command).await?)
    }

    /// Checks that the server answers and accepts the user.
    ///
    /// # Errors
    /// The server does not answer, or refuses the user.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask(&::redis::cmd("PING")).await
    }

    /// The facts that the server gives with `INFO`.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn info(&self) -> Result<NodeInfo, StoreError> {
        let text: String = self.ask(&::redis::cmd("INFO")).await?;
        Ok(NodeInfo::read(&text))
    }

    /// The server's clock, in milliseconds since 1970.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn time_ms(&self) -> Result<u64, StoreError> {
        let (seconds, micros): (u64, u64) = self.ask(&::redis::cmd("TIME")).await?;
        Ok(seconds.saturating_mul(1000) + micros / 1000)
    }

    /// The connections that may be of programs of an earlier version: they tell no version, and their last command is one
    /// that the services send.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn earlier_programs(&self) -> Result<Vec<EarlierProgram>, StoreError> {
        let mut ask = ::redis::cmd("CLIENT");
        ask.arg("LIST").arg("TYPE").arg("normal");
        let clients: String = self.ask(&ask).await?;
        let ours = rights::command_names(&self.redis);
        let found = clients.lines().filter_map(EarlierProgram::read);
        Ok(found
            .filter(|found| ours.contains(&found.command))
            .collect())
    }

    /// The number of connections that read the log at the moment. A single server has one for each running worker,
    /// even if there is nothing to read.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn readers(&self) -> Result<usize, StoreError> {
        let mut ask = ::redis::cmd("CLIENT");
        ask.arg("LIST").arg("TYPE").arg("normal");
        let clients: String = self.ask(&ask).await?;
        let reads = |line: &&str| line.split(' ').any(|field| field == "cmd=xreadgroup");
        Ok(clients.lines().filter(reads).count())
    }

    /// The settings that the server needs so that no acknowledged ballot is lost, and does not have.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn missing_settings(&self) -> Result<Vec<String>, StoreError> {
        let needed: &[_] = match self.is_replica {
            // It may take over: it has all that was acknowledged.
            true if self.redis.0.options.replicas > 0 => &[],
            true => &[durability::WAITS],
            false => &durability::NEEDED,
        };
        Ok(durability::lacks(&self.server, needed).await?)
    }

    /// Checks that the server would take a ballot now. It runs a script that does nothing; Redis refuses this script
    /// whenever it would refuse a ballot.
    ///
    /// # Errors
    /// The server would refuse a ballot. The error says why.
    pub async fn takes_ballots(&self) -> Result<(), StoreError> {
        self.redis.server_takes_ballots(&self.server).await
    }

    /// Says which command the server would not replay from its append-only file at its next start, because its user
    /// `default` lacks a right; `None` if there is no such command.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn forgets(&self) -> Result<Option<String>, StoreError> {
        Ok(durability::forgets(&self.redis, &self.server).await?)
    }

    /// The commands that the services send and that this user may not send.
    ///
    /// # Errors
    /// The server does not answer, or the user may not send the command.
    pub async fn rights(&self) -> Result<Rights, StoreError> {
        Ok(rights::missing(&self.redis, &self.server).await?)
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("is_replica", &self.is_replica)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_with_the_log_is_read_from_the_info() {
        let text = "# Server\r\nredis_version:7.2.4\r\nloading:0\r\naof_enabled:1\r\n\
                    aof_last_write_status:err\r\naof_last_bgrewrite_status:ok\r\n\
                    used_memory:10\r\nmaxmemory:20\r\ntotal_system_memory:30\r\n";
        let info = NodeInfo::read(text);
        assert_eq!(info.major_version(), 7);
        assert_eq!(info.last_write_is_ok, Some(false));
        assert_eq!(info.last_rewrite_is_ok, Some(true));
        assert_eq!(
            (info.used_memory, info.max_memory, info.system_memory),
            (10, 20, 30)
        );
        assert_eq!(info.replica_of, None);
        let master = "role:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\r\n";
        assert_eq!(NodeInfo::read(master).replicas, (1, 1));
        let replica = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n";
        let replica = NodeInfo::read(replica).replica_of;
        assert_eq!(replica.as_deref(), Some("10.0.0.1:6379"));
        let without = NodeInfo::read("redis_version:x\naof_enabled:0\naof_last_write_status:ok\n");
        assert_eq!(without.last_write_is_ok, None, "it keeps no log");
        assert_eq!(without.major_version(), 0);
    }
}
