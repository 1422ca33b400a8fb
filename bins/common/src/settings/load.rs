//! Reads the settings from all layers: the values in force, and all faults.

use std::collections::HashMap;

use config::{ConfigError, Value, ValueKind};
use serde::Deserialize;

use crate::settings::{
    cli::Cli,
    config::Config,
    layers::Layers,
    log::LogFormat,
    polls,
    provenance::{self, Provenance, Setting, Unknown, in_short, with_origin},
    service::Service,
    typed::{self, Fault},
};

/// The settings that were read, and their faults.
#[derive(Debug)]
pub struct LoadedSettings {
    config: Option<Config>,
    unknown: Vec<Unknown>,
    /// The faults of values that cannot be read or are out of their bounds.
    wrong: Vec<String>,
    settings: Vec<Setting>,
    log_format: LogFormat,
}

impl LoadedSettings {
    /// Reads the settings as a process with this command line would. The environment is `environment`, or otherwise
    /// that of this process.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML.
    pub fn load(
        cli: &Cli,
        environment: Option<HashMap<String, String>>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::read(cli, environment, own_defaults()).map_err(in_one_message)?;
        let (mut all, origins) = (layers.values, Provenance(layers.origins));
        let unknown = origins.unknown();
        for unknown in &unknown {
            provenance::remove(&mut all, &unknown.key);
        }
        let mut wrong = Vec::new();
        let mut note = |key: &str, fault: &str| {
            wrong.push(format!("{fault} (set {})", origins.get(key)));
        };
        let polls = take(&mut all, "polls").map(polls::read).transpose();
        let polls = polls.unwrap_or_else(|faults| {
            faults.iter().for_each(|fault| note("polls", fault));
            None
        });
        let log_format = typed::read::<Format>(&all);
        let (read, is_whole) = read_all(all, &mut note);
        let config = read.map(|config| Config { polls, ..config });
        if let Some(config) = &config {
            for (key, fault) in config.faults() {
                note(key, &fault);
            }
        }
        let config = config.filter(|_| is_whole);
        let settings = config.iter().flat_map(provenance::leaves);
        let settings = settings.map(|(key, value)| Setting {
            origin: origins.get(&key),
            key,
            value,
        });
        Ok(Self {
            settings: settings.collect(),
            config,
            unknown,
            wrong,
            log_format: log_format.unwrap_or_default().log_format,
        })
    }

    /// The format of log lines. It is also known if other settings are wrong.
    pub(crate) fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The faults, one for each setting.
    pub fn faults(&self) -> Vec<String> {
        let unknown = self.unknown.iter().map(ToString::to_string);
        unknown.chain(self.wrong.iter().cloned()).collect()
    }

    /// The faults that would prevent these services from starting: the faults of the settings, and the missing needs
    /// of each service. No store is asked.
    ///
    /// # Errors
    /// The process cannot start the threads that the clients of the stores need.
    pub fn faults_for(&self, services: &[Service]) -> std::io::Result<Vec<String>> {
        let mut faults = self.faults();
        // The clients of the stores must be made within a runtime, even though they do not connect.
        let runtime = tokio::runtime::Runtime::new()?;
        let _within = runtime.enter();
        let Some(config) = &self.config else {
            return Ok(faults);
        };
        for service in services {
            for fault in config.faults_for(*service) {
                let fault = with_origin(&fault, &self.settings);
                faults.push(match services {
                    [_] => fault,
                    _ => format!("{} needs more: {fault}", service.program()),
                });
            }
        }
        Ok(faults)
    }

    /// The settings in force. The list is empty if a value cannot be read.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The settings, without unknown ones; `None` if a value cannot be read.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// The settings, if they have no faults.
    ///
    /// # Errors
    /// Names all faults.
    pub(crate) fn into_config(self) -> Result<Config, ConfigError> {
        let faults = self.faults();
        match self.config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => {
                let hint = "settings come from --config and from the environment (VOTING_…)";
                Err(ConfigError::Message(format!(
                    "{}; {hint}",
                    faults.join("; ")
                )))
            }
        }
    }
}

/// Only this setting.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    log_format: LogFormat,
}

/// The address on which a service listens has a different default in each section.
fn own_defaults() -> [(&'static str, String); 2] {
    let defaults = Config::default();
    [
        ("vote.listen", defaults.vote.listen.to_string()),
        ("result.listen", defaults.result.listen.to_string()),
    ]
}

/// Reads the values, and reports each that cannot be read. Such a value gets its default, so that the others can be
/// checked. The second result says whether all values could be read.
fn read_all(mut all: Value, note: &mut impl FnMut(&str, &str)) -> (Option<Config>, bool) {
    let mut is_whole = true;
    loop {
        let Fault { place, why } = match typed::read(&all) {
            Ok(config) => return (Some(config), is_whole),
            Err(fault) => fault,
        };
        is_whole = false;
        // A fault in a list is reported for the whole list.
        let key = place.split('[').next().unwrap_or_default();
        note(key, &format!("{place}: {why}"));
        let before = all.clone();
        provenance::remove(&mut all, key);
        for (own, default) in own_defaults() {
            if own.starts_with(key) {
                provenance::put(&mut all, own, default.into());
            }
        }
        if before == all {
            return (None, false);
        }
    }
}

fn take(all: &mut Value, key: &str) -> Option<Value> {
    match &mut all.kind {
        ValueKind::Table(table) => table.remove(key),
        _ => None,
    }
}

/// The error of a file that is not TOML, without the wrong line: the line may contain a password.
fn in_one_message(error: ConfigError) -> ConfigError {
    match &error {
        ConfigError::FileParse { uri, .. } => ConfigError::Message(format!(
            "{} is not a TOML file: {}",
            uri.as_deref().unwrap_or("the file of settings"),
            in_short(&error)
        )),
        _ => error,
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

    /// Reads the settings for a process that would be started with only these environment variables.
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
        LoadedSettings::load(cli, environment)?.into_config()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use voting_core::PollId;
    use voting_http::TrustedProxies;

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
        assert!(wrong("embed_origins = ['blog.test']", &[]).contains("blog.test"));
        assert!(wrong("embed_origins = ['*']", &[]).contains("embed_origins"));
        assert!(wrong("new_voters.unlimited_polls = ['A hall']", &[]).contains("A hall"));
        assert!(wrong("proof_of_work.wait_s = 0", &[]).contains("proof_of_work.wait_s"));
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
    fn sites_that_may_show_results_are_named_in_a_list_or_with_commas() {
        let text = [("VOTING_EMBED_ORIGINS", "https://a.test, http://b.test:81")];
        let origins = load("", &text, &Cli::default()).unwrap().embed_origins;
        let origins: Vec<_> = origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["https://a.test", "http://b.test:81"]);
        let none = load("", &[], &Cli::default()).unwrap().embed_origins;
        assert_eq!(none, []);
    }

    #[test]
    fn limits_of_a_whole_poll_are_off_unless_they_are_set() {
        let config = load("", &[], &Cli::default()).unwrap();
        assert_eq!(config.new_voters.poll_limit(), None);
        assert_eq!(config.proof_of_work.asked(), None);
        let file = "new_voters.unlimited_polls = ['hall', 'school']\n\
                    new_voters.poll_per_minute = 600\nproof_of_work.above_per_minute = 120\n";
        let config = load(file, &[], &Cli::default()).unwrap();
        let text = [
            ("VOTING_NEW_VOTERS__UNLIMITED_POLLS", "hall, school"),
            ("VOTING_NEW_VOTERS__POLL_PER_MINUTE", "600"),
            ("VOTING_PROOF_OF_WORK__ABOVE_PER_MINUTE", "120"),
        ];
        let same = load("", &text, &Cli::default()).unwrap();
        for config in [&config, &same] {
            let polls = &config.new_voters.unlimited_polls;
            assert_eq!(
                polls.iter().map(PollId::as_str).collect::<Vec<_>>(),
                ["hall", "school"]
            );
            let limit = config.new_voters.poll_limit().unwrap();
            assert_eq!((limit.burst.get(), limit.per_minute.get()), (1_000, 600));
            let proof = config.proof_of_work.asked().unwrap();
            assert_eq!((proof.burst.get(), proof.attempts.get()), (100, 500_000));
        }
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
