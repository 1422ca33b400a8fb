//! Whether the log takes entries, judged by the last writes. A log may say that it is ready and still refuse each
//! entry, for example a Redis without free memory.
//!
//! A service that is not ready gets no more ballots, so it cannot see whether the log takes entries again. So after a
//! pause the service is ready again. If the next ballot is refused, the pause starts again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::{CastError, StoreError, in_one_line},
    model::position::EntryId,
};

/// The log is not ready after this many refused entries in a row, added up over the lanes.
const MANY: u32 = 3;

/// How long a refusal counts.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug)]
struct State {
    /// For each lane, how many of its entries were refused since one was taken.
    in_a_row: Vec<u32>,
    /// The newest refusal: when it came, and its text.
    last: Option<(Instant, String)>,
    /// Whether the log itself has said that it is not ready since the newest refusal.
    log_was_unwell: bool,
}

impl Refusals {
    pub(super) fn new(lanes: usize) -> Self {
        Self(Mutex::new(State {
            in_a_row: vec![0; lanes],
            last: None,
            log_was_unwell: false,
        }))
    }

    /// Records the outcome of writing an entry.
    pub(super) fn wrote(&self, lane: usize, written: &Result<EntryId, CastError>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(in_a_row) = state.in_a_row.get_mut(lane) else {
            return;
        };
        match written {
            // `Closed` concerns one poll only; the log works.
            Ok(_) | Err(CastError::Closed(_)) => *in_a_row = 0,
            Err(error) => {
                *in_a_row = in_a_row.saturating_add(1);
                state.last = Some((Instant::now(), in_one_line(error)));
                state.log_was_unwell = false;
            }
        }
    }

    /// Whether ballots can be cast, where `says` is what the log says of itself. If several entries were refused, the
    /// error names the reason of the last refusal, which says more than the log's own error.
    pub(super) fn judge(&self, says: Result<(), StoreError>) -> Result<(), StoreError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if says.is_err() {
            state.log_was_unwell = true;
        } else if std::mem::take(&mut state.log_was_unwell) {
            // The log was not ready and is ready now, so the old refusals no longer count.
            state.in_a_row.fill(0);
        }
        match &state.last {
            Some((at, why))
                if state.in_a_row.iter().sum::<u32>() >= MANY && at.elapsed() < PAUSE =>
            {
                Err(StoreError::unavailable(format!(
                    "the last ballots were not stored: {why}"
                )))
            }
            _ => says,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: fn() -> Result<EntryId, CastError> = || Err(CastError::Refused("no room".into()));

    fn is_ready(refusals: &Refusals) -> bool {
        refusals.judge(Ok(())).is_ok()
    }

    #[test]
    fn a_log_that_refuses_several_entries_is_not_ready_until_it_takes_one() {
        let refusals = Refusals::new(2);
        refusals.wrote(0, &NO());
        refusals.wrote(1, &NO());
        assert!(is_ready(&refusals));
        refusals.wrote(0, &NO());
        let why = refusals.judge(Ok(())).unwrap_err();
        assert!(in_one_line(&why).contains("no room"), "{why:?}");
        refusals.wrote(0, &Ok(EntryId::MIN));
        assert!(is_ready(&refusals));
    }

    #[test]
    fn one_shard_that_takes_all_does_not_hide_another() {
        let refusals = Refusals::new(2);
        for _ in 0..MANY {
            refusals.wrote(0, &NO());
            refusals.wrote(1, &Ok(EntryId::MIN));
        }
        assert!(!is_ready(&refusals));
    }

    #[test]
    fn what_was_refused_long_ago_no_longer_counts_but_the_next_one_does() {
        let refusals = Refusals::new(1);
        for _ in 0..MANY {
            refusals.wrote(0, &NO());
        }
        let long_ago = Instant::now().checked_sub(PAUSE).unwrap();
        refusals.0.lock().unwrap().last.as_mut().unwrap().0 = long_ago;
        assert!(is_ready(&refusals));
        refusals.wrote(0, &NO());
        assert!(!is_ready(&refusals));
    }

    #[test]
    fn a_log_that_was_away_and_is_back_is_ready_at_once() {
        let refusals = Refusals::new(1);
        for _ in 0..MANY {
            refusals.wrote(0, &NO());
        }
        assert!(
            refusals
                .judge(Err(StoreError::unavailable("away")))
                .is_err()
        );
        assert!(is_ready(&refusals));
    }

    #[test]
    fn a_closed_poll_is_no_refusal() {
        let refusals = Refusals::new(1);
        for _ in 0..MANY {
            let poll = "p".parse().unwrap();
            refusals.wrote(0, &Err(CastError::Closed(poll)));
        }
        assert!(is_ready(&refusals));
    }
}
