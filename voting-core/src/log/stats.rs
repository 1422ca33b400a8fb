//! How full the log is, and how far the workers are.

use std::collections::HashMap;

use crate::model::position::{EntryId, ShardId};

/// The state of the log as the worker's side sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Ballots ever acknowledged to voters.
    pub accepted: u64,
    /// Of these, ballots whose flush is not yet acknowledged.
    pub pending: u64,
    /// When the oldest pending entry was appended, in milliseconds since 1970.
    pub oldest_pending_ms: Option<u64>,
    /// For each shard, also one without entries: all entries below this id are acknowledged. If
    /// that is all of them, it is above the last id that the shard gave and above its seals.
    pub acknowledged_below: HashMap<ShardId, EntryId>,
    /// Entries that were deleted before they were acknowledged, by someone who trimmed or deleted in
    /// the log: ballots that are lost. Must stay zero.
    pub lost_entries: u64,
    /// How full the log's memory is, if it is kept in memory and says so; of several servers the fullest.
    pub memory: Option<LogMemory>,
}

/// The memory of a server that keeps a log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogMemory {
    /// The memory in use that counts towards the limit.
    pub used: u64,
    /// The limit above which the log refuses ballots; `None` if only the machine limits it.
    pub limit: Option<u64>,
}
