//! The audit log's entries: what was done, by whom and when.

use crate::model::{id::PollId, moment::Moment, poll::ChangeNote};

/// Something that was done and that the audit log keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNote {
    /// Who did it: `operator`, the name of a token, or a program such as `settings`.
    pub by: String,
    /// What was done, such as `poll.changed`.
    pub action: String,
    /// The poll to which it was done, if it was one.
    pub poll: Option<PollId>,
    /// What was there before, as JSON.
    pub before: Option<String>,
    /// What is there after, as JSON.
    pub after: Option<String>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Numbers the entries; later ones have greater numbers, which need not follow each other.
    pub number: u64,
    /// When it was done, by the clock of the store.
    pub at: Moment,
    /// What was done.
    pub note: AuditNote,
}

impl AuditNote {
    /// What was done to a poll.
    pub fn of_change(poll: &PollId, change: ChangeNote, by: &str) -> Self {
        Self {
            by: by.to_owned(),
            action: change.action.to_owned(),
            poll: Some(poll.clone()),
            before: change.before,
            after: change.after,
        }
    }
}
