//! The log: one shard, in which entries keep their order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use voting_core::{
    BallotLog, BallotQueue, CastError, PollId, StoreError,
    log::{
        Log, ShardWindows,
        claim::{Claim, LogEntry},
        entry::{EntryPoll, NewEntry},
        stats::QueueStats,
    },
    model::{
        moment::Moment,
        poll::PollWindow,
        position::{EntryId, EntryKey, ShardId},
        secret::Fingerprint,
        secrets::{KnownSecrets, LogSecrets},
    },
};

use crate::OwnBackend;

/// The only shard. More of them let several processes write at a time.
const SHARD: ShardId = ShardId(0);

/// What is in the log.
#[derive(Debug)]
pub(crate) struct Entries {
    /// The newest id that was given.
    last: EntryId,
    /// What is not acknowledged.
    waiting: BTreeMap<EntryId, Waiting>,
    sealed: HashSet<PollId>,
    /// Between which moments ballots are taken.
    windows: HashMap<PollId, PollWindow>,
    accepted: u64,
    /// Under which secrets the cookies of its voters were made.
    secrets: LogSecrets,
    claim_timeout: Duration,
}

#[derive(Debug)]
struct Waiting {
    entry: NewEntry,
    /// When it was last handed out.
    handed_out: Option<Instant>,
}

impl Entries {
    pub(crate) fn new(claim_timeout: Duration) -> Self {
        Self {
            last: EntryId::MIN,
            waiting: BTreeMap::new(),
            sealed: HashSet::new(),
            windows: HashMap::new(),
            accepted: 0,
            secrets: LogSecrets::default(),
            claim_timeout,
        }
    }

    /// All entries below this are acknowledged; if that is all of them, it is above the last one.
    fn acknowledged_below(&self) -> EntryId {
        let first = self.waiting.keys().next().copied();
        first.unwrap_or_else(|| self.last.next())
    }

    fn claim(&mut self, max_ballots: usize) -> Claim {
        let mut claim = Claim::default();
        let mut ballots = 0;
        let timeout = self.claim_timeout;
        for (id, waiting) in &mut self.waiting {
            // At least one entry, however large it is.
            if ballots >= max_ballots {
                break;
            }
            // With another consumer, which may still acknowledge it.
            if waiting.handed_out.is_some_and(|at| at.elapsed() < timeout) {
                continue;
            }
            waiting.handed_out = Some(Instant::now());
            ballots += usize::from(waiting.entry.ballots);
            claim.entries.push(LogEntry {
                shard: SHARD,
                id: *id,
                payload: waiting.entry.payload.clone(),
                ballots: waiting.entry.ballots,
                traces: waiting.entry.traces.clone(),
                foreign: None,
            });
        }
        if !claim.entries.is_empty() {
            claim
                .acknowledged_below
                .insert(SHARD, self.acknowledged_below());
        }
        claim
    }
}

#[async_trait]
impl BallotLog for OwnBackend {
    fn shards(&self) -> u16 {
        1
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        if shard != SHARD {
            return Err(CastError::Refused("there is one shard only".into()));
        }
        let id = {
            let mut entries = self.entries();
            // In one step with the insertion: no entry of a sealed poll may slip in behind the seal.
            let now_ms = Moment::now().unix_ms();
            // Ids grow even if the clock goes back.
            let id = entries.last.following(now_ms);
            for EntryPoll { id: poll, rules } in &entry.polls {
                if entries.sealed.contains(poll) {
                    return Err(CastError::Closed(poll.clone()));
                }
                // The id alone says whether the entry came in time.
                PollWindow::admit(entries.windows.get(poll), poll, *rules, id.ms())?;
            }
            entries.last = id;
            entries.accepted += u64::from(entry.ballots);
            let waiting = Waiting {
                entry,
                handed_out: None,
            };
            entries.waiting.insert(id, waiting);
            id
        };
        // A log on a disk syncs here, before it returns.
        self.0.arrival.notify_waiters();
        Ok(id)
    }

    async fn seal(&self, _: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        let mut entries = self.entries();
        entries.sealed.extend(polls.iter().cloned());
        Ok(entries.last)
    }

    fn keeps_windows(&self) -> bool {
        true
    }

    async fn set_windows(
        &self,
        _: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        let mut entries = self.entries();
        let clock_ms = Moment::now().unix_ms().max(entries.last.ms());
        let held = windows.iter().map(|window| {
            let held = entries.windows.get(&window.poll);
            if window.replaces(held, clock_ms) {
                entries.windows.insert(window.poll.clone(), window.clone());
            }
            entries.windows[&window.poll].clone()
        });
        Ok(ShardWindows {
            held: held.collect(),
            clock_ms,
        })
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        let mut entries = self.entries();
        if let Some(next) = entries.secrets.admit(secrets)? {
            entries.secrets = next;
        }
        Ok(entries.secrets.no_longer_accepted())
    }
}

/// A reading end of the log.
#[derive(Debug, Clone)]
pub struct OwnQueue(OwnBackend);

impl Log for OwnBackend {
    fn reader(&self) -> Arc<dyn BallotQueue> {
        Arc::new(OwnQueue(self.clone()))
    }
}

#[async_trait]
impl BallotQueue for OwnQueue {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        let backend = &self.0;
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let arrival = backend.0.arrival.notified();
            tokio::pin!(arrival);
            // From now on no arrival is missed, also not one between the look and the wait.
            arrival.as_mut().enable();
            let claim = backend.entries().claim(max_ballots);
            let is_over = || tokio::time::Instant::now() >= deadline;
            if !claim.entries.is_empty() || is_over() {
                return Ok(claim);
            }
            let _ = tokio::time::timeout_at(deadline, arrival).await;
        }
    }

    async fn acknowledge(&self, acknowledged: &[EntryKey]) -> Result<(), StoreError> {
        let mut entries = self.0.entries();
        for (_, id) in acknowledged {
            entries.waiting.remove(id);
        }
        Ok(())
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        let entries = self.0.entries();
        let waiting = entries.waiting.values();
        Ok(QueueStats {
            accepted: entries.accepted,
            pending: waiting
                .map(|waiting| u64::from(waiting.entry.ballots))
                .sum(),
            oldest_pending_ms: entries.waiting.keys().next().map(|id| id.ms()),
            acknowledged_below: [(SHARD, entries.acknowledged_below())].into(),
            ..QueueStats::default()
        })
    }
}
