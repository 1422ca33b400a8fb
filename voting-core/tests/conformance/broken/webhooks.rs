//! Stores whose webhooks are broken.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;
use voting_core::{
    StoreError,
    conformance::Backend,
    model::moment::Moment,
    store::{
        WebhookStore,
        webhooks::{Attempt, Delivery, Outcome, Turn, Webhook, WebhookChange},
    },
};

use super::{does_not_pass, memory_of};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    SendsAgainWhatIsDelivered,
    SkipsADelivery,
    LetsTurnsOverlap,
    ForgetsTheRest,
    GoesOnAfterAChange,
    StaysEnabled,
    ListsTheOldestFirst,
    RemovesMoreThanItIsTo,
    SendsEventsOfBefore,
    ForgetsFailures,
}

struct Broken(Fault, Arc<dyn WebhookStore>);

#[async_trait]
impl WebhookStore for Broken {
    async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let mut all = self.1.webhooks().await?;
        if self.0 == Fault::ForgetsFailures {
            for webhook in &mut all {
                (webhook.failing_since, webhook.failures) = (None, 0);
            }
        }
        Ok(all)
    }

    async fn add_webhook(
        &self,
        webhook: &Webhook,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        let added = self.1.add_webhook(webhook, by).await?;
        match (self.0, &added) {
            (Fault::SendsEventsOfBefore, Some(added)) => {
                let change = WebhookChange::SendsAgainAfter(0);
                self.1.change_webhook(added.id, &change, by).await
            }
            _ => Ok(added),
        }
    }

    async fn change_webhook(
        &self,
        id: Uuid,
        change: &WebhookChange,
        by: &str,
    ) -> Result<Option<Webhook>, StoreError> {
        self.1.change_webhook(id, change, by).await
    }

    async fn remove_webhook(&self, id: Uuid, by: &str) -> Result<bool, StoreError> {
        self.1.remove_webhook(id, by).await
    }

    async fn deliveries(
        &self,
        webhook: Uuid,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut list = self.1.deliveries(webhook, before, limit).await?;
        if self.0 == Fault::ListsTheOldestFirst {
            list.reverse();
        }
        Ok(list)
    }

    async fn delivery(&self, webhook: Uuid, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        self.1.delivery(webhook, id).await
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        self.1.put_delivery(delivery).await
    }

    async fn waiting_deliveries(&self) -> Result<u64, StoreError> {
        self.1.waiting_deliveries().await
    }

    async fn take_turn(
        &self,
        now: Moment,
        until: Moment,
        limit: usize,
    ) -> Result<Option<Turn>, StoreError> {
        let until = match self.0 {
            Fault::LetsTurnsOverlap => now,
            _ => until,
        };
        let mut turn = self.1.take_turn(now, until, limit).await?;
        if let (Fault::SkipsADelivery, Some(turn)) = (self.0, &mut turn) {
            turn.deliveries.truncate(1);
        }
        Ok(turn)
    }

    async fn attempted(
        &self,
        turn: &Turn,
        delivery: Uuid,
        attempt: &Attempt,
        until: Moment,
    ) -> Result<bool, StoreError> {
        let mut attempt = attempt.clone();
        attempt.outcome = match (self.0, attempt.outcome) {
            (Fault::SendsAgainWhatIsDelivered, Outcome::Delivered) => {
                Outcome::Failed(Some(attempt.at))
            }
            (Fault::StaysEnabled, Outcome::Gone) => Outcome::Failed(None),
            (_, outcome) => outcome,
        };
        let goes_on = self.1.attempted(turn, delivery, &attempt, until).await?;
        Ok(goes_on || self.0 == Fault::GoesOnAfterAChange)
    }

    async fn end_turn(&self, turn: &Turn, rests_until: Moment) -> Result<(), StoreError> {
        let until = match self.0 {
            Fault::ForgetsTheRest => Moment::from_unix_ms(0).expect("a moment"),
            _ => rests_until,
        };
        self.1.end_turn(turn, until).await
    }

    async fn remove_deliveries(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        match self.0 {
            Fault::RemovesMoreThanItIsTo => self.1.remove_deliveries(before, usize::MAX).await,
            _ => self.1.remove_deliveries(before, limit).await,
        }
    }
}

fn with(fault: Fault) -> Backend {
    let sound = memory_of(1);
    let webhooks = sound.webhooks.clone().expect("webhooks");
    Backend {
        webhooks: Some(Arc::new(Broken(fault, webhooks))),
        ..sound
    }
}

does_not_pass! {
    one_that_sends_again_what_is_delivered:
        with(Fault::SendsAgainWhatIsDelivered) => of webhooks::a_webhook_is_with_one_sender_at_a_time;
    one_that_skips_a_delivery:
        with(Fault::SkipsADelivery) => of webhooks::each_event_after_it_was_added_has_one_delivery;
    one_that_lets_turns_overlap:
        with(Fault::LetsTurnsOverlap) => of webhooks::a_webhook_is_with_one_sender_at_a_time;
    one_that_forgets_the_rest:
        with(Fault::ForgetsTheRest) => of webhooks::a_webhook_is_with_one_sender_at_a_time;
    one_that_goes_on_after_a_change:
        with(Fault::GoesOnAfterAChange) => of webhooks::a_change_ends_the_turn_and_events_can_be_sent_again;
    one_that_stays_enabled:
        with(Fault::StaysEnabled) => of webhooks::a_disabled_webhook_gets_what_it_missed_once_it_is_enabled;
    one_that_lists_the_oldest_first:
        with(Fault::ListsTheOldestFirst) => of webhooks::each_event_after_it_was_added_has_one_delivery;
    one_that_removes_more_deliveries_than_it_is_to:
        with(Fault::RemovesMoreThanItIsTo) => of webhooks::old_deliveries_are_removed;
    one_that_sends_events_of_before:
        with(Fault::SendsEventsOfBefore) => of webhooks::each_event_after_it_was_added_has_one_delivery;
    one_that_forgets_failures:
        with(Fault::ForgetsFailures) => of webhooks::what_failed_is_due_again_when_it_is_said;
}
