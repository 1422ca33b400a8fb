//! What must be true in every state.

use stateright::{Model, Property};

use super::{
    state::{Poll, State},
    steps::Protocol,
};

pub const NOT_LOST: &str = "no acknowledged ballot is lost";
pub const NOT_REJECTED: &str = "no acknowledged ballot is rejected";
pub const ONCE: &str = "the tally is what the ballots say, and each is told once";
pub const LAST: &str = "the last choice counts";
pub const FINAL: &str = "a final count does not change and has every acknowledged ballot";
pub const TRIMMED: &str = "only acknowledged entries are trimmed";
pub const ENDS: &str = "all can come to rest";

/// All of them.
pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(NOT_LOST, not_lost),
        Property::always(NOT_REJECTED, not_rejected),
        Property::always(ONCE, once),
        Property::always(LAST, last),
        Property::always(FINAL, final_is_final),
        Property::always(TRIMMED, trimmed),
        Property::sometimes(ENDS, ends),
    ]
}

/// It counts, or a newer one of its voter does, or some worker will yet be handed it.
fn not_lost(_: &Protocol, state: &State) -> bool {
    state.acknowledged().all(|(place, entry)| {
        let (shard, id) = place;
        state.counts(place, entry.voter) || state.shards[shard].will_be_handed_out(id)
    })
}

fn not_rejected(_: &Protocol, state: &State) -> bool {
    let rejected = &state.store.dead_letters;
    state
        .acknowledged()
        .all(|(place, _)| !rejected.contains(&place))
}

fn once(_: &Protocol, state: &State) -> bool {
    let store = &state.store;
    let mut votes = [0; 2];
    for (_, option) in store.rows.iter().flatten() {
        votes[*option] += 1;
    }
    let rows = store.rows.iter().flatten().count();
    let told = usize::from(store.counted + store.superseded) + store.dead_letters.len();
    votes == store.tally && rows == usize::from(store.counted) && told == store.applied.len()
}

/// Once all is done, each voter's row has the newest ballot, of which the log may have let go.
fn last(_: &Protocol, state: &State) -> bool {
    let shards = state.shards.iter().enumerate();
    let mut entries = shards.flat_map(|(shard, log)| {
        let sealed = log.sealed.unwrap_or(u8::MAX);
        log.all(shard).filter(move |((_, id), _)| *id <= sealed)
    });
    !state.is_settled() || entries.all(|(place, entry)| state.counts(place, entry.voter))
}

fn final_is_final(_: &Protocol, state: &State) -> bool {
    let store = &state.store;
    store.poll != Poll::Final
        || store.final_tally == Some(store.tally)
            && state
                .acknowledged()
                .all(|(place, entry)| state.counts(place, entry.voter))
}

fn trimmed(_: &Protocol, state: &State) -> bool {
    state.shards.iter().all(|log| {
        let new = log.delivered + 1..=log.last();
        log.pending
            .keys()
            .copied()
            .chain(new)
            .all(|id| log.get(id).is_some())
    })
}

fn ends(model: &Protocol, state: &State) -> bool {
    let done = state.to_cast.iter().all(|left| *left == 0) && state.is_settled();
    done && (!model.closes || state.store.poll == Poll::Final)
        && !model.init_states().contains(state)
}
