//! An entry of the audit log, as databases keep it.

use crate::{
    error::StoreError,
    model::{
        id::{InvalidId, PollId},
        moment::Moment,
    },
    store::audit::{AuditEntry, AuditNote},
};

/// The columns of an entry.
pub(super) struct AuditColumns {
    pub(super) number: u64,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) by: String,
    pub(super) action: String,
    pub(super) poll: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl TryFrom<AuditColumns> for AuditEntry {
    type Error = StoreError;

    fn try_from(columns: AuditColumns) -> Result<Self, StoreError> {
        let at = columns.at;
        let corrupt = || StoreError::Corrupt(format!("time {at} in the audit log"));
        let poll = columns.poll.map(|poll| poll.parse::<PollId>()).transpose();
        Ok(Self {
            number: columns.number,
            at: Moment::from_unix_ms(at).ok_or_else(corrupt)?,
            note: AuditNote {
                by: columns.by,
                action: columns.action,
                poll: poll.map_err(|error: InvalidId| StoreError::Corrupt(error.to_string()))?,
                before: columns.before,
                after: columns.after,
            },
        })
    }
}
