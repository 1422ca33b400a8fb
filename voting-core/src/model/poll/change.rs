//! Another title or other labels for a poll that is stored: when they may be, and what is logged then.

use super::{Poll, text};
use crate::error::StoreError;

/// A text of a poll that became another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextChange<'a> {
    /// The option whose label it is; `None` for the poll's title.
    pub option: Option<&'a str>,
    /// As it was.
    pub old: &'a str,
    /// As it is now.
    pub new: &'a str,
}

impl Poll {
    /// Whether `new` may be stored in place of this poll, in the transaction that has read this
    /// one, and which texts then change. If this poll is not open, nothing is to be written.
    ///
    /// Stores log what they have changed, see [`log_changes`].
    ///
    /// # Errors
    /// [`StoreError::PollConflict`] when ballots would change their meaning.
    /// [`StoreError::TextsFrozen`] when texts would change, and this poll is closing or final.
    pub fn replaced_by<'a>(&'a self, new: &'a Self) -> Result<Vec<TextChange<'a>>, StoreError> {
        if !self.counts_like(new) {
            return Err(StoreError::PollConflict(self.id.clone()));
        }
        let title = (None, self.title.as_str(), new.title.as_str());
        let labels = self.options.iter().zip(&new.options).map(|(old, new)| {
            let id = Some(old.id.as_str());
            (id, old.label.as_str(), new.label.as_str())
        });
        let changes: Vec<_> = std::iter::once(title)
            .chain(labels)
            // Texts that were stored by an earlier version may be in another form.
            .filter(|(_, old, new)| text::stored_form(old) != text::stored_form(new))
            .map(|(option, old, new)| TextChange { option, old, new })
            .collect();
        if !changes.is_empty() && !self.state.is_open() {
            return Err(StoreError::TextsFrozen(self.id.clone()));
        }
        Ok(changes)
    }
}

/// Logs what was changed, once it is stored. Voters may have voted by the older words.
pub fn log_changes(poll: &Poll, changes: &[TextChange<'_>]) {
    let poll = poll.id();
    for TextChange { option, old, new } in changes {
        // Written so that characters which steer a terminal, or the direction of text, are spelt out.
        match option {
            None => {
                tracing::warn!(%poll, field = "title", ?old, ?new, "an open poll's title changed")
            }
            Some(option) => {
                tracing::warn!(%poll, field = "label", option, ?old, ?new, "an open poll's label changed");
            }
        }
    }
}
