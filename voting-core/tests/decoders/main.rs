//! The decoders of the log's entries, fed with valid bytes that were damaged: a short run of the targets in `fuzz/`,
//! which needs no nightly compiler. Each test has a fixed number of cases.

mod checks;

use proptest::{collection::vec, prelude::*, sample::Index};
use voting_core::{
    Ballot, Choices, VoterId,
    log::{entry::EntryBuilder, entry_context},
    model::position::ShardId,
    trace::TraceContext,
};

const CASES: u32 = 8_000;

/// One way to damage bytes.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    // Where a number is least, largest, or just past a bound, decoders fail most.
    let byte = || {
        prop_oneof![
            Just(0),
            Just(1),
            Just(0x7f),
            Just(0x80),
            Just(0xff),
            any::<u8>()
        ]
    };
    prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), vec(byte(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), 1..30_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at(), 1..30_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        at().prop_map(Damage::Truncate),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index| index.index(bytes.len() + 1);
        match self {
            Self::Set(index, byte) => {
                let at = at(index);
                bytes.get_mut(at).into_iter().for_each(|old| *old = *byte);
            }
            Self::Flip(index, bit) => {
                let at = at(index);
                bytes
                    .get_mut(at)
                    .into_iter()
                    .for_each(|old| *old ^= 1 << bit);
            }
            Self::Insert(index, new) => {
                let at = at(index);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(index, length) => {
                let at = at(index);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
            Self::Repeat(index, length) => {
                let at = at(index);
                let end = bytes.len().min(at + length);
                bytes.extend_from_within(at..end);
            }
            Self::Truncate(index) => {
                let at = at(index);
                bytes.truncate(at);
            }
        }
    }
}

/// One of these, with up to some damage.
fn damaged(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(valid), vec(damage(), 0..4)).prop_map(|(mut bytes, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
}

fn entries() -> Vec<Vec<u8>> {
    let mut entries = vec![Vec::new()];
    entries.extend(builders().into_iter().map(|entry| entry.finish().payload));
    entries
}

fn signed_entries() -> Vec<Vec<u8>> {
    let signed = |entry: EntryBuilder| entry.signed(&checks::entry_keys(), ShardId(3), 1 << 40);
    let signed = builders().into_iter().map(signed);
    signed.map(|entry| entry.expect("signed").payload).collect()
}

fn builders() -> Vec<EntryBuilder> {
    let entry = |ballots: &[(&str, u128, u64)]| {
        let mut entry = EntryBuilder::default();
        for (poll, voter, bits) in ballots {
            let ballot = Ballot {
                poll: poll.parse().expect("an id"),
                voter: VoterId::from_bytes(voter.to_be_bytes()),
                choices: Choices::from_bits(*bits).expect("choices"),
                rules: None,
            };
            entry.push(&ballot).expect("room");
        }
        entry
    };
    let many: Vec<_> = (0..40)
        .map(|voter| ("a", voter, 1 << (voter % 63)))
        .collect();
    vec![
        entry(&[("a", 1, 1)]),
        entry(&[
            ("cats-vs-dogs", 0x0123_4567_89ab_cdef, 2),
            ("b", u128::MAX, 0x80),
            ("cats-vs-dogs", 3, u64::MAX >> 1),
        ]),
        entry(&many),
    ]
}

fn contexts() -> Vec<Vec<u8>> {
    let context = |byte| TraceContext::new([byte; 16], [byte; 8]).expect("not zero");
    let some = |count| (0..count).map(|index| (index, context(1)));
    vec![
        Vec::new(),
        entry_context::encode([(258, context(0xaa))]),
        entry_context::encode(some(3)),
        entry_context::encode(some(127)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_damaged_entry_is_refused_or_read_and_never_a_panic(bytes in damaged(entries())) {
        checks::entry_decode(&bytes);
    }

    #[test]
    fn a_damaged_signed_entry_is_refused_or_read_and_never_a_panic(
        bytes in damaged(signed_entries()),
    ) {
        checks::signed_entry(&bytes);
    }

    #[test]
    fn damaged_trace_contexts_are_left_out_or_read_and_never_a_panic(bytes in damaged(contexts())) {
        checks::entry_context(&bytes);
    }
}

#[test]
fn much_of_what_is_damaged_is_still_read() {
    // Or the run would look at nothing but refusals.
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let strategy = damaged(entries());
    let read = (0..1_000).filter(|_| {
        let bytes = strategy.new_tree(&mut runner).expect("bytes").current();
        voting_core::log::entry::decode(&bytes).is_ok()
    });
    let read = read.count();
    assert!((100..900).contains(&read), "{read} of 1000 are read");
}
