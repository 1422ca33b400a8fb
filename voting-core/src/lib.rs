#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
pub use log::{BallotLog, BallotQueue, Log, VoteSink};
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
    rule::{BallotRule, Refusal},
    worker::{AfterFlush, Worker, WorkerHandle, WorkerOptions},
};
pub use store::{
    BatchFlusher, DeadLetterStore, ExportStore, PollDirectory, PollPublisher, PollStore, Store,
    TallyStore,
};
pub use voting::{Voting, VotingError};

/// [`BallotExport::new`](store::export::BallotExport::new) takes this type.
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

/// What the traits of this crate are written with; an implementation needs it.
#[doc(no_inline)]
pub use async_trait::async_trait;
