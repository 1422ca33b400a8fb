//! The trait of webhooks, over the tables in memory.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Memory, store::Store, webhook_tables::Stored};
use crate::{
    error::StoreError,
    model::moment::Moment,
    store::{
        WebhookStore,
        webhooks::{Attempt, Delivery, EVENTS_A_TURN, MAX_WEBHOOKS, Turn, Webhook, WebhookChange},
    },
};

impl Store {
    fn take_turn(&mut self, now: Moment, until: Moment, limit: usize) -> Option<Turn> {
        let newest = self.newest_event;
        let waiting = self.webhooks.all.iter().enumerate().filter(|(_, stored)| {
            let webhook = &stored.webhook;
            webhook.disabled.is_none()
                && stored.not_before.is_none_or(|moment| moment <= now)
                && (webhook.after < newest || !self.webhooks.due(webhook.id, now).is_empty())
        });
        let next = waiting.min_by_key(|(place, stored)| (stored.not_before, *place));
        let place = next?.0;
        let stored = &mut self.webhooks.all[place];
        let after = stored.webhook.after;
        let events = self.events.iter().filter(|event| event.number > after);
        let events: Vec<_> = events.take(EVENTS_A_TURN).cloned().collect();
        stored.webhook.after = events.last().map_or(newest, |event| event.number);
        stored.turn += 1;
        (stored.is_running, stored.not_before) = (true, Some(until));
        let (webhook, number) = (stored.webhook.clone(), stored.turn);
        for delivery in webhook.deliveries(&events, now) {
            self.webhooks.put(delivery);
        }
        let mut deliveries = self.webhooks.due(webhook.id, now);
        deliveries.truncate(limit);
        Some(Turn {
            webhook,
            number,
            deliveries,
        })
    }
}

#[async_trait]
impl WebhookStore for Memory {
    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let store = self.store();
        let all = store.webhooks.all.iter();
        Ok(all.map(|stored| stored.webhook.clone()).collect())
    }

    async fn add_webhook(
        &self,
        webhook: &Webhook,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let mut store = self.store();
        if store.webhooks.all.len() >= MAX_WEBHOOKS {
            return Ok(None);
        }
        let webhook = Webhook {
            after: store.newest_event,
            ..webhook.clone()
        };
        store.webhooks.all.push(Stored {
            webhook: webhook.clone(),
            turn: 0,
            is_running: false,
            not_before: None,
        });
        store.add_to_audit_log(webhook.note_of("webhook.added", by));
        Ok(Some(webhook))
    }

    async fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let mut store = self.store();
        let newest = store.newest_event;
        let Some(stored) = store.webhooks.of(id) else {
            return Ok(None);
        };
        let changed = stored.webhook.changed(change, newest, by, Moment::now());
        let Some((after, note)) = changed else {
            return Ok(Some(stored.webhook.clone()));
        };
        stored.webhook = after.clone();
        if let Some(note) = note {
            // Whoever sends to it as it was before must not go on.
            stored.turn += 1;
            (stored.is_running, stored.not_before) = (false, None);
            store.add_to_audit_log(note);
        }
        Ok(Some(after))
    }

    async fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError> {
        let mut store = self.store();
        let place = store.webhooks.all.iter().position(|s| s.webhook.id == id);
        let Some(place) = place else { return Ok(false) };
        let removed = store.webhooks.all.remove(place);
        store.webhooks.deliveries.retain(|(of, ..), _| *of != id);
        store.add_to_audit_log(removed.webhook.note_of("webhook.removed", by));
        Ok(true)
    }

    async fn deliveries(
        &self,
        webhook: Uuid,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let store = self.store();
        let end = match before {
            None => Some((webhook, u64::MAX, Uuid::max())),
            Some(id) => {
                let before = store.webhooks.delivery(webhook, id);
                before.map(|delivery| (webhook, delivery.number, id))
            }
        };
        let Some(end) = end else {
            return Ok(Vec::new());
        };
        let all = store
            .webhooks
            .deliveries
            .range((webhook, 0, Uuid::nil())..end);
        let newest = all.rev().take(limit);
        Ok(newest.map(|(_, delivery)| delivery.clone()).collect())
    }

    async fn delivery(&self, webhook: Uuid, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        Ok(self.store().webhooks.delivery(webhook, id).cloned())
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let mut store = self.store();
        let Some(stored) = store.webhooks.of(delivery.webhook) else {
            return Ok(false);
        };
        if !stored.is_running {
            // Whoever asks for it wants to see what comes of it.
            stored.not_before = None;
        }
        store.webhooks.put(delivery.clone());
        Ok(true)
    }

    async fn waiting_deliveries(&self) -> Result<u64, StoreError> {
        let store = self.store();
        let enabled: Vec<_> = store.webhooks.all.iter().map(|s| &s.webhook).collect();
        let is_enabled = |id| {
            let mut all = enabled.iter();
            all.any(|webhook| webhook.id == id && webhook.disabled.is_none())
        };
        let deliveries = store.webhooks.deliveries.values();
        let waiting = deliveries.filter(|d| d.due.is_some() && is_enabled(d.webhook));
        Ok(waiting.count() as u64)
    }

    async fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError> {
        Ok(self.store().take_turn(now, until, limit))
    }

    async fn attempted(
        &self,
        turn: &Turn,
        delivery: Uuid,
        attempt: &Attempt,
        until: Moment,
    ) -> Result<bool, StoreError> {
        let mut store = self.store();
        let stored = store.webhooks.of(turn.webhook.id);
        let Some(stored) = stored.filter(|stored| stored.turn == turn.number) else {
            return Ok(false);
        };
        let after = stored.webhook.after(attempt);
        let note = stored.webhook.note_of_attempt(&after);
        stored.webhook = after.clone();
        stored.not_before = Some(until);
        let stored = store.webhooks.delivery(after.id, delivery);
        if let Some(stored) = stored.map(|stored| stored.after(attempt)) {
            store.webhooks.put(stored);
        }
        if let Some(note) = note {
            store.add_to_audit_log(note);
        }
        Ok(after.disabled.is_none())
    }

    async fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError> {
        let mut store = self.store();
        let stored = store.webhooks.of(turn.webhook.id);
        if let Some(stored) = stored.filter(|stored| stored.turn == turn.number) {
            (stored.is_running, stored.not_before) = (false, Some(rests_until));
        }
        Ok(())
    }

    async fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        let mut store = self.store();
        let all = store.webhooks.deliveries.iter();
        let old = all.filter(|(_, delivery)| delivery.created_at < before);
        let old: Vec<_> = old.map(|(key, _)| *key).take(limit).collect();
        for key in &old {
            store.webhooks.deliveries.remove(key);
        }
        Ok(old.len())
    }
}
