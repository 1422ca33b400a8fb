//! Waiting for entries to arrive.

use std::{future::Future, pin::pin, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{error::StoreError, log::claim::Claim};

/// Wakes the consumers that wait when an entry was appended.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Notify);

impl Arrivals {
    pub(crate) fn announce(&self) {
        self.0.notify_waiters();
    }
}

/// Asks `attempt` for a claim until it has entries or `wait` is over.
pub(crate) async fn claim_within<F: Future<Output = Result<Claim, StoreError>>>(
    arrivals: &Arrivals,
    wait: Duration,
    attempt: impl Fn() -> F,
) -> Result<Claim, StoreError> {
    let deadline = Instant::now() + wait;
    loop {
        // Listening begins before looking, or an arrival in between would be missed.
        let mut arrival = pin!(arrivals.0.notified());
        arrival.as_mut().enable();
        let claim = attempt().await?;
        if !claim.entries.is_empty() || timeout_at(deadline, arrival).await.is_err() {
            return Ok(claim);
        }
    }
}
