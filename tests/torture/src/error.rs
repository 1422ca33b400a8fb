//! Why a run comes to no verdict.

use std::io;

use voting_load::{CheckError, StartError};

use crate::disk::NoFuse;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something cannot be started.
    #[error("the servers or the services cannot be started")]
    Start(#[from] io::Error),
    /// The load cannot be started.
    #[error("the load cannot be started")]
    Load(#[from] StartError),
    /// A service or server did not do in a minute what it should.
    #[error("not within a minute: {0}")]
    Never(&'static str),
    /// There is nothing to judge by.
    #[error("the ballots cannot be checked")]
    Check(#[from] CheckError),
    /// Power cuts were expected.
    #[error("there must be FUSE: EXPECT_FUSE is set, or --broken everysec asked for")]
    NoFuse(#[source] NoFuse),
    /// A fault could not be put right.
    #[error("a fault could not be put right: {0}")]
    Fault(String),
}
