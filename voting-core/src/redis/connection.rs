//! The connection to Redis, be it one server or a cluster.

use std::time::Duration;

use ::redis::{Client, Cmd, FromRedisValue, RedisError};

use super::{RedisOptions, address, cluster::Cluster, server::Server};

/// Shared by all who use it at a time; connects when first used, and mends itself.
#[derive(Clone)]
pub(super) enum Connection {
    Server(Server),
    Cluster(Cluster),
}

/// Where Redis is.
pub(super) enum Place {
    Server(Box<Client>),
    Cluster(Vec<Client>),
}

impl Place {
    /// Reads the address, or the addresses of several nodes of a cluster.
    pub(super) fn new(url: &str, options: &RedisOptions) -> Result<Self, RedisError> {
        let ca = options.ca.as_ref();
        if options.cluster {
            // A comma in a password is written `%2C`.
            let nodes = url.split(',').map(|url| address::client(url.trim(), ca));
            return nodes.collect::<Result<_, _>>().map(Self::Cluster);
        }
        let client = address::client(url, ca)?;
        Ok(Self::Server(Box::new(client)))
    }
}

impl Connection {
    pub(super) fn new(place: &Place, options: &RedisOptions) -> Result<Self, RedisError> {
        let timeout = options.response_timeout;
        Ok(match place {
            Place::Server(client) => Self::Server(Server::new(client.as_ref().clone(), timeout)),
            Place::Cluster(nodes) => {
                Self::Cluster(Cluster::new(nodes.clone(), options.ca.clone(), timeout)?)
            }
        })
    }

    /// One on which a command may wait for `block`. `None` for a cluster: there one command cannot wait
    /// for all shards.
    pub(super) fn blocking(place: &Place, options: &RedisOptions, block: Duration) -> Option<Self> {
        let patience = options.response_timeout + block;
        match place {
            Place::Server(client) => {
                Some(Self::Server(Server::new(client.as_ref().clone(), patience)))
            }
            Place::Cluster(_) => None,
        }
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::Server(server) => command.query_async(&mut server.clone()).await,
            Self::Cluster(cluster) => command.query_async(&mut cluster.call()).await,
        }
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &::redis::ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        match self {
            Self::Server(server) => script.invoke_async(&mut server.clone()).await,
            Self::Cluster(cluster) => script.invoke_async(&mut cluster.call()).await,
        }
    }

    /// Grows whenever there may be servers, or settings of one, that were not there before.
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Server(server) => server.turn(),
            Self::Cluster(cluster) => cluster.generation(),
        }
    }

    /// A connection to each server that takes ballots, and to each that may come to, with its name.
    pub(super) async fn each(&self) -> Result<Servers, RedisError> {
        match self {
            Self::Server(server) => Ok(Servers {
                masters: vec![("Redis".to_owned(), server.clone())],
                replicas: Vec::new(),
            }),
            Self::Cluster(cluster) => {
                let (masters, replicas) = cluster.nodes().await?;
                let connect = |address: super::slots::Address| {
                    let server = cluster.node(&address)?;
                    Ok((format!("Redis at {address}"), server))
                };
                Ok(Servers {
                    masters: masters.into_iter().map(connect).collect::<Result<_, _>>()?,
                    replicas: replicas
                        .into_iter()
                        .map(connect)
                        .collect::<Result<_, RedisError>>()?,
                })
            }
        }
    }
}

/// The servers of a cluster, or the only one, each with its name.
pub(super) struct Servers {
    pub(super) masters: Vec<(String, Server)>,
    pub(super) replicas: Vec<(String, Server)>,
}

/// Asks one server.
pub(super) async fn ask_server<T: FromRedisValue>(
    server: &Server,
    command: &Cmd,
) -> Result<T, RedisError> {
    command.query_async(&mut server.clone()).await
}
