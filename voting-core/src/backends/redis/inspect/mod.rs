//! What is in the log, for operators. Only asks, never changes anything: it makes no stream, no group
//! and no consumer.

pub(super) mod rights;

use std::{io, sync::Arc, time::Duration};

use ::redis::{ErrorKind, RedisError, ServerErrorKind, streams::StreamInfoConsumersReply};

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

/// What a shard of the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardReport {
    /// Which.
    pub shard: ShardId,
    /// Entries in it, also those that are acknowledged and kept for a while.
    pub entries: u64,
    /// Entries that nobody has taken yet; `None` if Redis cannot tell.
    pub not_taken: Option<u64>,
    /// Entries that somebody has taken and not acknowledged.
    pub in_hand: u64,
    /// The oldest entry that is not acknowledged.
    pub oldest_pending: Option<EntryId>,
    /// All entries below this are acknowledged.
    pub acknowledged_below: EntryId,
    /// The newest entry that was ever appended.
    pub last: EntryId,
    /// Ballots ever accepted.
    pub accepted: u64,
    /// Ballots of entries that are acknowledged.
    pub acknowledged: u64,
    /// Entries that were deleted before they were acknowledged.
    pub lost: u64,
    /// Who reads it.
    pub consumers: Vec<Consumer>,
}

/// A worker, as a shard of the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name, which is never used again.
    pub name: String,
    /// How long it has not been heard of.
    pub idle: Duration,
    /// Entries that it has taken and not acknowledged.
    pub in_hand: u64,
}

impl Redis {
    /// Where it is: the server, or those nodes of a cluster that the address names.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        match &self.0.place {
            Place::Server(client) => vec![endpoint(client)],
            Place::Cluster(nodes) => nodes.iter().map(endpoint).collect(),
        }
    }

    /// Whether connections are encrypted, and the server verified.
    pub fn is_encrypted(&self) -> bool {
        let is_encrypted = |client: &::redis::Client| {
            let info = client.get_connection_info();
            matches!(info.addr(), ::redis::ConnectionAddr::TcpTls { .. })
        };
        match &self.0.place {
            Place::Server(client) => is_encrypted(client),
            Place::Cluster(nodes) => nodes.iter().all(is_encrypted),
        }
    }

    /// How it stands with the certificate of each server, of a cluster those that answer now and those that
    /// the address names; none if connections are not encrypted.
    pub async fn certificates(&self) -> Vec<(Endpoint, io::Result<Certificate>)> {
        if !self.is_encrypted() {
            return Vec::new();
        }
        let mut endpoints = self.endpoints();
        if matches!(self.0.place, Place::Cluster(_))
            && let Ok(servers) = self.0.connection.each().await
        {
            let all = servers.masters.into_iter().chain(servers.replicas);
            for endpoint in all.map(|server| endpoint(server.client())) {
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

    /// The number of shards that the log was laid out with; `None` if nobody has used it yet.
    ///
    /// # Errors
    /// Redis does not answer, or what is there is no layout.
    pub async fn laid_out_shards(&self) -> Result<Option<u16>, StoreError> {
        let Some(layout) = self.layout().await? else {
            return Ok(None);
        };
        let shards = layout.strip_prefix("1 shards=");
        let shards = shards.and_then(|shards| shards.parse().ok());
        let unknown = || StoreError::Corrupt(format!("the log is laid out as {layout:?}"));
        shards.map(Some).ok_or_else(unknown)
    }

    /// The shards that the settings speak of.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        self.shards()
    }

    /// What is in a shard; `None` if no service has used it yet.
    ///
    /// # Errors
    /// Redis does not answer, or its user may not ask.
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

    /// Who reads a shard.
    pub(in crate::backends::redis) async fn consumers(
        &self,
        shard: ShardId,
    ) -> Result<Vec<Consumer>, StoreError> {
        let mut ask = ::redis::cmd("XINFO");
        ask.arg("CONSUMERS").arg(self.log_key(shard)).arg(GROUP);
        let told: StreamInfoConsumersReply = self.0.connection.read(&ask).await?;
        let consumers = told.consumers.into_iter().map(|consumer| Consumer {
            name: consumer.name,
            idle: Duration::from_millis(consumer.idle as u64),
            in_hand: consumer.pending as u64,
        });
        Ok(consumers.collect())
    }
}

fn endpoint(client: &::redis::Client) -> Endpoint {
    use ::redis::ConnectionAddr;
    match client.get_connection_info().addr() {
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
