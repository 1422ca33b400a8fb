//! The keys under which entries of the log are signed and read.

use voting_core::{log::entry_keys::EntryKeys, model::poll_key::PollKeyWrap};

use crate::{
    secrets::{ResolvedSecret, SecretError, resolve_secret},
    settings::{
        config::Config,
        requirements::{SecretUse, long_secret},
    },
};

const KEY: &str = "entry_key";
const OTHERS: &str = "other_entry_key_files";

/// The keys of the log's entries that a process has, as they are in its settings.
#[derive(Debug, Default)]
pub struct EntrySecrets {
    /// The key that signs. Entries are read under it, too.
    pub current: Option<ResolvedSecret>,
    /// Keys under which entries are only read, in the order of the settings.
    pub others: Vec<ResolvedSecret>,
}

impl EntrySecrets {
    /// All keys, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &ResolvedSecret> {
        self.current.iter().chain(&self.others)
    }
}

impl Config {
    /// The keys of the log's entries. A process may have none.
    ///
    /// # Errors
    /// A key cannot be read, or is too short; it is the same as the secret; two keys have the same id; or another setting
    /// needs a key, and no key is set.
    pub fn entry_secrets(&self) -> Result<EntrySecrets, SecretError> {
        let (value, file) = (self.entry_key.as_ref(), self.entry_key_file.as_deref());
        let current = match resolve_secret(KEY, value, file, None) {
            Err(SecretError::NotGiven(_)) => None,
            found => Some(found?),
        };
        let others = self
            .other_entry_key_files
            .iter()
            .map(|file| resolve_secret(OTHERS, None, Some(file), None))
            .collect::<Result<_, _>>()?;
        let secrets = EntrySecrets { current, others };
        // Faults in these have their own messages.
        let mut cookies = self.other_secrets().unwrap_or_default();
        cookies.extend(self.secret());
        let is_secret = |key: &[u8]| cookies.iter().any(|secret| secret.as_bytes() == key);
        if secrets.all().any(|key| is_secret(key.key.as_bytes())) {
            return Err(SecretError::EntryKeyIsSecret);
        }
        let signs_without = self.entry_version == Some(2) && secrets.current.is_none();
        let reads_without = !self.accept_unsigned_entries && secrets.all().next().is_none();
        if signs_without || reads_without {
            return Err(SecretError::NotGiven(KEY));
        }
        self.keys_of(&secrets)?;
        Ok(secrets)
    }

    /// The keys under which the keys of polls are wrapped: the first one, and others that are only read with. `None` if there
    /// is no current one: no poll can have codes then.
    ///
    /// # Errors
    /// As [`entry_secrets`](Self::entry_secrets).
    pub fn poll_keys(&self) -> Result<Option<PollKeyWrap>, SecretError> {
        let secrets = self.entry_secrets()?;
        let others = secrets.others.iter();
        Ok(secrets.current.as_ref().map(|current| {
            let wrap = PollKeyWrap::new(&current.key);
            others.fold(wrap, |wrap, other| wrap.reading(&other.key))
        }))
    }

    /// The keys for the log. Entries are signed with the current key if `entry_version` says so.
    ///
    /// # Errors
    /// As [`entry_secrets`](Self::entry_secrets).
    pub fn entry_keys(&self) -> Result<EntryKeys, SecretError> {
        self.keys_of(&self.entry_secrets()?)
    }

    fn keys_of(&self, secrets: &EntrySecrets) -> Result<EntryKeys, SecretError> {
        let mut keys = EntryKeys::new(self.redis.prefix.clone());
        for secret in secrets.all() {
            keys = keys
                .with_secret(&secret.key)
                .map_err(|same| SecretError::SameEntryKeyId(same.0))?;
        }
        match &secrets.current {
            Some(current) if self.entry_version != Some(1) => Ok(keys.signing_with(&current.key)),
            _ => Ok(keys),
        }
    }

    /// The keys that are set, each with whether it is readable and long enough.
    pub(super) fn entry_key_uses(&self) -> Vec<SecretUse> {
        let (value, file) = (self.entry_key.as_ref(), self.entry_key_file.as_deref());
        let current =
            (value.is_some() || file.is_some()).then(|| long_secret(KEY, value, file, None));
        let others = self.other_entry_key_files.iter();
        let others = others.map(|file| long_secret(OTHERS, None, Some(file), None));
        current.into_iter().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs, path::Path};

    use super::*;
    use crate::settings::cli::Cli;

    fn config(set: &[(&str, &str)]) -> Config {
        let set = set
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        Config::load_in(&Cli::default(), HashMap::from_iter(set)).expect("settings")
    }

    fn written(folder: &Path, name: &str, text: &str) -> String {
        let file = folder.join(name);
        fs::write(&file, text).expect("written");
        file.display().to_string()
    }

    const ONE: &str = "3b1f6c1e0d5a4f9b8c7d6e5f4a3b2c1d";
    const TWO: &str = "9a8b7c6d5e4f30211203f4e5d6c7b8a9";

    #[test]
    fn a_process_has_the_key_that_signs_and_others_that_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = written(folder.path(), "one", ONE);
        let two = written(folder.path(), "two", &format!("{TWO}\n"));
        let none = config(&[]).entry_secrets().expect("none is needed");
        assert!(none.all().next().is_none());
        let both = [
            ("VOTING_ENTRY_KEY_FILE", one.as_str()),
            ("VOTING_OTHER_ENTRY_KEY_FILES", two.as_str()),
        ];
        let found = config(&both).entry_secrets().expect("two keys");
        let keys: Vec<_> = found.all().map(|found| found.key.as_bytes()).collect();
        assert_eq!(keys, [ONE.as_bytes(), TWO.as_bytes()]);
        assert_eq!(found.others.len(), 1);
        let list = format!("{one}, {two}");
        let others = config(&[("VOTING_OTHER_ENTRY_KEY_FILES", &list)]);
        let found = others.entry_secrets().expect("two keys");
        assert!(found.current.is_none());
        assert_eq!(found.others.len(), 2);
    }

    #[test]
    fn entries_are_signed_where_a_key_is_set_unless_the_version_says_otherwise() {
        let key = ("VOTING_ENTRY_KEY", ONE);
        let signs = |set: &[(&str, &str)]| config(set).entry_keys().expect("keys").signs();
        assert!(!signs(&[]));
        assert!(signs(&[key]));
        assert!(!signs(&[key, ("VOTING_ENTRY_VERSION", "1")]));
        let unsigned = config(&[("VOTING_ENTRY_VERSION", "2")]).entry_keys();
        assert!(matches!(unsigned, Err(SecretError::NotGiven(KEY))));
        let reads = config(&[("VOTING_ACCEPT_UNSIGNED_ENTRIES", "false")]).entry_keys();
        assert!(matches!(reads, Err(SecretError::NotGiven(KEY))));
    }

    #[test]
    fn keys_that_cannot_be_told_apart_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = written(folder.path(), "one", ONE);
        let same = config(&[
            ("VOTING_ENTRY_KEY", ONE),
            ("VOTING_OTHER_ENTRY_KEY_FILES", &one),
        ]);
        assert!(matches!(
            same.entry_secrets(),
            Err(SecretError::SameEntryKeyId(_))
        ));
        let secret = config(&[("VOTING_ENTRY_KEY", ONE), ("VOTING_SECRET", ONE)]);
        assert!(matches!(
            secret.entry_secrets(),
            Err(SecretError::EntryKeyIsSecret)
        ));
        let short = config(&[("VOTING_ENTRY_KEY", "short")]).entry_secrets();
        assert!(matches!(short, Err(SecretError::Short(KEY, _))));
        let missing = config(&[("VOTING_OTHER_ENTRY_KEY_FILES", "/nowhere/key")]);
        assert!(matches!(
            missing.entry_secrets(),
            Err(SecretError::Read(..))
        ));
    }
}
