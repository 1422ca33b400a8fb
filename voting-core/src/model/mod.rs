//! What is voted on and by whom: polls, ballots, their places in the order, tallies. A value that exists is valid.

pub mod ballot;
pub mod code;
pub mod id;
pub mod moment;
pub mod new_voters;
pub mod placed_ballot;
pub mod poll;
pub mod poll_key;
pub mod poll_state;
pub mod position;
pub mod receipt;
pub mod rejection;
pub mod secret;
pub mod secrets;
pub mod source;
pub mod tally;
pub mod vote_history;
