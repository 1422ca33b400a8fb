//! Reading the settings from all layers: what is wrong with them, all of it, and what they come to.

use std::collections::HashMap;

use config::{ConfigError, Environment, File, FileFormat, Value};
use serde::Deserialize;

use crate::{
    cli::Cli,
    config::Config,
    origins::{self, Origins, Setting, Unknown},
};

/// The settings as they were found.
#[derive(Debug)]
pub struct Reading {
    config: Result<Config, ConfigError>,
    unknown: Vec<Unknown>,
    settings: Vec<Setting>,
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
        let environment = Environment::with_prefix("VOTING")
            .prefix_separator("_")
            .separator("__")
            .source(environment);
        let defaults = Config::default();
        let mut layers = config::Config::builder();
        // Where a service listens has a default of its own in each section.
        for (key, web) in [
            ("vote.listen", &defaults.vote),
            ("result.listen", &defaults.result),
        ] {
            layers = layers.set_default(key, web.listen.to_string())?;
        }
        if let Some(path) = &cli.config {
            layers = layers.add_source(File::from(path.as_path()).format(FileFormat::Toml));
        }
        layers = layers.add_source(environment);
        for (key, value) in cli.settings() {
            layers = layers.set_override(key, value)?;
        }
        let mut all: Value = layers.build()?.cache;
        let origins = Origins::of(&all, cli);
        let unknown = origins.unknown();
        for unknown in &unknown {
            origins::remove(&mut all, &unknown.key);
        }
        let config = Config::deserialize(all).map_err(|error| with_origin(error, &origins));
        let effective = config
            .as_ref()
            .map(|config| origins::leaves(config).collect());
        let effective: Vec<_> = effective.unwrap_or_default();
        let settings = effective.into_iter().map(|(key, value)| Setting {
            origin: origins.get(&key),
            key,
            value,
        });
        Ok(Self {
            settings: settings.collect(),
            config,
            unknown,
        })
    }

    /// What is wrong, setting by setting.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<_> = self.unknown.iter().map(ToString::to_string).collect();
        match &self.config {
            Ok(config) => faults.extend(config.faults()),
            Err(error) => faults.push(error.to_string()),
        }
        faults
    }

    /// What is in force; nothing if a value cannot be read.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The settings, without those that there are not; `None` if a value cannot be read.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref().ok()
    }

    /// The settings, if nothing is wrong with them.
    ///
    /// # Errors
    /// Names all that is wrong.
    pub(crate) fn all_is_well(self) -> Result<Config, ConfigError> {
        let faults = self.faults();
        if faults.is_empty() {
            return self.config;
        }
        let hint = "settings come from --config and from the environment (VOTING_…)";
        Err(ConfigError::Message(format!(
            "{}; {hint}",
            faults.join("; ")
        )))
    }
}

/// Of a value that cannot be read it is not always told where it was set.
fn with_origin(error: ConfigError, origins: &Origins) -> ConfigError {
    let ConfigError::At {
        origin: None,
        key: Some(key),
        ..
    } = &error
    else {
        return error;
    };
    ConfigError::Message(format!("{error} (set {})", origins.get(key)))
}
