//! The settings and their defaults.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize, Serializer};
use voting_core::{Poll, PollId, WorkerOptions};
use voting_http::{Limits, PublicUrl, ServeOptions, TrustedProxies};

use crate::{
    secrets::Hidden,
    settings::{listen, log::LogFormat},
};

/// All settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is logged: a level, or levels by module as `tracing` takes them.
    pub log: String,
    /// How its lines are written.
    pub log_format: LogFormat,
    /// The vote service.
    pub vote: Web,
    /// The result service.
    pub result: Web,
    /// The worker and the operator's API.
    pub worker: Worker,
    /// The store of the all-in-one.
    pub sqlite: Sqlite,
    /// The log of the separate services.
    pub redis: RedisSettings,
    /// The store of the separate services.
    pub postgres: PostgresSettings,
    /// Signs voters' cookies and receipts; 32 bytes or more. Made and kept beside the database
    /// unless given.
    pub secret: Option<Hidden>,
    /// A file with the secret.
    pub secret_file: Option<PathBuf>,
    /// Once asked to stop, how long a service goes on while it says that it is not ready, so that
    /// a load balancer takes it out first, in milliseconds.
    pub drain_delay_ms: u64,
    /// The proxies in front of the services, whose `X-Forwarded-For` is believed: addresses, networks such as
    /// `10.0.0.0/8`, or `unix`.
    pub trusted_proxies: TrustedProxies,
    /// The live result's event streams.
    pub streams: Streams,
    /// Traces of single requests and ballots.
    pub traces: TraceSettings,
    /// Whether pages say which replica answered.
    pub show_served_by: bool,
    /// The poll at `/`; the first of `polls` unless given.
    pub default_poll: Option<PollId>,
    /// Polls that are made at start, or given these labels. Without them the course's poll is
    /// made if it is missing.
    pub polls: Option<Vec<Poll>>,
    /// What the first option of the course's poll is called; `OPTION_A` sets it, too, as in the course.
    pub option_a: Option<String>,
    /// The same of the second one: `OPTION_B`.
    pub option_b: Option<String>,
}

/// A service with pages.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Where to listen.
    #[serde(deserialize_with = "listen::read")]
    pub listen: SocketAddr,
    /// The address that voters use, when it is another, as behind a proxy.
    #[serde(default, serialize_with = "as_text")]
    pub public_url: Option<PublicUrl>,
    /// The port that voters use, when it is another than in `listen` and the host is theirs to choose, as
    /// behind a published port. The other service's pages link to it.
    #[serde(default)]
    pub public_port: Option<NonZeroU16>,
    /// Connections at a time; further ones get one short answer each.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// Of these, how many one address may hold that is none of `trusted_proxies`. Half of them unless set.
    #[serde(default)]
    pub max_connections_per_address: Option<usize>,
}

/// The live result's event streams.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// Streams at a time. Three quarters of `result.max_connections` unless set.
    pub max: Option<usize>,
    /// Of these, how many one address may hold. Half of them unless set.
    pub max_per_address: Option<usize>,
    /// After about so many seconds a stream ends, and its viewer opens another one.
    pub life_s: u64,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            max: None,
            max_per_address: None,
            life_s: Limits::default().stream_life.as_secs(),
        }
    }
}

fn max_connections() -> usize {
    ServeOptions::DEFAULT_CONNECTIONS
}

fn as_text<S: Serializer>(url: &Option<PublicUrl>, to: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(ToString::to_string).serialize(to)
}

/// The worker and the operator's API.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Where to listen.
    #[serde(deserialize_with = "listen::read")]
    pub listen: SocketAddr,
    /// Opens the operator's API; 32 bytes or more. Made and kept beside the database unless
    /// given.
    pub token: Option<Hidden>,
    /// A file with the token.
    pub token_file: Option<PathBuf>,
    /// A batch is flushed when it has so many ballots, …
    pub max_ballots: usize,
    /// … or so many milliseconds after its first.
    pub max_wait_ms: u64,
}

/// The embedded store.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// The file.
    pub path: PathBuf,
}

/// The log in Redis.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSettings {
    /// Such as `redis://user:password@host:6379/`, or `rediss://` if it is encrypted. Of a cluster, several
    /// may be given, separated by commas.
    pub url: Option<Hidden>,
    /// A file with the address.
    pub url_file: Option<PathBuf>,
    /// A PEM file with the authorities that vouch for an encrypted one, if not those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// Whether it is a Redis Cluster.
    pub cluster: bool,
    /// Begins all keys.
    pub prefix: String,
    /// The streams that share the load; cannot change once there is a log.
    pub shards: u16,
    /// After so many milliseconds a worker that has not acknowledged is taken for dead.
    pub claim_timeout_ms: u64,
    /// How many hours acknowledged entries are kept.
    pub retention_hours: u64,
    /// Whether to go on with a Redis that can lose acknowledged ballots.
    pub accept_loss: bool,
}

/// The store in Postgres.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresSettings {
    /// Such as `postgres://user:password@host/database`. Encrypted, and the server verified, with
    /// `?sslmode=require`.
    pub url: Option<Hidden>,
    /// A file with the address.
    pub url_file: Option<PathBuf>,
    /// A PEM file with the authorities that vouch for the server, if not those that the system trusts. With
    /// it the connection is always encrypted.
    pub ca_file: Option<PathBuf>,
    /// The connections of one process.
    pub connections: u32,
}

/// Where traces go, and of what there are any.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSettings {
    /// The collector's address for OTLP over HTTP, such as `http://127.0.0.1:4318`, to which `/v1/traces` is
    /// added. Without it there are no traces.
    pub endpoint: Option<String>,
    /// Which part of the requests is followed, 0 to 1.
    pub sample_ratio: f64,
    /// Whether the header `traceparent` of a request decides whether that is followed, and as part of what.
    pub trust_traceparent: bool,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample_ratio: 0.01,
            trust_traceparent: false,
        }
    }
}

impl Default for RedisSettings {
    fn default() -> Self {
        // All programs read one file, also those that are built without Redis. A test holds these values to the
        // library's.
        Self {
            url: None,
            url_file: None,
            ca_file: None,
            cluster: false,
            prefix: "voting".to_owned(),
            shards: 4,
            claim_timeout_ms: 30_000,
            retention_hours: 24,
            accept_loss: false,
        }
    }
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            ca_file: None,
            connections: 4,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Web {
    fn on(port: u16) -> Self {
        Self {
            listen: loopback(port),
            public_url: None,
            public_port: None,
            max_connections: max_connections(),
            max_connections_per_address: None,
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        let options = WorkerOptions::default();
        Self {
            listen: loopback(8082),
            token: None,
            token_file: None,
            max_ballots: options.max_ballots,
            max_wait_ms: u64::try_from(options.max_wait.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            log_format: LogFormat::default(),
            vote: Web::on(8080),
            result: Web::on(8081),
            worker: Worker::default(),
            sqlite: Sqlite {
                path: PathBuf::from("voting-data/voting.db"),
            },
            redis: RedisSettings::default(),
            postgres: PostgresSettings::default(),
            secret: None,
            secret_file: None,
            drain_delay_ms: 0,
            trusted_proxies: TrustedProxies::default(),
            streams: Streams::default(),
            traces: TraceSettings::default(),
            show_served_by: false,
            default_poll: None,
            polls: None,
            option_a: None,
            option_b: None,
        }
    }
}

impl Config {
    /// How the worker is to work.
    pub fn worker_options(&self) -> WorkerOptions {
        WorkerOptions {
            max_ballots: self.worker.max_ballots,
            max_wait: Duration::from_millis(self.worker.max_wait_ms),
            ..WorkerOptions::default()
        }
    }
}
