//! A connection to all masters of a cluster.
//!
//! This is our own client, and not `ClusterConnection` of the crate redis. That client sends a command again when a
//! connection breaks, and returns the outcome of the last attempt. So a ballot that the first attempt stored could be
//! reported as refused. This client sends a command again only after a node said that it has not carried the command
//! out.

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
    server::{Server, is_read_only},
    slots::{self, Address, SlotMap},
    target::Target,
};
use crate::backends::tls::Authorities;

/// The slots of the cluster are asked for at most this often.
const REFRESH_EVERY: Duration = Duration::from_millis(100);

/// The pause between two attempts while a slot moves from one node to another.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// All users share it. It connects to a node when the node is first needed.
#[derive(Clone)]
pub(in crate::backends::redis) struct Cluster(Arc<Inner>);

struct Inner {
    /// The nodes of the configured address.
    seeds: Vec<(Address, Server)>,
    /// The user, the password and the encryption for further nodes.
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
    /// Grows when a node joins, or becomes a master.
    generation: u64,
}

/// Why a node of the cluster has not carried out a command.
enum Elsewhere {
    /// The key belongs to this node now.
    Moved(Address),
    /// The key's slot moves to this node, and the key may be there already.
    Ask(Address),
    /// The command's keys are on two nodes at the moment.
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
            let server = Server::new(
                name(&address),
                Target::Fixed(Box::new(client)),
                response_timeout,
            );
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

    /// Grows when a node joins, or becomes a master.
    pub(in crate::backends::redis) fn generation(&self) -> u64 {
        self.known().generation
    }

    /// The current masters and replicas of the cluster.
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
        let target = Target::Fixed(Box::new(client));
        let server = Server::new(name(address), target, self.0.response_timeout);
        known.nodes.insert(address.clone(), server.clone());
        Ok(server)
    }

    /// Asks all nodes for the slots at the same time and takes the first answer. It does nothing if the last refresh
    /// is more recent than `unless_within`.
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

    /// The master of the slot; without a slot, any master.
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

    /// The master of a key.
    pub(in crate::backends::redis) async fn server_of(
        &self,
        key: &str,
    ) -> Result<Server, RedisError> {
        let owner = self.owner(Some(slots::of_key(key.as_bytes()))).await?;
        self.node(&owner)
    }

    /// Sends a command to the node of its key, and stores in `last` which node was asked last.
    async fn send(&self, command: &Cmd, last: &mut Option<Asked>) -> Result<Value, RedisError> {
        let slot = slots::of_command(command);
        let deadline = Instant::now() + self.0.response_timeout;
        let mut redirected = None;
        loop {
            let (address, is_asking) = match redirected.take() {
                Some(to) => to,
                None => (self.owner(slot).await?, false),
            };
            let mut node = self.node(&address)?;
            *last = Some(Asked::now(&node));
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
                    // Another node may have become the master.
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
                tracing::debug!(%error, "the cluster does not report its slots");
            }
        });
    }

    /// Makes a sender for one command, or for one call of a script.
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

/// Sends a command to the node that a slot is moving to.
async fn ask_for(node: &mut Server, command: &Cmd) -> Result<Value, RedisError> {
    // Both are in one pipeline, since `ASKING` applies only to the next command of its connection.
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("ASKING").add_command(command.clone());
    let mut answers = node.req_packed_commands(&pipeline, 0, 2).await?;
    Ok(answers.pop().unwrap_or(Value::Nil))
}

/// The error for a command that was never sent, so it was not carried out.
fn refused(text: String) -> RedisError {
    io::Error::new(io::ErrorKind::ConnectionRefused, text).into()
}

/// Where to send a command that the node has not carried out. `None` if the node has carried it out or may have, or
/// if another node would not help.
fn elsewhere(error: &RedisError, said_by: &Address) -> Option<Elsewhere> {
    let reply = error.clone().into_server_errors()?;
    let (_, reply) = reply.first()?;
    let place = || {
        let mut words = reply.details()?.split_ascii_whitespace();
        Address::read(words.nth(1)?, said_by)
    };
    match reply.kind()? {
        ServerErrorKind::Moved => place().map(Elsewhere::Moved),
        ServerErrorKind::Ask => place().map(Elsewhere::Ask),
        ServerErrorKind::TryAgain => Some(Elsewhere::Later),
        _ => None,
    }
}

/// Sends a command, or the commands of one script call. A command without a key, such as the one that loads the
/// script, goes to the node of the command before it.
pub(in crate::backends::redis) struct Call {
    cluster: Cluster,
    last: Option<Asked>,
}

/// A node, and over which of its connections it was asked.
#[derive(Clone)]
struct Asked {
    server: Server,
    turn: u64,
}

impl Asked {
    fn now(server: &Server) -> Self {
        Self {
            turn: server.turn(),
            server: server.clone(),
        }
    }
}

impl Call {
    /// The node that was asked last, and over which of its connections.
    pub(in crate::backends::redis) fn answered_by(self) -> Result<(Server, u64), RedisError> {
        match self.last {
            Some(Asked { server, turn }) => Ok((server, turn)),
            None => Err(refused("no node was asked".to_owned())),
        }
    }
}

impl ConnectionLike for Call {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            if let Some(last) = &mut self.last
                && slots::of_command(command).is_none()
            {
                *last = Asked::now(&last.server);
                return last.server.req_packed_command(command).await;
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
        // Commands that belong together are in a script.
        let error = (ErrorKind::Client, "pipelines are not sent to a cluster");
        std::future::ready(Err(RedisError::from(error))).boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}
