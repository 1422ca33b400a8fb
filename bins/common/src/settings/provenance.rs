//! Where each setting was set, and which settings do not exist.

use std::{collections::BTreeSet, fmt};

use config::{ConfigError, Value, ValueKind};

use crate::settings::{
    config::Config,
    layers::{Origin, join},
};

/// A setting that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, such as `vote.listen`.
    pub key: String,
    /// The value as TOML writes it; a secret is not shown. `None` if the setting has neither a value nor a default.
    pub value: Option<String>,
    /// Where it was set.
    pub origin: Origin,
}

/// The fault of a value, without its setting and its origin, which the caller adds.
pub(crate) fn in_short(error: &ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => in_short(error),
        ConfigError::Type {
            unexpected,
            expected,
            ..
        } => format!("it is {unexpected}, and must be {expected}"),
        ConfigError::Message(text) => text.clone(),
        ConfigError::FileParse { cause, .. } => without_source(&cause.to_string()),
        error => error.to_string(),
    }
}

/// The message of a parser, without the lines that it quotes: they may contain a password.
fn without_source(text: &str) -> String {
    let is_quote = |line: &str| {
        let rest = line
            .trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit());
        rest.trim_start().starts_with('|')
    };
    let kept: Vec<_> = text.lines().filter(|line| !is_quote(line)).collect();
    kept.join(": ")
}

/// Adds to a fault that begins with its setting where this setting is set.
pub fn with_origin(fault: &str, settings: &[Setting]) -> String {
    let key = fault.split([' ', ':']).next().unwrap_or_default();
    // A value that is read from a file is set by the setting that names the file.
    let keys = [key.to_owned(), format!("{key}_file")];
    let is_set = |setting: &&Setting| {
        keys.contains(&setting.key) && setting.value.is_some() && setting.origin != Origin::Default
    };
    match settings.iter().find(is_set) {
        Some(Setting { key, origin, .. }) if fault.starts_with(&format!("{key} ")) => {
            format!("{fault} (set {origin})")
        }
        Some(Setting { key, origin, .. }) => format!("{fault} ({key} is set {origin})"),
        None => fault.to_owned(),
    }
}

/// Where each setting was set. Settings with their default are not listed.
pub(crate) struct Provenance(pub(crate) Vec<(String, Origin)>);

impl Provenance {
    /// Where a setting was set.
    pub(crate) fn get(&self, key: &str) -> Origin {
        // For a table, this is the origin of the first value in it.
        let within = |set: &str| {
            let rest = set.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let set = self.0.iter().find(|(set, _)| within(set));
        set.map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// The settings that do not exist.
    pub(crate) fn unknown(&self) -> Vec<Unknown> {
        let known: Vec<String> = leaves(&Config::default()).map(|(key, _)| key).collect();
        let is_known = |key: &str| {
            // A table in place of a value is reported when it is read.
            let within = |known: &String| key.starts_with(&format!("{known}."));
            known.iter().any(|known| known == key || within(known))
                || known
                    .iter()
                    .any(|known| known.starts_with(&format!("{key}.")))
        };
        let unknown = self.0.iter().filter(|(key, _)| !is_known(key));
        unknown
            .map(|(key, origin)| Unknown {
                key: key.clone(),
                origin: origin.clone(),
                beside: beside(key, &known),
            })
            .collect()
    }
}

/// A setting that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) key: String,
    origin: Origin,
    /// The settings that exist in the same section.
    beside: Vec<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            origin,
            beside,
        } = self;
        write!(f, "unknown setting {key} (set {origin}); known here: ")?;
        f.write_str(&beside.join(", "))
    }
}

/// The settings, or sections, in the same section.
fn beside(key: &str, known: &[String]) -> Vec<String> {
    let section = key.rsplit_once('.').map_or("", |(section, _)| section);
    let within = |known: &String| {
        let rest = match section {
            "" => known.as_str(),
            section => known.strip_prefix(section)?.strip_prefix('.')?,
        };
        rest.split('.').next().map(str::to_owned)
    };
    let found: BTreeSet<_> = known.iter().filter_map(within).collect();
    if found.is_empty() && !section.is_empty() {
        return beside(section, known);
    }
    found.into_iter().collect()
}

/// Removes a setting.
pub(crate) fn remove(layers: &mut Value, key: &str) {
    let ValueKind::Table(table) = &mut layers.kind else {
        return;
    };
    match key.split_once('.') {
        Some((name, rest)) if table.contains_key(name) => {
            if let Some(inner) = table.get_mut(name) {
                remove(inner, rest);
                if matches!(&inner.kind, ValueKind::Table(left) if left.is_empty()) {
                    table.remove(name);
                }
            }
        }
        _ => _ = table.remove(key),
    }
}

/// Adds a value to a section.
pub(crate) fn put(layers: &mut Value, key: &str, value: Value) {
    let (ValueKind::Table(table), Some((section, name))) = (&mut layers.kind, key.split_once('.'))
    else {
        return;
    };
    let section = table.entry(section.to_owned());
    let section = section.or_insert_with(|| Value::new(None, config::Map::<String, Value>::new()));
    if let ValueKind::Table(section) = &mut section.kind {
        section.insert(name.to_owned(), value);
    }
}

/// All settings with their values.
pub(crate) fn leaves(config: &Config) -> impl Iterator<Item = (String, Option<String>)> {
    let mut found = Vec::new();
    let all = serde_json::to_value(config).unwrap_or_default();
    walk("", &all, &mut found);
    found.into_iter()
}

fn walk(key: &str, value: &serde_json::Value, into: &mut Vec<(String, Option<String>)>) {
    match value {
        serde_json::Value::Object(table) => {
            for (name, value) in table {
                walk(&join(key, name), value, into);
            }
        }
        serde_json::Value::Null => into.push((key.to_owned(), None)),
        value => into.push((key.to_owned(), Some(value.to_string()))),
    }
}
