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

/// A cache of the polls in which ballots were cast. A cached poll may have been closed since: the store then refuses
/// the batch. Polls that do not exist are not cached, and are looked up each time.
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

    /// Looks up the polls of these ballots that are not in the cache, and notes which of them were deleted.
    pub(super) async fn look_up(
        &self,
        progress: &ProgressSender,
        retry: &mut Retry,
        gathered: &mut Gathered,
    ) -> Result<(), GaveUp> {
        let known = self.known();
        gathered.deleted.clear();
        let missing: HashSet<PollId> = gathered
            .polls()
            .filter(|poll| !known.contains_key(poll))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (found, deleted) = retry
            .until_done("look up polls", progress, || self.find(&missing))
            .await?;
        gathered.deleted = deleted;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.into_iter().map(|poll| (poll.id().clone(), poll));
        Arc::make_mut(&mut known).extend(found);
        Ok(())
    }

    /// The polls with these ids that exist, and the ids of those that were deleted.
    async fn find(
        &self,
        ids: &HashSet<PollId>,
    ) -> Result<(Vec<Poll>, HashSet<PollId>), StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        let mut deleted = HashSet::new();
        for id in ids {
            match self.directory.poll(id).await? {
                // Nobody can vote in a draft.
                Some(poll) if poll.is_draft() => {}
                Some(poll) => found.push(poll),
                None if self.directory.is_deleted(id).await? => {
                    deleted.insert(id.clone());
                }
                None => {}
            }
        }
        Ok((found, deleted))
    }
}
