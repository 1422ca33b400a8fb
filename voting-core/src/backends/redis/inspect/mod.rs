//! The contents of the log, for operators. This module only reads, and never changes anything: it makes no stream, no
//! group and no consumer.

mod keys;
pub(super) mod rights;

pub use self::keys::SignedBy;

use std::{io, sync::Arc, time::Duration};

use ::redis::{
    Client, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind,
    streams::StreamInfoConsumersReply,
};

use crate::backends::redis::{
    GROUP, Redis,
    client::{address::CONNECT_TIMEOUT, connection::Place},
};
use crate::{
    backends::{
        certificate::{self, Begin, Certificate},
        endpoint::Endpoint,
        tls,
    },
    error::StoreError,
    model::position::{EntryId, ShardId},
};

/// The state of a shard of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardReport {
    /// The shard.
    pub shard: ShardId,
    /// The number of entries, including acknowledged entries that are kept for a while.
    pub entries: u64,
    /// The number of entries that no worker has claimed yet; `None` if Redis cannot tell.
    pub not_taken: Option<u64>,
    /// The number of entries that a worker has claimed and not acknowledged.
    pub in_hand: u64,
    /// The oldest entry that is not acknowledged.
    pub oldest_pending: Option<EntryId>,
    /// All entries below this are acknowledged.
    pub acknowledged_below: EntryId,
    /// The newest entry that was ever appended.
    pub last: EntryId,
    /// The number of ballots ever accepted.
    pub accepted: u64,
    /// The number of ballots in acknowledged entries.
    pub acknowledged: u64,
    /// The number of entries that were deleted before they were acknowledged.
    pub lost: u64,
    /// The workers that read the shard.
    pub consumers: Vec<Consumer>,
}

/// A worker, as a shard of the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The name, which is never used again.
    pub name: String,
    /// The time since Redis last heard from the worker.
    pub idle: Duration,
    /// The number of entries that the worker has claimed and not acknowledged.
    pub in_hand: u64,
}

impl Redis {
    /// The addresses: of the single server, of its Sentinels, or of the nodes that the configured address of a cluster names.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        match &self.0.place {
            Place::Server(target) => target.named().into_iter().map(endpoint).collect(),
            Place::Cluster(nodes) => {
                let infos = nodes.iter().map(Client::get_connection_info);
                infos.map(endpoint).collect()
            }
        }
    }

    /// Whether connections are encrypted and the server is verified.
    pub fn is_encrypted(&self) -> bool {
        let is_encrypted =
            |info: &ConnectionInfo| matches!(info.addr(), ::redis::ConnectionAddr::TcpTls { .. });
        match &self.0.place {
            Place::Server(target) => is_encrypted(target.info()),
            Place::Cluster(nodes) => {
                let mut infos = nodes.iter().map(Client::get_connection_info);
                infos.all(is_encrypted)
            }
        }
    }

    /// The certificate of each server: in a cluster, of the current nodes and of the nodes in the configured address.
    /// The list is empty if connections are not encrypted.
    pub async fn certificates(&self) -> Vec<(Endpoint, io::Result<Certificate>)> {
        if !self.is_encrypted() {
            return Vec::new();
        }
        let mut endpoints = self.endpoints();
        if let Place::Server(target) = &self.0.place
            && target.may_move()
        {
            let master = target.client().await.ok();
            let master = master.as_ref().map(Client::get_connection_info);
            endpoints = master.into_iter().map(endpoint).collect();
        }
        if matches!(self.0.place, Place::Cluster(_))
            && let Ok(servers) = self.0.connection.each().await
        {
            let all = servers.masters.into_iter().chain(servers.replicas);
            for endpoint in all.map(|server| endpoint(server.info())) {
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
        let roots = match &self.0.options.ca {
            Some(ca) => ca.roots(),
            None => Arc::new(tls::trusted_by_the_system()),
        };
        certificate::look_at_each(endpoints, Begin::Encrypted, roots, CONNECT_TIMEOUT).await
    }

    /// The number of shards with which the log was set up; `None` if no service has used the log yet.
    ///
    /// # Errors
    /// Redis does not answer, or the stored layout cannot be read.
    pub async fn laid_out_shards(&self) -> Result<Option<u16>, StoreError> {
        let Some(layout) = self.layout().await? else {
            return Ok(None);
        };
        let shards = layout.strip_prefix("1 shards=");
        let shards = shards.and_then(|shards| shards.parse().ok());
        let unknown = || StoreError::Corrupt(format!("the log is laid out as {layout:?}"));
        shards.map(Some).ok_or_else(unknown)
    }

    /// The shards according to the settings.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        self.shards()
    }

    /// The state of a shard; `None` if no service has used it yet.
    ///
    /// # Errors
    /// Redis does not answer, or the user may not send the commands.
    pub async fn inspect(&self, shard: ShardId) -> Result<Option<ShardReport>, StoreError> {
        let group = match self.group(shard).await {
            Err(error) if is_no_such_key(&error) => None,
            group => group?,
        };
        let Some(group) = group else {
            return Ok(None);
        };
        let consumers = self.consumers(shard).await?;
        let stream = self.stream(shard).await?;
        let counters = self.counters(shard).await?;
        let progress = self.progress(shard).await?;
        Ok(Some(ShardReport {
            shard,
            entries: stream.length,
            not_taken: group.lag.map(|lag| lag as u64),
            in_hand: group.pending as u64,
            oldest_pending: progress.oldest_pending,
            acknowledged_below: progress.acknowledged_below,
            last: stream.last,
            accepted: counters.accepted,
            acknowledged: counters.acknowledged,
            lost: counters.lost,
            consumers,
        }))
    }

    /// The workers that read a shard.
    pub(in crate::backends::redis) async fn consumers(
        &self,
        shard: ShardId,
    ) -> Result<Vec<Consumer>, StoreError> {
        let mut ask = ::redis::cmd("XINFO");
        ask.arg("CONSUMERS").arg(self.log_key(shard)).arg(GROUP);
        let reply: StreamInfoConsumersReply = self.0.connection.read(&ask).await?;
        let consumers = reply.consumers.into_iter().map(|consumer| Consumer {
            name: consumer.name,
            idle: Duration::from_millis(consumer.idle as u64),
            in_hand: consumer.pending as u64,
        });
        Ok(consumers.collect())
    }
}

fn endpoint(info: &ConnectionInfo) -> Endpoint {
    use ::redis::ConnectionAddr;
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Endpoint {
            host: host.clone(),
            port: Some(*port),
        },
        other => Endpoint {
            host: other.to_string(),
            port: None,
        },
    }
}

fn is_no_such_key(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
        && error
            .detail()
            .is_some_and(|detail| detail.contains("no such key"))
}
