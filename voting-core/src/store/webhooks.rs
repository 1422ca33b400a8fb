//! Webhooks: [events](super::events) that are sent to programs as HTTP requests.
//!
//! A [`Webhook`] is an address and what is sent to it. For each event that it wants there is a [`Delivery`], which is sent until it
//! is delivered or given up. Senders take turns: a [`Turn`] is one webhook with what is due for it, and belongs to one sender for
//! some time. So any number of processes may send, and each delivery is sent by one of them at a time.
//!
//! Nothing here sends. `voting_http::webhooks` does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    audit::AuditNote,
    events::{Event, EventKind},
};
use crate::model::{moment::Moment, poll_key::WrappedPollKey};

/// How many webhooks there may be.
pub const MAX_WEBHOOKS: usize = 50;

/// A webhook to which nothing was delivered for this long, though it was tried, is disabled.
pub const FAILING_LIMIT: Duration = Duration::from_secs(5 * 24 * 3_600);

/// How many events one turn makes deliveries for.
pub const EVENTS_A_TURN: usize = 200;

/// Who disables a webhook that fails, in the audit log.
const SENDER: &str = "worker";

/// The type of the message that only tries whether messages arrive.
pub const TEST: &str = "webhook.test";

/// Why nothing is sent to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisabledBy {
    /// A host has disabled it.
    Host,
    /// The receiver has answered 410: it wants no more messages.
    Gone,
    /// Nothing was delivered for [`FAILING_LIMIT`].
    Failures,
}

impl DisabledBy {
    /// Its name: `host`, `gone` or `failures`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Gone => "gone",
            Self::Failures => "failures",
        }
    }
}

/// That nothing is sent to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub by: DisabledBy,
    /// Since when.
    pub at: Moment,
}

/// The state of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Messages are sent, and the last attempt has not failed.
    Well,
    /// Messages are sent, and attempts have failed since this moment.
    Failing(Moment),
    /// Nothing is sent.
    Disabled(Disabled),
}

/// A secret that signs the messages of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// Wrapped under a key of the deployment, see [`PollKeyWrap::wrap_secret`](crate::model::poll_key::PollKeyWrap::wrap_secret).
    pub wrapped: WrappedPollKey,
    /// Until when it signs; `None` is the newest one, which signs until there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// An address to which events are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Tells it from others.
    #[serde(skip)]
    pub id: Uuid,
    /// Where messages are sent to. It may hold a password of the receiver, so it stands in no log.
    pub url: String,
    /// What it is for, in the words of the host.
    pub note: String,
    /// The types of the events that are sent, such as `poll.final`. If it is empty, all are.
    pub types: Vec<String>,
    /// The newest secret first. All of them sign.
    pub secrets: Vec<WebhookSecret>,
    /// When it was made.
    pub created_at: Moment,
    /// Set if nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// The first attempt since the last success, if attempts fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Moment>,
    /// How many attempts have failed since the last success.
    #[serde(default)]
    pub failures: u32,
    /// The events up to this number have deliveries, if it wants them.
    #[serde(skip)]
    pub after: u64,
}

/// What is changed of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookChange {
    /// Where messages are sent to, what for, and which.
    Edited {
        /// See [`Webhook::url`].
        url: String,
        /// See [`Webhook::note`].
        note: String,
        /// See [`Webhook::types`].
        types: Vec<String>,
    },
    /// It is enabled, or disabled by a host. What was not delivered is sent once it is enabled.
    Enabled(bool),
    /// There is another secret. The one before it signs too until this moment. Older ones do not sign any more.
    Secret(WrappedPollKey, Moment),
    /// The same secrets, wrapped under the current key of the deployment. They must be as many.
    Rewrapped(Vec<WrappedPollKey>),
    /// The events after this number are sent again, as far as they are kept.
    SendsAgainAfter(u64),
}

impl Webhook {
    /// A new webhook, to which events that come from now on are sent.
    pub fn new(url: String, note: String, types: Vec<String>) -> Self {
        Self {
            id: Uuid::now_v7(),
            url,
            note,
            types,
            secrets: Vec::new(),
            created_at: Moment::now(),
            disabled: None,
            failing_since: None,
            failures: 0,
            after: 0,
        }
    }

    /// The same with this secret.
    #[must_use]
    pub fn with_secret(mut self, wrapped: WrappedPollKey) -> Self {
        let until = None;
        self.secrets = vec![WebhookSecret { wrapped, until }];
        self
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        match (self.disabled, self.failing_since) {
            (Some(disabled), _) => Condition::Disabled(disabled),
            (None, Some(since)) => Condition::Failing(since),
            (None, None) => Condition::Well,
        }
    }

    /// The scheme and the host of its address. What follows may be secret.
    pub fn site(&self) -> String {
        let parts: Vec<_> = self.url.split('/').take(3).collect();
        parts.join("/")
    }

    /// Whether events of this kind are sent.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.types.is_empty() || self.types.iter().any(|name| name == kind.as_str())
    }

    /// The webhook after a change, and what the audit log says about it. `newest` is the number of the newest event. `None` if it is
    /// as it was.
    pub fn changed(
        &self,
        change: &WebhookChange,
        newest: u64,
        by: &str,
        now: Moment,
    ) -> Option<(Self, Option<AuditNote>)> {
        let mut after = self.clone();
        let action = match change {
            WebhookChange::Edited { url, note, types } => {
                after.url.clone_from(url);
                after.note.clone_from(note);
                after.types.clone_from(types);
                Some("webhook.changed")
            }
            WebhookChange::Enabled(true) => {
                after.disabled = None;
                // Its time begins again.
                (after.failing_since, after.failures) = (None, 0);
                self.disabled.map(|_| "webhook.enabled")
            }
            WebhookChange::Enabled(false) => {
                let by = DisabledBy::Host;
                after.disabled = after.disabled.or(Some(Disabled { by, at: now }));
                Some("webhook.disabled")
            }
            WebhookChange::Secret(wrapped, until) => {
                after.secrets.truncate(1);
                for before in &mut after.secrets {
                    before.until = Some(*until);
                }
                let wrapped = wrapped.clone();
                let secret = WebhookSecret {
                    wrapped,
                    until: None,
                };
                after.secrets.insert(0, secret);
                Some("webhook.secret_changed")
            }
            WebhookChange::Rewrapped(all) => {
                if all.len() != after.secrets.len() {
                    return None;
                }
                for (secret, wrapped) in after.secrets.iter_mut().zip(all) {
                    secret.wrapped = wrapped.clone();
                }
                None
            }
            WebhookChange::SendsAgainAfter(number) => {
                after.after = (*number).min(newest);
                Some("webhook.events_sent_again")
            }
        };
        if after == *self {
            return None;
        }
        let note = action.map(|action| {
            let mut note = after.note_of(action, by);
            note.before = Some(self.described());
            note
        });
        Some((after, note))
    }

    /// The webhook after an attempt.
    #[must_use]
    pub fn after(&self, attempt: &Attempt) -> Self {
        let mut after = self.clone();
        if attempt.outcome == Outcome::Delivered {
            (after.failing_since, after.failures) = (None, 0);
            return after;
        }
        let since = *after.failing_since.get_or_insert(attempt.at);
        after.failures = after.failures.saturating_add(1);
        let by = match attempt.outcome {
            Outcome::Gone => DisabledBy::Gone,
            _ if attempt.at.since(since) >= FAILING_LIMIT => DisabledBy::Failures,
            _ => return after,
        };
        let at = attempt.at;
        after.disabled = after.disabled.or(Some(Disabled { by, at }));
        after
    }

    /// What the audit log says about an attempt: something, if the webhook is disabled `after` it and was not before.
    pub fn note_of_attempt(&self, after: &Self) -> Option<AuditNote> {
        let disables = self.disabled.is_none() && after.disabled.is_some();
        disables.then(|| after.note_of("webhook.disabled", SENDER))
    }

    /// What the audit log says about the webhook.
    pub fn note_of(&self, action: &str, by: &str) -> AuditNote {
        AuditNote {
            by: by.to_owned(),
            action: action.to_owned(),
            poll: None,
            before: None,
            after: Some(self.described()),
        }
    }

    fn described(&self) -> String {
        let disabled = self.disabled.map(|disabled| disabled.by.as_str());
        serde_json::json!({
            "id": self.id.to_string(),
            "site": self.site(),
            "note": self.note,
            "types": self.types,
            "disabled": disabled,
            "after": self.after,
        })
        .to_string()
    }

    /// The deliveries of these events, which are due now.
    pub fn deliveries(&self, events: &[Event], now: Moment) -> Vec<Delivery> {
        let wanted = events.iter().filter(|event| self.wants(event.what.kind));
        let delivery = |event: &Event| Delivery {
            webhook: self.id,
            id: event.id,
            number: event.number,
            kind: event.what.kind.as_str().to_owned(),
            body: message(event),
            created_at: now,
            due: Some(now),
            attempts: 0,
            delivered: false,
            last: None,
        };
        wanted.map(delivery).collect()
    }
}

/// The message about an event: a JSON object with `type`, `timestamp` and `data`. `data` has the fields of the event's data, its
/// `number`, and its `poll` if it is about one.
pub fn message(event: &Event) -> String {
    let data = serde_json::from_str(&event.what.data);
    let mut data: serde_json::Map<String, serde_json::Value> = data.unwrap_or_default();
    data.insert("number".to_owned(), event.number.into());
    if let Some(poll) = &event.what.poll {
        data.insert("poll".to_owned(), poll.as_str().into());
    }
    serde_json::json!({
        "type": event.what.kind.as_str(),
        "timestamp": event.at.to_string(),
        "data": data,
    })
    .to_string()
}

/// A message for one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The webhook.
    #[serde(skip)]
    pub webhook: Uuid,
    /// The id of the event; that of the message, too. It is the same in each attempt.
    #[serde(skip)]
    pub id: Uuid,
    /// The number of the event. Of a test, that of the newest event.
    #[serde(skip)]
    pub number: u64,
    /// The type of the event, or [`TEST`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The message: a JSON object.
    pub body: String,
    /// When it was made.
    #[serde(skip, default = "Moment::now")]
    pub created_at: Moment,
    /// When it is sent next; `None` if it is delivered or given up.
    #[serde(skip)]
    pub due: Option<Moment>,
    /// How often it was sent, since it was last said that it is to be sent.
    pub attempts: u32,
    /// Whether the receiver has it.
    pub delivered: bool,
    /// The last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAttempt>,
}

/// The last attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAttempt {
    /// When it ended.
    pub at: Moment,
    /// What came of it, such as `503` or `the receiver did not answer within 15 s`.
    pub result: String,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended.
    pub at: Moment,
    /// The same in words.
    pub result: String,
    /// What follows from it.
    pub outcome: Outcome,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has the message.
    Delivered,
    /// The receiver wants no more messages. The message is kept until the webhook is enabled again.
    Gone,
    /// The message is sent again at this moment; `None`: it is given up.
    Failed(Option<Moment>),
}

impl Delivery {
    /// A message of type [`TEST`], which is due now.
    pub fn test(webhook: &Webhook, now: Moment) -> Self {
        let body = serde_json::json!({
            "type": TEST,
            "timestamp": now.to_string(),
            "data": { "number": webhook.after },
        });
        Self {
            webhook: webhook.id,
            id: Uuid::now_v7(),
            number: webhook.after,
            kind: TEST.to_owned(),
            body: body.to_string(),
            created_at: now,
            due: Some(now),
            attempts: 0,
            delivered: false,
            last: None,
        }
    }

    /// The same, to be sent again from the beginning.
    #[must_use]
    pub fn again(mut self, now: Moment) -> Self {
        (self.due, self.attempts, self.delivered) = (Some(now), 0, false);
        self
    }

    /// The delivery after an attempt.
    #[must_use]
    pub fn after(&self, attempt: &Attempt) -> Self {
        let mut after = self.clone();
        after.attempts = after.attempts.saturating_add(1);
        after.last = Some(LastAttempt {
            at: attempt.at,
            result: attempt.result.clone(),
        });
        match attempt.outcome {
            Outcome::Delivered => (after.delivered, after.due) = (true, None),
            Outcome::Gone => after.due = Some(attempt.at),
            Outcome::Failed(again) => after.due = again,
        }
        after
    }
}

/// One webhook and what is due for it, for one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The webhook.
    pub webhook: Webhook,
    /// Tells this turn from others of the webhook.
    pub number: u64,
    /// What is due, in the order of the events.
    pub deliveries: Vec<Delivery>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{poll_key::PollKeyWrap, secret::SecretKey},
        store::events::NewEvent,
    };

    fn at(ms: u64) -> Moment {
        Moment::from_unix_ms(ms).unwrap()
    }

    fn webhook() -> Webhook {
        let types = vec!["poll.final".to_owned()];
        Webhook::new("https://example.org/secret".into(), "chat".into(), types)
    }

    fn attempt(hours: u64, outcome: Outcome) -> Attempt {
        Attempt {
            at: at(hours * 3_600_000),
            result: "503".to_owned(),
            outcome,
        }
    }

    #[test]
    fn only_what_is_wanted_is_sent_and_the_message_says_what_happened() {
        let event = |number, kind| {
            let what = NewEvent {
                kind,
                poll: Some("lunch".parse().unwrap()),
                data: r#"{"title":"Lunch?"}"#.to_owned(),
            };
            Event::new(number, what)
        };
        let events = [
            event(1, EventKind::PollOpened),
            event(2, EventKind::PollFinal),
        ];
        let deliveries = webhook().deliveries(&events, at(5));
        let [delivery] = &deliveries[..] else {
            panic!("{deliveries:?}")
        };
        assert_eq!((delivery.number, delivery.id), (2, events[1].id));
        let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!(body["type"], "poll.final");
        assert_eq!(body["timestamp"], events[1].at.to_string());
        let data = serde_json::json!({ "title": "Lunch?", "number": 2, "poll": "lunch" });
        assert_eq!(body["data"], data);
        let all = Webhook {
            types: Vec::new(),
            ..webhook()
        };
        assert_eq!(all.deliveries(&events, at(5)).len(), 2);
    }

    #[test]
    fn it_is_disabled_when_the_receiver_is_gone_or_fails_for_days() {
        let gone = webhook().after(&attempt(1, Outcome::Gone));
        assert_eq!(gone.disabled.map(|d| d.by), Some(DisabledBy::Gone));
        let again = Outcome::Failed(None);
        let failing = webhook().after(&attempt(1, again));
        let failing = failing.after(&attempt(120, again));
        assert_eq!((failing.disabled, failing.failures), (None, 2));
        let well = failing.after(&attempt(120, Outcome::Delivered));
        assert_eq!((well.failing_since, well.failures), (None, 0));
        let disabled = failing.after(&attempt(121, again));
        let by = disabled.disabled.map(|d| d.by);
        assert_eq!(by, Some(DisabledBy::Failures));
        let change = WebhookChange::Enabled(true);
        let (enabled, note) = disabled.changed(&change, 0, "anna", at(9)).unwrap();
        assert_eq!((enabled.disabled, enabled.failing_since), (None, None));
        assert_eq!(note.unwrap().action, "webhook.enabled");
        assert_eq!(enabled.changed(&change, 0, "anna", at(9)), None);
    }

    #[test]
    fn two_secrets_sign_at_most_and_the_audit_log_has_neither_them_nor_the_path() {
        let wrap = PollKeyWrap::new(&SecretKey::new([7; 32]).unwrap());
        let secret = |byte| wrap.wrap_secret("webhook:1", &[byte; 32]);
        let mut webhook = webhook().with_secret(secret(1));
        for byte in 2..4 {
            let change = WebhookChange::Secret(secret(byte), at(byte.into()));
            let (after, note) = webhook.changed(&change, 0, "anna", at(0)).unwrap();
            let reported = format!("{note:?}");
            assert!(
                !reported.contains("/secret") && !reported.contains("sealed"),
                "{reported}"
            );
            webhook = after;
        }
        let until: Vec<_> = webhook.secrets.iter().map(|secret| secret.until).collect();
        assert_eq!(until, [None, Some(at(3))]);
        assert_eq!(webhook.secrets[1].wrapped, secret(2));
    }

    #[test]
    fn a_delivery_is_given_up_or_delivered_and_can_be_sent_again() {
        let test = Delivery::test(&webhook(), at(1));
        let later = test.after(&attempt(1, Outcome::Failed(Some(at(7)))));
        assert_eq!((later.due, later.attempts), (Some(at(7)), 1));
        let given_up = later.after(&attempt(1, Outcome::Failed(None)));
        assert_eq!((given_up.due, given_up.delivered), (None, false));
        let again = given_up.again(at(9));
        assert_eq!(
            (again.due, again.attempts, again.id),
            (Some(at(9)), 0, test.id)
        );
        let delivered = again.after(&attempt(1, Outcome::Delivered));
        assert_eq!((delivered.due, delivered.delivered), (None, true));
        assert_eq!(delivered.last.unwrap().result, "503");
    }
}
