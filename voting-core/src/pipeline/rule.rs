//! A rule of the application's own: which ballots count.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

pub use crate::model::rejection::Refusal;
use crate::{
    error::StoreError,
    model::{ballot::Ballot, poll::Poll},
};

/// Decides whether a ballot, which is valid in its poll, counts.
///
/// Give it to the [`Worker`](crate::Worker), where it decides, and to the vote service, which asks it before it
/// takes a ballot, so that the voter is told at once. The worker's answer is the one that counts: others can
/// write to the log.
///
/// The worker asks again when a batch has to be written again. Once a ballot was set aside as a
/// [dead letter](crate::store::dead_letter), it stays one.
///
/// A closure of a ballot and its poll is a rule:
///
/// ```
/// use voting_core::{Ballot, Poll, pipeline::rule::{BallotRule, Refusal}};
///
/// fn needs_rule(_: impl BallotRule) {}
///
/// needs_rule(|ballot: &Ballot, _: &Poll| {
///     if ballot.choices.len() == 1 {
///         Ok(())
///     } else {
///         Err(Refusal::new("one-only", "this hall takes one choice each"))
///     }
/// });
/// ```
#[async_trait]
pub trait BallotRule: Send + Sync {
    /// `Ok(Err(…))` sets the ballot aside with this reason.
    ///
    /// # Errors
    /// It cannot be told now. The worker waits and asks again; the vote service answers 503.
    async fn check(&self, ballot: &Ballot, poll: &Poll) -> Result<Result<(), Refusal>, StoreError>;
}

#[async_trait]
impl<F> BallotRule for F
where
    F: Fn(&Ballot, &Poll) -> Result<(), Refusal> + Send + Sync,
{
    async fn check(&self, ballot: &Ballot, poll: &Poll) -> Result<Result<(), Refusal>, StoreError> {
        Ok(self(ballot, poll))
    }
}

/// One rule for several owners, such as a worker and a vote service: an `Arc` by itself is no rule.
#[derive(Clone)]
pub struct SharedRule(pub Arc<dyn BallotRule>);

impl SharedRule {
    /// Shares `rule`.
    pub fn new(rule: impl BallotRule + 'static) -> Self {
        Self(Arc::new(rule))
    }
}

#[async_trait]
impl BallotRule for SharedRule {
    async fn check(&self, ballot: &Ballot, poll: &Poll) -> Result<Result<(), Refusal>, StoreError> {
        self.0.check(ballot, poll).await
    }
}

impl fmt::Debug for SharedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedRule(…)")
    }
}
