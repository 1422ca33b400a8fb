//! The suite that every back end must pass, about the log, the store and both under a worker.
//!
//! Make a [`Backend`] of your implementations, empty and its own for each test, and let
//! [`conformance_suite!`](crate::conformance_suite) write the tests:
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! use voting_core::{conformance::Backend, memory::{Memory, MemoryOptions}};
//!
//! async fn backend() -> Backend {
//!     let claim_timeout = Duration::from_millis(200);
//!     let memory = Memory::new(MemoryOptions { claim_timeout, ..MemoryOptions::default() });
//!     let all = Arc::new(memory.clone());
//!     Backend {
//!         log: all.clone(),
//!         queue: Box::new(move || Arc::new(memory.queue())),
//!         flusher: all.clone(),
//!         tallies: all.clone(),
//!         polls: all.clone(),
//!         dead_letters: all,
//!         claim_timeout,
//!         keep: Box::new(()),
//!     }
//! }
//!
//! voting_core::conformance_suite!(backend());
//! ```

pub mod close;
mod faults;
pub mod flush;
pub mod queue;
mod scene;
pub mod work;

use std::{any::Any, sync::Arc, time::Duration};

use crate::traits::{BallotLog, BallotQueue, BatchFlusher, DeadLetterStore, PollStore, TallyStore};

/// A back end under test: a log and a store that nothing else uses.
#[expect(missing_debug_implementations, reason = "it holds closures")]
pub struct Backend {
    /// The log.
    pub log: Arc<dyn BallotLog>,
    /// Makes another consumer of the log.
    pub queue: Box<dyn Fn() -> Arc<dyn BallotQueue> + Send + Sync>,
    /// The store.
    pub flusher: Arc<dyn BatchFlusher>,
    /// The store.
    pub tallies: Arc<dyn TallyStore>,
    /// The store.
    pub polls: Arc<dyn PollStore>,
    /// The store.
    pub dead_letters: Arc<dyn DeadLetterStore>,
    /// After this time without an acknowledgement the log hands an entry out again. The suite
    /// waits for it, so make it short, but no shorter than 200 ms.
    pub claim_timeout: Duration,
    /// Lives as long as the test; a temporary folder, say.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Writes one test for each requirement of the [`conformance`](crate::conformance) suite, over
/// the back end that the expression makes (a future of a `Backend`, awaited for each test).
///
/// The crate that calls it needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:expr) => {
        $crate::conformance_suite! {
            $backend;
            queue {
                entries_come_out_in_the_order_in_which_they_went_in,
                what_stands_beside_an_entry_changes_nothing_in_it,
                an_entry_is_with_one_consumer_at_a_time,
                an_entry_that_is_not_acknowledged_comes_again,
                an_acknowledged_entry_never_comes_again,
                a_waiting_claim_sees_a_ballot_at_once,
                an_idle_claim_comes_back_empty,
                the_log_counts_what_it_took_and_what_is_left,
                a_claim_is_about_as_large_as_asked,
                the_log_is_settled_below_the_first_entry_in_hand,
            }
            flush {
                a_first_ballot_counts,
                a_replayed_batch_changes_nothing,
                a_batch_that_was_partly_written_before_counts_the_rest,
                a_changed_mind_moves_the_tally,
                a_stale_ballot_changes_nothing,
                batches_in_any_order_end_in_the_same_count,
                racing_flushes_of_the_same_voters_agree_with_the_ballots,
                racing_flushes_of_the_same_batch_count_it_once,
                an_entry_that_is_in_a_batch_twice_is_told_once,
                a_rejected_ballot_stays_rejected_when_it_is_replayed,
                of_two_ballots_in_different_shards_the_later_one_counts,
                several_choices_count_for_each_option,
                the_version_grows_when_the_tally_changes_and_only_then,
                dead_letters_are_kept_once_and_read_in_pages,
                large_dead_letters_are_kept_in_part_and_listed_in_short,
                a_receipt_tells_what_became_of_its_ballot,
                polls_keep_their_options,
            }
            work {
                every_voter_counts_once_with_the_last_choice,
                a_ballot_is_seen_within_the_batch_time,
                invalid_entries_are_set_aside_and_the_rest_counts,
                a_worker_that_stops_has_counted_all_that_was_cast,
                another_worker_resumes_where_one_stopped,
                a_worker_that_died_before_acknowledging_makes_nothing_count_twice,
                a_store_that_fails_for_a_while_loses_nothing,
                several_workers_keep_the_last_choice_of_a_voter,
                a_worker_that_is_handed_its_own_entries_again_tells_them_once,
                a_worker_that_stops_while_the_store_is_down_leaves_the_ballots_in_the_log,
                a_dead_letter_is_counted_once_its_cause_is_mended,
                an_unreadable_entry_is_counted_as_far_as_it_can_be,
                of_a_voter_whose_newest_ballot_is_a_dead_letter_the_one_before_counts,
            }
            close {
                a_sealed_shard_takes_no_more_ballots_of_the_poll,
                the_log_is_settled_past_its_end_once_all_is_acknowledged,
                a_state_is_kept_and_never_goes_back,
                a_flush_is_refused_whole_when_a_poll_does_not_take_a_ballot,
                a_poll_is_final_once_all_that_was_acknowledged_is_counted,
                closing_under_load_loses_no_acknowledged_ballot,
                a_ballot_pushed_past_the_seal_is_set_aside_and_the_one_before_it_counts,
                a_dead_letter_is_not_replayed_into_a_final_poll,
            }
        }
    };
    ($backend:expr; $($part:ident { $($test:ident,)* })*) => {
        $($(
            #[::tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let backend = $backend.await;
                $crate::conformance::$part::$test(&backend).await;
            }
        )*)*
    };
}
