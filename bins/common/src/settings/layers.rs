//! The layers that settings come from: the defaults, the file given with `--config`, the environment, the flags.
//!
//! White space around a value is removed, and an empty value counts as unset: a file that fills a variable often ends
//! in a line break.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fmt,
    path::PathBuf,
};

use config::{ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use crate::settings::cli::Cli;

/// The names of the settings' variables begin with this.
pub(crate) const PREFIX: &str = "VOTING_";

/// Variables of the Docker course's app that are settings here too.
const OF_THE_COURSE: [&str; 2] = ["OPTION_A", "OPTION_B"];

/// Where a setting was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was not set, and has its default.
    Default,
    /// In the file given with `--config`.
    File(PathBuf),
    /// In this environment variable.
    Environment(String),
    /// With this flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Environment(variable) => write!(f, "in the environment, {variable}"),
            Self::Flag(flag) => write!(f, "by {flag}"),
        }
    }
}

/// All layers. The upper ones take precedence over the lower ones.
#[derive(Debug)]
pub(crate) struct Layers {
    /// The values in force. Only values of the file have an origin of the `config` crate: see [`is_bare`].
    pub(crate) values: Value,
    /// Where each value was set, by key, in the order of the keys. Values with their default are not listed.
    pub(crate) origins: Vec<(String, Origin)>,
}

impl Layers {
    /// Reads all layers over these defaults. The environment is that of this process unless another one is given.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML, or a variable is not text.
    pub(crate) fn read(
        cli: &Cli,
        environment: Option<HashMap<String, String>>,
        defaults: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = config::Config::builder();
        for (key, value) in defaults {
            layers = layers.set_default(key, value)?;
        }
        let mut origins = BTreeMap::new();
        if let Some(path) = &cli.config {
            let file = Tree::of(Trimmed(File::from(path.as_path()).format(FileFormat::Toml)))?;
            for key in file.keys() {
                origins.insert(key, Origin::File(path.clone()));
            }
            layers = layers.add_source(file);
        }
        let variables = Variables::read(environment)?;
        let set = Tree::of(Trimmed(variables.clone()))?;
        for key in set.keys() {
            let variable = variables.of(&key).to_owned();
            origins.insert(key, Origin::Environment(variable));
        }
        layers = layers.add_source(set);
        for (key, value) in cli.settings() {
            layers = layers.set_override(key, value)?;
            let flag = format!("--{}", key.replace('.', "-"));
            origins.insert(key.to_owned(), Origin::Flag(flag));
        }
        let values = layers.build()?.cache;
        // A value may have replaced a section of a lower layer, and a section may have replaced a value.
        let keys = leaves(&values).into_iter();
        let origins = keys.filter_map(|key| origins.remove_entry(&key));
        Ok(Self {
            origins: origins.collect(),
            values,
        })
    }
}

/// Whether a text is from a variable or a flag, where every value is a text, and not from the file.
pub(crate) fn is_bare(value: &Value) -> bool {
    value.origin().is_none()
}

/// The settings of one layer.
#[derive(Debug, Clone)]
struct Tree(Value);

impl Tree {
    fn of(layer: impl Source + Send + Sync + 'static) -> Result<Self, ConfigError> {
        let alone = config::Config::builder().add_source(layer).build()?;
        Ok(Self(alone.cache))
    }

    fn keys(&self) -> Vec<String> {
        leaves(&self.0)
    }
}

impl Source for Tree {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        self.0.clone().into_table()
    }
}

/// The keys of all values, in order.
fn leaves(all: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    walk("", all, &mut keys);
    keys
}

fn walk(key: &str, value: &Value, into: &mut Vec<String>) {
    match &value.kind {
        ValueKind::Table(table) => {
            let mut inner: Vec<_> = table.iter().collect();
            inner.sort_by_key(|(name, _)| *name);
            for (name, value) in inner {
                walk(&join(key, name), value, into);
            }
        }
        _ => into.push(key.to_owned()),
    }
}

/// The key of a setting in a section. The root section has no name.
pub(crate) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        return name.to_owned();
    }
    format!("{section}.{name}")
}

/// A layer whose texts are trimmed and whose empty texts count as unset. Values in lists, such as polls, are not
/// changed.
#[derive(Debug, Clone)]
struct Trimmed<S>(S);

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

/// Trims a value. Returns whether the value is not empty.
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

/// The environment variables that are settings.
#[derive(Debug, Clone)]
struct Variables(Vec<(String, String)>);

impl Variables {
    /// Reads the variables of this process, unless others are given.
    ///
    /// # Errors
    /// Names a variable whose value is not text, and does not show the value: it may be a secret.
    fn read(given: Option<HashMap<String, String>>) -> Result<Self, ConfigError> {
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
        // Two variables whose names differ only in case are the same setting. The order makes sure that always the
        // same one is used.
        variables.sort_unstable();
        Ok(Self(variables))
    }

    /// The variable that sets this key. An index behind the key, as in `VOTING_POLLS[0]`, belongs to the variable's
    /// value.
    fn of(&self, key: &str) -> &str {
        let sets = |name: &&str| {
            let (set, _) = key_of(name);
            let rest = set.strip_prefix(key);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        // The order is that of `collect`: the setting's own variable takes precedence over the course's, and the last
        // one over the others.
        let names = self.0.iter().map(|(name, _)| name.as_str());
        let of_the_course = |name: &str| OF_THE_COURSE.contains(&name);
        let mut found: Vec<_> = names.filter(sets).collect();
        found.sort_by_key(|name| !of_the_course(name));
        found.last().copied().unwrap_or("VOTING_…")
    }
}

fn is_setting(name: &str) -> bool {
    let is_prefixed = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
    };
    is_prefixed(PREFIX) || OF_THE_COURSE.contains(&name)
}

/// The setting of a variable, and whether the variable is the setting's own and not the course's.
fn key_of(name: &str) -> (String, bool) {
    let is_own = !OF_THE_COURSE.contains(&name);
    let key = if is_own { &name[PREFIX.len()..] } else { name };
    (key.to_lowercase().replace("__", "."), is_own)
}

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut all = Map::new();
        for (name, value) in &self.0 {
            let (key, is_own) = key_of(name);
            let value = Value::new(None, ValueKind::String(value.clone()));
            // The setting's own variable takes precedence over the course's.
            if is_own || !all.contains_key(&key) {
                all.insert(key, value);
            }
        }
        // If a variable names a section and another one a setting in it, the layer would keep one and drop the other.
        // The section is kept: it cannot be read, so it is reported.
        let whole: Vec<String> = all
            .iter()
            .filter(|(_, value)| matches!(&value.kind, ValueKind::String(text) if !text.trim().is_empty()))
            .map(|(key, _)| format!("{key}."))
            .collect();
        all.retain(|key, _| !whole.iter().any(|section| key.starts_with(section)));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(file: &std::path::Path, variables: &[(&str, &str)]) -> Layers {
        let cli = Cli {
            config: Some(file.to_owned()),
            vote_listen: Some(([127, 0, 0, 1], 1).into()),
            ..Cli::default()
        };
        let set = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Layers::read(&cli, Some(set.collect()), []).expect("they can be read")
    }

    #[test]
    fn the_uppermost_layer_is_the_origin() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("voting.toml");
        let text =
            "log = 'info'\nlog_format = 'text'\n[vote]\nlisten = 'x'\n[worker]\nmax_ballots = 1";
        fs::write(&file, text).expect("written");
        let variables = [
            ("VOTING_LOG", "warn"),
            ("voting_vote__listen", "y"),
            // This replaces the section of the file.
            ("VOTING_WORKER", "z"),
            ("OPTION_A", "Tea"),
            ("OPTION_B", "Coffee"),
            ("VOTING_OPTION_B", "Milk"),
        ];
        let variable = |name: &str| Origin::Environment(name.to_owned());
        let wanted = [
            ("log", variable("VOTING_LOG")),
            ("log_format", Origin::File(file.clone())),
            ("option_a", variable("OPTION_A")),
            ("option_b", variable("VOTING_OPTION_B")),
            ("vote.listen", Origin::Flag("--vote-listen".to_owned())),
            ("worker", variable("VOTING_WORKER")),
        ];
        let wanted = wanted.map(|(key, origin)| (key.to_owned(), origin));
        assert_eq!(read(&file, &variables).origins, wanted);
    }

    #[test]
    fn a_file_stays_a_file_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("the environment, VOTING_LOG");
        fs::write(&file, "log = 'info'").expect("written");
        let layers = read(&file, &[]);
        assert_eq!(layers.origins[0].1, Origin::File(file));
        let table = layers.values.into_table().expect("a table");
        assert!(!is_bare(&table["log"]), "a text in a file has a type");
    }
}
