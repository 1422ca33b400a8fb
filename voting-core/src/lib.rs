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

pub mod backends;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod log;
pub mod model;
pub mod pipeline;
pub mod prelude;
pub mod store;
pub mod trace;
pub mod voting;

pub use error::{CastError, ErrorKind, StoreError};
pub use log::{BallotLog, BallotQueue, VoteSink};
pub use model::{
    ballot::{Ballot, Choices, VoterId},
    id::{OptionId, PollId},
    poll::{Poll, PollOption},
    poll_state::PollState,
    receipt::{Receipt, ReceiptState},
    secret::{MacKey, SecretKey},
    tally::Tally,
};
pub use pipeline::{
    group_commit::{GroupCommit, GroupCommitOptions},
    worker::{Worker, WorkerHandle, WorkerOptions},
};
pub use store::{
    BatchFlusher, DeadLetterStore, PollDirectory, PollPublisher, PollStore, TallyStore,
};
pub use voting::{Voting, VotingError};
