//! What moves ballots along: into the log in groups, from there to the store in batches, and polls to their end.

pub mod cast_many;
pub mod closing;
pub mod coordinator;
pub mod follow;
pub mod group_commit;
pub mod observe;
pub mod poll_keys;
pub mod put_back;
pub mod replay;
pub mod retention;
pub mod rule;
pub mod schedule;
pub mod worker;
