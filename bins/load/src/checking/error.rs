//! Why a check has no verdict.

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Neither a result service nor a store is given.
    #[error("nothing to check with: neither a result service nor a store is given")]
    NoSource,
    /// A service does not answer as it should.
    #[error("a service does not answer as it should: {0}")]
    Service(String),
    /// The tally moves before anything is cast.
    #[error(
        "the tally of the poll does not come to rest: others vote in it, or ballots from before are \
         still being counted; try again when nobody votes"
    )]
    Moving,
    /// They are not of one system, or the result service is far behind.
    #[error("the result service shows another tally than the store has: are they of one system?")]
    Apart,
    /// The store does not answer as it should.
    #[error("the store does not answer as it should")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}
