//! Commits that a synchronous standby has not confirmed.
//!
//! A commit waits for the standby, without an end: `statement_timeout` does not hold for it. If an operator cancels it
//! meanwhile, the server says that all is well, with a warning: the transaction is committed, and the standby may not have
//! it. A ballot must not leave the log then, so this counts as a failure. The flush is repeated, and writes locks of rows
//! at least, so its commit waits for all that was written before.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ::postgres::Config;

use crate::error::{ErrorKind, StoreError};

/// Whether a commit was not confirmed. Each connection has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Unconfirmed(Arc<AtomicBool>);

/// The function of the server that waits for the standby. The text of the warning is in the server's language.
const WAITS: &str = "SyncRepWaitForLSN";

impl Unconfirmed {
    /// A value that the next connection with this configuration sets.
    pub(super) fn noticed_by(config: &mut Config) -> Self {
        let unconfirmed = Self::default();
        let reported = unconfirmed.clone();
        config.notice_callback(move |notice| {
            if notice.routine() == Some(WAITS) {
                reported.0.store(true, Ordering::Relaxed);
            }
            tracing::debug!(message = notice.message(), "Postgres says");
        });
        unconfirmed
    }

    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(StoreError::of_kind(
                ErrorKind::TimedOut,
                "the synchronous standby has not confirmed a commit: see whether it runs and is connected",
            ));
        }
        Ok(())
    }
}
