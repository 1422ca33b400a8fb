//! The reading end: which consumer has which entry, and which entries are done.
//!
//! A consumer has an entry while there is a key that says so. The key has a lease, so etcd removes it after the claim
//! time-out, by its own clock, and another consumer may take the entry.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};
use voting_core::{
    BallotQueue, StoreError,
    log::{
        claim::{Claim, LogEntry},
        stats::QueueStats,
    },
    model::position::{EntryId, EntryKey},
};

use crate::{
    EtcdLog, SHARD, corrupt,
    gateway::Failure,
    keys::EntryName,
    log::{Tail, parts_of},
    txn::{Answer, Stored, Txn},
};

/// How many entries are listed at a time.
const PAGE: usize = 256;

/// How many entries are taken, or acknowledged, in a transaction. Each needs two of the 128 steps that one may have.
const STEP: usize = 60;

/// How many ballots are taken in a transaction, if one entry does not have more: some 2 MB.
const STEP_BALLOTS: usize = 1 << 16;

/// How often a consumer tries to take entries that others took before it.
const ATTEMPTS: usize = 10;

/// A consumer of the log.
#[derive(Debug, Clone)]
pub struct EtcdQueue(pub(crate) EtcdLog);

/// A part of what is in the log.
struct Page {
    /// All entries of it.
    entries: Vec<EntryName>,
    /// Those that no consumer has.
    free: Vec<EntryName>,
    /// At which revision it was so.
    revision: i64,
}

impl EtcdQueue {
    fn names(&self, stored: &[Stored]) -> Result<Vec<EntryName>, StoreError> {
        let keys = &self.0.0.keys;
        let names = stored.iter().map(|stored| {
            let name = keys.name(&stored.key);
            name.ok_or_else(|| StoreError::Corrupt(format!("no entry has the key {}", stored.key)))
        });
        names.collect()
    }

    async fn page(&self, after: Option<EntryName>) -> Result<Page, StoreError> {
        let (entries, claims) = (
            self.0.0.keys.entries_after(after),
            self.0.0.keys.claims_after(after),
        );
        // Each claim is of an entry that is there, so the first claims are all that the first entries can have.
        let list = Txn::default()
            .list(&entries.0, &entries.1, PAGE)
            .list(&claims.0, &claims.1, PAGE);
        let answer = self.0.0.gateway.commit(&list).await?;
        let (mut all, mut taken) = (Vec::new(), HashSet::new());
        if let [entries, claims] = answer.found.as_slice() {
            all = self.names(entries)?;
            taken = self.names(claims)?.iter().map(|name| name.id).collect();
        }
        let free = all.iter().filter(|name| !taken.contains(&name.id));
        Ok(Page {
            free: free.copied().collect(),
            entries: all,
            revision: answer.revision,
        })
    }

    /// Takes these entries, all or none: `None` if somebody was faster with one of them.
    async fn take(
        &self,
        names: &[EntryName],
        lease: &str,
    ) -> Result<Option<Vec<LogEntry>>, StoreError> {
        let keys = &self.0.0.keys;
        let take = names.iter().fold(Txn::default(), |take, name| {
            take.if_there(&keys.entry(*name))
                .if_unchanged(&keys.claim(*name), 0)
                .put_leased(&keys.claim(*name), lease)
                .get(&keys.entry(*name))
        });
        let answer = self.0.0.gateway.commit(&take).await?;
        if !answer.done {
            return Ok(None);
        }
        let entries = names.iter().enumerate().map(|(at, name)| {
            let parts = answer.one(at).and_then(|stored| parts_of(&stored.value));
            let (traces, payload) =
                parts.ok_or_else(|| StoreError::Corrupt(format!("entry {} is cut", name.id)))?;
            Ok(LogEntry {
                shard: SHARD,
                id: name.id,
                payload,
                ballots: name.ballots,
                traces,
                foreign: None,
            })
        });
        entries.collect::<Result<_, _>>().map(Some)
    }

    /// Takes what is there, and says at which revision there was no more.
    async fn take_free(&self, max_ballots: usize) -> Result<(Claim, i64), StoreError> {
        let mut claim = Claim::default();
        let (mut ballots, mut attempts) = (0, 0);
        let (mut after, mut lease) = (None, None);
        let first = self.page(None).await?;
        if let Some(oldest) = first.entries.first() {
            // All before it have left the log.
            claim.acknowledged_below.insert(SHARD, oldest.id);
        }
        let (revision, mut page) = (first.revision, first);
        loop {
            let step = some_of(&page.free, max_ballots.saturating_sub(ballots).max(1));
            if let Some(last) = step.last() {
                let lease = match &lease {
                    Some(lease) => lease,
                    None => lease.insert(self.0.0.gateway.lease(self.0.0.claim_seconds).await?),
                };
                if let Some(entries) = self.take(step, lease).await? {
                    after = Some(*last);
                    ballots += step
                        .iter()
                        .map(|name| usize::from(name.ballots))
                        .sum::<usize>();
                    claim.entries.extend(entries);
                } else {
                    attempts += 1;
                }
            } else if page.entries.len() == PAGE {
                // All of them are with other consumers.
                after = page.entries.last().copied();
            } else {
                break;
            }
            if ballots >= max_ballots || attempts == ATTEMPTS {
                break;
            }
            page = self.page(after).await?;
        }
        if claim.entries.is_empty() {
            claim.acknowledged_below.clear();
        }
        Ok((claim, revision))
    }

    /// Waits until there is an entry that was not there at this revision.
    async fn entry_after(&self, revision: i64) -> Result<(), Failure> {
        let (from, to) = self.0.0.keys.entries_after(None);
        self.0.0.gateway.written(&from, &to, revision + 1).await
    }

    /// Acknowledges those of these entries that still are in the log. `false`: somebody else acknowledged one meanwhile.
    async fn acknowledge_step(&self, ids: &[EntryId]) -> Result<bool, StoreError> {
        let keys = &self.0.0.keys;
        let read = ids
            .iter()
            .fold(Txn::default().get(&keys.done()), |read, id| {
                let (from, to) = keys.entry_of(*id);
                read.list(&from, &to, 1)
            });
        let answer = self.0.0.gateway.commit(&read).await?;
        let (done, revision) = done_of(&answer)?;
        let stored: Vec<_> = answer.found.iter().skip(1).flatten().collect();
        if stored.is_empty() {
            return Ok(true);
        }
        let names = stored.iter().filter_map(|stored| keys.name(&stored.key));
        let mut remove = Txn::default().if_unchanged(&keys.done(), revision);
        let mut ballots = 0;
        for name in names {
            ballots += u64::from(name.ballots);
            remove = remove.delete(&keys.entry(name)).delete(&keys.claim(name));
        }
        let remove = remove.put(&keys.done(), (done + ballots).to_string());
        Ok(self.0.0.gateway.commit(&remove).await?.done)
    }
}

/// The first of these that have so many ballots together, or are enough for a transaction; at least one if there is one.
fn some_of(free: &[EntryName], max_ballots: usize) -> &[EntryName] {
    let mut ballots = 0;
    let limit = max_ballots.min(STEP_BALLOTS);
    let enough = free.iter().take(STEP).take_while(|name| {
        let is_needed = ballots < limit;
        ballots += usize::from(name.ballots);
        is_needed && (ballots <= STEP_BALLOTS || ballots == usize::from(name.ballots))
    });
    let count = enough.count();
    &free[..count]
}

/// How many ballots are acknowledged, and since which revision.
fn done_of(answer: &Answer) -> Result<(u64, i64), StoreError> {
    let Some(stored) = answer.one(0) else {
        return Ok((0, 0));
    };
    let text = str::from_utf8(&stored.value).map_err(corrupt)?;
    Ok((text.parse().map_err(corrupt)?, stored.revision))
}

#[async_trait]
impl BallotQueue for EtcdQueue {
    async fn claim(&self, max_ballots: usize, wait: Duration) -> Result<Claim, StoreError> {
        let deadline = Instant::now() + wait;
        loop {
            let (claim, revision) = self.take_free(max_ballots).await?;
            if !claim.entries.is_empty() || Instant::now() >= deadline {
                return Ok(claim);
            }
            // No arrival is missed: what came since that revision ends the wait at once.
            if let Ok(waited) = timeout_at(deadline, self.entry_after(revision)).await {
                waited?;
            }
        }
    }

    async fn acknowledge(&self, acknowledged: &[EntryKey]) -> Result<(), StoreError> {
        let ids: BTreeSet<_> = acknowledged.iter().map(|(_, id)| *id).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        for step in ids.chunks(STEP) {
            // Each attempt that fails means that another consumer has got on.
            while !self.acknowledge_step(step).await? {}
        }
        Ok(())
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        let keys = &self.0.0.keys;
        let (from, to) = keys.entries_after(None);
        // All of one moment.
        let read = Txn::default()
            .get(&keys.done())
            .get(&keys.tail())
            .list(&from, &to, 1);
        let answer = self.0.0.gateway.commit(&read).await?;
        let (done, _) = done_of(&answer)?;
        let tail = Tail::of(answer.one(1))?;
        let oldest = answer.one(2).and_then(|stored| keys.name(&stored.key));
        let below = match oldest {
            Some(oldest) => oldest.id,
            None => tail.last()?.next(),
        };
        Ok(QueueStats {
            accepted: tail.accepted,
            pending: tail.accepted.saturating_sub(done),
            oldest_pending_ms: oldest.map(|oldest| oldest.id.ms()),
            acknowledged_below: [(SHARD, below)].into(),
            ..QueueStats::default()
        })
    }
}
