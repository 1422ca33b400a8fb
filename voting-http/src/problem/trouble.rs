//! Logs failures of a store: when the failure begins, when its reason changes, then once a minute, and when the store
//! works again. Many requests may meet a failing store, so not every failure is logged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use voting_core::{StoreError, error::in_one_line};

use crate::problem::seldom::Seldom;

/// The most reasons of one failure that are logged at once. A text that differs each time would otherwise fill the
/// log.
const MOST_REASONS: usize = 8;

/// The failures of one kind of request that were logged.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: String,
    /// The reasons of the failures since the last success.
    reasons: Mutex<Vec<String>>,
    seldom: Seldom,
}

impl Trouble {
    /// `what` names the thing that is asked for, such as `polls`.
    pub(crate) fn with(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            reasons: Mutex::default(),
            seldom: Seldom::default(),
        }
    }

    fn reasons(&self) -> MutexGuard<'_, Vec<String>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a failure, and logs it if that is due.
    pub(crate) fn failed(&self, error: &StoreError) {
        let error = in_one_line(error);
        if let Some(held_back) = self.due(&error) {
            let what = &self.what;
            tracing::error!(what, error, held_back, "a store failed");
        }
    }

    /// Notes a success, and logs it if it ends a failure.
    pub(crate) fn worked(&self) {
        if !std::mem::take(&mut *self.reasons()).is_empty() {
            tracing::info!(what = self.what, "the store works again");
        }
    }

    /// Whether to log this reason now. The number is how many lines were held back before it.
    fn due(&self, reason: &str) -> Option<u64> {
        let mut reasons = self.reasons();
        let is_known = reasons.iter().any(|known| known == reason);
        if is_known || reasons.len() >= MOST_REASONS {
            return self.seldom.due();
        }
        reasons.push(reason.to_owned());
        Some(self.seldom.at_once())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_due_at_once_and_then_seldom_until_it_works_again() {
        let trouble = Trouble::with("polls");
        assert_eq!(trouble.due("a"), Some(0));
        assert_eq!([trouble.due("a"), trouble.due("a")], [None; 2]);
        assert_eq!(trouble.due("b"), Some(2));
        // The two reasons alternate.
        assert_eq!([trouble.due("a"), trouble.due("b")], [None; 2]);
        trouble.worked();
        assert_eq!(trouble.due("a"), Some(2));
        let many = (0..100).filter(|number| trouble.due(&number.to_string()).is_some());
        assert_eq!(many.count(), MOST_REASONS - 1);
    }
}
