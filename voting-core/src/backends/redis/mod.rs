//! The log in Redis Streams. It is durable, and takes entries from any number of writers for any number of workers.
//!
//! Each shard has four keys. The braces keep them on one node of a cluster.
//!
//! - `<prefix>:{<shard>}:log` is a stream. Its entries have two fields: `b`, the bytes of
//!   [`entry`](crate::log::entry), and `n`, the number of ballots in these bytes. If a ballot of the entry is followed,
//!   the entry has a third field, `t`, the [traces](crate::log::entry_context). Other fields are ignored.
//! - `<prefix>:{<shard>}:stats` is a hash. It has the numbers of ballots that were ever `accepted` and `acknowledged`,
//!   and the number of entries that were `lost`.
//! - `<prefix>:{<shard>}:sealed` is a set. It has the polls in which the shard takes no more ballots.
//! - `<prefix>:{<shard>}:windows` is a hash. It has a [window](crate::model::poll::PollWindow) for each poll with opening
//!   and closing times: the rules, the times, the moments of opening and closing in ms (`-`: no limit), and the server's
//!   `master_replid` when the window was given, with a space between. If the server has another `master_replid` now, it was
//!   restarted or restored, or was a replica: then it takes no ballots in the poll until a worker has given it the window
//!   again.
//!
//! The key `<prefix>:layout` has the number of shards. The keys `<prefix>:secrets`, `<prefix>:earlier-secrets` and
//! `<prefix>:dropped-secrets` have the fingerprints of the secrets that vote services may have, or had. The key
//! `<prefix>:polls` has the polls that vote services read, as JSON; where workers have an entry key, they sign it.
//!
//! Writers in other languages append with the script `append.lua`, or check the set `sealed` and the hash `windows` in
//! the script that appends. An entry that is appended after its poll was sealed, or whose id is outside the poll's
//! window, is not counted.
//!
//! Redis must be durable. It needs the settings `appendonly yes`, `appendfsync always`, `aof-load-truncated no`,
//! `no-appendfsync-on-rewrite no` and `maxmemory-policy noeviction`. Redis reads its own log with the rights of its
//! user `default`, so this user needs all rights, even if the user is off. In a cluster each master must be durable,
//! and no replica may take over by itself (`cluster-replica-no-failover yes`), because a replica may lack the latest
//! ballots. With [`RedisOptions::replicas`] replicas may take over, by Sentinel or in a cluster: nothing is acknowledged, and
//! nothing is handed to a worker, before so many replicas have it on their disks. If Redis is not durable, the log is not ready, unless [`RedisOptions::accept_loss`] says that acknowledged
//! ballots may be lost.

mod append;
mod client;
mod clock;
mod durability;
mod failure;
mod inspect;
mod maintenance;
mod polls;
mod reader;
mod replicas;
mod rewind;
mod scripts;
mod secrets;
mod separate;
mod signed_polls;
mod windows;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use ::redis::RedisError;
use tokio::{runtime::Handle, sync::OnceCell};
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
        node::{EarlierProgram, Node, NodeInfo, Rights},
    },
    inspect::{Consumer, ShardReport, SignedBy},
    reader::RedisQueue,
    rewind::{LookBack, RewindError},
};
pub(super) use self::{durability::kind_of_flaw, failure::kind_of};
use crate::{
    backends::tls::Authorities,
    error::{ErrorKind, StoreError},
    log::{BallotLog, entry_keys::EntryKeys},
    model::position::ShardId,
    pipeline::group_commit::{GroupCommit, GroupCommitOptions},
};

/// The consumer group of the workers.
const GROUP: &str = "workers";

/// Options of the log in Redis.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The beginning of the name of every key. Default: `voting`.
    pub prefix: String,
    /// The number of streams. It cannot change once there is a log. Default: 4.
    pub shards: u16,
    /// An entry that is not acknowledged within this time is handed out again. Default: 30 s.
    pub claim_timeout: Duration,
    /// How long acknowledged entries are kept, so that they can be read again after the store was restored from a
    /// backup. While more than three quarters of Redis' `maxmemory` are in use, the oldest acknowledged entries are
    /// removed earlier, so that Redis can still take votes. Default: 24 hours.
    pub retention: Duration,
    /// How long an answer of Redis may take. Default: 5 s.
    pub response_timeout: Duration,
    /// Whether to use a Redis that can lose acknowledged ballots. Default: false.
    pub accept_loss: bool,
    /// Whether the Redis is a Redis Cluster. Default: false.
    pub cluster: bool,
    /// How many replicas must have an entry on their disks before it is acknowledged: all that may take over. Needs Redis 7.2 or
    /// Valkey. Default: 0; then no replica may take over.
    pub replicas: u16,
    /// The addresses of Sentinels, separated by commas. The host of the log's address is then the name under which they know the
    /// master. Default: none.
    pub sentinels: Option<String>,
    /// The certificate authorities for encrypted connections (`rediss://`); `None` for those that the system
    /// trusts.
    pub ca: Option<Authorities>,
    /// The keys under which entries and the published polls are signed and read. They are for this log: their name is the
    /// prefix. Default: none; then the polls are not signed, and are read whether they are signed or not.
    pub entry_keys: EntryKeys,
    /// Whether the published polls are read if they are not signed. It matters only where there are keys. Default: true.
    pub accept_unsigned_polls: bool,
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
            replicas: 0,
            sentinels: None,
            ca: None,
            entry_keys: EntryKeys::default(),
            accept_unsigned_polls: true,
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
    /// Where replicas are waited for: a connection for each shard's entries, since a connection that waits carries out nothing
    /// else. Empty where there are none to wait for.
    lanes: Vec<Connection>,
    scripts: Scripts,
    clocks: Clocks,
    /// Set once the layout is checked and the consumer groups exist.
    prepared: OnceCell<()>,
    watched: Watched,
    /// The newest revision of the published polls that was read.
    newest_polls: AtomicU64,
}

impl Redis {
    /// A log at `url`, such as `redis://user:password@host:6379/`. The connection is encrypted if the address begins
    /// with `rediss://`. For a cluster the address may name several nodes, separated by commas. The log connects when
    /// it is first used, and again whenever a connection is lost. Call this within a tokio runtime.
    ///
    /// With `rediss://`, ring becomes the process's cryptography provider of rustls, if the process has none yet.
    ///
    /// # Errors
    /// The address is not valid, or the connection would be less protected than the address says.
    pub fn new(url: &str, options: RedisOptions) -> Result<Self, InvalidAddress> {
        let place = Place::new(url, &options).map_err(|error| InvalidAddress::of(&error))?;
        Self::at(place, options)
    }

    fn at(place: Place, options: RedisOptions) -> Result<Self, InvalidAddress> {
        let connect =
            || Connection::new(&place, &options).map_err(|error| InvalidAddress::of(&error));
        let connection = connect()?;
        let lanes = match options.replicas {
            0 => 0,
            _ => options.shards,
        };
        let lanes = (0..lanes).map(|_| connect()).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner {
            connection,
            lanes,
            watched: Watched::default(),
            newest_polls: AtomicU64::new(0),
            place,
            scripts: Scripts::new(),
            clocks: Clocks::new(options.shards),
            options,
            prepared: OnceCell::new(),
        })))
    }

    /// A sink that writes to the log. It signs the entries if one of the [keys](RedisOptions::entry_keys) signs.
    pub fn sink(&self) -> GroupCommit {
        let keys = self.0.options.entry_keys.clone();
        GroupCommit::signing(Arc::new(self.clone()), GroupCommitOptions::default(), keys)
    }

    /// A sink for the ballots that a trusted server hands in for its voters, see [`GroupCommit::for_trusted_server`].
    pub fn bulk_sink(&self) -> GroupCommit {
        let keys = self.0.options.entry_keys.clone();
        let options = GroupCommitOptions::default();
        GroupCommit::for_trusted_server(Arc::new(self.clone()), options, keys)
    }

    /// [`sink`](Self::sink) for a process that serves voters on these runtimes: each has a connection and lanes of its own, see
    /// [`GroupCommit::on_runtimes`].
    ///
    /// # Errors
    /// The address is not valid; [`Redis::new`] has checked it.
    pub fn sink_on(&self, runtimes: &[Handle]) -> Result<GroupCommit, InvalidAddress> {
        let apart = |runtime: &Handle| {
            let log = self.apart()?;
            let connecting = log.clone();
            // The first ballot need not wait for the connection. If there is none yet, a ballot tries again.
            runtime.spawn(async move { connecting.prepare().await.ok() });
            let log: Arc<dyn BallotLog> = Arc::new(log);
            Ok((runtime.clone(), log))
        };
        let lanes = runtimes
            .iter()
            .map(apart)
            .collect::<Result<_, InvalidAddress>>()?;
        Ok(GroupCommit::on_runtimes(
            Arc::new(self.clone()),
            lanes,
            GroupCommitOptions::default(),
            self.0.options.entry_keys.clone(),
        ))
    }

    /// The same log over a connection of its own. The runtime on which it is first used serves the connection.
    fn apart(&self) -> Result<Self, InvalidAddress> {
        Self::at(self.0.place.clone(), self.0.options.clone())
    }

    /// A new reading end of the log, like [`Log::reader`](crate::log::Log::reader). It is a new consumer. The name of a
    /// consumer is never used again; otherwise a new process could take entries that an old process is about to
    /// finish.
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

    fn windows_key(&self, shard: ShardId) -> String {
        format!("{}:{{{shard}}}:windows", self.0.options.prefix)
    }

    fn layout_key(&self) -> String {
        format!("{}:layout", self.0.options.prefix)
    }

    /// The layout that the log has; `None` if there is no log yet.
    async fn layout(&self) -> Result<Option<String>, RedisError> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.layout_key());
        self.0.connection.read(&get).await
    }

    /// Writes a text if nobody has changed it since it was read, and returns whether it did. An empty text is one that is not
    /// there.
    async fn exchange(&self, key: String, from: &str, to: &str) -> Result<bool, StoreError> {
        let mut exchange = self.0.scripts.exchange.key(key);
        exchange.arg(from).arg(to);
        let exchanged = self.0.connection.run_on(&exchange).await?;
        self.kept(&exchanged).await?;
        Ok(exchanged.answer)
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
        // Read before writing, here and in `make_group`: at its memory limit Redis refuses even a write that changes
        // nothing. A worker that starts then must not fail, since it frees memory.
        let mut there = self.layout().await?;
        if there.is_none() {
            let mut set = ::redis::cmd("SET");
            set.arg(&key).arg(&ours).arg("NX").arg("GET");
            let set = self.0.connection.ask_on(&set).await?;
            self.kept(&set).await?;
            there = set.answer;
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
        match self.0.connection.ask_on::<()>(&create).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => Ok(self.kept(&made?).await?),
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
