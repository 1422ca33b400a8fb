//! The layers that settings come from, each cleaned of what nobody means: space around a value, as the line's
//! end in a file that a variable was filled from, and values that are empty.

use std::{collections::HashMap, ffi::OsString};

use config::{ConfigError, Map, Source, Value, ValueKind};

/// Begins the variables of settings.
const PREFIX: &str = "VOTING_";

/// Variables of the Docker course's app that are settings here too.
const OF_THE_COURSE: [&str; 2] = ["OPTION_A", "OPTION_B"];

/// A layer whose texts are trimmed, and whose empty ones are as unset. What is in lists, such as polls, stays as
/// it is.
#[derive(Debug, Clone)]
pub(crate) struct Trimmed<S>(pub(crate) S);

impl<S: Source + Clone + Send + Sync + 'static> Source for Trimmed<S> {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut all = self.0.collect()?;
        all.retain(|_, value| is_set(value));
        Ok(all)
    }
}

/// Trims a value; whether anything is left of it.
fn is_set(value: &mut Value) -> bool {
    match &mut value.kind {
        ValueKind::String(text) => {
            let trimmed = text.trim();
            if trimmed.len() != text.len() {
                *text = trimmed.to_owned();
            }
            !text.is_empty()
        }
        ValueKind::Table(table) => {
            table.retain(|_, value| is_set(value));
            true
        }
        _ => true,
    }
}

/// The environment variables that are settings. Each value has its variable for its origin.
#[derive(Debug, Clone)]
pub(crate) struct Variables(Vec<(String, String)>);

impl Variables {
    /// Of this process, unless others are given.
    ///
    /// # Errors
    /// Names a variable whose value is no text, and does not show it: it may be a secret.
    pub(crate) fn read(given: Option<HashMap<String, String>>) -> Result<Self, ConfigError> {
        let all: Vec<(OsString, OsString)> = match given {
            Some(given) => given
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            None => std::env::vars_os().collect(),
        };
        let mut variables = Vec::new();
        for (name, value) in all {
            let Some(name) = name.into_string().ok().filter(|name| is_setting(name)) else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                ConfigError::Message(format!("the environment variable {name} is not UTF-8 text"))
            })?;
            variables.push((name, value));
        }
        // Two that differ in case only are the same setting: then the same one wins each time.
        variables.sort_unstable();
        Ok(Self(variables))
    }
}

fn is_setting(name: &str) -> bool {
    let is_prefixed = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
    };
    is_prefixed(PREFIX) || OF_THE_COURSE.contains(&name)
}

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut all = Map::new();
        for (name, value) in &self.0 {
            let is_prefixed = is_setting(name) && !OF_THE_COURSE.contains(&name.as_str());
            let key = if is_prefixed {
                &name[PREFIX.len()..]
            } else {
                name
            };
            let key = key.to_lowercase().replace("__", ".");
            let value = Value::new(Some(&origin(name)), ValueKind::String(value.clone()));
            // The setting's own variable goes before the course's.
            if is_prefixed || !all.contains_key(&key) {
                all.insert(key, value);
            }
        }
        // Of a section and a setting in it, the layer would keep one and forget the other. The section, which
        // cannot be read, is told.
        let whole: Vec<String> = all
            .iter()
            .filter(|(_, value)| matches!(&value.kind, ValueKind::String(text) if !text.trim().is_empty()))
            .map(|(key, _)| format!("{key}."))
            .collect();
        all.retain(|key, _| !whole.iter().any(|section| key.starts_with(section)));
        Ok(all)
    }
}

const ORIGIN: &str = "the environment, ";

/// How a value says that it is from this variable.
fn origin(variable: &str) -> String {
    format!("{ORIGIN}{variable}")
}

/// The variable that a value's origin names, if it is one.
pub(crate) fn variable_of(origin: &str) -> Option<&str> {
    origin.strip_prefix(ORIGIN)
}
