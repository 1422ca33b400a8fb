//! The log of the memory back end.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::ready,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::Memory;
use crate::{
    backends::{
        clock::unix_ms,
        embedded::{Group, claim_within},
    },
    error::{CastError, StoreError},
    log::{
        BallotLog, BallotQueue, Log as WholeLog, ShardWindows,
        claim::{Claim, LogEntry},
        entry::{EntryPoll, NewEntry},
        stats::QueueStats,
    },
    model::{
        id::PollId,
        poll::PollWindow,
        position::{EntryId, EntryKey, ShardId},
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
};

/// All shards.
#[derive(Debug)]
pub(super) struct Log {
    shards: Vec<Shard>,
    accepted: u64,
    pending: u64,
    /// Where the next claim begins, so that a busy shard does not keep the others waiting.
    turn: usize,
}

#[derive(Debug)]
struct Shard {
    id: ShardId,
    last: EntryId,
    entries: BTreeMap<EntryId, Stored>,
    group: Group,
    sealed: HashSet<PollId>,
    windows: HashMap<PollId, PollWindow>,
}

#[derive(Debug)]
struct Stored {
    payload: Vec<u8>,
    ballots: u16,
    traces: Vec<u8>,
}

impl Log {
    pub(super) fn new(shards: u16, claim_timeout: Duration) -> Self {
        let shards = (0..shards)
            .map(|id| Shard {
                id: ShardId(id),
                last: EntryId::MIN,
                entries: BTreeMap::new(),
                group: Group::new(claim_timeout),
                sealed: HashSet::new(),
                windows: HashMap::new(),
            })
            .collect();
        Self {
            shards,
            accepted: 0,
            pending: 0,
            turn: 0,
        }
    }

    fn shard(&mut self, shard: ShardId) -> Result<&mut Shard, String> {
        let found = self.shards.get_mut(usize::from(shard.0));
        found.ok_or_else(|| format!("there is no shard {shard}"))
    }

    fn append(&mut self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        let shard = self
            .shard(shard)
            .map_err(|none| CastError::Refused(none.into()))?;
        let id = shard.last.following(unix_ms());
        for EntryPoll { id: poll, rules } in &entry.polls {
            if shard.sealed.contains(poll) {
                return Err(CastError::Closed(poll.clone()));
            }
            PollWindow::admit(shard.windows.get(poll), poll, *rules, id.ms())?;
        }
        shard.last = id;
        let ballots = entry.ballots;
        let stored = Stored {
            payload: entry.payload,
            ballots,
            traces: entry.traces,
        };
        shard.entries.insert(id, stored);
        self.accepted += u64::from(ballots);
        self.pending += u64::from(ballots);
        Ok(id)
    }

    fn seal(&mut self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        let shard = self.shard(shard).map_err(StoreError::unavailable)?;
        shard.sealed.extend(polls.iter().cloned());
        Ok(shard.last)
    }

    fn set_windows(
        &mut self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let shard = self.shard(shard).map_err(StoreError::unavailable)?;
        let clock_ms = unix_ms().max(shard.last.ms());
        let held = windows.iter().map(|window| {
            let held = shard.windows.get(&window.poll);
            if window.replaces(held, clock_ms) {
                shard.windows.insert(window.poll.clone(), window.clone());
            }
            shard.windows[&window.poll].clone()
        });
        Ok(ShardWindows {
            held: held.collect(),
            clock_ms,
        })
    }

    fn claim(&mut self, max_ballots: usize) -> Claim {
        let mut claim = Claim::default();
        let mut ballots = 0;
        let count = self.shards.len();
        self.turn = (self.turn + 1) % count;
        for index in (0..count).map(|offset| (self.turn + offset) % count) {
            let (shard, state) = (self.shards[index].id, &mut self.shards[index]);
            let mut ids = state.group.overdue();
            ids.extend(state.entries.range(state.group.next()..).map(|(id, _)| *id));
            for id in ids {
                if ballots >= max_ballots {
                    break;
                }
                let Some(stored) = state.entries.get(&id) else {
                    continue;
                };
                ballots += usize::from(stored.ballots);
                state.group.hand_out(id);
                claim.entries.push(LogEntry {
                    shard,
                    id,
                    payload: stored.payload.clone(),
                    ballots: stored.ballots,
                    traces: stored.traces.clone(),
                    foreign: None,
                });
                claim
                    .acknowledged_below
                    .insert(shard, state.group.acknowledged_below());
            }
        }
        claim
    }

    fn acknowledge(&mut self, (shard, id): EntryKey) {
        let Some(shard) = self.shards.get_mut(usize::from(shard.0)) else {
            return;
        };
        shard.group.acknowledge(id);
        if let Some(stored) = shard.entries.remove(&id) {
            self.pending -= u64::from(stored.ballots);
        }
    }

    fn stats(&self) -> QueueStats {
        let oldest = self
            .shards
            .iter()
            .filter_map(|shard| shard.entries.keys().next());
        QueueStats {
            accepted: self.accepted,
            pending: self.pending,
            oldest_pending_ms: oldest.map(|id| id.ms()).min(),
            acknowledged_below: self.shards.iter().map(Shard::acknowledged_below).collect(),
            lost_entries: 0,
            memory: None,
        }
    }
}

impl Shard {
    /// What is not acknowledged is still there.
    fn acknowledged_below(&self) -> EntryKey {
        let first = self.entries.keys().next().copied();
        (self.id, first.unwrap_or(self.last.next()))
    }
}

#[async_trait]
impl BallotLog for Memory {
    fn shards(&self) -> u16 {
        self.0.shards
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        let appended = self.log().append(shard, entry);
        self.0.arrivals.announce();
        appended
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        self.log().seal(shard, polls)
    }

    fn has_one_program(&self) -> bool {
        true
    }

    fn keeps_windows(&self) -> bool {
        true
    }

    async fn set_windows(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        self.log().set_windows(shard, windows)
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        let there = self.0.secrets.lock();
        let mut there = there.unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = there.admit(secrets)? {
            *there = next;
        }
        Ok(there.no_longer_accepted())
    }
}

/// A reading end of a [`Memory`]'s log.
#[derive(Debug, Clone)]
pub struct MemoryQueue(pub(super) Memory);

impl WholeLog for Memory {
    fn reader(&self) -> Arc<dyn BallotQueue> {
        Arc::new(self.queue())
    }
}

#[async_trait]
impl BallotQueue for MemoryQueue {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        claim_within(&self.0.0.arrivals, wait, || {
            ready(Ok(self.0.log().claim(max_ballots)))
        })
        .await
    }

    async fn acknowledge(&self, entries: &[EntryKey]) -> Result<(), StoreError> {
        let mut log = self.0.log();
        entries.iter().for_each(|key| log.acknowledge(*key));
        Ok(())
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        Ok(self.0.log().stats())
    }
}
