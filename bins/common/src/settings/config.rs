//! The settings: defaults in the code, then a file, then the environment, then flags.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    path::PathBuf,
    time::Duration,
};

use config::ConfigError;
use poem::http::uri::{Scheme, Uri};
use serde::{Deserialize, Serialize, Serializer};
use voting_core::{Poll, PollId, WorkerOptions};
use voting_http::{Limits, PublicUrl, ServeOptions, TrustedProxies};

use crate::{
    cli::Cli,
    course, listen,
    logging::{self, LogFormat},
    reading::Reading,
    secrets::Hidden,
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

fn is_http(url: &str) -> bool {
    let uri = url.parse::<Uri>();
    uri.is_ok_and(|uri| {
        // A password in it would be shown.
        let named = uri.authority().is_some_and(|at| at.as_str().contains('@'));
        uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none() && !named
    })
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
    /// Reads the settings for this process.
    ///
    /// # Errors
    /// Names the setting and where it was set.
    pub fn load(cli: &Cli) -> Result<Self, ConfigError> {
        Self::layered(cli, None)
    }

    /// The same for a process that would be started with these environment variables and no others.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_in(cli: &Cli, environment: HashMap<String, String>) -> Result<Self, ConfigError> {
        Self::layered(cli, Some(environment))
    }

    fn layered(
        cli: &Cli,
        environment: Option<HashMap<String, String>>,
    ) -> Result<Self, ConfigError> {
        Reading::of(cli, environment)?.all_is_well()
    }

    /// Which values are out of their bounds, each with its setting.
    pub(crate) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut unless = |is_good: bool, key: &'static str, bounds: &str| {
            if !is_good {
                faults.push((key, format!("{key} is not {bounds}")));
            }
        };
        // More than a process can have, and less than a counter can hold.
        let connections = 1..=1_000_000;
        unless(
            connections.contains(&self.vote.max_connections),
            "vote.max_connections",
            "in 1 to 1000000",
        );
        unless(
            connections.contains(&self.result.max_connections),
            "result.max_connections",
            "in 1 to 1000000",
        );
        // An address without any, or with all, would be locked out, or could lock out the others.
        let share =
            |share: Option<usize>, of: usize| share.is_none_or(|share| (1..=of).contains(&share));
        unless(
            share(
                self.vote.max_connections_per_address,
                self.vote.max_connections,
            ),
            "vote.max_connections_per_address",
            "in 1 to vote.max_connections",
        );
        unless(
            share(
                self.result.max_connections_per_address,
                self.result.max_connections,
            ),
            "result.max_connections_per_address",
            "in 1 to result.max_connections",
        );
        let most = self.result.max_connections;
        unless(
            share(self.streams.max, most),
            "streams.max",
            "in 1 to result.max_connections",
        );
        unless(
            share(
                self.streams.max_per_address,
                self.streams.max.unwrap_or(most),
            ),
            "streams.max_per_address",
            "in 1 to streams.max",
        );
        unless(
            (60..=86_400).contains(&self.streams.life_s),
            "streams.life_s",
            "in 60 to 86400",
        );
        unless(
            (1..=100_000).contains(&self.worker.max_ballots),
            "worker.max_ballots",
            "in 1 to 100000",
        );
        // Well below the time after which the log takes a worker for dead.
        unless(
            self.worker.max_wait_ms <= 10_000,
            "worker.max_wait_ms",
            "in 0 to 10000",
        );
        // With what follows it must fit in the 30 s that supervisors commonly give.
        unless(
            self.drain_delay_ms <= 10_000,
            "drain_delay_ms",
            "in 0 to 10000",
        );
        unless(self.redis.shards != 0, "redis.shards", "in 1 to 65535");
        unless(
            (1..=1_000).contains(&self.postgres.connections),
            "postgres.connections",
            "in 1 to 1000",
        );
        unless(
            self.redis.claim_timeout_ms >= 500
                && self.redis.claim_timeout_ms >= self.worker.max_wait_ms.saturating_mul(2),
            "redis.claim_timeout_ms",
            "500 or more, and twice worker.max_wait_ms or more",
        );
        unless(
            (0.0..=1.0).contains(&self.traces.sample_ratio),
            "traces.sample_ratio",
            "in 0 to 1",
        );
        unless(
            self.traces.endpoint.as_deref().is_none_or(is_http),
            "traces.endpoint",
            "an address that begins with http://, without a user name, such as http://127.0.0.1:4318",
        );
        if let Err(bad) = logging::check(&self.log) {
            faults.push(("log", bad.to_string()));
        }
        let known = faults.len();
        for (key, label) in [("option_a", &self.option_a), ("option_b", &self.option_b)] {
            if let Some(Err(error)) = label.as_deref().map(course::check_label) {
                faults.push((key, format!("{key}: {error}")));
            }
        }
        if faults.len() == known
            && let Err(error) = self.course_poll(None)
        {
            faults.push(("option_b", format!("option_a and option_b: {error}")));
        }
        faults
    }

    /// How the worker is to work.
    pub fn worker_options(&self) -> WorkerOptions {
        WorkerOptions {
            max_ballots: self.worker.max_ballots,
            max_wait: Duration::from_millis(self.worker.max_wait_ms),
            ..WorkerOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load(file: &str, environment: &[(&str, &str)], flags: &Cli) -> Result<Config, String> {
        let mut toml = tempfile::NamedTempFile::new().unwrap();
        toml.write_all(file.as_bytes()).unwrap();
        let cli = Cli {
            config: Some(toml.path().to_owned()),
            vote_listen: flags.vote_listen,
            ..Cli::default()
        };
        let set: HashMap<String, String> = environment
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        Config::load_in(&cli, set).map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_it_is_the_course_on_loopback() {
        let config = load("", &[], &Cli::default()).unwrap();
        assert_eq!(config.vote.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.result.listen, "127.0.0.1:8081".parse().unwrap());
        assert_eq!(config.worker.listen, "127.0.0.1:8082".parse().unwrap());
        assert!(config.polls.is_none());
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = "[vote]\nlisten = '127.0.0.1:1'\n[result]\nlisten = '127.0.0.1:1'\n\
                    [worker]\nmax_ballots = 7\nlisten = '127.0.0.1:1'";
        let environment = [
            ("VOTING_VOTE__LISTEN", "127.0.0.1:2"),
            ("VOTING_RESULT__LISTEN", "127.0.0.1:2"),
            ("VOTING_WORKER__MAX_WAIT_MS", "9"),
        ];
        let flags = Cli {
            vote_listen: Some("127.0.0.1:3".parse().unwrap()),
            ..Cli::default()
        };
        let config = load(file, &environment, &flags).unwrap();
        let ports = [
            config.vote.listen,
            config.result.listen,
            config.worker.listen,
        ];
        assert_eq!(ports.map(|address| address.port()), [3, 2, 1]);
        assert_eq!(
            (config.worker.max_ballots, config.worker.max_wait_ms),
            (7, 9)
        );
    }

    #[test]
    fn a_section_may_be_given_in_part() {
        let config = load(
            "[vote]\npublic_url = 'https://vote.test/'",
            &[],
            &Cli::default(),
        );
        let config = config.unwrap();
        assert_eq!(config.vote.listen.port(), 8080);
        assert_eq!(
            config.vote.public_url.unwrap().to_string(),
            "https://vote.test"
        );
    }

    #[test]
    fn a_poll_can_be_configured() {
        let file = "[[polls]]\nid = 'lunch'\ntitle = 'Lunch?'\nmax_choices = 2\n\
                    options = [{ id = 'soup', label = 'Soup' }, { id = 'rice', label = 'Rice' }]";
        let config = load(file, &[], &Cli::default()).unwrap();
        let polls = config.polls.unwrap();
        assert_eq!(polls.len(), 1);
        assert_eq!(polls[0].max_choices(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong =
            |file: &str, environment: &[_]| load(file, environment, &Cli::default()).unwrap_err();
        assert!(wrong("[vote]\nlissten = 'x'", &[]).contains("lissten"));
        assert!(wrong("", &[("VOTING_VOTE__LISTN", "x")]).contains("listn"));
        assert!(wrong("[vote]\nlisten = 'nowhere'", &[]).contains("vote.listen"));
        assert!(wrong("[vote]\npublic_url = 'nowhere'", &[]).contains("nowhere"));
        assert!(wrong("not toml", &[]).contains("TOML"));
        assert!(wrong("worker.max_ballots = 0", &[]).contains("max_ballots"));
        assert!(wrong("vote.max_connections = 0", &[]).contains("vote.max_connections"));
        assert!(wrong("result.max_connections = 9000000", &[]).contains("result.max_connections"));
        for wrong_share in [
            "vote.max_connections_per_address = 0",
            "result.max_connections = 9\nresult.max_connections_per_address = 10",
            "streams.max = 0",
            "streams.max = 20001",
            "streams.max = 9\nstreams.max_per_address = 10",
            "streams.life_s = 5",
        ] {
            let (key, _) = wrong_share
                .rsplit('\n')
                .next()
                .unwrap()
                .split_once(' ')
                .unwrap();
            assert!(wrong(wrong_share, &[]).contains(key), "{wrong_share}");
        }
        assert!(wrong("trusted_proxies = ['proxy']", &[]).contains("proxy"));
        assert!(wrong("", &[("VOTING_TRUSTED_PROXIES", "10.0.0.0/40")]).contains("10.0.0.0/40"));
        assert!(wrong("polls = []", &[]).contains("polls: the list is empty"));
        assert!(wrong("worker.max_wait_ms = 60000", &[]).contains("max_wait_ms"));
        assert!(wrong("traces.sample_ratio = 1.5", &[]).contains("traces.sample_ratio"));
        for none in ["collector:4318", "https://collector", "http://", "/v1"] {
            let none = wrong("", &[("VOTING_TRACES__ENDPOINT", none)]);
            assert!(none.contains("traces.endpoint"), "{none}");
        }
        let hidden =
            "[[polls]]\nid='p'\ntitle='t'\noptions=[{id='a',label='A'},{id='b',label=\"\\u200b\"}]";
        assert!(wrong(hidden, &[]).contains("options[1].label: it cannot be \"\\u{200b}\""));
        let one_option = "[[polls]]\nid='p'\ntitle='t'\noptions=[{id='a',label='A'}]";
        assert!(wrong(one_option, &[]).contains("2 to 63 options"));
    }

    #[test]
    fn proxies_are_named_in_a_list_or_with_commas() {
        let list = load(
            "trusted_proxies = ['10.0.0.0/8', '::1']",
            &[],
            &Cli::default(),
        );
        let text = [("VOTING_TRUSTED_PROXIES", "10.0.0.0/8, ::1")];
        let text = load("trusted_proxies = ['1.1.1.1']", &text, &Cli::default());
        let (list, text) = (list.unwrap().trusted_proxies, text.unwrap().trusted_proxies);
        assert_eq!(list, text);
        assert_ne!(list, TrustedProxies::default());
    }

    #[test]
    fn traces_are_off_unless_they_are_to_go_somewhere() {
        let config = load("", &[], &Cli::default()).unwrap();
        assert_eq!(config.traces.endpoint, None);
        let set = [
            ("VOTING_TRACES__ENDPOINT", "http://[::1]:4318"),
            ("VOTING_TRACES__SAMPLE_RATIO", "0.25"),
            ("VOTING_TRACES__TRUST_TRACEPARENT", "true"),
        ];
        let traces = load("", &set, &Cli::default()).unwrap().traces;
        assert_eq!(traces.endpoint.as_deref(), Some("http://[::1]:4318"));
        assert_eq!(
            (traces.sample_ratio, traces.trust_traceparent),
            (0.25, true)
        );
    }

    #[test]
    fn a_secret_stays_text_and_is_not_shown() {
        let number = "12345678901234567890123456789012";
        let config = load("", &[("VOTING_SECRET", number)], &Cli::default()).unwrap();
        assert!(!format!("{config:?}").contains(number));
        assert_eq!(config.secret.unwrap().expose(), number);
    }
}
