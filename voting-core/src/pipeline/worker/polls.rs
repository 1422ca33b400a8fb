//! The polls that ballots are checked against.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    prepare::{Gathered, Known},
    progress::ProgressSender,
    retry::{GaveUp, Retry},
};
use crate::{
    error::StoreError,
    model::{id::PollId, poll::Poll},
    store::PollDirectory,
};

/// The polls that ballots were cast in. They are kept: a store that knows one to be closed, of which
/// this does not know yet, refuses the batch. Polls that are missing are asked for each time.
pub(super) struct Polls {
    directory: Arc<dyn PollDirectory>,
    known: Mutex<Arc<Known>>,
}

impl Polls {
    pub(super) fn new(directory: Arc<dyn PollDirectory>) -> Self {
        Self {
            directory,
            known: Mutex::default(),
        }
    }

    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn forget(&self, poll: &PollId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut known).remove(poll);
    }

    /// Looks up the polls of the ballots that are not known.
    pub(super) async fn look_up(
        &self,
        progress: &ProgressSender,
        retry: &mut Retry,
        gathered: &Gathered,
    ) -> Result<(), GaveUp> {
        let known = self.known();
        let missing: HashSet<&PollId> = gathered
            .polls()
            .filter(|poll| !known.contains_key(poll))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let found = retry
            .until_done("look up polls", progress, || self.find(&missing))
            .await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.into_iter().map(|poll| (poll.id().clone(), poll));
        Arc::make_mut(&mut known).extend(found);
        Ok(())
    }

    /// Those of these names that there are.
    async fn find(&self, ids: &HashSet<&PollId>) -> Result<Vec<Poll>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.directory.poll(id).await?);
        }
        Ok(found)
    }
}
