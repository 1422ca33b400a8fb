//! The secret to which the log is held, so that services with different ones do not count a voter twice.
//!
//! `<prefix>:secrets` is a text: the fingerprints of the secrets that are allowed, separated by spaces. It stands
//! beside the layout and not in it, since an older program compares the layout's text exactly.

use crate::backends::redis::Redis;
use crate::{error::StoreError, model::secret::Fingerprint};

impl Redis {
    pub(super) fn secrets_key(&self) -> String {
        format!("{}:secrets", self.0.options.prefix)
    }

    /// The fingerprints of the secrets that vote services may have; `None` if none has asked yet.
    ///
    /// # Errors
    /// Redis does not answer, or what is there are no fingerprints.
    pub async fn allowed_secrets(&self) -> Result<Option<Vec<Fingerprint>>, StoreError> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.secrets_key());
        let there: Option<String> = self.0.connection.read(&get).await?;
        there.map(|text| self.read_secrets(&text)).transpose()
    }

    /// Never empty: a text without fingerprints would allow nobody, and nobody could have meant that.
    fn read_secrets(&self, text: &str) -> Result<Vec<Fingerprint>, StoreError> {
        let read: Result<Vec<_>, _> = text.split_whitespace().map(str::parse).collect();
        match read {
            Ok(there) if !there.is_empty() => Ok(there),
            _ => {
                let key = self.secrets_key();
                let text: String = text.chars().take(64).collect();
                Err(StoreError::Corrupt(format!(
                    "{key} is {text:?}, not fingerprints of secrets"
                )))
            }
        }
    }

    pub(super) async fn hold_to_secret(&self, ours: Fingerprint) -> Result<(), StoreError> {
        // Asked first: at its memory limit Redis takes nothing new.
        let mut there = self.allowed_secrets().await?;
        if there.is_none() {
            let mut set = ::redis::cmd("SET");
            set.arg(self.secrets_key()).arg(ours.to_string());
            // Of two that come at once, one is told what the other has set.
            let before: Option<String> = self.0.connection.ask(set.arg("NX").arg("GET")).await?;
            there = before.map(|text| self.read_secrets(&text)).transpose()?;
        }
        match there {
            Some(allowed) if !allowed.contains(&ours) => {
                Err(StoreError::ForeignSecret { ours, allowed })
            }
            _ => Ok(()),
        }
    }
}
