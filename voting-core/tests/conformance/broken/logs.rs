//! Broken logs.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use voting_core::{
    BallotLog, BallotQueue, CastError, PollId, StoreError,
    log::{claim::Claim, entry::NewEntry, stats::QueueStats},
    model::position::{EntryId, EntryKey, ShardId},
};

use super::{does_not_pass, log::BrokenLog, memory_of, sqlite_backend, with_log};

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct SealsOnlyTheFirstPoll;

#[async_trait]
impl BrokenLog for SealsOnlyTheFirstPoll {
    async fn seal(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        polls: &[PollId],
    ) -> Result<EntryId, StoreError> {
        log.seal(shard, &polls[..polls.len().min(1)]).await
    }
}

/// The longest entry that it keeps is one byte shorter.
const LARGE: usize = 32 * 1024;

#[derive(Default)]
struct LosesLargeEntries;

#[async_trait]
impl BrokenLog for LosesLargeEntries {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        if entry.payload.len() < LARGE {
            return log.append(shard, entry).await;
        }
        let last = log.seal(shard, &[]).await.expect("an answer");
        Ok(last.next())
    }
}

#[derive(Default)]
struct CutsLargeEntries;

#[async_trait]
impl BrokenLog for CutsLargeEntries {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        mut entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        entry.payload.truncate(LARGE);
        log.append(shard, entry).await
    }
}

#[derive(Default)]
struct CountsBallotsInOneByte;

#[async_trait]
impl BrokenLog for CountsBallotsInOneByte {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        mut entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        entry.ballots &= 0xff;
        log.append(shard, entry).await
    }
}

#[derive(Default)]
struct LooksAtOneHundredPolls;

#[async_trait]
impl BrokenLog for LooksAtOneHundredPolls {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        mut entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        entry.polls.truncate(100);
        log.append(shard, entry).await
    }
}

/// What is sealed, in the process only.
#[derive(Default)]
struct Sealed(Mutex<HashSet<(ShardId, String)>>);

impl Sealed {
    fn refuses(&self, shard: ShardId, entry: &NewEntry, len: usize) -> Result<(), CastError> {
        let sealed = locked(&self.0);
        let is_sealed = |poll: &&PollId| sealed.contains(&(shard, cut(poll, len)));
        match entry.polls.iter().map(|poll| &poll.id).find(is_sealed) {
            Some(poll) => Err(CastError::Closed(poll.clone())),
            None => Ok(()),
        }
    }

    fn add(&self, shard: ShardId, polls: &[PollId], len: usize) {
        let polls = polls.iter().map(|poll| (shard, cut(poll, len)));
        locked(&self.0).extend(polls);
    }
}

fn cut(poll: &PollId, len: usize) -> String {
    poll.as_str().chars().take(len).collect()
}

#[derive(Default)]
struct CutsNamesOfPolls(Sealed);

#[async_trait]
impl BrokenLog for CutsNamesOfPolls {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        self.0.refuses(shard, &entry, 32)?;
        log.append(shard, entry).await
    }

    async fn seal(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        polls: &[PollId],
    ) -> Result<EntryId, StoreError> {
        self.0.add(shard, polls, 32);
        log.seal(shard, &[]).await
    }
}

#[derive(Default)]
struct ForgetsSealsAtARestart(Sealed);

#[async_trait]
impl BrokenLog for ForgetsSealsAtARestart {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        self.0.refuses(shard, &entry, 63)?;
        log.append(shard, entry).await
    }

    async fn seal(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        polls: &[PollId],
    ) -> Result<EntryId, StoreError> {
        self.0.add(shard, polls, 63);
        log.seal(shard, &[]).await
    }
}

#[derive(Default)]
struct SealsOnlyWhatWasSealedLast(Sealed);

#[async_trait]
impl BrokenLog for SealsOnlyWhatWasSealedLast {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        self.0.refuses(shard, &entry, 63)?;
        log.append(shard, entry).await
    }

    async fn seal(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        polls: &[PollId],
    ) -> Result<EntryId, StoreError> {
        locked(&self.0.0).clear();
        self.0.add(shard, polls, 63);
        log.seal(shard, &[]).await
    }
}

/// The shards that had an entry.
#[derive(Default)]
struct Used(Mutex<HashSet<ShardId>>);

impl Used {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        locked(&self.0).insert(shard);
        log.append(shard, entry).await
    }
}

#[derive(Default)]
struct SettlesAnEmptyShardAtTheLeastId(Used);

#[async_trait]
impl BrokenLog for SettlesAnEmptyShardAtTheLeastId {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        self.0.append(log, shard, entry).await
    }

    async fn stats(&self, queue: &dyn BallotQueue) -> Result<QueueStats, StoreError> {
        let mut stats = queue.stats().await?;
        let used = locked(&self.0.0);
        for (shard, acknowledged_below) in &mut stats.acknowledged_below {
            if !used.contains(shard) {
                *acknowledged_below = EntryId::MIN;
            }
        }
        Ok(stats)
    }
}

#[derive(Default)]
struct LeavesAnEmptyShardOut(Used);

#[async_trait]
impl BrokenLog for LeavesAnEmptyShardOut {
    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        self.0.append(log, shard, entry).await
    }

    async fn stats(&self, queue: &dyn BallotQueue) -> Result<QueueStats, StoreError> {
        let mut stats = queue.stats().await?;
        let used = locked(&self.0.0);
        stats
            .acknowledged_below
            .retain(|shard, _| used.contains(shard));
        Ok(stats)
    }
}

#[derive(Default)]
struct TellsOfTheFirstShardOnly;

#[async_trait]
impl BrokenLog for TellsOfTheFirstShardOnly {
    async fn stats(&self, queue: &dyn BallotQueue) -> Result<QueueStats, StoreError> {
        let mut stats = queue.stats().await?;
        stats.acknowledged_below.retain(|shard, _| shard.0 == 0);
        Ok(stats)
    }
}

/// Acknowledges all that was claimed so far.
#[derive(Default)]
struct AcknowledgesWhatItWasNotAskedTo(Mutex<Vec<EntryKey>>);

#[async_trait]
impl BrokenLog for AcknowledgesWhatItWasNotAskedTo {
    async fn claim(
        &self,
        queue: &dyn BallotQueue,
        max_ballots: usize,
        wait: Duration,
    ) -> Result<Claim, StoreError> {
        let claim = queue.claim(max_ballots, wait).await?;
        let keys = claim.entries.iter().map(|entry| (entry.shard, entry.id));
        locked(&self.0).extend(keys);
        Ok(claim)
    }

    async fn acknowledge(&self, queue: &dyn BallotQueue, _: &[EntryKey]) -> Result<(), StoreError> {
        let all = locked(&self.0).clone();
        queue.acknowledge(&all).await
    }
}

#[derive(Default)]
struct AcknowledgesOnlyTheFirst;

#[async_trait]
impl BrokenLog for AcknowledgesOnlyTheFirst {
    async fn acknowledge(
        &self,
        queue: &dyn BallotQueue,
        entries: &[EntryKey],
    ) -> Result<(), StoreError> {
        queue.acknowledge(&entries[..entries.len().min(1)]).await
    }
}

#[derive(Default)]
struct AcknowledgesWhatItHandsOut;

#[async_trait]
impl BrokenLog for AcknowledgesWhatItHandsOut {
    async fn claim(
        &self,
        queue: &dyn BallotQueue,
        max_ballots: usize,
        wait: Duration,
    ) -> Result<Claim, StoreError> {
        let claim = queue.claim(max_ballots, wait).await?;
        let keys: Vec<_> = claim
            .entries
            .iter()
            .map(|entry| (entry.shard, entry.id))
            .collect();
        queue.acknowledge(&keys).await?;
        Ok(claim)
    }
}

/// In its second life it gives ids of an hour before.
#[derive(Default)]
struct BeginsItsIdsAnew {
    hours_behind: u64,
}

#[async_trait]
impl BrokenLog for BeginsItsIdsAnew {
    fn reopened() -> Self {
        Self { hours_behind: 1 }
    }

    async fn append(
        &self,
        log: &dyn BallotLog,
        shard: ShardId,
        entry: NewEntry,
    ) -> Result<EntryId, CastError> {
        let id = log.append(shard, entry).await?;
        let before = EntryId::new(id.ms() - self.hours_behind * 3_600_000, id.seq());
        Ok(before.expect("an entry id"))
    }
}

does_not_pass! {
    one_that_seals_only_the_first_of_two_polls:
        with_log::<SealsOnlyTheFirstPoll>(memory_of(1))
        => of log_range::a_seal_is_of_all_the_polls_that_it_names_and_of_no_other;
    one_that_seals_only_the_first_of_polls_that_close_together:
        with_log::<SealsOnlyTheFirstPoll>(memory_of(5))
        => of close::polls_that_close_together_are_all_sealed_and_others_go_on;
    one_that_loses_large_entries:
        with_log::<LosesLargeEntries>(memory_of(1))
        => of log_range::an_entry_comes_back_whole_however_large_it_is;
    one_that_cuts_large_entries:
        with_log::<CutsLargeEntries>(memory_of(1))
        => of log_range::an_entry_comes_back_whole_however_large_it_is;
    one_that_counts_ballots_in_one_byte:
        with_log::<CountsBallotsInOneByte>(memory_of(1))
        => of log_range::an_entry_comes_back_whole_however_large_it_is;
    one_that_looks_at_one_hundred_polls_of_an_entry:
        with_log::<LooksAtOneHundredPolls>(memory_of(1))
        => of log_range::a_seal_is_of_all_the_polls_that_it_names_and_of_no_other;
    one_that_cuts_names_of_polls:
        with_log::<CutsNamesOfPolls>(memory_of(1))
        => of log_range::a_seal_is_of_all_the_polls_that_it_names_and_of_no_other;
    one_that_seals_only_what_was_sealed_last:
        with_log::<SealsOnlyWhatWasSealedLast>(memory_of(1))
        => of log_range::a_seal_is_of_all_the_polls_that_it_names_and_of_no_other;
    one_that_settles_an_empty_shard_at_the_least_id:
        with_log::<SettlesAnEmptyShardAtTheLeastId>(memory_of(3))
        => of log_range::a_shard_that_never_had_an_entry_is_settled_past_its_seal;
    one_that_leaves_an_empty_shard_out:
        with_log::<LeavesAnEmptyShardOut>(memory_of(3))
        => of log_range::a_shard_that_never_had_an_entry_is_settled_past_its_seal;
    one_that_tells_of_the_first_shard_only:
        with_log::<TellsOfTheFirstShardOnly>(memory_of(3))
        => of log_range::all_shards_are_counted_and_each_hands_out_in_order;
    one_that_acknowledges_what_it_was_not_asked_to:
        with_log::<AcknowledgesWhatItWasNotAskedTo>(memory_of(1))
        => of log_range::what_is_not_acknowledged_of_a_claim_comes_again;
    one_that_acknowledges_only_the_first:
        with_log::<AcknowledgesOnlyTheFirst>(memory_of(1))
        => of log_range::what_is_not_acknowledged_of_a_claim_comes_again;
    one_that_forgets_its_seals_at_a_restart:
        with_log::<ForgetsSealsAtARestart>(sqlite_backend().await)
        => after restart::a_seal_holds;
    one_that_begins_its_ids_anew_at_a_restart:
        with_log::<BeginsItsIdsAnew>(sqlite_backend().await)
        => after restart::ids_go_on_where_they_were;
    one_that_loses_what_is_in_hand_at_a_restart:
        with_log::<AcknowledgesWhatItHandsOut>(sqlite_backend().await)
        => after restart::what_was_appended_and_not_acknowledged_is_still_there;
}

/// Such logs are not up to the contract, but `closing` need not wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn polls_close_though_an_empty_shard_is_not_told_of() {
    for backend in [
        with_log::<LeavesAnEmptyShardOut>(memory_of(3)),
        with_log::<SettlesAnEmptyShardAtTheLeastId>(memory_of(3)),
    ] {
        use voting_core::conformance::close;
        close::a_poll_that_nobody_voted_in_becomes_final_without_a_worker(&backend).await;
    }
}
