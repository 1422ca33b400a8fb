//! What a worker takes from the log.

use std::collections::HashMap;

use crate::model::position::{EntryId, ShardId};

/// An entry as it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Which part of the log.
    pub shard: ShardId,
    /// Its place there.
    pub id: EntryId,
    /// Its bytes, see [`entry`](crate::log::entry).
    pub payload: Vec<u8>,
    /// How many ballots it was appended with.
    pub ballots: u16,
    /// The traces that it was appended with, see [`entry_context`](crate::log::entry_context); empty if none, or if
    /// the log does not keep them.
    pub traces: Vec<u8>,
    /// Set if another program wrote something that is not an entry: a description of what was found. Then
    /// `payload` has the bytes that were found, and no entry.
    pub foreign: Option<String>,
}

/// Entries taken from the log, to be acknowledged once they are flushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The entries, in the order of their shard unless some are delivered again.
    pub entries: Vec<LogEntry>,
    /// For shards in `entries`: all entries below this id are acknowledged.
    pub acknowledged_below: HashMap<ShardId, EntryId>,
}
