//! A connection to all masters of a cluster.
//!
//! A client of its own for this, and not redis' `ClusterConnection`: that one sends a command again when a
//! connection breaks, and says how the last attempt ended, so that a ballot which the first one had
//! stored could be reported as refused. Here a command is sent again only after a node said that it
//! has not carried it out.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisFuture,
    ServerErrorKind, Value, aio::ConnectionLike,
};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep};

use crate::backends::redis::client::{
    address,
    server::Server,
    slots::{self, Address, SlotMap},
};
use crate::backends::tls::Authorities;

/// The cluster is not asked who has what more often than that.
const REFRESH_EVERY: Duration = Duration::from_millis(100);

/// Between two attempts while a slot is on its way from one node to another.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Shared by all who use it; connects to a node when it is first needed.
#[derive(Clone)]
pub(in crate::backends::redis) struct Cluster(Arc<Inner>);

struct Inner {
    /// The nodes that are known from the start.
    seeds: Vec<(Address, Server)>,
    /// How to connect to further ones.
    like: ConnectionInfo,
    ca: Option<Authorities>,
    response_timeout: Duration,
    known: Mutex<Known>,
    refreshing: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    map: Arc<SlotMap>,
    nodes: HashMap<Address, Server>,
    /// Grows when there are nodes, or masters, that were not so before.
    generation: u64,
}

/// What a node that has not carried out a command says of it.
enum Elsewhere {
    /// It belongs there now.
    Moved(Address),
    /// It may be there already, of a slot that is on its way.
    Ask(Address),
    /// Its keys are on two nodes at the moment.
    Later,
}

impl Cluster {
    pub(in crate::backends::redis) fn new(
        seeds: Vec<Client>,
        ca: Option<Authorities>,
        response_timeout: Duration,
    ) -> Result<Self, RedisError> {
        let wrong = |text| RedisError::from((ErrorKind::InvalidClientConfig, text));
        let first = seeds.first().ok_or_else(|| wrong("there is no address"))?;
        let like = first.get_connection_info().clone();
        if like.redis_settings().db() != 0 {
            return Err(wrong("a cluster has no database but 0"));
        }
        let seeds = seeds.into_iter().map(|client| {
            let address = match client.get_connection_info().addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    Address {
                        host: host.clone(),
                        port: *port,
                    }
                }
                _ => return Err(wrong("a cluster is reached by host and port")),
            };
            let server = Server::new(name(&address), client, response_timeout);
            Ok((address, server))
        });
        Ok(Self(Arc::new(Inner {
            seeds: seeds.collect::<Result<_, _>>()?,
            like,
            ca,
            response_timeout,
            known: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        })))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let known = self.0.known.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    /// Grows whenever nodes join.
    pub(in crate::backends::redis) fn generation(&self) -> u64 {
        self.known().generation
    }

    /// The masters and the replicas, as the cluster has them now.
    pub(in crate::backends::redis) async fn nodes(
        &self,
    ) -> Result<(Vec<Address>, Vec<Address>), RedisError> {
        self.refresh(Duration::ZERO).await?;
        let map = self.known().map.clone();
        Ok((map.masters(), map.replicas()))
    }

    /// The node at an address.
    pub(in crate::backends::redis) fn node(&self, address: &Address) -> Result<Server, RedisError> {
        let mut known = self.known();
        if let Some(server) = known.nodes.get(address) {
            return Ok(server.clone());
        }
        let Address { host, port } = address;
        let client = address::sibling(&self.0.like, host, *port, self.0.ca.as_ref())?;
        let server = Server::new(name(address), client, self.0.response_timeout);
        known.nodes.insert(address.clone(), server.clone());
        Ok(server)
    }

    /// Asks all nodes at once who has what, and believes the first that knows, unless somebody has just
    /// asked.
    async fn refresh(&self, unless_within: Duration) -> Result<(), RedisError> {
        let mut last = self.0.refreshing.lock().await;
        if last.is_some_and(|last| last.elapsed() < unless_within) {
            return Ok(());
        }
        let mut asked: FuturesUnordered<_> = {
            let known = self.known();
            let seeds = self.0.seeds.iter().map(|(address, node)| (address, node));
            let nodes = known.nodes.iter();
            nodes
                .chain(seeds)
                .map(|(address, node)| ask_for_slots(address.clone(), node.clone()))
                .collect()
        };
        let mut failure = None;
        let mut found = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(map) => {
                    found = Some(map);
                    break;
                }
                Err(error) => failure = Some(error),
            }
        }
        *last = Some(Instant::now());
        let Some(map) = found else {
            return Err(failure.unwrap_or_else(|| refused("the cluster has no node".to_owned())));
        };
        let mut known = self.known();
        let before: Vec<_> = [known.map.masters(), known.map.replicas()].concat();
        let now: Vec<_> = [map.masters(), map.replicas()].concat();
        let were_masters = known.map.masters();
        let is_promoted = |node: &Address| !were_masters.contains(node);
        if now.iter().any(|node| !before.contains(node)) || map.masters().iter().any(is_promoted) {
            known.generation += 1;
        }
        known.nodes.retain(|address, _| now.contains(address));
        known.map = Arc::new(map);
        Ok(())
    }

    /// The master that has the slot; any master if it does not matter.
    async fn owner(&self, slot: Option<u16>) -> Result<Address, RedisError> {
        let find = || {
            let known = self.known();
            match slot {
                Some(slot) => known.map.owner(slot).cloned(),
                None => known.map.masters().into_iter().next(),
            }
        };
        if let Some(owner) = find() {
            return Ok(owner);
        }
        self.refresh(REFRESH_EVERY).await?;
        find().ok_or_else(|| refused(format!("no master of the cluster has slot {slot:?}")))
    }

    /// The master that has a key.
    pub(in crate::backends::redis) async fn server_of(
        &self,
        key: &str,
    ) -> Result<Server, RedisError> {
        let owner = self.owner(Some(slots::of_key(key.as_bytes()))).await?;
        self.node(&owner)
    }

    /// Sends a command to where it belongs, and notes which node was asked last.
    async fn send(&self, command: &Cmd, last: &mut Option<Address>) -> Result<Value, RedisError> {
        let slot = slots::of_command(command);
        let deadline = Instant::now() + self.0.response_timeout;
        let mut redirected = None;
        loop {
            let (address, is_asking) = match redirected.take() {
                Some(to) => to,
                None => (self.owner(slot).await?, false),
            };
            let mut node = self.node(&address)?;
            *last = Some(address.clone());
            let answer = if is_asking {
                ask_for(&mut node, command).await
            } else {
                node.req_packed_command(command).await
            };
            let error = match answer.and_then(Value::extract_error) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(elsewhere) = elsewhere(&error, &address) else {
                if error.is_io_error() || is_read_only(&error) {
                    // Another node may have taken over.
                    self.refresh_soon();
                }
                return Err(error);
            };
            if Instant::now() + TRY_AGAIN_AFTER >= deadline {
                return Err(error);
            }
            match elsewhere {
                Elsewhere::Moved(to) => {
                    self.refresh_soon();
                    redirected = Some((to, false));
                }
                Elsewhere::Ask(to) => redirected = Some((to, true)),
                Elsewhere::Later => sleep(TRY_AGAIN_AFTER).await,
            }
        }
    }

    fn refresh_soon(&self) {
        let cluster = self.clone();
        tokio::spawn(async move {
            if let Err(error) = cluster.refresh(REFRESH_EVERY).await {
                tracing::debug!(%error, "the cluster does not say who has what");
            }
        });
    }

    /// For one command, or one call of a script.
    pub(in crate::backends::redis) fn call(&self) -> Call {
        Call {
            cluster: self.clone(),
            last: None,
        }
    }
}

fn name(address: &Address) -> String {
    format!("Redis at {address}")
}

async fn ask_for_slots(address: Address, node: Server) -> Result<SlotMap, RedisError> {
    let mut ask = ::redis::cmd("CLUSTER");
    ask.arg("SLOTS");
    let answer: Value = node.read(&ask).await?;
    SlotMap::read(&answer, &address)
        .ok_or_else(|| refused(format!("{address} belongs to no cluster")))
}

/// Sends a command to the node that a slot is on its way to.
async fn ask_for(node: &mut Server, command: &Cmd) -> Result<Value, RedisError> {
    // Together, since the first holds for the next command of the connection only.
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("ASKING").add_command(command.clone());
    let mut answers = node.req_packed_commands(&pipeline, 0, 2).await?;
    Ok(answers.pop().unwrap_or(Value::Nil))
}

/// Nothing was sent, so nothing was carried out.
fn refused(text: String) -> RedisError {
    io::Error::new(io::ErrorKind::ConnectionRefused, text).into()
}

fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Where to go with what a node has not carried out; `None` if it did, or may have, or if that is of no
/// use.
fn elsewhere(error: &RedisError, said_by: &Address) -> Option<Elsewhere> {
    let told = error.clone().into_server_errors()?;
    let (_, told) = told.first()?;
    let place = || {
        let mut words = told.details()?.split_ascii_whitespace();
        Address::read(words.nth(1)?, said_by)
    };
    match told.kind()? {
        ServerErrorKind::Moved => place().map(Elsewhere::Moved),
        ServerErrorKind::Ask => place().map(Elsewhere::Ask),
        ServerErrorKind::TryAgain => Some(Elsewhere::Later),
        _ => None,
    }
}

/// A command, or a script's call, which may come to several: what names no key, which is to load the
/// script, goes where the call went before.
pub(in crate::backends::redis) struct Call {
    cluster: Cluster,
    last: Option<Address>,
}

impl Call {
    /// The node that was asked last.
    pub(in crate::backends::redis) fn answered_by(&self) -> Result<Server, RedisError> {
        let last = self.last.as_ref();
        let last = last.ok_or_else(|| refused("no node was asked".to_owned()))?;
        self.cluster.node(last)
    }
}

impl ConnectionLike for Call {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            if let Some(last) = &self.last
                && slots::of_command(command).is_none()
            {
                return self.cluster.node(last)?.req_packed_command(command).await;
            }
            self.cluster.send(command, &mut self.last).await
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        // Whatever belongs together is a script.
        let error = (ErrorKind::Client, "pipelines are not sent to a cluster");
        std::future::ready(Err(RedisError::from(error))).boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}
