//! Webhooks, and what is sent to them.

use ::postgres::Row;
use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Inner, Postgres, audit::add_to_audit_log, events::to_event, from_column, prepared::Transaction,
    to_column, to_limit,
};
use crate::{
    backends::{
        stored_json::write as document,
        stored_webhook::{DeliveryColumns, WebhookColumns},
    },
    error::StoreError,
    model::moment::Moment,
    store::{
        WebhookStore,
        events::Event,
        webhooks::{Attempt, Delivery, EVENTS_A_TURN, MAX_WEBHOOKS, Turn, Webhook, WebhookChange},
    },
};

/// From `id, document, after`.
fn to_webhook(row: &Row) -> Result<Webhook, StoreError> {
    WebhookColumns {
        id: row.get(0),
        document: row.get(1),
        after: from_column(row.get(2))?,
    }
    .try_into()
}

/// From `webhook, id, number, created_at, due, document`.
fn to_delivery(row: &Row) -> Result<Delivery, StoreError> {
    DeliveryColumns {
        webhook: row.get(0),
        id: row.get(1),
        number: from_column(row.get(2))?,
        created_at: from_column(row.get(3))?,
        due: row.get::<_, Option<i64>>(4).map(from_column).transpose()?,
        document: row.get(5),
    }
    .try_into()
}

fn newest_event(transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
    let newest = transaction.query_opt("SELECT last FROM event_numbers", &[])?;
    newest.map_or(Ok(0), |row| from_column(row.get(0)))
}

/// A webhook, which nobody else changes before the end of the transaction, and the number of its last turn.
fn locked(
    transaction: &mut Transaction<'_>,
    id: Uuid,
) -> Result<Option<(Webhook, u64)>, StoreError> {
    let row = transaction.query_opt(
        "SELECT id, document, after, turn FROM webhooks WHERE id = $1 FOR UPDATE",
        &[&id],
    )?;
    row.map(|row| Ok((to_webhook(&row)?, from_column(row.get(3))?)))
        .transpose()
}

fn write(transaction: &mut Transaction<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE webhooks SET document = $2, enabled = $3, after = $4 WHERE id = $1",
        &[
            &webhook.id,
            &document(webhook)?,
            &webhook.disabled.is_none(),
            &to_column(webhook.after)?,
        ],
    )?;
    Ok(())
}

fn put_delivery(transaction: &mut Transaction<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    let due = delivery.due.map(|due| to_column(due.unix_ms()));
    transaction.execute(
        "INSERT INTO deliveries (webhook, id, number, created_at, due, document)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (webhook, id) DO UPDATE SET due = excluded.due, document = excluded.document",
        &[
            &delivery.webhook,
            &delivery.id,
            &to_column(delivery.number)?,
            &to_column(delivery.created_at.unix_ms())?,
            &due.transpose()?,
            &document(delivery)?,
        ],
    )?;
    Ok(())
}

impl Inner {
    fn add_webhook(&self, webhook: &Webhook, by: &str) -> Result<Option<Webhook>, StoreError> {
        self.number_events()?;
        self.in_transaction(|transaction| {
            // Two that come at once must not exceed the limit together.
            transaction.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('webhooks', 0))",
                &[],
            )?;
            let there = transaction.query_opt("SELECT COUNT(*) FROM webhooks", &[])?;
            let there: i64 = there.map_or(0, |row| row.get(0));
            if there >= to_limit(MAX_WEBHOOKS) {
                return Ok(None);
            }
            let webhook = Webhook {
                after: newest_event(transaction)?,
                ..webhook.clone()
            };
            transaction.execute(
                "INSERT INTO webhooks (id, document, enabled, after, turn, running, not_before)
                 VALUES ($1, $2, $3, $4, 0, FALSE, 0)",
                &[
                    &webhook.id,
                    &document(&webhook)?,
                    &webhook.disabled.is_none(),
                    &to_column(webhook.after)?,
                ],
            )?;
            add_to_audit_log(transaction, &webhook.note_of("webhook.added", by))?;
            Ok(Some(webhook))
        })
    }

    fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        self.in_transaction(|transaction| {
            let Some((stored, _)) = locked(transaction, id)? else {
                return Ok(None);
            };
            let newest = newest_event(transaction)?;
            let Some((after, note)) = stored.changed(change, newest, by, Moment::now()) else {
                return Ok(Some(stored));
            };
            write(transaction, &after)?;
            if let Some(note) = note {
                // Whoever sends to it as it was before must not go on.
                transaction.execute(
                    "UPDATE webhooks SET turn = turn + 1, running = FALSE, not_before = 0 WHERE id = $1",
                    &[&id],
                )?;
                add_to_audit_log(transaction, &note)?;
            }
            Ok(Some(after))
        })
    }

    fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError> {
        self.in_transaction(|transaction| {
            let Some((stored, _)) = locked(transaction, id)? else {
                return Ok(false);
            };
            transaction.execute("DELETE FROM webhooks WHERE id = $1", &[&id])?;
            add_to_audit_log(transaction, &stored.note_of("webhook.removed", by))?;
            Ok(true)
        })
    }

    fn put_webhook_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        self.in_transaction(|transaction| {
            if locked(transaction, delivery.webhook)?.is_none() {
                return Ok(false);
            }
            put_delivery(transaction, delivery)?;
            // Whoever asks for it wants to see what comes of it.
            transaction.execute(
                "UPDATE webhooks SET not_before = 0 WHERE id = $1 AND NOT running",
                &[&delivery.webhook],
            )?;
            Ok(true)
        })
    }

    fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError> {
        self.number_events()?;
        let (now_ms, until) = (to_column(now.unix_ms())?, to_column(until.unix_ms())?);
        self.in_transaction(|transaction| {
            let newest = newest_event(transaction)?;
            // Another process has what is locked.
            let next = transaction.query_opt(
                "SELECT id, document, after, turn FROM webhooks
                 WHERE enabled AND not_before <= $1 AND (after < $2 OR EXISTS (
                     SELECT FROM deliveries WHERE webhook = webhooks.id AND due <= $1))
                 ORDER BY not_before, place LIMIT 1 FOR UPDATE SKIP LOCKED",
                &[&now_ms, &to_column(newest)?],
            )?;
            let Some(row) = next else { return Ok(None) };
            let (mut webhook, turn) = (to_webhook(&row)?, row.get::<_, i64>(3) + 1);
            let rows = transaction.query(
                "SELECT number, id, at, kind, poll, data FROM events
                 WHERE number > $1 ORDER BY number LIMIT $2",
                &[&to_column(webhook.after)?, &to_limit(EVENTS_A_TURN)],
            )?;
            let events = rows.iter().map(to_event);
            let events = events.collect::<Result<Vec<Event>, StoreError>>()?;
            for delivery in webhook.deliveries(&events, now) {
                put_delivery(transaction, &delivery)?;
            }
            webhook.after = events.last().map_or(newest, |event| event.number);
            transaction.execute(
                "UPDATE webhooks SET after = $2, turn = $3, running = TRUE, not_before = $4 WHERE id = $1",
                &[&webhook.id, &to_column(webhook.after)?, &turn, &until],
            )?;
            let rows = transaction.query(
                "SELECT webhook, id, number, created_at, due, document FROM deliveries
                 WHERE webhook = $1 AND due <= $2 ORDER BY due, number, id LIMIT $3",
                &[&webhook.id, &now_ms, &to_limit(limit)],
            )?;
            Ok(Some(Turn {
                webhook,
                number: from_column(turn)?,
                deliveries: rows.iter().map(to_delivery).collect::<Result<_, _>>()?,
            }))
        })
    }

    fn attempted(
        &self,
        turn: &Turn,
        id: Uuid,
        attempt: &Attempt,
        until: Moment,
    ) -> Result<bool, StoreError> {
        let until = to_column(until.unix_ms())?;
        self.in_transaction(|transaction| {
            let stored = locked(transaction, turn.webhook.id)?;
            let Some((stored, _)) = stored.filter(|(_, number)| *number == turn.number) else {
                return Ok(false);
            };
            let after = stored.after(attempt);
            write(transaction, &after)?;
            transaction.execute(
                "UPDATE webhooks SET not_before = $2 WHERE id = $1",
                &[&after.id, &until],
            )?;
            let delivery = transaction.query_opt(
                "SELECT webhook, id, number, created_at, due, document FROM deliveries
                 WHERE webhook = $1 AND id = $2",
                &[&after.id, &id],
            )?;
            if let Some(delivery) = delivery {
                put_delivery(transaction, &to_delivery(&delivery)?.after(attempt))?;
            }
            if let Some(note) = stored.note_of_attempt(&after) {
                add_to_audit_log(transaction, &note)?;
            }
            Ok(after.disabled.is_none())
        })
    }

    fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError> {
        let (number, until) = (to_column(turn.number)?, to_column(rests_until.unix_ms())?);
        self.in_transaction(|transaction| {
            transaction.execute(
                "UPDATE webhooks SET running = FALSE, not_before = $3 WHERE id = $1 AND turn = $2",
                &[&turn.webhook.id, &number, &until],
            )?;
            Ok(())
        })
    }

    fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        let before = to_column(before.unix_ms())?;
        self.in_transaction(|transaction| {
            let removed = transaction.execute(
                "DELETE FROM deliveries WHERE (webhook, id) IN (
                     SELECT webhook, id FROM deliveries WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
                &[&before, &to_limit(limit)],
            )?;
            Ok(usize::try_from(removed).unwrap_or(usize::MAX))
        })
    }
}

#[async_trait]
impl WebhookStore for Postgres {
    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                let all = "SELECT id, document, after FROM webhooks ORDER BY place";
                connection.query(all, &[])?.iter().map(to_webhook).collect()
            })
        })
        .await
    }

    async fn add_webhook(
        &self,
        webhook: &Webhook,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let (webhook, by) = (webhook.clone(), by.to_owned());
        self.call(move |inner| inner.add_webhook(&webhook, &by))
            .await
    }

    async fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let (change, by) = (change.clone(), by.to_owned());
        self.call(move |inner| inner.change_webhook(id, &change, &by))
            .await
    }

    async fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError> {
        let by = by.to_owned();
        self.call(move |inner| inner.remove_webhook(id, &by)).await
    }

    async fn deliveries(
        &self,
        webhook: Uuid,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.call(move |inner| {
            inner.ask(|connection| {
                let rows = connection.query(
                    "SELECT webhook, id, number, created_at, due, document FROM deliveries
                     WHERE webhook = $1 AND ($2::uuid IS NULL OR (number, id) < (
                         SELECT number, id FROM deliveries WHERE webhook = $1 AND id = $2))
                     ORDER BY number DESC, id DESC LIMIT $3",
                    &[&webhook, &before, &to_limit(limit)],
                )?;
                rows.iter().map(to_delivery).collect()
            })
        })
        .await
    }

    async fn delivery(&self, webhook: Uuid, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        self.call(move |inner| {
            inner.ask(|connection| {
                let row = connection.query_opt(
                    "SELECT webhook, id, number, created_at, due, document FROM deliveries
                     WHERE webhook = $1 AND id = $2",
                    &[&webhook, &id],
                )?;
                row.as_ref().map(to_delivery).transpose()
            })
        })
        .await
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let delivery = delivery.clone();
        self.call(move |inner| inner.put_webhook_delivery(&delivery))
            .await
    }

    async fn waiting_deliveries(&self) -> Result<u64, StoreError> {
        self.call(|inner| {
            inner.ask(|connection| {
                let row = connection.query_one(
                    "SELECT COUNT(*) FROM deliveries JOIN webhooks ON webhooks.id = webhook
                     WHERE enabled AND due IS NOT NULL",
                    &[],
                )?;
                from_column(row.get(0))
            })
        })
        .await
    }

    async fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError> {
        self.call(move |inner| inner.take_turn(now, until, limit))
            .await
    }

    async fn attempted(
        &self,
        turn: &Turn,
        delivery: Uuid,
        attempt: &Attempt,
        until: Moment,
    ) -> Result<bool, StoreError> {
        let (turn, attempt) = (turn.clone(), attempt.clone());
        self.call(move |inner| inner.attempted(&turn, delivery, &attempt, until))
            .await
    }

    async fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError> {
        let turn = turn.clone();
        self.call(move |inner| inner.end_turn(&turn, rests_until))
            .await
    }

    async fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        self.call(move |inner| inner.remove_deliveries(before, limit))
            .await
    }
}
