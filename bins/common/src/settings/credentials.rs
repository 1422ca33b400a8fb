//! The secrets that the settings name.

use voting_core::SecretKey;

use crate::{
    secrets::{Kept, ResolvedSecret, SecretError, is_weak, resolve_secret},
    settings::config::Config,
};

impl Config {
    /// The secret that all services share.
    ///
    /// # Errors
    /// The secret is not set, or cannot be read.
    pub fn secret(&self) -> Result<SecretKey, SecretError> {
        let (value, file) = (self.secret.as_ref(), self.secret_file.as_deref());
        resolve_secret("secret", value, file, None).map(|found| found.key)
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
        let secret = resolve_secret("secret", value, file, Some(kept));
        if secret.is_ok_and(|secret| secret.key.as_bytes() == token) {
            return Err(SecretError::TokenIsSecret);
        }
        Ok(())
    }
}
