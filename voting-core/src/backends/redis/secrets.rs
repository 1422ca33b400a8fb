//! The secrets to which the log is held, so that services with different ones do not count a voter twice.
//!
//! Three texts have the fingerprints of secrets, separated by spaces. They stand beside the layout and not in it, since an
//! older program compares the layout's text exactly.
//!
//! - `<prefix>:secrets`: the one that came last. An older program knows only this text, and has one secret. So it takes no
//!   more ballots once there are cookies of another one.
//! - `<prefix>:earlier-secrets`: those that are accepted as well. Once there are none any more, it has the same secret as
//!   the first text: to remove it, services would need one more right.
//! - `<prefix>:dropped-secrets`: those that were accepted before.

use crate::backends::redis::Redis;
use crate::{
    error::StoreError,
    model::{
        secret::Fingerprint,
        secrets::{KnownSecrets, LogSecrets},
    },
};

/// How often a change is tried if other services change the secrets at the same time.
const TRIES: usize = 8;

fn text_of(secrets: &[Fingerprint]) -> String {
    let texts: Vec<_> = secrets.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

impl Redis {
    pub(super) fn secrets_key(&self) -> String {
        format!("{}:secrets", self.0.options.prefix)
    }

    pub(super) fn earlier_secrets_key(&self) -> String {
        format!("{}:earlier-secrets", self.0.options.prefix)
    }

    pub(super) fn dropped_secrets_key(&self) -> String {
        format!("{}:dropped-secrets", self.0.options.prefix)
    }

    /// The secrets that vote services may have, and those that they may not have any more. Both lists are empty if no vote
    /// service has asked yet.
    ///
    /// # Errors
    /// Redis does not answer, or what is there are no fingerprints.
    pub async fn log_secrets(&self) -> Result<LogSecrets, StoreError> {
        Ok(self.texts().await?.into())
    }

    async fn texts(&self) -> Result<Texts, StoreError> {
        // In the opposite order in which they are written.
        Ok(Texts {
            last: self.secrets_at(self.secrets_key()).await?,
            earlier: self.secrets_at(self.earlier_secrets_key()).await?,
            dropped: self.secrets_at(self.dropped_secrets_key()).await?,
        })
    }

    async fn secrets_at(&self, key: String) -> Result<Vec<Fingerprint>, StoreError> {
        let mut get = ::redis::cmd("GET");
        get.arg(&key);
        let there: Option<String> = self.0.connection.read(&get).await?;
        let Some(text) = there else {
            return Ok(Vec::new());
        };
        // A text without fingerprints would accept no service, so it must be an error.
        let read: Result<Vec<_>, _> = text.split_whitespace().map(str::parse).collect();
        read.ok().filter(|there| !there.is_empty()).ok_or_else(|| {
            let text: String = text.chars().take(64).collect();
            StoreError::Corrupt(format!("{key} is {text:?}, not fingerprints of secrets"))
        })
    }

    /// Returns the secrets that are not accepted any more.
    pub(super) async fn hold_to_secrets(
        &self,
        ours: &KnownSecrets,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        for _ in 0..TRIES {
            // Asked first: at its memory limit Redis takes nothing new.
            let texts = self.texts().await?;
            let there = LogSecrets::from(texts.clone());
            let Some(next) = there.admit(ours)? else {
                return Ok(there.no_longer_accepted());
            };
            if self.replace(&texts, &next).await? {
                tracing::info!(
                    accepted = text_of(&next.accepted),
                    before = text_of(&there.accepted),
                    "the log accepts other secrets than before"
                );
                return Ok(next.no_longer_accepted());
            }
        }
        Err(StoreError::unavailable(
            "other services changed the secrets of the log during each attempt",
        ))
    }

    /// Writes the texts if nobody has changed them since they were read, and returns whether it did. If it ends early, no
    /// accepted secret is missing.
    async fn replace(&self, there: &Texts, next: &LogSecrets) -> Result<bool, StoreError> {
        let Some((last, earlier)) = next.accepted.split_last() else {
            return Ok(true);
        };
        let earlier = match earlier {
            [] if !there.earlier.is_empty() => &[*last],
            earlier => earlier,
        };
        let dropped = self.dropped_secrets_key();
        if !self
            .exchange_secrets(dropped, &there.dropped, &next.dropped)
            .await?
        {
            return Ok(false);
        }
        let key = self.earlier_secrets_key();
        if !self.exchange_secrets(key, &there.earlier, earlier).await? {
            return Ok(false);
        }
        self.exchange_secrets(self.secrets_key(), &there.last, &[*last])
            .await
    }

    /// Writes fingerprints if nobody has changed them since they were read, and returns whether it did.
    async fn exchange_secrets(
        &self,
        key: String,
        from: &[Fingerprint],
        to: &[Fingerprint],
    ) -> Result<bool, StoreError> {
        if from == to {
            return Ok(true);
        }
        self.exchange(key, &text_of(from), &text_of(to)).await
    }
}

/// What Redis has.
#[derive(Clone)]
struct Texts {
    last: Vec<Fingerprint>,
    earlier: Vec<Fingerprint>,
    dropped: Vec<Fingerprint>,
}

impl From<Texts> for LogSecrets {
    fn from(texts: Texts) -> Self {
        let Texts {
            last,
            earlier: mut accepted,
            dropped,
        } = texts;
        accepted.retain(|secret| !last.contains(secret));
        accepted.extend(last);
        Self { accepted, dropped }
    }
}
