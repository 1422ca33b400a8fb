//! A few links to other polls, below each page.

use std::sync::Arc;

use voting_core::{Poll, PollId};

use super::language::Language;
use crate::cache::polls::{NEWEST_OPEN, Polls};

/// The links to other polls below a page.
#[derive(Debug, Clone)]
pub(crate) struct OtherPolls<'a> {
    base: &'a str,
    this: &'a PollId,
    newest_open: Arc<[Arc<Poll>]>,
    are_any: bool,
}

impl<'a> OtherPolls<'a> {
    /// The polls besides this one.
    pub(crate) async fn beside(this: &'a PollId, base: &'a str, polls: &Polls) -> Self {
        let listed = polls.listed().await.unwrap_or_default();
        Self {
            base,
            this,
            newest_open: listed.newest_open,
            are_any: listed.all.iter().any(|poll| poll.id() != this),
        }
    }

    /// No links.
    pub(crate) fn none(this: &'a PollId, base: &'a str) -> Self {
        Self {
            base,
            this,
            newest_open: Arc::default(),
            are_any: false,
        }
    }

    /// Whether there is another poll.
    pub(crate) fn are_any(&self) -> bool {
        self.are_any
    }

    /// A few of the newest open polls.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Poll> {
        let others = self.newest_open.iter().map(AsRef::as_ref);
        others
            .filter(|poll: &&Poll| poll.id() != self.this)
            .take(NEWEST_OPEN)
    }

    /// The language of a poll's question.
    pub(crate) fn language<'p>(&self, poll: &'p Poll) -> Language<'p> {
        Language::of(poll)
    }

    /// The address of a poll's page.
    pub(crate) fn href(&self, poll: &Poll) -> String {
        format!("{}/polls/{}", self.base, poll.id())
    }
}
