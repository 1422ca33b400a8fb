//! An event, as databases keep it.

use uuid::Uuid;

use crate::{
    error::StoreError,
    model::moment::Moment,
    store::events::{Event, NewEvent},
};

/// The columns of an event.
pub(super) struct EventColumns {
    pub(super) number: u64,
    pub(super) id: Uuid,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) kind: String,
    pub(super) poll: Option<String>,
    pub(super) data: String,
}

impl TryFrom<EventColumns> for Event {
    type Error = StoreError;

    fn try_from(columns: EventColumns) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("event {}: {what}", columns.number));
        let poll = columns.poll.as_deref().map(str::parse).transpose();
        Ok(Self {
            number: columns.number,
            id: columns.id,
            at: Moment::from_unix_ms(columns.at).ok_or_else(|| corrupt("its time"))?,
            what: NewEvent {
                kind: columns.kind.parse().map_err(|_| corrupt(&columns.kind))?,
                poll: poll.map_err(|_| corrupt("its poll"))?,
                data: columns.data,
            },
        })
    }
}
