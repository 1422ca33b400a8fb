//! Webhooks and their deliveries, as databases keep them.

use uuid::Uuid;

use crate::{
    backends::stored_json::read,
    error::StoreError,
    model::moment::Moment,
    store::webhooks::{Delivery, Webhook},
};

/// The columns of a webhook.
pub(super) struct WebhookColumns {
    pub(super) id: Uuid,
    pub(super) document: String,
    pub(super) after: u64,
}

impl TryFrom<WebhookColumns> for Webhook {
    type Error = StoreError;

    fn try_from(columns: WebhookColumns) -> Result<Self, StoreError> {
        let webhook: Self = read(&columns.document)?;
        Ok(Self {
            id: columns.id,
            after: columns.after,
            ..webhook
        })
    }
}

/// The columns of a delivery. Times are milliseconds since 1970.
pub(super) struct DeliveryColumns {
    pub(super) webhook: Uuid,
    pub(super) id: Uuid,
    pub(super) number: u64,
    pub(super) created_at: u64,
    pub(super) due: Option<u64>,
    pub(super) document: String,
}

impl TryFrom<DeliveryColumns> for Delivery {
    type Error = StoreError;

    fn try_from(columns: DeliveryColumns) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt(format!("a time of delivery {}", columns.id));
        let moment = |ms| Moment::from_unix_ms(ms).ok_or_else(corrupt);
        let delivery: Self = read(&columns.document)?;
        Ok(Self {
            webhook: columns.webhook,
            id: columns.id,
            number: columns.number,
            created_at: moment(columns.created_at)?,
            due: columns.due.map(moment).transpose()?,
            ..delivery
        })
    }
}
