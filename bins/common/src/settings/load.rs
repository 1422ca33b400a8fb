//! Reading the settings from all layers: what is wrong with them, all of it, and what they come to.

use std::collections::HashMap;

use config::{ConfigError, File, FileFormat, Value, ValueKind};
use serde::Deserialize;

use crate::{
    cli::Cli,
    config::Config,
    layers::{Trimmed, Variables},
    logging::LogFormat,
    needs::Service,
    origins::{self, Origins, Setting, Unknown, in_short, with_origin},
    polls,
    typed::{self, Fault},
};

/// The settings as they were found.
#[derive(Debug)]
pub struct Reading {
    config: Option<Config>,
    unknown: Vec<Unknown>,
    /// Of the values that cannot be read, or are out of their bounds.
    wrong: Vec<String>,
    settings: Vec<Setting>,
    log_format: LogFormat,
}

impl Reading {
    /// Reads them as a process with this command line would, and with these environment variables if
    /// given, else its own.
    ///
    /// # Errors
    /// The file cannot be read, or is no TOML.
    pub fn of(
        cli: &Cli,
        environment: Option<HashMap<String, String>>,
    ) -> Result<Self, ConfigError> {
        let environment = Variables::read(environment)?;
        let mut layers = config::Config::builder();
        for (key, listen) in own_defaults() {
            layers = layers.set_default(key, listen)?;
        }
        if let Some(path) = &cli.config {
            layers =
                layers.add_source(Trimmed(File::from(path.as_path()).format(FileFormat::Toml)));
        }
        layers = layers.add_source(Trimmed(environment));
        for (key, value) in cli.settings() {
            layers = layers.set_override(key, value)?;
        }
        let mut all: Value = layers.build().map_err(in_one_message)?.cache;
        let origins = Origins::of(&all, cli);
        let unknown = origins.unknown();
        for unknown in &unknown {
            origins::remove(&mut all, &unknown.key);
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
        let settings = config.iter().flat_map(origins::leaves);
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

    /// How lines are to be written, as far as that can be told where other settings are wrong.
    pub(crate) fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// What is wrong, setting by setting.
    pub fn faults(&self) -> Vec<String> {
        let unknown = self.unknown.iter().map(ToString::to_string);
        unknown.chain(self.wrong.iter().cloned()).collect()
    }

    /// What keeps these services from starting: the same, and what each of them needs. No store is asked.
    ///
    /// # Errors
    /// The process cannot have the threads that the clients of the stores need.
    pub fn faults_for(&self, services: &[Service]) -> std::io::Result<Vec<String>> {
        let mut faults = self.faults();
        // The clients of the stores are made within one, though nothing is connected to.
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

    /// What is in force; nothing if a value cannot be read.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The settings, without those that there are not; `None` if a value cannot be read.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// The settings, if nothing is wrong with them.
    ///
    /// # Errors
    /// Names all that is wrong.
    pub(crate) fn all_is_well(self) -> Result<Config, ConfigError> {
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

/// This setting alone.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    log_format: LogFormat,
}

/// Where a service listens has a default of its own in each section.
fn own_defaults() -> [(&'static str, String); 2] {
    let defaults = Config::default();
    [
        ("vote.listen", defaults.vote.listen.to_string()),
        ("result.listen", defaults.result.listen.to_string()),
    ]
}

/// Reads the values, and tells of each that cannot be read. Those have their defaults then, so that the others can be
/// looked at, and what is read is not whole.
fn read_all(mut all: Value, note: &mut impl FnMut(&str, &str)) -> (Option<Config>, bool) {
    let mut is_whole = true;
    loop {
        let Fault { place, why } = match typed::read(&all) {
            Ok(config) => return (Some(config), is_whole),
            Err(fault) => fault,
        };
        is_whole = false;
        // Of a list, the whole.
        let key = place.split('[').next().unwrap_or_default();
        note(key, &format!("{place}: {why}"));
        let before = all.clone();
        origins::remove(&mut all, key);
        for (own, default) in own_defaults() {
            if own.starts_with(key) {
                origins::put(&mut all, own, default.into());
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

/// That a file is no TOML is told without the line that is wrong: there may be a password in it.
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
