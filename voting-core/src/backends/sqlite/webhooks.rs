//! Webhooks, and what is sent to them.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::{
    Inner, Sqlite,
    audit::add_to_audit_log,
    begin,
    events::{self, newest_event},
    lock,
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
fn webhook_columns(row: &Row<'_>) -> rusqlite::Result<WebhookColumns> {
    Ok(WebhookColumns {
        id: Uuid::from_bytes(row.get(0)?),
        document: row.get(1)?,
        after: row.get(2)?,
    })
}

/// From `webhook, id, number, created_at, due, document`.
fn delivery_columns(row: &Row<'_>) -> rusqlite::Result<DeliveryColumns> {
    Ok(DeliveryColumns {
        webhook: Uuid::from_bytes(row.get(0)?),
        id: Uuid::from_bytes(row.get(1)?),
        number: row.get(2)?,
        created_at: row.get(3)?,
        due: row.get(4)?,
        document: row.get(5)?,
    })
}

fn webhooks(reader: &Connection) -> Result<Vec<Webhook>, StoreError> {
    let mut query =
        reader.prepare_cached("SELECT id, document, after FROM webhooks ORDER BY place")?;
    let rows = query.query_map([], webhook_columns)?;
    rows.map(|row| row?.try_into()).collect()
}

/// A webhook, and the number of its last turn.
fn webhook(connection: &Connection, id: Uuid) -> Result<Option<(Webhook, u64)>, StoreError> {
    let found = connection.query_row(
        "SELECT id, document, after, turn FROM webhooks WHERE id = ?1",
        [id.as_bytes()],
        |row| Ok((webhook_columns(row)?, row.get(3)?)),
    );
    let Some((columns, turn)) = found.optional()? else {
        return Ok(None);
    };
    Ok(Some((columns.try_into()?, turn)))
}

fn delivery(
    connection: &Connection,
    webhook: Uuid,
    id: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    let found = connection.query_row(
        "SELECT webhook, id, number, created_at, due, document FROM deliveries
         WHERE webhook = ?1 AND id = ?2",
        [webhook.as_bytes(), id.as_bytes()],
        delivery_columns,
    );
    found.optional()?.map(TryInto::try_into).transpose()
}

fn deliveries(
    connection: &Connection,
    webhook: Uuid,
    before: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT webhook, id, number, created_at, due, document FROM deliveries
         WHERE webhook = ?1 AND (?2 IS NULL OR (number, id) < (
             SELECT number, id FROM deliveries WHERE webhook = ?1 AND id = ?2))
         ORDER BY number DESC, id DESC LIMIT ?3",
    )?;
    let before = before.map(Uuid::into_bytes);
    let rows = query.query_map(params![webhook.as_bytes(), before, limit], delivery_columns)?;
    rows.map(|row| row?.try_into()).collect()
}

fn put_delivery(transaction: &Transaction<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO deliveries (webhook, id, number, created_at, due, document)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (webhook, id) DO UPDATE SET due = excluded.due, document = excluded.document",
        params![
            delivery.webhook.as_bytes(),
            delivery.id.as_bytes(),
            delivery.number,
            delivery.created_at.unix_ms(),
            delivery.due.map(|due| due.unix_ms()),
            document(delivery)?,
        ],
    )?;
    Ok(())
}

fn write(transaction: &Transaction<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE webhooks SET document = ?2, enabled = ?3, after = ?4 WHERE id = ?1",
        params![
            webhook.id.as_bytes(),
            document(webhook)?,
            webhook.disabled.is_none(),
            webhook.after,
        ],
    )?;
    Ok(())
}

impl Inner {
    fn add_webhook(&self, webhook: &Webhook, by: &str) -> Result<Option<Webhook>, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let there: usize =
            transaction.query_row("SELECT COUNT(*) FROM webhooks", [], |row| row.get(0))?;
        if there >= MAX_WEBHOOKS {
            return Ok(None);
        }
        let webhook = Webhook {
            after: newest_event(&transaction)?,
            ..webhook.clone()
        };
        transaction.execute(
            "INSERT INTO webhooks (id, document, enabled, after, turn, running, not_before)
             VALUES (?1, ?2, ?3, ?4, 0, FALSE, 0)",
            params![
                webhook.id.as_bytes(),
                document(&webhook)?,
                webhook.disabled.is_none(),
                webhook.after,
            ],
        )?;
        add_to_audit_log(&transaction, &webhook.note_of("webhook.added", by))?;
        self.commit(transaction)?;
        Ok(Some(webhook))
    }

    fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let Some((stored, _)) = webhook(&transaction, id)? else {
            return Ok(None);
        };
        let newest = newest_event(&transaction)?;
        let Some((after, note)) = stored.changed(change, newest, by, Moment::now()) else {
            return Ok(Some(stored));
        };
        write(&transaction, &after)?;
        if let Some(note) = note {
            // Whoever sends to it as it was before must not go on.
            transaction.execute(
                "UPDATE webhooks SET turn = turn + 1, running = FALSE, not_before = 0 WHERE id = ?1",
                [id.as_bytes()],
            )?;
            add_to_audit_log(&transaction, &note)?;
        }
        self.commit(transaction)?;
        Ok(Some(after))
    }

    fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let Some((stored, _)) = webhook(&transaction, id)? else {
            return Ok(false);
        };
        for delete in [
            "DELETE FROM deliveries WHERE webhook = ?1",
            "DELETE FROM webhooks WHERE id = ?1",
        ] {
            transaction.execute(delete, [id.as_bytes()])?;
        }
        add_to_audit_log(&transaction, &stored.note_of("webhook.removed", by))?;
        self.commit(transaction)?;
        Ok(true)
    }

    fn put_webhook_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        if webhook(&transaction, delivery.webhook)?.is_none() {
            return Ok(false);
        }
        put_delivery(&transaction, delivery)?;
        // Whoever asks for it wants to see what comes of it.
        transaction.execute(
            "UPDATE webhooks SET not_before = 0 WHERE id = ?1 AND NOT running",
            [delivery.webhook.as_bytes()],
        )?;
        self.commit(transaction)?;
        Ok(true)
    }

    fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let newest = newest_event(&transaction)?;
        let next = transaction.query_row(
            "SELECT id, document, after, turn FROM webhooks
             WHERE enabled AND not_before <= ?1 AND (after < ?2 OR EXISTS (
                 SELECT 1 FROM deliveries WHERE webhook = webhooks.id AND due <= ?1))
             ORDER BY not_before, place LIMIT 1",
            params![now.unix_ms(), newest],
            |row| Ok((webhook_columns(row)?, row.get::<_, u64>(3)?)),
        );
        let Some((columns, turn)) = next.optional()? else {
            return Ok(None);
        };
        let mut webhook = Webhook::try_from(columns)?;
        let mut query = transaction.prepare_cached(
            "SELECT number, id, at, kind, poll, data FROM events
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let rows = query.query_map(params![webhook.after, EVENTS_A_TURN], events::columns)?;
        let events = rows.map(|row| row?.try_into());
        let events = events.collect::<Result<Vec<Event>, StoreError>>()?;
        drop(query);
        for delivery in webhook.deliveries(&events, now) {
            put_delivery(&transaction, &delivery)?;
        }
        webhook.after = events.last().map_or(newest, |event| event.number);
        let turn = turn + 1;
        transaction.execute(
            "UPDATE webhooks SET after = ?2, turn = ?3, running = TRUE, not_before = ?4 WHERE id = ?1",
            params![webhook.id.as_bytes(), webhook.after, turn, until.unix_ms()],
        )?;
        let mut query = transaction.prepare_cached(
            "SELECT webhook, id, number, created_at, due, document FROM deliveries
             WHERE webhook = ?1 AND due <= ?2 ORDER BY due, number, id LIMIT ?3",
        )?;
        let due = params![webhook.id.as_bytes(), now.unix_ms(), limit];
        let rows = query.query_map(due, delivery_columns)?;
        let deliveries = rows.map(|row| row?.try_into());
        let deliveries = deliveries.collect::<Result<_, StoreError>>()?;
        drop(query);
        self.commit(transaction)?;
        Ok(Some(Turn {
            webhook,
            number: turn,
            deliveries,
        }))
    }

    fn attempted(
        &self,
        turn: &Turn,
        id: Uuid,
        attempt: &Attempt,
        until: Moment,
    ) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let stored = webhook(&transaction, turn.webhook.id)?;
        let Some((stored, _)) = stored.filter(|(_, number)| *number == turn.number) else {
            return Ok(false);
        };
        let after = stored.after(attempt);
        write(&transaction, &after)?;
        transaction.execute(
            "UPDATE webhooks SET not_before = ?2 WHERE id = ?1",
            params![after.id.as_bytes(), until.unix_ms()],
        )?;
        if let Some(delivery) = delivery(&transaction, after.id, id)? {
            put_delivery(&transaction, &delivery.after(attempt))?;
        }
        if let Some(note) = stored.note_of_attempt(&after) {
            add_to_audit_log(&transaction, &note)?;
        }
        self.commit(transaction)?;
        Ok(after.disabled.is_none())
    }

    fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        transaction.execute(
            "UPDATE webhooks SET running = FALSE, not_before = ?3 WHERE id = ?1 AND turn = ?2",
            params![
                turn.webhook.id.as_bytes(),
                turn.number,
                rests_until.unix_ms()
            ],
        )?;
        self.commit(transaction)?;
        Ok(())
    }

    fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        let removed = transaction.execute(
            "DELETE FROM deliveries WHERE (webhook, id) IN (
                 SELECT webhook, id FROM deliveries WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
            params![before.unix_ms(), limit],
        )?;
        self.commit(transaction)?;
        Ok(removed)
    }
}

#[async_trait]
impl WebhookStore for Sqlite {
    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        self.reading(|inner| webhooks(&lock(&inner.reader))).await
    }

    async fn add_webhook(
        &self,
        webhook: &Webhook,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let (webhook, by) = (webhook.clone(), by.to_owned());
        self.blocking(move |inner| inner.add_webhook(&webhook, &by))
            .await
    }

    async fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let (change, by) = (change.clone(), by.to_owned());
        self.blocking(move |inner| inner.change_webhook(id, &change, &by))
            .await
    }

    async fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError> {
        let by = by.to_owned();
        self.blocking(move |inner| inner.remove_webhook(id, &by))
            .await
    }

    async fn deliveries(
        &self,
        webhook: Uuid,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.reading(move |inner| deliveries(&lock(&inner.reader), webhook, before, limit))
            .await
    }

    async fn delivery(&self, webhook: Uuid, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        self.reading(move |inner| delivery(&lock(&inner.reader), webhook, id))
            .await
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let delivery = delivery.clone();
        self.blocking(move |inner| inner.put_webhook_delivery(&delivery))
            .await
    }

    async fn waiting_deliveries(&self) -> Result<u64, StoreError> {
        self.reading(|inner| {
            let waiting = "SELECT COUNT(*) FROM deliveries JOIN webhooks ON webhooks.id = webhook
                WHERE enabled AND due IS NOT NULL";
            Ok(lock(&inner.reader).query_row(waiting, [], |row| row.get(0))?)
        })
        .await
    }

    async fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError> {
        self.blocking(move |inner| inner.take_turn(now, until, limit))
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
        self.blocking(move |inner| inner.attempted(&turn, delivery, &attempt, until))
            .await
    }

    async fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError> {
        let turn = turn.clone();
        self.blocking(move |inner| inner.end_turn(&turn, rests_until))
            .await
    }

    async fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        self.blocking(move |inner| inner.remove_deliveries(before, limit))
            .await
    }
}
