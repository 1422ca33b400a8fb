//! What a [`WebhookStore`] must keep.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::sync::Arc;

use futures_util::future::join_all;
use uuid::Uuid;

use super::Backend;
use crate::{
    model::{
        moment::Moment,
        poll_key::{PollKeyWrap, WrappedPollKey},
        secret::SecretKey,
    },
    store::{
        WebhookStore,
        events::{EventKind, Mark, NewEvent},
        webhooks::{
            Attempt, Delivery, DisabledBy, MAX_WEBHOOKS, Outcome, Turn, Webhook, WebhookChange,
        },
    },
};

fn store(backend: &Backend) -> Arc<dyn WebhookStore> {
    let store = backend.webhooks.clone();
    store.expect("a back end under this part keeps webhooks")
}

fn at(second: u64) -> Moment {
    Moment::from_unix_ms(2_000_000_000_000 + second * 1_000).expect("a moment")
}

fn secret(byte: u8) -> WrappedPollKey {
    let key = SecretKey::new([7; 32]).expect("a key");
    PollKeyWrap::new(&key).wrap_secret("webhook:1", &[byte; 32])
}

fn webhook() -> Webhook {
    Webhook::new("https://example.org/".into(), "chat".into(), Vec::new()).with_secret(secret(1))
}

async fn added(backend: &Backend) -> Webhook {
    let added = store(backend).add_webhook(&webhook(), "host").await;
    added.expect("an answer").expect("there are few")
}

/// One event for each call, of this many dead letters.
async fn happens(backend: &Backend, dead_letters: u64) {
    let mark = Mark {
        name: "dead letters".to_owned(),
        value: dead_letters.to_string(),
        initial: "0",
        pause_ms: 0,
        only_more: false,
    };
    let event = NewEvent {
        kind: EventKind::DeadLetterCreated,
        poll: None,
        data: format!("{{\"dead_letters\":{dead_letters}}}"),
    };
    let reported = backend.events.add_event(&mark, &event).await;
    assert!(reported.expect("an answer"));
}

async fn turn(backend: &Backend, second: u64, until: u64) -> Option<Turn> {
    let turn = store(backend).take_turn(at(second), at(until), 10).await;
    turn.expect("an answer")
}

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.number).collect()
}

fn attempt(second: u64, outcome: Outcome) -> Attempt {
    Attempt {
        at: at(second),
        result: "an answer".to_owned(),
        outcome,
    }
}

async fn attempted(backend: &Backend, turn: &Turn, attempt: &Attempt, until: u64) -> bool {
    let delivery = turn.deliveries[0].id;
    let store = store(backend);
    let attempted = store.attempted(turn, delivery, attempt, at(until)).await;
    attempted.expect("an answer")
}

async fn actions(backend: &Backend) -> Vec<String> {
    let entries = backend.audit.audit_log(0, 1_000).await.expect("entries");
    let actions = entries.into_iter().map(|entry| entry.note.action);
    actions.filter(|a| a.starts_with("webhook.")).collect()
}

pub async fn a_webhook_is_kept_and_changed_until_it_is_removed(backend: &Backend) {
    let store = store(backend);
    let (first, second) = (added(backend).await, added(backend).await);
    assert_eq!(
        store.webhooks().await.expect("webhooks"),
        [first.clone(), second.clone()]
    );
    let edited = WebhookChange::Edited {
        url: "https://example.com/other".to_owned(),
        note: "list".to_owned(),
        types: vec!["poll.final".to_owned()],
    };
    let change = async |id, change: &WebhookChange| {
        store
            .change_webhook(id, change, "anna")
            .await
            .expect("an answer")
    };
    let changed = change(first.id, &edited).await.expect("it is there");
    assert_eq!((&*changed.note, &changed.secrets), ("list", &first.secrets));
    assert_eq!(change(first.id, &edited).await, Some(changed.clone()));
    let newer = WebhookChange::Secret(secret(2), at(60));
    let changed = change(first.id, &newer).await.expect("it is there");
    assert_eq!(changed.secrets.len(), 2);
    let wrapped_anew = WebhookChange::Rewrapped(vec![secret(3), secret(4)]);
    let changed = change(first.id, &wrapped_anew).await.expect("it is there");
    assert_eq!(changed.secrets[1].wrapped, secret(4));
    let disabled = change(first.id, &WebhookChange::Enabled(false)).await;
    let disabled = disabled.expect("it is there");
    assert_eq!(disabled.disabled.map(|d| d.by), Some(DisabledBy::Host));
    assert_eq!(
        store.webhooks().await.expect("webhooks"),
        [disabled, second.clone()]
    );
    assert_eq!(change(Uuid::now_v7(), &edited).await, None);
    let removed = async |id| store.remove_webhook(id, "anna").await.expect("an answer");
    assert!(removed(first.id).await && !removed(first.id).await);
    assert_eq!(store.webhooks().await.expect("webhooks"), [second]);
    assert_eq!(
        actions(backend).await,
        [
            "webhook.added",
            "webhook.added",
            "webhook.changed",
            "webhook.secret_changed",
            "webhook.disabled",
            "webhook.removed"
        ]
    );
}

pub async fn there_are_so_many_webhooks_and_no_more(backend: &Backend) {
    let store = store(backend);
    for _ in 1..MAX_WEBHOOKS {
        added(backend).await;
    }
    let last = webhook();
    let racing = (0..4).map(|n| {
        let webhook = Webhook {
            id: if n == 0 { last.id } else { Uuid::now_v7() },
            ..last.clone()
        };
        let store = Arc::clone(&store);
        async move {
            store
                .add_webhook(&webhook, "host")
                .await
                .expect("an answer")
        }
    });
    let added = join_all(racing).await;
    assert_eq!(added.iter().flatten().count(), 1);
    assert_eq!(
        store.webhooks().await.expect("webhooks").len(),
        MAX_WEBHOOKS
    );
}

pub async fn each_event_after_it_was_added_has_one_delivery(backend: &Backend) {
    happens(backend, 1).await;
    let first = added(backend).await;
    assert_eq!(first.after, 1);
    assert_eq!(
        turn(backend, 0, 9).await,
        None,
        "what was before is not sent"
    );
    happens(backend, 2).await;
    happens(backend, 3).await;
    let taken = turn(backend, 1, 9).await.expect("something is due");
    assert_eq!(numbers(&taken.deliveries), [2, 3]);
    assert_eq!((taken.webhook.id, taken.webhook.after), (first.id, 3));
    let events = backend.events.events(1, 9).await.expect("events").list;
    for (delivery, event) in taken.deliveries.iter().zip(&events) {
        assert_eq!((delivery.id, delivery.attempts), (event.id, 0));
        assert!(delivery.body.contains("\"dead_letters\":"), "{delivery:?}");
    }
    let store = store(backend);
    assert_eq!(store.waiting_deliveries().await.expect("a number"), 2);
    let listed = store.deliveries(first.id, None, 9).await.expect("a list");
    assert_eq!(numbers(&listed), [3, 2], "the newest first");
    let page = store.deliveries(first.id, Some(listed[0].id), 9).await;
    assert_eq!(page.expect("a list"), listed[1..]);
    let one = store.delivery(first.id, listed[0].id).await;
    assert_eq!(one.expect("an answer").as_ref(), Some(&listed[0]));
}

pub async fn a_webhook_is_with_one_sender_at_a_time(backend: &Backend) {
    added(backend).await;
    happens(backend, 1).await;
    let racing = join_all((0..6).map(|_| turn(backend, 0, 10))).await;
    let mut taken = racing.into_iter().flatten();
    let (first, none) = (taken.next().expect("one has it"), taken.next());
    assert_eq!(none, None);
    assert_eq!(turn(backend, 9, 20).await, None, "the first has it");
    let second = turn(backend, 10, 20).await.expect("the turn is over");
    assert_eq!(numbers(&second.deliveries), [1], "it was not sent");
    let late = attempt(10, Outcome::Delivered);
    assert!(!attempted(backend, &first, &late, 30).await);
    store(backend)
        .end_turn(&first, at(0))
        .await
        .expect("an answer");
    assert_eq!(turn(backend, 19, 30).await, None, "the second has it");
    assert!(attempted(backend, &second, &late, 40).await);
    assert_eq!(turn(backend, 39, 50).await, None);
    happens(backend, 2).await;
    store(backend)
        .end_turn(&second, at(30))
        .await
        .expect("an answer");
    assert_eq!(turn(backend, 29, 50).await, None, "it rests");
    let third = turn(backend, 30, 50).await.expect("it does not any more");
    assert_eq!(numbers(&third.deliveries), [2], "each is delivered once");
}

pub async fn what_failed_is_due_again_when_it_is_said(backend: &Backend) {
    let webhook = added(backend).await;
    happens(backend, 1).await;
    let store = store(backend);
    let taken = turn(backend, 0, 10).await.expect("due");
    let failed = attempt(1, Outcome::Failed(Some(at(60))));
    assert!(attempted(backend, &taken, &failed, 10).await);
    store.end_turn(&taken, at(1)).await.expect("an answer");
    let stored = &store.webhooks().await.expect("webhooks")[0];
    assert_eq!((stored.failing_since, stored.failures), (Some(at(1)), 1));
    assert_eq!(turn(backend, 59, 70).await, None);
    let taken = turn(backend, 60, 70).await.expect("due again");
    let delivery = &taken.deliveries[0];
    assert_eq!((delivery.attempts, delivery.due), (1, Some(at(60))));
    assert_eq!(delivery.last.as_ref().map(|last| last.at), Some(at(1)));
    assert!(attempted(backend, &taken, &attempt(61, Outcome::Failed(None)), 70).await);
    store.end_turn(&taken, at(61)).await.expect("an answer");
    assert_eq!(turn(backend, 10_000, 10_010).await, None, "it is given up");
    assert_eq!(store.waiting_deliveries().await.expect("a number"), 0);
    let again = delivery.clone().again(at(62));
    assert!(store.put_delivery(&again).await.expect("an answer"));
    let taken = turn(backend, 62, 70).await.expect("it is sent again");
    assert_eq!(taken.deliveries[0].id, delivery.id);
    let test = Delivery::test(&webhook, at(62));
    assert!(store.put_delivery(&test).await.expect("an answer"));
    assert_eq!(turn(backend, 63, 70).await, None, "a sender has it");
    let other = Delivery {
        webhook: Uuid::now_v7(),
        ..test
    };
    assert!(!store.put_delivery(&other).await.expect("an answer"));
}

pub async fn a_disabled_webhook_gets_what_it_missed_once_it_is_enabled(backend: &Backend) {
    let webhook = added(backend).await;
    happens(backend, 1).await;
    let store = store(backend);
    let taken = turn(backend, 0, 10).await.expect("due");
    assert!(!attempted(backend, &taken, &attempt(1, Outcome::Gone), 10).await);
    let stored = &store.webhooks().await.expect("webhooks")[0];
    assert_eq!(stored.disabled.map(|d| d.by), Some(DisabledBy::Gone));
    happens(backend, 2).await;
    assert_eq!(turn(backend, 1_000, 1_010).await, None);
    assert_eq!(store.waiting_deliveries().await.expect("a number"), 0);
    let enable = WebhookChange::Enabled(true);
    let enabled = store.change_webhook(webhook.id, &enable, "anna").await;
    assert!(
        enabled
            .expect("an answer")
            .is_some_and(|w| w.disabled.is_none())
    );
    let taken = turn(backend, 1_000, 1_010).await.expect("due");
    assert_eq!(numbers(&taken.deliveries), [1, 2]);
    assert_eq!(
        actions(backend).await,
        ["webhook.added", "webhook.disabled", "webhook.enabled"]
    );
}

pub async fn a_change_ends_the_turn_and_events_can_be_sent_again(backend: &Backend) {
    let webhook = added(backend).await;
    for number in 1..=3 {
        happens(backend, number).await;
    }
    let store = store(backend);
    let taken = turn(backend, 0, 10).await.expect("due");
    assert!(attempted(backend, &taken, &attempt(0, Outcome::Delivered), 10).await);
    let again = WebhookChange::SendsAgainAfter(1);
    let changed = store.change_webhook(webhook.id, &again, "anna").await;
    assert_eq!(changed.expect("an answer").map(|w| w.after), Some(1));
    assert!(!attempted(backend, &taken, &attempt(0, Outcome::Delivered), 10).await);
    let taken = turn(backend, 1, 10).await.expect("due");
    assert_eq!(numbers(&taken.deliveries), [2, 3], "the first is delivered");
    let none = WebhookChange::SendsAgainAfter(u64::MAX >> 1);
    let changed = store.change_webhook(webhook.id, &none, "anna").await;
    assert_eq!(
        changed.expect("an answer"),
        Some(taken.webhook),
        "there are no more"
    );
}

pub async fn webhooks_take_turns(backend: &Backend) {
    let (first, second) = (added(backend).await, added(backend).await);
    let store = store(backend);
    let mut order = Vec::new();
    for second in 0..4 {
        happens(backend, second + 1).await;
        let taken = turn(backend, second, second + 100).await.expect("due");
        store.end_turn(&taken, at(second)).await.expect("an answer");
        order.push(taken.webhook.id);
    }
    assert_eq!(order, [first.id, second.id, first.id, second.id]);
}

pub async fn old_deliveries_are_removed(backend: &Backend) {
    let webhook = added(backend).await;
    let store = store(backend);
    for second in 0..3 {
        let test = Delivery::test(&webhook, at(second));
        assert!(store.put_delivery(&test).await.expect("an answer"));
    }
    let removed = async |before, limit| store.remove_deliveries(at(before), limit).await;
    assert_eq!(removed(2, 1).await.expect("removed"), 1);
    assert_eq!(removed(2, 9).await.expect("removed"), 1);
    let left = store.deliveries(webhook.id, None, 9).await.expect("a list");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].created_at, at(2));
    assert!(
        store
            .remove_webhook(webhook.id, "host")
            .await
            .expect("an answer")
    );
    let left = store.deliveries(webhook.id, None, 9).await.expect("a list");
    assert_eq!(left, []);
}

/// Webhooks, their places and what is due are still there.
pub async fn webhooks_stay_and_their_deliveries_go_on(backend: Backend) {
    let webhook = added(&backend).await;
    happens(&backend, 1).await;
    let taken = turn(&backend, 0, 10).await.expect("due");
    let failed = attempt(1, Outcome::Failed(Some(at(60))));
    assert!(attempted(&backend, &taken, &failed, 10).await);
    let before = store(&backend).webhooks().await.expect("webhooks");
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(store(&backend).webhooks().await.expect("webhooks"), before);
    happens(&backend, 2).await;
    let taken = turn(&backend, 60, 70).await.expect("due");
    assert_eq!(taken.webhook.id, webhook.id);
    assert_eq!(numbers(&taken.deliveries), [1, 2]);
    assert_eq!(taken.deliveries[0].attempts, 1);
}
