//! The log in Redis Streams: takes the burst, durably, for any number of writers and workers.
//!
//! Each shard is a stream, `<prefix>:{<shard>}:log`, whose entries have two fields: `b`, the
//! bytes of [`entry`](crate::log::entry), and `n`, the number of ballots in them. An entry with a ballot that is
//! followed has a third, `t`, its [traces](crate::log::entry_context); other fields are passed over. Beside it is a hash,
//! `<prefix>:{<shard>}:stats`, with the ballots ever `accepted` and `acknowledged` and the entries `lost`, and a set,
//! `<prefix>:{<shard>}:sealed`, of the polls in which the shard takes no more ballots. The braces keep
//! them on one node of a cluster. `<prefix>:layout` says how many shards there are, and
//! `<prefix>:secrets` which secrets vote services may have, by their fingerprints.
//!
//! Writers in other languages append with the script `append.lua`, or check the set in the same
//! transaction: what is added after a poll was sealed is not counted.
//!
//! Redis must be set up to be durable: `appendonly yes`, `appendfsync always`,
//! `aof-load-truncated no`, `no-appendfsync-on-rewrite no`, `maxmemory-policy noeviction`, and its user `default`, with whose
//! rights it reads its own log, may do all, be it on or off. Otherwise it is not ready,
//! unless [`RedisOptions::accept_loss`] says that acknowledged ballots may be lost. Of a cluster, each
//! master must be, and no replica may take over by itself (`cluster-replica-no-failover yes`): it may
//! not have got the latest ballots yet.

mod append;
mod client;
mod clock;
mod durability;
mod failure;
mod inspect;
mod maintenance;
mod polls;
mod reader;
mod rewind;
mod scripts;
mod secrets;
mod separate;

use std::{sync::Arc, time::Duration};

use ::redis::RedisError;
use tokio::sync::OnceCell;
use uuid::Uuid;

use self::{
    client::connection::{Connection, Place},
    clock::Clocks,
    durability::watch::Watched,
    scripts::Scripts,
};
pub use self::{
    client::{
        address::InvalidAddress,
        node::{Node, NodeInfo, Rights},
    },
    inspect::{Consumer, ShardReport},
    reader::RedisQueue,
    rewind::{LookBack, RewindError},
};
pub(super) use self::{durability::kind_of_flaw, failure::kind_of};
use crate::{
    backends::tls::Authorities,
    error::{ErrorKind, StoreError},
    model::position::ShardId,
    pipeline::group_commit::{GroupCommit, GroupCommitOptions},
};

/// The consumer group of the workers.
const GROUP: &str = "workers";

/// How the log is kept.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Begins all keys.
    pub prefix: String,
    /// The streams that share the load; cannot change once there is a log.
    pub shards: u16,
    /// After this time without an acknowledgement an entry is handed out again.
    pub claim_timeout: Duration,
    /// How long acknowledged entries are kept, to be read again after the store was restored from
    /// a backup. While more than three quarters of Redis' `maxmemory` are in use, the oldest of them go
    /// earlier, so that votes can still be taken.
    pub retention: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// Whether to go on with a Redis that can lose acknowledged ballots.
    pub accept_loss: bool,
    /// Whether it is a Redis Cluster.
    pub cluster: bool,
    /// Who vouches for the server of an encrypted connection (`rediss://`), if not those whom the
    /// system trusts.
    pub ca: Option<Authorities>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "voting".to_owned(),
            shards: 4,
            claim_timeout: Duration::from_secs(30),
            retention: Duration::from_secs(24 * 3600),
            response_timeout: Duration::from_secs(5),
            accept_loss: false,
            cluster: false,
            ca: None,
        }
    }
}

/// The log. Clones share their connection.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    options: RedisOptions,
    place: Place,
    connection: Connection,
    scripts: Scripts,
    clocks: Clocks,
    /// Done once the layout is checked and the consumer groups are there.
    prepared: OnceCell<()>,
    watched: Watched,
}

impl Redis {
    /// A log at `url`, such as `redis://user:password@host:6379/`, encrypted with `rediss://`. Of a
    /// cluster it may name several nodes, separated by commas. It connects when it is first used, and
    /// again whenever a connection is lost. Call it within a tokio runtime.
    ///
    /// With `rediss://`, if the process has not chosen rustls' cryptography yet, it gets ring's.
    ///
    /// # Errors
    /// The address is none, or would not protect what it says it does.
    pub fn new(url: &str, options: RedisOptions) -> Result<Self, InvalidAddress> {
        let place = Place::new(url, &options)?;
        let connection = Connection::new(&place, &options)?;
        Ok(Self(Arc::new(Inner {
            connection,
            watched: Watched::default(),
            place,
            scripts: Scripts::new(),
            clocks: Clocks::new(options.shards),
            options,
            prepared: OnceCell::new(),
        })))
    }

    /// A sink that writes to the log.
    pub fn sink(&self) -> GroupCommit {
        GroupCommit::new(Arc::new(self.clone()), GroupCommitOptions::default())
    }

    /// Like [`Log::reader`](crate::log::Log::reader): a reading end of the log, a consumer of its own: no name is ever used twice, or a new
    /// process would take what an old one is about to finish.
    pub fn queue(&self) -> RedisQueue {
        RedisQueue::new(self.clone(), Uuid::now_v7().to_string())
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.0.options.shards).map(ShardId)
    }

    fn log_key(&self, shard: ShardId) -> String {
        format!("{}:{{{shard}}}:log", self.0.options.prefix)
    }

    fn stats_key(&self, shard: ShardId) -> String {
        format!("{}:{{{shard}}}:stats", self.0.options.prefix)
    }

    fn sealed_key(&self, shard: ShardId) -> String {
        format!("{}:{{{shard}}}:sealed", self.0.options.prefix)
    }

    fn layout_key(&self) -> String {
        format!("{}:layout", self.0.options.prefix)
    }

    /// How the log is laid out, if it is.
    async fn layout(&self) -> Result<Option<String>, RedisError> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.layout_key());
        self.0.connection.read(&get).await
    }

    /// Checks the layout, and makes the consumer groups, once.
    async fn prepare(&self) -> Result<(), StoreError> {
        let prepared = self.0.prepared.get_or_try_init(|| async {
            self.check_layout().await?;
            self.make_groups().await
        });
        prepared.await.copied()
    }

    async fn check_layout(&self) -> Result<(), StoreError> {
        let key = self.layout_key();
        let ours = format!("1 shards={}", self.0.options.shards);
        // Asked first, here and below: at its memory limit Redis refuses to write even what is
        // there already, and a worker that starts then is needed to make room.
        let mut there = self.layout().await?;
        if there.is_none() {
            let mut set = ::redis::cmd("SET");
            set.arg(&key).arg(&ours).arg("NX").arg("GET");
            there = self.0.connection.ask(&set).await?;
        }
        match there {
            Some(there) if there != ours => Err(StoreError::of_kind(
                ErrorKind::LayoutMismatch,
                format!(
                    "the log at {key} is laid out as {there:?}, not {ours:?}; the number of shards \
                     cannot change"
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn make_groups(&self) -> Result<(), StoreError> {
        for shard in self.shards() {
            self.make_group(shard).await?;
        }
        Ok(())
    }

    async fn make_group(&self, shard: ShardId) -> Result<(), StoreError> {
        if matches!(self.group(shard).await, Ok(Some(_))) {
            return Ok(());
        }
        let mut create = ::redis::cmd("XGROUP");
        create
            .arg("CREATE")
            .arg(self.log_key(shard))
            .arg(GROUP)
            .arg("0")
            .arg("MKSTREAM");
        match self.0.connection.ask::<()>(&create).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => Ok(made?),
        }
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::unavailable(error)
    }
}
