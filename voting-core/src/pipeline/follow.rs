//! Follows the [events](crate::store::events) as a stream.

use std::{collections::VecDeque, time::Duration};

use futures_util::{Stream, stream};
use tokio::time::sleep;

use crate::{
    error::StoreError,
    store::{EventStore, events::Event},
};

/// How many events are read at a time.
const PAGE: usize = 200;

/// The time between two looks while there is nothing new.
const EVERY: Duration = Duration::from_secs(1);

/// Why no event comes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// Events after this place are not kept any more, or it is the place in another store. Read what you need to know anew, and go on
    /// after `newest`.
    #[error(
        "the events after number {after} are gone; {oldest} is the oldest that is kept, and {newest} the newest"
    )]
    Gone {
        /// The place.
        after: u64,
        /// The number of the oldest event.
        oldest: u64,
        /// The number of the newest event.
        newest: u64,
    },
    /// The store does not answer. The stream goes on: the next item is asked for again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The events after this place, and then each new one a moment after it was written. `after` is the number of the last event that
/// was dealt with, or 0. The stream has no end but [`FollowError::Gone`].
///
/// Each event comes once, in order. To miss none after a restart, store its number together with what you do about it.
pub fn follow<S: EventStore + Clone + 'static>(
    store: S,
    after: u64,
) -> impl Stream<Item = Result<Event, FollowError>> + Send {
    let begin = Some((store, after, VecDeque::new()));
    stream::unfold(begin, async |state| {
        let (store, mut after, mut ready): (S, u64, VecDeque<Event>) = state?;
        loop {
            if let Some(event) = ready.pop_front() {
                after = event.number;
                return Some((Ok(event), Some((store, after, ready))));
            }
            let page = match store.events(after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    sleep(EVERY).await;
                    return Some((Err(error.into()), Some((store, after, ready))));
                }
            };
            if page.is_gone(after) {
                let gone = FollowError::Gone {
                    after,
                    oldest: page.oldest,
                    newest: page.newest,
                };
                return Some((Err(gone), None));
            }
            if page.list.is_empty() {
                sleep(EVERY).await;
            }
            ready.extend(page.list);
        }
    })
}
