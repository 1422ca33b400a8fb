//! What a log must take, and tell of, in full: large entries, many polls, all shards, parts of a claim.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::collections::HashMap;

use super::{
    Backend,
    scene::{claim_all, poll_id},
};
use crate::{
    error::CastError,
    log::{claim::LogEntry, entry::NewEntry},
    model::{
        id::PollId,
        position::{EntryId, EntryKey, ShardId},
    },
};

fn entry_of(payload: Vec<u8>, ballots: u16, polls: &[PollId]) -> NewEntry {
    NewEntry {
        payload,
        ballots,
        polls: polls.iter().cloned().map(Into::into).collect(),
        traces: Vec::new(),
        deadline_ms: None,
    }
}

fn key(entry: &LogEntry) -> EntryKey {
    (entry.shard, entry.id)
}

async fn append(backend: &Backend, shard: ShardId, entry: NewEntry) -> EntryKey {
    let id = backend.log.append(shard, entry).await.expect("appended");
    (shard, id)
}

pub async fn an_entry_comes_back_whole_however_large_it_is(backend: &Backend) {
    // The last one is longer than an entry of the most ballots, in the most polls, can be.
    let sizes = [1, 0x7fff, 0x8000, 0x1_0001, 0x1a_8000];
    let mut put = HashMap::new();
    let mut accepted = 0;
    for (size, ballots) in sizes.into_iter().zip([1, 2, 255, 256, u16::MAX]) {
        // All bytes, in no order that a compression would find.
        let mut state = 1_u32;
        let payload: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(size)
        .collect();
        let entry = entry_of(payload.clone(), ballots, &[]);
        put.insert(append(backend, ShardId(0), entry).await, (payload, ballots));
        accepted += u64::from(ballots);
    }
    let queue = (backend.queue)();
    let stats = queue.stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (accepted, accepted));
    for entry in claim_all(queue.as_ref(), sizes.len(), 1).await {
        let (payload, ballots) = put.remove(&key(&entry)).expect("each comes once");
        assert_eq!(entry.ballots, ballots);
        assert_eq!(entry.payload.len(), payload.len());
        assert!(entry.payload == payload, "other bytes than were appended");
    }
}

/// As many polls as an entry can name, with the longest ids, which differ at their ends only.
fn many_polls() -> Vec<PollId> {
    (0..255)
        .map(|number| poll_id(&format!("{:a<60}{number:03}", "p")))
        .collect()
}

pub async fn a_seal_is_of_all_the_polls_that_it_names_and_of_no_other(backend: &Backend) {
    let polls = many_polls();
    let (open, closed) = polls.split_at(253);
    let append = async |polls: &[PollId]| {
        let entry = entry_of(vec![1], 1, polls);
        backend.log.append(ShardId(0), entry).await
    };
    let refused = async |polls: &[PollId], by: &PollId| {
        let appended = append(polls).await;
        assert!(
            matches!(&appended, Err(CastError::Closed(poll)) if poll == by),
            "{appended:?}"
        );
    };
    let seal = async |polls: &[PollId]| {
        let sealed = backend.log.seal(ShardId(0), polls).await;
        sealed.expect("sealed")
    };
    append(&polls).await.expect("nothing is sealed");
    seal(closed).await;
    for poll in closed {
        refused(std::slice::from_ref(poll), poll).await;
    }
    refused(&polls, &closed[0]).await;
    let id = append(open).await.expect("these are not sealed");
    // Without polls it only says where the log ends.
    assert!(seal(&[]).await >= id);
    append(open).await.expect("these are still not sealed");
    refused(&closed[1..], &closed[1]).await;
    // Those that are sealed already beside those that are not.
    seal(&polls).await;
    for poll in polls.iter().step_by(42) {
        refused(std::slice::from_ref(poll), poll).await;
    }
}

pub async fn a_shard_that_never_had_an_entry_is_settled_past_its_seal(backend: &Backend) {
    let queue = (backend.queue)();
    let acknowledged_below = async |shard: ShardId| {
        let stats = queue.stats().await.expect("stats");
        let acknowledged_below = stats.acknowledged_below.get(&shard).copied();
        acknowledged_below.expect("every shard is told of")
    };
    let shards = || (0..backend.log.shards()).map(ShardId);
    for shard in shards() {
        acknowledged_below(shard).await;
    }
    let mut seals = HashMap::new();
    for shard in shards() {
        let sealed = backend.log.seal(shard, &[poll_id("p")]).await;
        let sealed = sealed.expect("sealed");
        let acknowledged_below = acknowledged_below(shard).await;
        assert!(
            acknowledged_below > sealed,
            "{shard}: {acknowledged_below} and {sealed}"
        );
        seals.insert(shard, sealed);
    }
    // What comes later comes after the seal, and settles like any other.
    let (shard, id) = append(backend, ShardId(0), entry_of(vec![1], 1, &[])).await;
    assert!(id > seals[&shard] && id > EntryId::MIN);
    assert!(acknowledged_below(shard).await <= id);
    let claimed = claim_all(queue.as_ref(), 1, 1).await;
    let keys = [key(&claimed[0])];
    queue.acknowledge(&keys).await.expect("acknowledged");
    assert!(acknowledged_below(shard).await > id);
    for shard in shards() {
        assert!(acknowledged_below(shard).await > seals[&shard], "{shard}");
    }
}

pub async fn all_shards_are_counted_and_each_hands_out_in_order(backend: &Backend) {
    let shards = || (0..backend.log.shards()).map(ShardId);
    let mut put = Vec::new();
    let mut accepted = 0;
    for _ in 0..3 {
        // The last shard has the oldest entry.
        for shard in shards().rev() {
            let ballots = shard.0 + 2;
            put.push(append(backend, shard, entry_of(vec![1], ballots, &[])).await);
            accepted += u64::from(ballots);
        }
    }
    let queue = (backend.queue)();
    let stats = queue.stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (accepted, accepted));
    let oldest = put.iter().map(|(_, id)| id.ms()).min();
    assert_eq!(stats.oldest_pending_ms, oldest);
    for (shard, id) in &put {
        assert!(stats.acknowledged_below[shard] <= *id);
    }
    let mut claimed = claim_all(queue.as_ref(), put.len(), 1).await;
    // By shard, and within it as they came.
    claimed.sort_by_key(|entry| entry.shard);
    put.sort();
    assert_eq!(claimed.iter().map(key).collect::<Vec<_>>(), put);
}

pub async fn what_is_not_acknowledged_of_a_claim_comes_again(backend: &Backend) {
    let mut put = Vec::new();
    for ballots in [3, 2, 5, 7] {
        put.push(append(backend, ShardId(0), entry_of(vec![1], ballots, &[])).await);
    }
    let (one, two) = ((backend.queue)(), (backend.queue)());
    claim_all(one.as_ref(), put.len(), 100).await;
    // One of them twice, and one that never was.
    let never = (ShardId(0), put[3].1.next());
    let done = [put[0], put[2], put[2], never];
    one.acknowledge(&done).await.expect("acknowledged");
    let stats = two.stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (17, 9));
    assert!(stats.acknowledged_below[&ShardId(0)] <= put[1].1);
    let mut again: Vec<_> = claim_all(two.as_ref(), 2, 100)
        .await
        .iter()
        .map(key)
        .collect();
    again.sort();
    assert_eq!(again, [put[1], put[3]]);
    two.acknowledge(&[]).await.expect("nothing acknowledged");
    two.acknowledge(&again).await.expect("acknowledged");
    let stats = two.stats().await.expect("stats");
    assert_eq!((stats.accepted, stats.pending), (17, 0));
    assert!(stats.acknowledged_below[&ShardId(0)] > put[3].1);
}
