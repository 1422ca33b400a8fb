//! The test suite that every back end must pass. It tests the log, the store, and both of them with a worker.
//!
//! Write a function that makes a [`Backend`] of your implementations. Each test gets a new, empty one. Then let
//! [`conformance_suite!`](crate::conformance_suite) write the tests:
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! use voting_core::{conformance::Backend, backends::memory::{Memory, MemoryOptions}};
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
//!         dead_letters: all.clone(),
//!         audit: all.clone(),
//!         events: all.clone(),
//!         exports: all.clone(),
//!         webhooks: None,
//!         tokens: all,
//!         claim_timeout,
//!         // All data is gone when the process ends.
//!         reopen: None,
//!         keep: Box::new(()),
//!     }
//! }
//!
//! voting_core::conformance_suite!(backend());
//! ```
//!
//! Each requirement is a function that panics if the requirement is not met. So a test can also check that a broken
//! back end does not pass. The parts of the suite are the modules here.
//! `conformance_suite!(backend(); flush, store_range, polls)` writes only the tests of the named parts, for example for
//! a store whose log is tested elsewhere. A log that [keeps no windows](crate::BallotLog::keeps_windows) leaves out `times`,
//! `moving` and `restart_times`.

pub mod audit;
pub mod close;
pub mod delete;
pub mod empty;
pub mod events;
pub mod export;
mod faults;
pub mod first;
pub mod flush;
pub mod forget;
pub mod history;
pub mod life;
pub mod log_range;
pub mod polls;
pub mod queue;
pub mod restart;
mod scene;
pub mod secrets;
pub mod sessions;
pub mod store_range;
pub mod times;
pub mod tokens;
pub mod voiding;
pub mod webhooks;
pub mod work;

use std::{any::Any, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    log::{BallotLog, BallotQueue},
    store::{
        AuditLog, BatchFlusher, DeadLetterStore, EventStore, ExportStore, PollStore, TallyStore,
        TokenStore, WebhookStore,
    },
};

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
    /// The store.
    pub audit: Arc<dyn AuditLog>,
    /// The store.
    pub events: Arc<dyn EventStore>,
    /// The store.
    pub exports: Arc<dyn ExportStore>,
    /// The store.
    pub tokens: Arc<dyn TokenStore>,
    /// The store, if it keeps webhooks. The part `webhooks` of the suite is for those that do; it is run only if it is named.
    pub webhooks: Option<Arc<dyn WebhookStore>>,
    /// The log hands an entry out again if it is not acknowledged within this time. The suite waits for this time, so
    /// make it short, but no shorter than 200 ms.
    pub claim_timeout: Duration,
    /// Opens the same back end again, after all of the above is dropped, as a new process would do. `None` if the back
    /// end loses its data when the process ends.
    pub reopen: Option<Reopen>,
    /// A value that lives as long as the test, also while the back end is opened again. For example a temporary folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Opens a back end again.
pub type Reopen = Box<dyn FnOnce() -> Opening + Send + Sync>;

/// A back end that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = Backend> + Send>>;

impl Backend {
    /// The same back end, opened again as a new process would do; `None` if it loses its data with the process.
    async fn reopened(self) -> Option<Self> {
        let Self {
            log,
            queue,
            flusher,
            tallies,
            polls,
            dead_letters,
            audit,
            events,
            exports,
            tokens,
            webhooks,
            reopen,
            keep,
            claim_timeout: _,
        } = self;
        let Some(reopen) = reopen else {
            eprintln!("not tried: this back end keeps nothing beyond its process");
            return None;
        };
        drop((
            log,
            queue,
            flusher,
            tallies,
            polls,
            dead_letters,
            audit,
            events,
            exports,
            tokens,
            webhooks,
        ));
        let mut opened = reopen().await;
        opened.keep = Box::new((opened.keep, keep));
        Some(opened)
    }
}

/// Writes one test for each requirement of the [`conformance`](crate::conformance) suite, or only of the parts that you
/// name. The expression must be a future of a `Backend`. It is evaluated and awaited for each test.
///
/// The crate that calls this macro needs `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:expr) => {
        $crate::conformance_suite! {
            $backend; queue, log_range, flush, first, empty, store_range, polls, life, audit, events, tokens, sessions, delete,
            forget, voiding, history, export, work, close,
            times, moving, secrets, restart, restart_times
        }
    };
    ($backend:expr; $($part:ident),+) => {
        $($crate::conformance_suite! { @$part $backend })+
    };
    (@queue $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, queue by_reference {
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
        }
    };
    (@log_range $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, log_range by_reference {
                an_entry_comes_back_whole_however_large_it_is,
                a_seal_is_of_all_the_polls_that_it_names_and_of_no_other,
                a_shard_that_never_had_an_entry_is_settled_past_its_seal,
                all_shards_are_counted_and_each_hands_out_in_order,
                what_is_not_acknowledged_of_a_claim_comes_again,
            }
        }
    };
    (@flush $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, flush by_reference {
                a_first_ballot_counts,
                a_replayed_batch_changes_nothing,
                a_batch_that_was_partly_written_before_counts_the_rest,
                a_changed_mind_moves_the_tally,
                a_stale_ballot_changes_nothing,
                batches_in_any_order_end_in_the_same_count,
                racing_flushes_of_the_same_voters_agree_with_the_ballots,
                racing_flushes_of_the_same_batch_count_it_once,
                an_entry_that_is_in_a_batch_twice_is_reported_once,
                a_rejected_ballot_stays_rejected_when_it_is_replayed,
                of_two_ballots_in_different_shards_the_later_one_counts,
                several_choices_count_for_each_option,
                the_version_grows_when_the_tally_changes_and_only_then,
                dead_letters_are_kept_once_and_read_in_pages,
                large_dead_letters_are_kept_in_part_and_listed_in_short,
                a_receipt_tells_what_became_of_its_ballot,
                polls_keep_their_options,
            }
        }
    };
    (@first $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, first by_reference {
                of_a_voters_ballots_in_a_batch_the_oldest_counts,
                batches_in_any_order_end_with_the_oldest_ballots,
                an_older_ballot_that_comes_late_replaces_the_newer_one,
                a_replayed_batch_leaves_the_oldest_ballot,
                if_the_oldest_ballot_is_a_dead_letter_the_next_one_counts,
                a_dead_letter_that_is_mended_counts_if_it_is_the_oldest,
                a_batch_may_have_polls_of_both_kinds,
                racing_flushes_end_with_the_oldest_ballots,
                every_voter_counts_once_with_the_first_choice,
            }
        }
    };
    (@empty $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, empty by_reference {
                a_blank_ballot_counts_for_no_option,
                a_ballot_that_is_taken_back_does_not_count_and_may_come_again,
                an_export_has_blank_ballots_and_none_that_are_taken_back,
                a_poll_takes_no_empty_ballot_unless_its_rules_say_so,
            }
        }
    };
    (@store_range $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, store_range by_reference {
                a_batch_of_many_polls_counts_in_each,
                a_batch_of_thousands_is_written_whole,
                voters_that_differ_in_one_bit_are_two,
                positions_are_kept_to_their_last_bit,
                an_empty_batch_changes_nothing,
                a_receipt_is_of_one_poll_and_one_ballot,
                dead_letters_are_distinguished_by_their_whole_position,
                several_dead_letters_are_taken_back_at_once,
            }
        }
    };
    (@polls $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, polls by_reference {
                titles_and_labels_are_kept_whatever_they_are,
                a_poll_that_could_not_be_made_any_more_is_kept_and_read,
                the_texts_of_a_poll_that_is_not_open_stay,
                no_text_changes_once_a_poll_has_closed,
                the_seals_of_a_poll_are_its_own_and_kept_whole,
            }
        }
    };
    (@life $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, life by_reference {
                the_settings_of_a_poll_are_kept_whole,
                a_draft_changes_freely_and_is_published_once,
                a_change_that_was_made_of_an_older_revision_is_refused,
                of_racing_changes_of_one_revision_one_is_made,
                new_times_are_pending_until_they_are_settled,
                only_a_final_poll_is_archived,
                a_batch_that_was_judged_by_other_rules_is_refused_whole,
            }
        }
    };
    (@audit $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, audit by_reference {
                every_change_of_a_poll_is_in_the_audit_log,
                what_changes_nothing_leaves_no_note,
                the_audit_log_is_read_in_order_and_in_pages,
            }
        }
    };
    (@events $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, events by_reference {
                each_change_of_a_poll_has_its_events,
                what_was_told_is_reported_once,
                what_grows_is_reported_when_it_grows,
                of_a_poll_that_is_over_nothing_is_reported,
                an_opening_at_its_time_is_reported_once_and_before_what_comes_after,
                events_are_read_in_order_and_in_pages,
                the_oldest_events_go_first_and_numbers_go_on,
                a_reader_misses_no_event_of_writers_that_race,
            }
        }
        $crate::conformance_suite! {
            @tests $backend, events by_value {
                events_stay_and_their_numbers_go_on,
            }
        }
    };
    (@webhooks $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, webhooks by_reference {
                a_webhook_is_kept_and_changed_until_it_is_removed,
                there_are_so_many_webhooks_and_no_more,
                each_event_after_it_was_added_has_one_delivery,
                a_webhook_is_with_one_sender_at_a_time,
                what_failed_is_due_again_when_it_is_said,
                a_disabled_webhook_gets_what_it_missed_once_it_is_enabled,
                a_change_ends_the_turn_and_events_can_be_sent_again,
                webhooks_take_turns,
                old_deliveries_are_removed,
            }
        }
        $crate::conformance_suite! {
            @tests $backend, webhooks by_value {
                webhooks_stay_and_their_deliveries_go_on,
            }
        }
    };
    (@tokens $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, tokens by_reference {
                a_token_is_kept_until_it_is_revoked,
                a_token_takes_the_place_of_no_other_one,
                what_becomes_of_tokens_is_in_the_audit_log,
            }
        }
    };
    (@sessions $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, sessions by_reference {
                a_session_is_kept_until_it_ends_and_never_comes_back,
                a_session_was_used_at_the_latest_moment_that_was_told,
                sessions_whose_time_is_long_over_are_removed,
                what_becomes_of_sessions_is_in_the_audit_log,
            }
        }
    };
    (@delete $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, delete by_reference {
                only_a_draft_or_a_final_poll_is_deleted,
                of_a_deleted_poll_only_its_seals_and_numbers_stay,
                the_id_of_a_deleted_poll_is_never_used_again,
                ballots_of_a_deleted_poll_that_come_again_change_nothing,
                a_batch_and_the_store_agree_on_what_is_deleted,
                a_deleted_poll_is_sealed_again_in_a_log_that_was_made_anew,
            }
        }
        $crate::conformance_suite! {
            @tests $backend, delete by_value {
                a_poll_that_is_deleted_stays_so,
            }
        }
    };
    (@forget $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, forget by_reference {
                only_the_voters_of_a_final_poll_are_forgotten,
                without_voters_a_poll_has_the_same_result,
                ballots_that_come_again_to_a_poll_without_voters_change_nothing,
                a_batch_and_the_store_agree_on_whose_voters_are_forgotten,
                voters_that_a_restored_store_has_again_count_and_are_to_be_forgotten_again,
                what_becomes_of_a_ballot_is_reported_as_long_as_it_is_known,
            }
        }
        $crate::conformance_suite! {
            @tests $backend, forget by_value {
                voters_that_are_forgotten_stay_so,
            }
        }
    };
    (@voiding $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, voiding by_reference {
                a_span_voids_the_ballots_in_it_and_no_others,
                a_span_is_of_all_shards,
                the_source_of_each_voters_ballot_is_kept,
                what_is_handed_in_is_voided_by_its_source_whenever_it_comes,
                a_dead_letter_of_a_trusted_server_keeps_its_source,
                a_ballot_that_comes_late_is_voided_as_well,
                earlier_choices_are_not_revived_and_later_ones_count,
                where_the_first_ballot_counts_it_keeps_its_place,
                blank_ballots_and_those_that_take_one_back_are_voided_as_well,
                the_ballots_of_revoked_codes_are_voided_whenever_they_come,
                a_ballot_counts_again_once_no_rule_voids_it,
                racing_rules_and_flushes_end_with_the_ballots_that_no_rule_voids,
                of_many_ballots_each_is_voided,
                a_dead_letter_that_is_mended_is_voided_as_well,
                a_final_poll_keeps_its_rules,
                only_ballots_of_a_published_poll_are_voided,
                the_rules_of_a_poll_that_is_restored_hold,
                new_voters_are_counted_by_the_minute,
            }
        }
        $crate::conformance_suite! {
            @tests $backend, voiding by_value {
                what_is_voided_stays_so,
            }
        }
    };
    (@history $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, history by_reference {
                votes_are_dated_by_the_positions_of_ballots,
                what_is_voided_stays_in_the_history_until_then,
                while_a_result_is_hidden_only_voters_are_dated,
                a_history_is_kept_for_as_long_as_its_poll,
                a_long_history_takes_little_room,
            }
        }
    };
    (@export $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, export by_reference {
                ballots_are_exported_once_a_poll_is_final,
                an_export_has_the_counted_ballot_of_each_voter_in_another_order_each_time,
                an_export_that_is_dropped_or_slow_holds_nothing_up,
            }
        }
    };
    (@work $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, work by_reference {
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
        }
    };
    (@close $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, close by_reference {
                a_sealed_shard_takes_no_more_ballots_of_the_poll,
                the_log_is_settled_past_its_end_once_all_is_acknowledged,
                a_state_is_kept_and_never_goes_back,
                a_flush_is_refused_whole_when_a_poll_does_not_take_a_ballot,
                a_poll_is_final_once_all_that_was_acknowledged_is_counted,
                a_poll_that_nobody_voted_in_becomes_final_without_a_worker,
                polls_that_close_together_are_all_sealed_and_others_go_on,
                closing_under_load_loses_no_acknowledged_ballot,
                a_ballot_pushed_past_the_seal_is_set_aside_and_the_one_before_it_counts,
                a_dead_letter_is_not_replayed_into_a_final_poll,
            }
        }
    };
    (@times $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, times by_reference {
                an_entry_is_in_time_by_its_own_id,
                a_refusal_says_why_and_the_first_reason_counts,
                an_entry_is_refused_whole_for_any_of_its_polls,
                a_shard_takes_a_window_in_place_of_another_as_the_rules_say,
                a_shards_clock_is_never_before_its_last_entry,
                each_shard_has_windows_of_its_own,
                a_poll_opens_and_closes_at_its_times_under_load,
                an_opening_that_moves_under_load_holds_from_then_on,
            }
        }
    };
    (@moving $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, times by_reference {
                a_closing_that_moves_under_load_keeps_every_acknowledged_ballot,
            }
        }
    };
    (@secrets $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, secrets by_reference {
                a_log_is_held_to_the_secret_of_its_first_ballot,
                another_secret_takes_its_place_in_three_steps,
                services_that_come_at_once_agree_on_the_secrets,
            }
        }
        $crate::conformance_suite! {
            @tests $backend, secrets by_value {
                the_secrets_of_a_log_stay,
            }
        }
    };
    (@restart $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, restart by_value {
                what_was_appended_and_not_acknowledged_is_still_there,
                ids_go_on_where_they_were,
                a_seal_holds,
                what_was_flushed_is_still_there,
                a_poll_that_was_closing_becomes_final_with_all_its_ballots,
            }
        }
    };
    (@restart_times $backend:expr) => {
        $crate::conformance_suite! {
            @tests $backend, restart by_value {
                a_window_holds,
            }
        }
    };
    (@tests $backend:expr, $part:ident $how:ident { $($test:ident,)* }) => {
        $(
            #[::tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let backend = $backend.await;
                $crate::conformance_suite! { @call $how $part $test backend }
            }
        )*
    };
    (@call by_reference $part:ident $test:ident $backend:ident) => {
        $crate::conformance::$part::$test(&$backend).await;
    };
    (@call by_value $part:ident $test:ident $backend:ident) => {
        $crate::conformance::$part::$test($backend).await;
    };
}
