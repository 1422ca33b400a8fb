//! The secrets that the settings name.

use voting_core::{SecretKey, model::secrets::Secrets};

use crate::{
    secrets::{Kept, ResolvedSecret, SecretError, is_weak, resolve_secret},
    settings::{
        config::Config,
        requirements::{SecretUse, long_secret},
    },
};

const OTHERS: &str = "other_secret_files";

impl Config {
    /// The secret that all services share.
    ///
    /// # Errors
    /// The secret is not set, or cannot be read.
    pub fn secret(&self) -> Result<SecretKey, SecretError> {
        let (value, file) = (self.secret.as_ref(), self.secret_file.as_deref());
        resolve_secret("secret", value, file, None).map(|found| found.key)
    }

    /// The secret that all services share, and those that they only read.
    ///
    /// # Errors
    /// A secret is not set, or cannot be read, or two are the same.
    pub fn secrets(&self) -> Result<Secrets, SecretError> {
        self.with_other_secrets(&self.secret()?)
    }

    /// The secrets of a worker that takes bulk casts; `None` for one that does not.
    ///
    /// # Errors
    /// No secret is set, or it cannot be read; or no key signs the entries of the log.
    pub fn bulk_secrets(&self) -> Result<Option<Secrets>, SecretError> {
        if !self.worker.bulk_casts {
            return Ok(None);
        }
        if !self.entry_keys()?.signs() {
            return Err(SecretError::BulkUnsigned);
        }
        self.secrets().map(Some)
    }

    /// This secret, and those that are only read.
    ///
    /// # Errors
    /// A secret cannot be read, or two are the same.
    pub fn with_other_secrets(&self, secret: &SecretKey) -> Result<Secrets, SecretError> {
        let mut secrets = Secrets::from(secret);
        for other in self.other_secrets()? {
            if secrets
                .all()
                .any(|known| known.as_bytes() == other.as_bytes())
            {
                return Err(SecretError::SameSecret);
            }
            secrets = secrets.reading(other);
        }
        Ok(secrets)
    }

    pub(super) fn other_secrets(&self) -> Result<Vec<SecretKey>, SecretError> {
        let files = self.other_secret_files.iter();
        let found = files.map(|file| resolve_secret(OTHERS, None, Some(file), None));
        found.map(|found| Ok(found?.key)).collect()
    }

    /// The other secrets, each with whether it is readable and long enough.
    pub(super) fn other_secret_uses(&self) -> Vec<SecretUse> {
        let files = self.other_secret_files.iter();
        files
            .map(|file| long_secret(OTHERS, None, Some(file), None))
            .collect()
    }

    /// The operator's token.
    ///
    /// # Errors
    /// The token is not set, cannot be read, is too short or weak, or is the same as the secret.
    pub fn operator_token(&self, kept: Option<Kept<'_>>) -> Result<ResolvedSecret, SecretError> {
        let (value, file) = (
            self.worker.token.as_ref(),
            self.worker.token_file.as_deref(),
        );
        let found = resolve_secret("worker.token", value, file, kept)?;
        self.check_against_secret(found.key.as_bytes())?;
        Ok(found)
    }

    /// Checks the token that is set or kept.
    pub(crate) fn check_token(&self) -> Result<(), SecretError> {
        let path = self.beside_database("operator-token");
        let kept = Kept {
            path: &path,
            may_make: false,
        };
        self.operator_token(Some(kept)).map(drop)
    }

    fn check_against_secret(&self, token: &[u8]) -> Result<(), SecretError> {
        if is_weak(token) {
            return Err(SecretError::Weak("worker.token"));
        }
        // Often this file does not exist, or this process may not read it: the worker does not need the secret.
        let path = self.beside_database("secret");
        let kept = Kept {
            path: &path,
            may_make: false,
        };
        let (value, file) = (self.secret.as_ref(), self.secret_file.as_deref());
        let secret = resolve_secret("secret", value, file, Some(kept)).map(|found| found.key);
        // Faults in these have their own messages.
        let others = self.other_secrets().unwrap_or_default();
        let mut secrets = secret.iter().chain(&others);
        if secrets.any(|secret| secret.as_bytes() == token) {
            return Err(SecretError::TokenIsSecret);
        }
        Ok(())
    }
}
