//! A few links to other polls, below each page.

use std::sync::Arc;

use voting_core::{Poll, PollId};

use crate::cache::polls::{NEWEST_OPEN, Polls};

/// What a page links to below.
#[derive(Debug, Clone)]
pub(crate) struct OtherPolls<'a> {
    base: &'a str,
    this: &'a PollId,
    newest_open: Arc<[Arc<Poll>]>,
    are_any: bool,
}

impl<'a> OtherPolls<'a> {
    /// The polls beside this one.
    pub(crate) async fn beside(this: &'a PollId, base: &'a str, polls: &Polls) -> Self {
        let listed = polls.listed().await.unwrap_or_default();
        Self {
            base,
            this,
            newest_open: listed.newest_open,
            are_any: listed.all.len() > 1,
        }
    }

    /// Whether there is another one.
    pub(crate) fn are_any(&self) -> bool {
        self.are_any
    }

    /// The newest that are open; a few.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Poll> {
        let others = self.newest_open.iter().map(AsRef::as_ref);
        others
            .filter(|poll: &&Poll| poll.id() != self.this)
            .take(NEWEST_OPEN)
    }

    /// The address of a poll's page.
    pub(crate) fn href(&self, poll: &Poll) -> String {
        format!("{}/polls/{}", self.base, poll.id())
    }
}
