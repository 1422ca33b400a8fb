//! Opens the keys of polls. Without its key, nobody can vote in a poll that has one: under another id a voter would count
//! twice.

use std::sync::Arc;

use voting_core::{
    Poll,
    error::in_one_line,
    model::poll_key::{PollKey, PollKeyWrap, WrappedPollKey},
};

use crate::problem::seldom::Seldom;

/// A key, and the wrapped key from which it was opened.
pub(crate) type OpenedKey = (WrappedPollKey, Arc<PollKey>);

/// The key of a poll. `None` if the poll has none, or if it cannot be opened; this is logged.
pub(crate) fn open(
    wrap: Option<&PollKeyWrap>,
    poll: &Poll,
    warnings: &Seldom,
) -> Option<OpenedKey> {
    let opened = match (wrap, poll.wrapped_key()) {
        (Some(wrap), Some(wrapped)) => wrap
            .open(poll.id(), wrapped)
            .map(|key| (wrapped.clone(), Arc::new(key)))
            .map_err(|error| in_one_line(&error)),
        (None, Some(_)) => Err("this service has no entry_key_file".to_owned()),
        (_, None) => Err("the poll has no key".to_owned()),
    };
    opened
        .inspect_err(|why| {
            if let Some(held_back) = warnings.due() {
                tracing::error!(poll = %poll.id(), error = why, held_back, "nobody can vote in this poll");
            }
        })
        .ok()
}
