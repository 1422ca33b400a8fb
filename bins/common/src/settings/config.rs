//! The settings and their defaults.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize, Serializer};
use voting_core::{Poll, PollId, WorkerOptions, pipeline::observe::ObserveOptions};
use voting_http::{Limits, NewVoters, ProofOfWork, PublicUrl, TrustedProxies};

use crate::{
    secrets::Hidden,
    settings::{listen, lists, log::LogFormat, webhook_host::WebhookHost},
};

/// All settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`; or levels by module, such as
    /// `info,voting_core=debug`.
    pub log: String,
    /// The format of log lines: `text` for people, `json` for programs, one object a line.
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
    /// Signs the voters' cookies and receipts; 32 bytes or more. The all-in-one makes one unless it is set, and keeps
    /// it beside the database.
    pub secret: Option<Hidden>,
    /// A file with the secret, instead of `secret`.
    pub secret_file: Option<PathBuf>,
    /// Files with other secrets, under which cookies and receipts are read and not made: the next secret or the one before.
    /// In the environment they are separated by commas.
    #[serde(deserialize_with = "lists::read")]
    pub other_secret_files: Vec<PathBuf>,
    /// Signs the entries of the log in Redis; 32 bytes or more, and not the secret. Only for vote services and workers,
    /// which all have the same one. The all-in-one does not use it.
    pub entry_key: Option<Hidden>,
    /// A file with this key, instead of `entry_key`.
    pub entry_key_file: Option<PathBuf>,
    /// Files with other keys, under which entries are read and not signed: the next key or the one before. In the
    /// environment they are separated by commas.
    #[serde(deserialize_with = "lists::read")]
    pub other_entry_key_files: Vec<PathBuf>,
    /// The version of the entries that vote services write: 1 is not signed, 2 is signed. It is 2 where an entry key is
    /// set, else 1.
    pub entry_version: Option<u16>,
    /// Whether the worker counts ballots of entries that are not signed. Where it is `false`, the worker still counts those
    /// that were in the log when a worker first ran with `false`; and the vote service uses only polls that a worker has
    /// signed.
    pub accept_unsigned_entries: bool,
    /// Whether a voter with a cookie has another id in each poll that is made from now on, so that the stores do not show
    /// which ballots in several polls are of one voter. Needs an entry key. `voting load` cannot check such polls.
    pub voter_pseudonyms: bool,
    /// After the signal to stop: how long the service is not ready and still serves, so that a load balancer takes it
    /// out first.
    pub drain_delay_ms: u64,
    /// The proxies in front of the services, whose `X-Forwarded-For` is believed: addresses, networks such as
    /// `10.0.0.0/8`, or `unix`. In the environment they are separated by commas.
    pub trusted_proxies: TrustedProxies,
    /// The live result's event streams.
    pub streams: Streams,
    /// How many new voters one address may have in a poll, and all addresses together.
    pub new_voters: NewVoterSettings,
    /// What new voters do when very many of them come to a poll.
    pub proof_of_work: ProofOfWorkSettings,
    /// How people sign in to vote, in polls whose `electorate` is `identity`.
    pub login: LoginSettings,
    /// How people sign in to the host's pages, beside the form for a token.
    pub host_login: HostLoginSettings,
    /// The name, the colour and the logo of the voters' pages.
    pub theme: ThemeSettings,
    /// Traces of single requests and ballots.
    pub traces: TraceSettings,
    /// The sites that may show results inside their pages: `https://` or `http://` and a host, such as
    /// `https://www.example.org`. Without any, no site may. In the environment they are separated by commas.
    #[serde(deserialize_with = "lists::read", serialize_with = "as_texts")]
    pub embed_origins: Vec<PublicUrl>,
    /// The sites whose scripts may use the API of the vote and result services (CORS), with the cookies of their visitors. Name
    /// only sites that you trust. Without any, no site may. In the environment they are separated by commas.
    #[serde(deserialize_with = "lists::read", serialize_with = "as_texts")]
    pub api_origins: Vec<PublicUrl>,
    /// Whether pages show which replica answered.
    pub show_served_by: bool,
    /// The id of the poll at `/`. Unless set, it is the first of `polls`; the three services show the oldest poll.
    pub default_poll: Option<PollId>,
    /// Polls that are stored at each start; stored open ones get these titles and labels. Without `polls`, the poll
    /// `cats-vs-dogs` is made if it is missing. In the environment this is the list as JSON or TOML.
    pub polls: Option<Vec<Poll>>,
    /// How many days a final poll is kept before it is deleted with its ballots. A poll may have its own number. Unless
    /// set, polls are kept until somebody deletes them.
    pub retention_days: Option<u32>,
    /// How many days after a poll is final its voters are forgotten: of its ballots only the number of each choice stays.
    /// A poll may have its own number. Unless set, voters are kept until somebody has them forgotten.
    pub forget_voters_days: Option<u32>,
    /// The label of the first option of `cats-vs-dogs`. The variable `OPTION_A` sets it, too, as in the Docker course.
    pub option_a: Option<String>,
    /// The label of its second option; also `OPTION_B`.
    pub option_b: Option<String>,
}

/// A service with pages.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// The address to listen on, or a name of this machine. Port 0 takes a free port.
    #[serde(deserialize_with = "listen::read")]
    pub listen: SocketAddr,
    /// The address that voters use, if it is another one, as behind a proxy.
    #[serde(default, serialize_with = "as_text")]
    pub public_url: Option<PublicUrl>,
    /// Without a `public_url`: the port that voters use, if it is not that of `listen`, as behind a published port. The
    /// other service's pages link to it.
    #[serde(default)]
    pub public_port: Option<NonZeroU16>,
    /// The most connections at a time; each further one gets a single short answer. A low limit of open files lowers
    /// it.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// The most of these for one address; half of them unless set. `trusted_proxies` have no such limit.
    #[serde(default)]
    pub max_connections_per_address: Option<usize>,
}

/// The live result's event streams.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// How many streams may be open at a time; three quarters of `result.max_connections` unless set.
    pub max: Option<usize>,
    /// The most of these for one address; half of them unless set.
    pub max_per_address: Option<usize>,
    /// About how long a stream lasts. Then its viewer opens another one.
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

/// How many new voters one address may have in a poll: an IPv4 address or an IPv6 `/64`; and how many a poll may have, from
/// wherever they come. Each vote service counts for itself.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewVoterSettings {
    /// Whether there is a limit. Set it to `false` where very many people vote behind one address, as in a hall. Voters
    /// who have voted in the poll before are never counted, and neither are requests from this machine or from
    /// `trusted_proxies` themselves.
    pub limited: bool,
    /// How many new voters may come at once.
    pub burst: NonZeroU32,
    /// How many new voters may come each minute after that.
    pub per_minute: NonZeroU32,
    /// How many new voters a poll may have each minute, from all addresses together, also from this machine. Unless set, any
    /// number.
    pub poll_per_minute: Option<NonZeroU32>,
    /// How many new voters a poll may have at once before `new_voters.poll_per_minute` holds.
    pub poll_burst: NonZeroU32,
    /// The ids of polls in which nothing is asked of new voters and their number has no limit, such as one for a hall. In the
    /// environment they are separated by commas.
    #[serde(deserialize_with = "lists::read")]
    pub unlimited_polls: Vec<PollId>,
}

impl NewVoterSettings {
    /// The limit of a poll, if there is one.
    pub fn poll_limit(&self) -> Option<NewVoters> {
        let burst = self.poll_burst;
        let limit = |per_minute| NewVoters { burst, per_minute };
        self.poll_per_minute.map(limit)
    }

    /// The limit of an address, if there is one.
    pub fn limit(&self) -> Option<NewVoters> {
        let Self {
            limited,
            burst,
            per_minute,
            ..
        } = *self;
        limited.then_some(NewVoters { burst, per_minute })
    }
}

impl Default for NewVoterSettings {
    fn default() -> Self {
        let NewVoters { burst, per_minute } = NewVoters::default();
        Self {
            limited: true,
            burst,
            per_minute,
            poll_per_minute: None,
            poll_burst: NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN),
            unlimited_polls: Vec::new(),
        }
    }
}

/// A proof of work, which a poll for everybody asks of new voters when very many of them come. The page's script does it in
/// the background; without scripts the form waits. Voters who have voted in the poll before, and voters with a code or a
/// login, are never asked. Each vote service counts for itself.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProofOfWorkSettings {
    /// How many new voters of a poll each minute are not asked. Unless set, nobody is asked.
    pub above_per_minute: Option<NonZeroU32>,
    /// How many new voters may come at once before `proof_of_work.above_per_minute` holds.
    pub burst: NonZeroU32,
    /// How many numbers a browser tries at most until it finds the right one; half of them on average. A browser tries
    /// some hundred thousand in a second, an old telephone some ten thousand.
    pub attempts: NonZeroU32,
    /// How long a form without scripts waits at least.
    pub wait_s: u32,
}

impl ProofOfWorkSettings {
    /// When a proof is asked, and which, if ever.
    pub fn asked(&self) -> Option<ProofOfWork> {
        Some(ProofOfWork {
            burst: self.burst,
            above_per_minute: self.above_per_minute?,
            attempts: self.attempts,
            wait: Duration::from_secs(self.wait_s.into()),
        })
    }
}

impl Default for ProofOfWorkSettings {
    fn default() -> Self {
        let ProofOfWork {
            burst,
            attempts,
            wait,
            ..
        } = ProofOfWork::above(NonZeroU32::MIN);
        Self {
            above_per_minute: None,
            burst,
            attempts,
            wait_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX),
        }
    }
}

/// How people sign in to vote: by tokens of an identity provider, or by headers of a proxy that signs people in. Only for
/// vote services.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSettings {
    /// The `iss` of accepted tokens: the identity provider.
    pub issuer: Option<String>,
    /// The `aud` of accepted tokens: this deployment, as the provider knows it.
    pub audience: Option<String>,
    /// The address of the provider's public keys (JWKS), `https://…`; `http://` only on this machine.
    pub jwks_url: Option<String>,
    /// A file with these keys, instead of `login.jwks_url`. It is read again when a new key is needed.
    pub jwks_file: Option<PathBuf>,
    /// A file of the certificate authorities that vouch for `login.jwks_url`, as PEM. Unless set, those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// The claim with a person's groups. Dots lead into objects, as in `realm_access.roles`.
    pub groups_claim: String,
    /// The header in which one of `trusted_proxies` names the person who has signed in, such as `X-Forwarded-User`.
    pub user_header: Option<String>,
    /// The header with this person's groups, with commas between them.
    pub groups_header: Option<String>,
    /// The header with this person's verified e-mail address.
    pub email_header: Option<String>,
    /// The address of the page where people sign in. The voting page links to it.
    pub sign_in_url: Option<String>,
    /// How long a session lasts after a token was taken, in minutes.
    pub session_minutes: NonZeroU32,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            jwks_url: None,
            jwks_file: None,
            ca_file: None,
            groups_claim: "groups".to_owned(),
            user_header: None,
            groups_header: None,
            email_header: None,
            sign_in_url: None,
            session_minutes: NonZeroU32::new(720).unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// How people sign in to the host's pages at an identity provider, by OpenID Connect. Only for the worker and the
/// all-in-one, and only with a `worker.public_url`: the provider must know the address `/sign-in/back` there. People can
/// still sign in with a token.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostLoginSettings {
    /// The identity provider, as in the `iss` of its tokens: `https://…`; `http://` only on this machine. The document
    /// `/.well-known/openid-configuration` there says the rest.
    pub issuer: Option<String>,
    /// This deployment, as the provider knows it.
    pub client_id: Option<String>,
    /// The secret that the provider has given to this deployment.
    pub client_secret: Option<Hidden>,
    /// A file with this secret, instead of `host_login.client_secret`.
    pub client_secret_file: Option<PathBuf>,
    /// The claim of the ID token that gives roles: a list of texts, or one text. Dots lead into objects, as in
    /// `realm_access.roles`.
    pub roles_claim: String,
    /// Whoever has one of these values in the claim has the role `host`. In the environment they are separated by commas.
    /// Whoever has no role is not let in.
    #[serde(deserialize_with = "lists::read")]
    pub hosts: Vec<String>,
    /// Whoever has one of these values has the role `auditor`, unless the role is `host` by another value.
    #[serde(deserialize_with = "lists::read")]
    pub auditors: Vec<String>,
    /// Whoever has one of these values has the role `operator`.
    #[serde(deserialize_with = "lists::read")]
    pub operators: Vec<String>,
    /// A file of the certificate authorities that vouch for the provider, as PEM. Unless set, those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Default for HostLoginSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            roles_claim: "groups".to_owned(),
            hosts: Vec::new(),
            auditors: Vec::new(),
            operators: Vec::new(),
            ca_file: None,
        }
    }
}

/// A name, a colour and a logo of one's own on the voters' pages. Give vote and result services the same.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThemeSettings {
    /// The name of the site, up to 40 characters: beside the logo, and in the titles of pages.
    pub name: Option<String>,
    /// The colour of buttons, bars and the first of two options, such as `#0b6067`. Where its contrast is too low, on light
    /// or on dark pages, a darker or lighter one is used.
    pub colour: Option<String>,
    /// A file with the logo: a PNG, or an SVG with a `viewBox`; up to 32768 bytes, and at most 6 times as wide as high.
    pub logo_file: Option<PathBuf>,
}

fn max_connections() -> usize {
    Limits::DEFAULT_CONNECTIONS
}

fn as_text<S: Serializer>(url: &Option<PublicUrl>, to: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(ToString::to_string).serialize(to)
}

fn as_texts<S: Serializer>(urls: &[PublicUrl], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(urls.iter().map(ToString::to_string))
}

/// The worker and the operator's API.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// The address to listen on, or a name of this machine. Port 0 takes a free port.
    #[serde(deserialize_with = "listen::read")]
    pub listen: SocketAddr,
    /// The address that hosts use, if it is another one, as behind a proxy. With `https://`, the cookie of who is signed
    /// in is bound to this host and sent over HTTPS only.
    #[serde(serialize_with = "as_text")]
    pub public_url: Option<PublicUrl>,
    /// Without a `public_url`: the port that hosts use, if it is not that of `listen`, as behind a published port.
    pub public_port: Option<NonZeroU16>,
    /// The token that opens the operator's API; 32 bytes or more, hard to guess, and not the secret. The all-in-one
    /// makes one unless it is set, and keeps it beside the database.
    pub token: Option<Hidden>,
    /// A file with the token, instead of `worker.token`.
    pub token_file: Option<PathBuf>,
    /// How long somebody who does nothing stays signed in to the host's pages, in minutes. In any case people sign in again
    /// after 12 hours.
    pub session_idle_minutes: NonZeroU32,
    /// How long events are kept for programs that follow them, in days.
    pub event_days: NonZeroU32,
    /// Receivers of webhooks that need not be on the public internet, and need no TLS: names of hosts, addresses, and
    /// networks such as `10.0.0.0/8`. In the environment they are separated by commas.
    #[serde(deserialize_with = "lists::read")]
    pub webhook_hosts: Vec<WebhookHost>,
    /// Whether a worker takes ballots that trusted servers hand in for voters (`POST /v1/polls/{poll}/ballots`). It then needs the
    /// secret, which makes receipts, and an entry key that signs. The all-in-one always takes them.
    pub bulk_casts: bool,
    /// A batch is written when it has this many ballots.
    pub max_ballots: usize,
    /// A batch is written this long after its first ballot, even if it is small; earlier while the store has little to do.
    pub max_wait_ms: u64,
    /// A batch that is not full is not written earlier than this after its first ballot, unless `max_wait_ms` is shorter. To spare
    /// the store, raise it.
    pub min_wait_ms: u64,
}

/// The embedded store.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// The file that holds the ballots of the all-in-one. It is made if it is missing.
    pub path: PathBuf,
}

/// The log in Redis.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSettings {
    /// The address, such as `redis://user:password@host:6379/`; `rediss://` encrypts. For a cluster it may name several
    /// nodes, separated by commas.
    pub url: Option<Hidden>,
    /// A file with the address, instead of `redis.url`.
    pub url_file: Option<PathBuf>,
    /// A PEM file with the certificate authorities to trust for an encrypted Redis. Unless set, those of the system are
    /// trusted.
    pub ca_file: Option<PathBuf>,
    /// Whether it is a Redis Cluster.
    pub cluster: bool,
    /// How many replicas must have a ballot on their disks before it is acknowledged. With 0, no replica may take over. Needs
    /// Redis 7.2 or Valkey.
    pub replicas: u16,
    /// The addresses of the Sentinels, separated by commas, such as `redis://:password@host:26379`. The host in `redis.url` is
    /// then the name under which they know the master.
    pub sentinels: Option<Hidden>,
    /// A file with these addresses, instead of `redis.sentinels`.
    pub sentinels_file: Option<PathBuf>,
    /// All keys in Redis begin with this.
    pub prefix: String,
    /// How many streams share the load. It cannot change once there is a log.
    pub shards: u16,
    /// A worker that acknowledges nothing for this long is considered dead, and another one takes over its entries.
    pub claim_timeout_ms: u64,
    /// How long counted ballots are kept in Redis; shorter if its `maxmemory` runs short.
    pub retention_hours: u64,
    /// Whether the services run on a Redis that can lose acknowledged ballots.
    pub accept_loss: bool,
}

/// The store in Postgres.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresSettings {
    /// The address, such as `postgres://user:password@host/database`. `?sslmode=require` encrypts and verifies the
    /// server.
    pub url: Option<Hidden>,
    /// A file with the address, instead of `postgres.url`.
    pub url_file: Option<PathBuf>,
    /// A PEM file with the certificate authorities to trust. With it the connection is always encrypted. Unless set,
    /// those of the system are trusted.
    pub ca_file: Option<PathBuf>,
    /// How many connections one process opens.
    pub connections: u32,
}

/// Where traces are sent, and which requests are traced.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSettings {
    /// The address of the collector for OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is added.
    /// Unless set, there are no traces.
    pub endpoint: Option<String>,
    /// The share of requests that is traced.
    pub sample_ratio: f64,
    /// Whether the header `traceparent` of a request decides instead whether the request is traced, and in which trace.
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
        // All programs read the same file, even programs that are built without Redis. A test compares these values
        // with those of the library.
        Self {
            url: None,
            url_file: None,
            ca_file: None,
            cluster: false,
            replicas: 0,
            sentinels: None,
            sentinels_file: None,
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
            public_url: None,
            public_port: None,
            token: None,
            token_file: None,
            session_idle_minutes: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN),
            event_days: NonZeroU32::new(30).unwrap_or(NonZeroU32::MIN),
            webhook_hosts: Vec::new(),
            bulk_casts: false,
            max_ballots: options.max_ballots,
            max_wait_ms: u64::try_from(options.max_wait.as_millis()).unwrap_or(u64::MAX),
            min_wait_ms: u64::try_from(options.min_wait.as_millis()).unwrap_or(u64::MAX),
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
            other_secret_files: Vec::new(),
            entry_key: None,
            entry_key_file: None,
            other_entry_key_files: Vec::new(),
            entry_version: None,
            accept_unsigned_entries: true,
            voter_pseudonyms: false,
            drain_delay_ms: 0,
            trusted_proxies: TrustedProxies::default(),
            streams: Streams::default(),
            new_voters: NewVoterSettings::default(),
            proof_of_work: ProofOfWorkSettings::default(),
            login: LoginSettings::default(),
            host_login: HostLoginSettings::default(),
            theme: ThemeSettings::default(),
            traces: TraceSettings::default(),
            embed_origins: Vec::new(),
            api_origins: Vec::new(),
            show_served_by: false,
            default_poll: None,
            polls: None,
            retention_days: None,
            forget_voters_days: None,
            option_a: None,
            option_b: None,
        }
    }
}

impl Config {
    /// How long somebody who does nothing stays signed in to the host's pages.
    pub fn host_idle(&self) -> Duration {
        Duration::from_secs(60 * u64::from(self.worker.session_idle_minutes.get()))
    }

    /// The options of events.
    pub fn event_options(&self) -> ObserveOptions {
        let mut options = ObserveOptions::default();
        options.kept = Duration::from_secs(24 * 3_600 * u64::from(self.worker.event_days.get()));
        options
    }

    /// The options of the worker.
    pub fn worker_options(&self) -> WorkerOptions {
        WorkerOptions {
            max_ballots: self.worker.max_ballots,
            max_wait: Duration::from_millis(self.worker.max_wait_ms),
            min_wait: Duration::from_millis(self.worker.min_wait_ms),
            ..WorkerOptions::default()
        }
    }
}
