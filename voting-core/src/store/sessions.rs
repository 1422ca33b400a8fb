//! Sessions of people at the host's pages.

use std::time::Duration;

use super::{
    audit::AuditNote,
    tokens::{Role, TokenHash},
};
use crate::model::moment::Moment;

/// How long a session is kept after it has expired, so that clocks that differ remove none too early.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSession {
    /// What the session is recognised by: the hash of a random text that only the browser has.
    pub hash: TokenHash,
    /// Who has signed in, as in the audit log.
    pub name: String,
    /// What they might do when they signed in.
    pub role: Role,
    /// When they signed in. This and the other times are by the clock of the process that they used.
    pub began_at: Moment,
    /// When they used it last.
    pub used_at: Moment,
    /// When they have to sign in again.
    pub until: Moment,
    /// Whether they have signed out. Such a session stays until its time is over, so that it cannot be stored again.
    pub has_ended: bool,
}

impl HostSession {
    /// What the audit log says once the session is stored.
    pub fn began_note(&self) -> AuditNote {
        self.note("session.began", |note, json| note.after = Some(json))
    }

    /// What the audit log says once the session has ended.
    pub fn ended_note(&self) -> AuditNote {
        self.note("session.ended", |note, json| note.before = Some(json))
    }

    /// Sessions that were to end before this moment are removed when this one is stored.
    pub fn removes_before(&self) -> Moment {
        self.began_at.minus(KEPT)
    }

    fn note(&self, action: &str, set: fn(&mut AuditNote, String)) -> AuditNote {
        let mut note = AuditNote {
            by: self.name.clone(),
            action: action.to_owned(),
            poll: None,
            before: None,
            after: None,
        };
        set(
            &mut note,
            serde_json::json!({"role": self.role.as_str()}).to_string(),
        );
        note
    }
}
