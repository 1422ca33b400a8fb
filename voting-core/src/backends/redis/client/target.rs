//! Where a server is: at one address for ever, or where Sentinels say that the master is at the moment.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
};
use futures_util::future::join_all;

use crate::backends::{redis::client::address, tls::Authorities};

/// How long a Sentinel may take to connect, and again to answer. Those that are away must not delay a voter for longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where to connect.
#[derive(Clone)]
pub(in crate::backends::redis) enum Target {
    Fixed(Box<Client>),
    Sentinels(Arc<Sentinels>),
}

/// The Sentinels that watch a master and its replicas.
pub(in crate::backends::redis) struct Sentinels {
    nodes: Vec<Client>,
    /// The name under which they know the master.
    name: String,
    /// The user, the password, the database and the encryption for the master.
    like: ConnectionInfo,
    ca: Option<Authorities>,
}

impl Target {
    /// The master that these Sentinels know under the host of this address. The addresses of the Sentinels are separated by commas.
    pub(in crate::backends::redis) fn behind(
        sentinels: &str,
        url: &str,
        ca: Option<Authorities>,
    ) -> Result<Self, RedisError> {
        let like = address::client(url, ca.as_ref())?
            .get_connection_info()
            .clone();
        let (ConnectionAddr::Tcp(name, _) | ConnectionAddr::TcpTls { host: name, .. }) =
            like.addr()
        else {
            let text =
                "with Sentinels, its host is the name of the master: redis://user:password@NAME/";
            return Err((ErrorKind::InvalidClientConfig, text).into());
        };
        // The authorities are those of the master. A Sentinel may speak without encryption beside it.
        let node = |url: &str| {
            let url = url.trim();
            let ca = ca.as_ref().filter(|_| address::is_encrypted(url));
            address::client(url, ca)
        };
        Ok(Self::Sentinels(Arc::new(Sentinels {
            nodes: sentinels.split(',').map(node).collect::<Result<_, _>>()?,
            name: name.clone(),
            like,
            ca,
        })))
    }

    /// Whether the server may be at another address after a connection was lost.
    pub(in crate::backends::redis) fn may_move(&self) -> bool {
        matches!(self, Self::Sentinels(_))
    }

    /// What the configured addresses name: the server, or its Sentinels.
    pub(in crate::backends::redis) fn named(&self) -> Vec<&ConnectionInfo> {
        match self {
            Self::Fixed(client) => vec![client.get_connection_info()],
            Self::Sentinels(sentinels) => {
                let nodes = sentinels.nodes.iter();
                nodes.map(Client::get_connection_info).collect()
            }
        }
    }

    /// How to connect; with Sentinels, the host is the master's name.
    pub(in crate::backends::redis) fn info(&self) -> &ConnectionInfo {
        match self {
            Self::Fixed(client) => client.get_connection_info(),
            Self::Sentinels(sentinels) => &sentinels.like,
        }
    }

    /// A client for the server where it is now. If this fails, nothing was sent to the server.
    pub(in crate::backends::redis) async fn client(&self) -> Result<Client, RedisError> {
        match self {
            Self::Fixed(client) => Ok(Client::clone(client)),
            Self::Sentinels(sentinels) => sentinels.master().await,
        }
    }
}

/// What a Sentinel says about the master.
struct Told {
    host: String,
    port: u16,
    /// Grows with each replica that takes over.
    epoch: u64,
}

impl Sentinels {
    async fn master(&self) -> Result<Client, RedisError> {
        let asked = self.nodes.iter().map(|node| self.ask(node));
        let (mut newest, mut failure) = (None::<Told>, None);
        for reply in join_all(asked).await {
            match reply {
                // A Sentinel that is cut off knows the master of before.
                Ok(reply)
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.epoch < reply.epoch) =>
                {
                    newest = Some(reply);
                }
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        match (newest, failure) {
            (Some(Told { host, port, .. }), _) => {
                address::sibling(&self.like, &host, port, self.ca.as_ref())
            }
            (None, Some(error)) => {
                Err(self.nobody(&format!("no Sentinel reports its address: {error}")))
            }
            (None, None) => Err(self.nobody("no Sentinel is named")),
        }
    }

    async fn ask(&self, node: &Client) -> Result<Told, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = node.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await?;
        let mut ask = ::redis::cmd("SENTINEL");
        ask.arg("MASTER").arg(&self.name);
        let reply: HashMap<String, String> = ask.query_async(&mut connection).await?;
        let read = || {
            Some(Told {
                host: reply.get("ip")?.clone(),
                port: reply.get("port")?.parse().ok()?,
                epoch: reply.get("config-epoch")?.parse().ok()?,
            })
        };
        read()
            .ok_or_else(|| self.nobody("a Sentinel answered with something that is not an address"))
    }

    /// The error for a command that was never sent.
    fn nobody(&self, why: &str) -> RedisError {
        let text = format!("cannot find the master {}: {why}", self.name);
        io::Error::new(io::ErrorKind::ConnectionRefused, text).into()
    }
}
