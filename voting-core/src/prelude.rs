//! What most programs that embed the pipeline need: `use voting_core::prelude::*;`

pub use crate::{
    error::{CastError, StoreError},
    log::{BallotQueue as _, VoteSink as _},
    model::{
        ballot::{Ballot, Choices, VoterId},
        id::{OptionId, PollId},
        poll::{Poll, PollOption},
        poll_state::PollState,
        receipt::{Receipt, ReceiptState},
        secret::SecretKey,
        tally::Tally,
    },
    pipeline::{group_commit::GroupCommitOptions, worker::WorkerOptions},
    store::{BatchFlusher as _, PollDirectory as _, PollStore as _, TallyStore as _},
    voting::{Voting, VotingBuilder, VotingError},
};
