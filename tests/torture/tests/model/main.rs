//! A model of what workers, log and store do, of which every state within bounds is looked at: crashes,
//! workers that are slow and go on after another has taken over, answers that are lost though what was
//! asked was done, trimming, and the closing of a poll. And the same without one of its guards, to see
//! that the model finds out.
//!
//! It is of the protocol, not of the code: that the code does these steps is for the other tests. Left out
//! is how the store folds the marks of what it has applied below what is settled in the log; so a batch
//! that is flushed again long after is known here by each of its marks.

#![allow(unreachable_pub, reason = "a part of this test")]

mod properties;
mod state;
mod steps;
mod times;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use self::{
    properties::{ENDS, FINAL, LAST, NOT_LOST, NOT_REJECTED, TRIMMED},
    steps::Protocol,
};

/// Looks at every state; none must break a property.
fn holds(protocol: Protocol) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    eprintln!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

/// Some state must break this property.
fn breaks(protocol: Protocol, property: &'static str) {
    let checker = protocol.checker().threads(2);
    let enough = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = checker.finish_when(enough).spawn_bfs().join();
    eprintln!("{} states", checker.unique_state_count());
    let path = checker.discovery(property);
    let path = path.unwrap_or_else(|| panic!("nothing breaks it: {property}"));
    eprintln!("broken by {:#?}", path.into_actions());
}

/// One shard, a voter with two ballots and one with one.
fn one_shard() -> Protocol {
    Protocol {
        trims: true,
        ..Protocol::new(1, &[2, 1])
    }
}

/// Two shards, of a poll that is closed.
fn closing() -> Protocol {
    Protocol {
        closes: true,
        by_hand: 1,
        ..Protocol::new(2, &[1, 1])
    }
}

/// The same while entries are trimmed; in two shards nothing is pushed by hand, to keep it small.
fn closing_and_trimming(shards: usize) -> Protocol {
    Protocol {
        trims: true,
        shards,
        by_hand: u8::from(shards == 1),
        ..closing()
    }
}

#[test]
fn nothing_is_lost_and_nothing_counts_twice() {
    holds(one_shard());
}

#[test]
fn a_poll_closes_exactly() {
    holds(closing());
}

#[test]
fn a_poll_closes_exactly_while_its_log_is_trimmed() {
    holds(closing_and_trimming(1));
    holds(closing_and_trimming(2));
}

#[test]
fn a_changed_choice_is_in_the_final_count() {
    holds(Protocol {
        closes: true,
        crashes: 1,
        ..Protocol::new(1, &[2])
    });
}

#[test]
fn acknowledging_before_the_flush_loses_ballots() {
    let protocol = Protocol {
        flush_before_acknowledging: false,
        ..one_shard()
    };
    breaks(protocol, NOT_LOST);
}

#[test]
fn without_the_order_guard_an_older_choice_comes_to_count() {
    let protocol = Protocol {
        order_guard: false,
        ..one_shard()
    };
    breaks(protocol, LAST);
}

#[test]
fn a_seal_that_is_not_one_step_with_appends_rejects_acknowledged_ballots() {
    let protocol = Protocol {
        seal_is_one_step: false,
        ..closing()
    };
    breaks(protocol, NOT_REJECTED);
}

#[test]
fn a_poll_that_is_final_before_all_is_settled_misses_ballots() {
    let protocol = Protocol {
        final_once_settled: false,
        ..closing()
    };
    breaks(protocol, FINAL);
}

#[test]
fn reading_what_is_pending_before_what_is_delivered_trims_too_much() {
    let protocol = Protocol {
        delivered_is_read_before_pending: false,
        ..one_shard()
    };
    breaks(protocol, TRIMMED);
}

#[test]
fn it_can_come_to_rest() {
    let checker = closing().checker().spawn_bfs().join();
    assert!(checker.discovery(ENDS).is_some());
}
