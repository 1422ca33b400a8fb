//! The webhooks in memory, and what is sent to them.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{
    model::moment::Moment,
    store::webhooks::{Delivery, Webhook},
};

#[derive(Debug, Default)]
pub(super) struct Webhooks {
    /// In the order in which they were added.
    pub(super) all: Vec<Stored>,
    /// By webhook, number and id.
    pub(super) deliveries: BTreeMap<(Uuid, u64, Uuid), Delivery>,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) webhook: Webhook,
    /// The number of the last turn.
    pub(super) turn: u64,
    /// A sender has it, until `not_before`.
    pub(super) is_running: bool,
    /// No turn begins before.
    pub(super) not_before: Option<Moment>,
}

impl Webhooks {
    pub(super) fn of(&mut self, id: Uuid) -> Option<&mut Stored> {
        self.all.iter_mut().find(|stored| stored.webhook.id == id)
    }

    pub(super) fn put(&mut self, delivery: Delivery) {
        let key = (delivery.webhook, delivery.number, delivery.id);
        self.deliveries.insert(key, delivery);
    }

    pub(super) fn delivery(&self, webhook: Uuid, id: Uuid) -> Option<&Delivery> {
        let mut deliveries = self.deliveries.values();
        deliveries.find(|delivery| delivery.webhook == webhook && delivery.id == id)
    }

    /// What is due, in the order in which it is sent.
    pub(super) fn due(&self, webhook: Uuid, now: Moment) -> Vec<Delivery> {
        let deliveries = self.deliveries.values().filter(|delivery| {
            delivery.webhook == webhook && delivery.due.is_some_and(|due| due <= now)
        });
        let mut due: Vec<_> = deliveries.cloned().collect();
        due.sort_by_key(|delivery| (delivery.due, delivery.number, delivery.id));
        due
    }
}
