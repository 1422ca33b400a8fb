//! The connection to Redis, which is one server or a cluster.

use std::time::Duration;

use ::redis::{Client, Cmd, FromRedisValue, RedisError, aio::ConnectionLike};

use crate::backends::redis::{
    RedisOptions,
    client::{
        address,
        cluster::Cluster,
        server::{Server, once_more},
        target::Target,
    },
};

/// All users share it. It connects when it is first used, and connects again after it was lost.
#[derive(Clone)]
pub(in crate::backends::redis) enum Connection {
    Server(Server),
    Cluster(Cluster),
}

/// The servers that the address names.
#[derive(Clone)]
pub(in crate::backends::redis) enum Place {
    Server(Target),
    Cluster(Vec<Client>),
}

/// What a server has answered, which server, and over which of its connections.
#[derive(Clone)]
pub(in crate::backends::redis) struct Ran<T> {
    pub(in crate::backends::redis) answer: T,
    pub(in crate::backends::redis) server: Server,
    pub(in crate::backends::redis) turn: u64,
}

/// What is sent to a server.
enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ::redis::ScriptInvocation<'a>),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(
        &self,
        connection: &mut (impl ConnectionLike + Send),
    ) -> Result<T, RedisError> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }
    }
}

impl<T> Ran<T> {
    /// The answer, and the rest.
    pub(in crate::backends::redis) fn split(self) -> (T, Ran<()>) {
        let Self {
            answer,
            server,
            turn,
        } = self;
        let rest = Ran {
            answer: (),
            server,
            turn,
        };
        (answer, rest)
    }
}

impl Place {
    /// Reads the address, or the addresses of several nodes of a cluster.
    pub(in crate::backends::redis) fn new(
        url: &str,
        options: &RedisOptions,
    ) -> Result<Self, RedisError> {
        let ca = options.ca.as_ref();
        if options.cluster {
            // A comma in a password is written `%2C`.
            let nodes = url.split(',').map(|url| address::client(url.trim(), ca));
            return nodes.collect::<Result<_, _>>().map(Self::Cluster);
        }
        let target = match &options.sentinels {
            Some(sentinels) => Target::behind(sentinels, url, options.ca.clone())?,
            None => Target::Fixed(Box::new(address::client(url, ca)?)),
        };
        Ok(Self::Server(target))
    }
}

impl Connection {
    pub(in crate::backends::redis) fn new(
        place: &Place,
        options: &RedisOptions,
    ) -> Result<Self, RedisError> {
        let timeout = options.response_timeout;
        Ok(match place {
            Place::Server(target) => Self::Server(only(target, timeout)),
            Place::Cluster(nodes) => {
                Self::Cluster(Cluster::new(nodes.clone(), options.ca.clone(), timeout)?)
            }
        })
    }

    /// A connection on which a command may wait for `block`. `None` for a cluster, where one command cannot wait for
    /// all shards.
    pub(in crate::backends::redis) fn blocking(
        place: &Place,
        options: &RedisOptions,
        block: Duration,
    ) -> Option<Self> {
        let patience = options.response_timeout + block;
        match place {
            Place::Server(target) => Some(Self::Server(only(target, patience))),
            Place::Cluster(_) => None,
        }
    }

    pub(in crate::backends::redis) async fn ask<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<T, RedisError> {
        match self {
            Self::Server(server) => command.query_async(&mut server.clone()).await,
            Self::Cluster(cluster) => command.query_async(&mut cluster.call()).await,
        }
    }

    /// Sends a command that changes nothing, or that may be carried out twice; see [`Server::read`].
    pub(in crate::backends::redis) async fn read<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<T, RedisError> {
        once_more(|| self.ask(command)).await
    }

    pub(in crate::backends::redis) async fn run<T: FromRedisValue>(
        &self,
        script: &::redis::ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        match self {
            Self::Server(server) => script.invoke_async(&mut server.clone()).await,
            Self::Cluster(cluster) => script.invoke_async(&mut cluster.call()).await,
        }
    }

    /// Runs a script that changes nothing; see [`Server::read`].
    pub(in crate::backends::redis) async fn look<T: FromRedisValue>(
        &self,
        script: &::redis::ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        once_more(|| self.run(script)).await
    }

    /// Runs a script, and says which server has carried it out.
    pub(in crate::backends::redis) async fn run_on<T: FromRedisValue>(
        &self,
        script: &::redis::ScriptInvocation<'_>,
    ) -> Result<Ran<T>, RedisError> {
        self.carried_out(&Request::Script(script)).await
    }

    /// As [`read`](Self::read), and says which server has carried it out.
    pub(in crate::backends::redis) async fn read_on<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<Ran<T>, RedisError> {
        once_more(|| self.ask_on(command)).await
    }

    /// Sends a command, and says which server has carried it out.
    pub(in crate::backends::redis) async fn ask_on<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<Ran<T>, RedisError> {
        self.carried_out(&Request::Command(command)).await
    }

    async fn carried_out<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
    ) -> Result<Ran<T>, RedisError> {
        match self {
            Self::Server(server) => {
                let turn = server.turn();
                let answer = request.send(&mut server.clone()).await?;
                let server = server.clone();
                Ok(Ran {
                    answer,
                    server,
                    turn,
                })
            }
            Self::Cluster(cluster) => {
                let mut call = cluster.call();
                let answer = request.send(&mut call).await?;
                let (server, turn) = call.answered_by()?;
                Ok(Ran {
                    answer,
                    server,
                    turn,
                })
            }
        }
    }

    /// The server of a key.
    pub(in crate::backends::redis) async fn server_of(
        &self,
        key: &str,
    ) -> Result<Server, RedisError> {
        match self {
            Self::Server(server) => Ok(server.clone()),
            Self::Cluster(cluster) => cluster.server_of(key).await,
        }
    }

    /// Grows when there may be new servers, or servers with another role.
    pub(in crate::backends::redis) fn generation(&self) -> u64 {
        match self {
            Self::Server(server) => server.turn(),
            Self::Cluster(cluster) => cluster.generation(),
        }
    }

    /// Each server that takes ballots, and each that may become one.
    pub(in crate::backends::redis) async fn each(&self) -> Result<Servers, RedisError> {
        match self {
            Self::Server(server) => Ok(Servers {
                masters: vec![server.clone()],
                replicas: Vec::new(),
            }),
            Self::Cluster(cluster) => {
                let (masters, replicas) = cluster.nodes().await?;
                let connect = |address| cluster.node(&address);
                Ok(Servers {
                    masters: masters.into_iter().map(connect).collect::<Result<_, _>>()?,
                    replicas: replicas
                        .into_iter()
                        .map(connect)
                        .collect::<Result<_, _>>()?,
                })
            }
        }
    }
}

/// The connection to a single server.
fn only(target: &Target, response_timeout: Duration) -> Server {
    Server::new("Redis".to_owned(), target.clone(), response_timeout)
}

/// The servers of a cluster, or the single server.
pub(in crate::backends::redis) struct Servers {
    pub(in crate::backends::redis) masters: Vec<Server>,
    pub(in crate::backends::redis) replicas: Vec<Server>,
}
