//! What most programs that embed the pipeline need: `use voting_core::prelude::*;`

pub use crate::{
    error::{CastError, ErrorKind, StoreError},
    log::{BallotLog as _, BallotQueue as _, Log as _, VoteSink as _},
    model::{
        ballot::{Ballot, Choices, VoterId},
        id::{OptionId, PollId},
        poll::{Poll, PollOption},
        poll_state::PollState,
        receipt::{Receipt, ReceiptState},
        secret::{MacKey, SecretKey},
        tally::Tally,
    },
    pipeline::{
        group_commit::GroupCommitOptions,
        rule::{BallotRule, Refusal},
        worker::{AfterFlush, WorkerOptions},
    },
    store::{
        BatchFlusher as _, DeadLetterStore as _, PollDirectory as _, PollStore as _,
        TallyStore as _, outcome::Flushed,
    },
    voting::{Voting, VotingBuilder, VotingError},
};
