//! The voting pipeline as a library.
//!
//! A ballot goes [`VoteSink`] → log → [`BallotQueue`] → [`Worker`] → [`BatchFlusher`] → [`TallyStore`].
//! The promise of the whole: **a ballot that was acknowledged is never lost and never counted
//! twice; a voter's last acknowledged choice is the one that counts.**
//!
//! The traits in [`traits`] are all that the worker loop and the services know of a back end.
//! Four back ends are built in, each behind a feature of its name: `memory` and `sqlite` have a log
//! and a store, `redis` has a log, `postgres` a store.
//! Your own can run the [`conformance`] suite (feature `conformance`).
//!
//! Errors, shapes and units are stated where they are defined; the order of ballots in
//! [`position`], the bytes of a log entry in [`entry`], how a ballot is followed in [`trace`].

pub mod applied;
pub mod ballot;
pub mod batch;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod certificate;
#[cfg(any(feature = "memory", feature = "redis", feature = "sqlite"))]
mod clock;
pub mod closing;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dead_letter;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod embedded;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod endpoint;
pub mod entry;
pub mod error;
pub mod group_commit;
pub mod id;
#[cfg(feature = "memory")]
pub mod memory;
pub mod poll;
pub mod poll_state;
pub mod position;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod private_files;
pub mod receipt;
#[cfg(feature = "redis")]
pub mod redis;
pub mod revival;
pub mod secret;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stored_json;
pub mod tally;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod tls;
pub mod trace;
pub mod traits;
pub mod worker;

pub use ballot::{Ballot, Choices, VoterId};
pub use error::{CastError, StoreError};
pub use group_commit::{GroupCommit, GroupCommitOptions};
pub use id::{OptionId, PollId};
pub use poll::{Poll, PollOption};
pub use poll_state::PollState;
pub use receipt::{Receipt, ReceiptState};
pub use secret::{MacKey, SecretKey};
pub use tally::Tally;
pub use traits::{
    BallotLog, BallotQueue, BatchFlusher, DeadLetterStore, PollDirectory, PollPublisher, PollStore,
    TallyStore, VoteSink,
};
pub use worker::{Worker, WorkerHandle, WorkerOptions};
