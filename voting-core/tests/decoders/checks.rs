//! What must hold of the decoders whatever bytes they get. The targets in `fuzz/` check the same.

use voting_core::{
    Ballot, Choices, SecretKey,
    log::{
        entry::{self, EntryBuilder, MAX_BALLOTS},
        entry_context::{self, MAX_CONTEXTS},
        entry_keys::EntryKeys,
        signed_entry::{Marks, SignedEntry},
    },
    model::position::{EntryId, ShardId},
};

/// Bytes are an entry or they are not, without a panic; and an entry that is written anew has the same ballots.
pub(crate) fn entry_decode(bytes: &[u8]) {
    let Ok(ballots) = entry::decode(bytes) else {
        return;
    };
    assert!((1..=MAX_BALLOTS).contains(&ballots.len()));
    let mut builder = EntryBuilder::default();
    for (index, ballot) in ballots.iter().enumerate() {
        assert_eq!(builder.push(ballot).map(usize::from), Some(index));
    }
    let anew = builder.finish();
    assert_eq!(usize::from(anew.ballots), ballots.len());
    assert_eq!(entry::decode(&anew.payload), Ok(ballots));
}

/// Bytes are an entry of version 2 or they are not, without a panic; and if it has only ballots that are written, an entry that is
/// written anew has the same ballots.
pub(crate) fn signed_entry(bytes: &[u8]) {
    let Ok(entry) = SignedEntry::read(bytes) else {
        return;
    };
    assert!((1..=MAX_BALLOTS).contains(&entry.ballots.len()));
    let ballots = entry.ballots.iter().map(|ballot| {
        let Marks::Choice(bits) = ballot.marks else {
            return None;
        };
        Some(Ballot {
            poll: ballot.poll.clone(),
            voter: ballot.voter,
            choices: Choices::from_bits(bits)?,
            rules: None,
        })
    });
    let Some(ballots) = ballots.collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut builder = EntryBuilder::default();
    for (index, ballot) in ballots.iter().enumerate() {
        assert_eq!(builder.push(ballot).map(usize::from), Some(index));
    }
    let (shard, id) = (ShardId(3), EntryId::MIN);
    let keys = entry_keys();
    let anew = builder.signed(&keys, shard, entry.deadline_ms);
    let anew = anew.expect("a key that signs");
    assert_eq!(keys.open(&anew.payload, (shard, id)), Ok(Ok(ballots)));
}

/// The key that signs entries here.
pub(crate) fn entry_keys() -> EntryKeys {
    let key = SecretKey::new([7; 32]).expect("a key");
    EntryKeys::new("voting").signing_with(&key)
}

/// What can be read of trace contexts is read, without a panic; and when it is written anew it is the same.
pub(crate) fn entry_context(bytes: &[u8]) {
    let contexts: Vec<_> = entry_context::decode(bytes).collect();
    assert!(contexts.len() <= MAX_CONTEXTS);
    for (_, context) in &contexts {
        assert_ne!(context.trace_id(), [0; 16]);
        assert_ne!(context.span_id(), [0; 8]);
    }
    let anew = entry_context::encode(contexts.clone());
    assert!(entry_context::decode(&anew).eq(contexts));
}
