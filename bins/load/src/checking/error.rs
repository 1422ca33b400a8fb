//! Why a check has no verdict.

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Neither a result service nor a store is given.
    #[error("nothing to check with: neither a result service nor a store is given")]
    NoSource,
    /// A service gives an unexpected answer.
    #[error("a service does not answer as it should: {0}")]
    Service(String),
    /// The tally changes before anything is cast.
    #[error(
        "the tally of the poll keeps changing: others vote in it, or earlier ballots are still being counted; try again when nobody votes"
    )]
    Moving,
    /// The services are not of one system, or the result service is far behind.
    #[error(
        "the result service and the store have different tallies: do they belong to one system?"
    )]
    Apart,
    /// The store gives an unexpected answer.
    #[error("the store does not answer as it should")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}
