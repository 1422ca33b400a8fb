//! The operator's API: webhooks, and what was sent to them.

use std::time::Duration;

use poem::Request;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde::Deserialize;
use uuid::Uuid;
use voting_core::{
    model::moment::Moment,
    store::{
        events::EventKind,
        webhooks::{Condition, Delivery, DisabledBy, Webhook, WebhookChange},
    },
};

use super::{OperatorService, api::Operator, audit::only_parameters};
use crate::{
    edge::{callers::Right, strict_json::StrictJson},
    problem::{Problem, capitalized, kind::ProblemKind},
    server::document::Operation,
    webhooks::{Secret, Target, Webhooks},
};

/// The most deliveries in one answer.
pub(crate) const PAGE: usize = 100;

/// The longest note of a webhook, in characters.
pub(crate) const MAX_NOTE: usize = 100;

/// The largest number of an event that is taken.
const LARGEST_NUMBER: u64 = 1_000_000_000_000_000;

/// The most types that may be named.
const MAX_TYPES: usize = 20;

/// How long the secret before the newest one signs too.
const BOTH_SIGN: Duration = Duration::from_secs(24 * 3_600);

pub(super) struct Api(pub(super) OperatorService);

const WEBHOOK: &str = r#"{"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e5f","url":"https://example.org/hooks/votes","note":"The chat","types":["poll.final"],"state":"well","created_at":"2026-11-27T17:00:00.25Z"}"#;

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listWebhooks",
        problems: &[ProblemKind::WebhooksOff, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"webhooks":[{"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e5f","url":"https://example.org/hooks/votes","note":"The chat","types":["poll.final"],"state":"well","created_at":"2026-11-27T17:00:00.25Z"}]}"#,
        )],
    },
    Operation {
        id: "addWebhook",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::TooManyWebhooks,
            ProblemKind::WebhooksOff,
            ProblemKind::StoreUnavailable,
        ],
        body: Some(
            r#"{"url":"https://example.org/hooks/votes","note":"The chat","types":["poll.final"]}"#,
        ),
        answers: &[(
            "201",
            r#"{"webhook":{"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e5f","url":"https://example.org/hooks/votes","note":"The chat","types":["poll.final"],"state":"well","created_at":"2026-11-27T17:00:00.25Z"},"secret":"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}"#,
        )],
    },
    Operation {
        id: "changeWebhook",
        problems: OF_ONE,
        body: Some(
            r#"{"url":"https://example.org/hooks/votes","note":"The chat","types":["poll.final"]}"#,
        ),
        answers: &[("200", WEBHOOK)],
    },
    Operation {
        id: "removeWebhook",
        problems: OF_ONE,
        body: None,
        answers: &[],
    },
    Operation {
        id: "enableWebhook",
        problems: OF_ONE,
        body: None,
        answers: &[("200", WEBHOOK)],
    },
    Operation {
        id: "disableWebhook",
        problems: OF_ONE,
        body: None,
        answers: &[(
            "200",
            r#"{"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e5f","url":"https://example.org/hooks/votes","note":"The chat","types":["poll.final"],"state":"disabled","disabled_by":"host","since":"2026-11-28T17:00:00.25Z","created_at":"2026-11-27T17:00:00.25Z"}"#,
        )],
    },
    Operation {
        id: "renewWebhookSecret",
        problems: OF_ONE,
        body: None,
        answers: &[(
            "200",
            r#"{"secret":"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=","both_sign_until":"2026-11-29T17:00:00.25Z"}"#,
        )],
    },
    Operation {
        id: "testWebhook",
        problems: OF_ONE,
        body: None,
        answers: &[(
            "202",
            r#"{"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e60","number":7,"type":"webhook.test","state":"waiting","created_at":"2026-11-27T17:00:00.25Z","attempts":0,"due":"2026-11-27T17:00:00.25Z"}"#,
        )],
    },
    Operation {
        id: "sendEventsAgain",
        problems: OF_ONE,
        body: Some(r#"{"after":7}"#),
        answers: &[],
    },
    Operation {
        id: "listDeliveries",
        problems: OF_ONE,
        body: None,
        answers: &[(
            "200",
            r#"{"deliveries":[{"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e60","number":7,"type":"poll.final","state":"waiting","created_at":"2026-11-27T17:00:00.25Z","attempts":1,"due":"2026-11-27T17:05:00.25Z","last_at":"2026-11-27T17:00:01.25Z","last_result":"503"}]}"#,
        )],
    },
    Operation {
        id: "sendAgain",
        problems: OF_ONE,
        body: None,
        answers: &[],
    },
];

const OF_ONE: &[ProblemKind] = &[
    ProblemKind::Invalid,
    ProblemKind::UnknownWebhook,
    ProblemKind::WebhooksOff,
    ProblemKind::StoreUnavailable,
];

/// The state of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "WebhookState", rename_all = "snake_case")]
enum StateView {
    /// Messages are sent, and the last one was delivered.
    Well,
    /// Messages are sent, and the last attempt has failed.
    Failing,
    /// Nothing is sent. What was not delivered is sent once the webhook is enabled.
    Disabled,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "WebhookDisabledBy", rename_all = "snake_case")]
enum DisabledByView {
    /// A host has disabled it.
    Host,
    /// The receiver has answered 410.
    Gone,
    /// Nothing was delivered for 5 days.
    Failures,
}

/// An address to which events are sent.
#[derive(Debug, Object)]
#[oai(rename = "Webhook", skip_serializing_if_is_none)]
struct WebhookView {
    /// A UUID.
    id: String,
    /// Where messages are sent to.
    url: String,
    /// What it is for.
    note: String,
    /// The types of the events that are sent. If the list is empty, all are.
    types: Vec<String>,
    /// How it is.
    state: StateView,
    /// Why nothing is sent, if the state is `disabled`.
    disabled_by: Option<DisabledByView>,
    /// Since when it is disabled, or fails: RFC 3339, in UTC.
    since: Option<String>,
    /// When it was made: RFC 3339, in UTC.
    created_at: String,
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> Self {
        let (state, since) = match webhook.condition() {
            Condition::Disabled(disabled) => (StateView::Disabled, Some(disabled.at)),
            Condition::Failing(since) => (StateView::Failing, Some(since)),
            Condition::Well => (StateView::Well, None),
        };
        let disabled_by = webhook.disabled.map(|disabled| match disabled.by {
            DisabledBy::Gone => DisabledByView::Gone,
            DisabledBy::Failures => DisabledByView::Failures,
            _ => DisabledByView::Host,
        });
        Self {
            id: webhook.id.to_string(),
            url: webhook.url.clone(),
            note: webhook.note.clone(),
            types: webhook.types.clone(),
            state,
            disabled_by,
            since: since.map(|since| since.to_string()),
            created_at: webhook.created_at.to_string(),
        }
    }
}

/// The webhooks.
#[derive(Debug, Object)]
#[oai(rename = "Webhooks")]
struct WebhooksView {
    /// In the order in which they were made.
    webhooks: Vec<WebhookView>,
}

/// A webhook to be made, or the new values of one.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewWebhook", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// Where messages are sent to: `https://…`, of a host with a public address.
    #[oai(validator(max_length = 2048))]
    url: String,
    /// What it is for, at most 100 characters.
    #[oai(default, validator(max_length = 100))]
    #[serde(default)]
    note: String,
    /// The types of the events that are sent, such as `poll.final`. If it is empty or left out, all are.
    #[oai(default, validator(max_items = 20))]
    #[serde(default)]
    types: Vec<String>,
}

/// A webhook that was made.
#[derive(Debug, Object)]
#[oai(rename = "AddedWebhook")]
struct AddedWebhookView {
    /// The webhook.
    webhook: WebhookView,
    /// The secret that signs its messages. It is shown only here.
    secret: String,
}

/// A new secret.
#[derive(Debug, Object)]
#[oai(rename = "WebhookSecret")]
struct SecretView {
    /// The secret that signs messages from now on. It is shown only here.
    secret: String,
    /// Until when the secret before it signs too: RFC 3339, in UTC.
    both_sign_until: String,
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "DeliveryState", rename_all = "snake_case")]
enum DeliveryStateView {
    /// It is sent, perhaps again.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// It is not sent again by itself.
    GivenUp,
}

/// A message to a webhook.
#[derive(Debug, Object)]
#[oai(rename = "Delivery", skip_serializing_if_is_none)]
struct DeliveryView {
    /// The id of the message and of its event, in each attempt the same.
    id: String,
    /// The number of the event.
    number: u64,
    /// The type of the event, or `webhook.test`.
    #[oai(rename = "type")]
    kind: String,
    /// How it is.
    state: DeliveryStateView,
    /// When it was made: RFC 3339, in UTC.
    created_at: String,
    /// How often it was sent.
    attempts: u32,
    /// When the next attempt is: RFC 3339, in UTC.
    due: Option<String>,
    /// When it was last sent: RFC 3339, in UTC.
    last_at: Option<String>,
    /// The outcome of the last attempt: the status of the answer, or why there is none.
    last_result: Option<String>,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            number: delivery.number,
            kind: delivery.kind.clone(),
            state: match (delivery.due, delivery.delivered) {
                (Some(_), _) => DeliveryStateView::Waiting,
                (None, true) => DeliveryStateView::Delivered,
                (None, false) => DeliveryStateView::GivenUp,
            },
            created_at: delivery.created_at.to_string(),
            attempts: delivery.attempts,
            due: delivery.due.map(|due| due.to_string()),
            last_at: delivery.last.as_ref().map(|last| last.at.to_string()),
            last_result: delivery.last.as_ref().map(|last| last.result.clone()),
        }
    }
}

/// A part of the deliveries of a webhook.
#[derive(Debug, Object)]
#[oai(rename = "Deliveries")]
struct DeliveriesView {
    /// Those of the newest events first.
    deliveries: Vec<DeliveryView>,
}

/// The events to send again.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct SendAgainAfter {
    /// The events after this number are sent again, as far as they are kept.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000000000")))]
    after: u64,
}

#[derive(ApiResponse)]
enum AddAnswer {
    /// The webhook is made. Events that come from now on are sent to it.
    #[oai(status = 201)]
    Added(Json<AddedWebhookView>),
}

#[derive(ApiResponse)]
enum TestAnswer {
    /// The message will be sent. Its delivery shows the outcome.
    #[oai(status = 202)]
    Accepted(Json<DeliveryView>),
}

#[derive(ApiResponse)]
enum DoneAnswer {
    /// The change is stored.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum WaitsAnswer {
    /// The message will be sent.
    #[oai(status = 202)]
    Accepted,
}

/// Where messages of a webhook go to, what it is for, and which events are sent.
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) note: String,
    pub(crate) types: Vec<String>,
}

impl Wanted {
    /// Checks it against the rules. The URL is as it is requested.
    fn checked(self, webhooks: &Webhooks) -> Result<Self, Problem> {
        let refused = |why: &str| Problem::invalid(format!("{}.", capitalized(why)));
        let target = Target::parse(self.url.trim(), webhooks.allowed());
        let target = target.map_err(|error| refused(&error.to_string()))?;
        let note = self.note.trim();
        if note.chars().count() > MAX_NOTE || note.chars().any(char::is_control) {
            return Err(refused(&format!(
                "the note is one line of at most {MAX_NOTE} characters"
            )));
        }
        let mut types = self.types;
        if types.len() > MAX_TYPES {
            return Err(refused(&format!("at most {MAX_TYPES} types are named")));
        }
        for name in &types {
            if name.parse::<EventKind>().is_err() {
                let all = EventKind::ALL.map(EventKind::as_str).join(", ");
                return Err(refused(&format!("the types are {all}")));
            }
        }
        types.sort_unstable();
        types.dedup();
        Ok(Self {
            url: target.as_str().to_owned(),
            note: note.to_owned(),
            types,
        })
    }
}

impl From<NewWebhook> for Wanted {
    fn from(NewWebhook { url, note, types }: NewWebhook) -> Self {
        Self { url, note, types }
    }
}

/// The id in an address.
fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::no_webhook())
}

impl OperatorService {
    pub(crate) fn webhooks(&self) -> Result<&Webhooks, Problem> {
        self.0.webhooks.as_ref().ok_or_else(Problem::webhooks_off)
    }

    /// Makes a webhook. Also returns its secret, which cannot be shown again.
    ///
    /// # Errors
    /// Something of it is not valid, there are too many, or the store does not answer.
    pub(crate) async fn add_webhook(
        &self,
        wanted: Wanted,
        by: &str,
    ) -> Result<(Webhook, Secret), Problem> {
        let webhooks = self.webhooks()?;
        let Wanted { url, note, types } = wanted.checked(webhooks)?;
        let secret = Secret::generate();
        let webhook = Webhook::new(url, note, types);
        let wrapped = webhooks.wrap(webhook.id, &secret);
        let webhook = webhook.with_secret(wrapped.ok_or_else(Problem::internal)?);
        let added = webhooks.store().add_webhook(&webhook, by).await?;
        let added = added.ok_or_else(Problem::too_many_webhooks)?;
        tracing::info!(webhook = %added.id, by, "a webhook was made");
        Ok((added, secret))
    }

    async fn change_webhook(
        &self,
        id: Uuid,
        change: WebhookChange,
        by: &str,
    ) -> Result<Webhook, Problem> {
        let store = self.webhooks()?.store();
        let changed = store.change_webhook(id, &change, by).await?;
        changed.ok_or_else(Problem::no_webhook)
    }

    pub(crate) async fn edit_webhook(
        &self,
        webhook: &str,
        wanted: Wanted,
        by: &str,
    ) -> Result<Webhook, Problem> {
        let Wanted { url, note, types } = wanted.checked(self.webhooks()?)?;
        let change = WebhookChange::Edited { url, note, types };
        self.change_webhook(id(webhook)?, change, by).await
    }

    pub(crate) async fn enable_webhook(
        &self,
        webhook: &str,
        enabled: bool,
        by: &str,
    ) -> Result<Webhook, Problem> {
        let change = WebhookChange::Enabled(enabled);
        self.change_webhook(id(webhook)?, change, by).await
    }

    /// Gives a webhook another secret. Also returns until when the one before it signs too.
    pub(crate) async fn renew_webhook_secret(
        &self,
        webhook: &str,
        by: &str,
    ) -> Result<(Secret, Moment), Problem> {
        let (webhooks, id) = (self.webhooks()?, id(webhook)?);
        let (secret, until) = (Secret::generate(), webhooks.now().plus(BOTH_SIGN));
        let wrapped = webhooks.wrap(id, &secret).ok_or_else(Problem::internal)?;
        self.change_webhook(id, WebhookChange::Secret(wrapped, until), by)
            .await?;
        Ok((secret, until))
    }

    pub(crate) async fn send_events_again(
        &self,
        webhook: &str,
        after: u64,
        by: &str,
    ) -> Result<(), Problem> {
        let change = WebhookChange::SendsAgainAfter(after);
        self.change_webhook(id(webhook)?, change, by)
            .await
            .map(|_| ())
    }

    pub(crate) async fn remove_webhook(&self, webhook: &str, by: &str) -> Result<(), Problem> {
        let store = self.webhooks()?.store();
        match store.remove_webhook(id(webhook)?, by).await? {
            true => Ok(()),
            false => Err(Problem::no_webhook()),
        }
    }

    /// The webhooks, in the order in which they were made.
    pub(crate) async fn all_webhooks(&self) -> Result<Vec<Webhook>, Problem> {
        Ok(self.webhooks()?.store().webhooks().await?)
    }

    /// One webhook.
    pub(crate) async fn webhook(&self, webhook: &str) -> Result<Webhook, Problem> {
        let (id, all) = (id(webhook)?, self.all_webhooks().await?);
        let found = all.into_iter().find(|webhook| webhook.id == id);
        found.ok_or_else(Problem::no_webhook)
    }

    pub(crate) async fn test_webhook(&self, webhook: &str) -> Result<Delivery, Problem> {
        let webhook = self.webhook(webhook).await?;
        let webhooks = self.webhooks()?;
        let test = Delivery::test(&webhook, webhooks.now());
        match webhooks.store().put_delivery(&test).await? {
            true => Ok(test),
            false => Err(Problem::no_webhook()),
        }
    }

    /// Deliveries of a webhook, those of the newest events first.
    pub(crate) async fn deliveries(
        &self,
        webhook: &Webhook,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Problem> {
        let before = before.map(id).transpose()?;
        let store = self.webhooks()?.store();
        Ok(store.deliveries(webhook.id, before, limit).await?)
    }

    pub(crate) async fn send_again(&self, webhook: &str, delivery: &str) -> Result<(), Problem> {
        let webhooks = self.webhooks()?;
        let stored = webhooks.store().delivery(id(webhook)?, id(delivery)?);
        let stored = stored.await?.ok_or_else(Problem::no_webhook)?;
        let again = stored.again(webhooks.now());
        match webhooks.store().put_delivery(&again).await? {
            true => Ok(()),
            false => Err(Problem::no_webhook()),
        }
    }
}

#[OpenApi]
impl Api {
    /// List the webhooks.
    #[oai(path = "/v1/webhooks", method = "get", operation_id = "listWebhooks")]
    async fn list(&self, operator: Operator) -> Result<Json<WebhooksView>, Problem> {
        operator.may(Right::Webhooks)?;
        let webhooks = self.0.all_webhooks().await?;
        let webhooks = webhooks.iter().map(WebhookView::from).collect();
        Ok(Json(WebhooksView { webhooks }))
    }

    /// Make a webhook. Only this answer contains its secret.
    #[oai(path = "/v1/webhooks", method = "post", operation_id = "addWebhook")]
    async fn add(
        &self,
        operator: Operator,
        webhook: StrictJson<NewWebhook>,
    ) -> Result<AddAnswer, Problem> {
        let by = operator.may(Right::Webhooks)?;
        let (webhook, secret) = self.0.add_webhook(webhook.0.into(), by).await?;
        Ok(AddAnswer::Added(Json(AddedWebhookView {
            webhook: WebhookView::from(&webhook),
            secret: secret.expose(),
        })))
    }

    /// Change where the messages of a webhook go to, what it is for, and which events are sent.
    #[oai(
        path = "/v1/webhooks/:webhook",
        method = "put",
        operation_id = "changeWebhook"
    )]
    async fn edit(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
        wanted: StrictJson<NewWebhook>,
    ) -> Result<Json<WebhookView>, Problem> {
        let by = operator.may(Right::Webhooks)?;
        let changed = self.0.edit_webhook(&webhook, wanted.0.into(), by).await?;
        Ok(Json(WebhookView::from(&changed)))
    }

    /// Remove a webhook, with its deliveries.
    #[oai(
        path = "/v1/webhooks/:webhook",
        method = "delete",
        operation_id = "removeWebhook"
    )]
    async fn remove(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
    ) -> Result<DoneAnswer, Problem> {
        let by = operator.may(Right::Webhooks)?;
        self.0.remove_webhook(&webhook, by).await?;
        Ok(DoneAnswer::Done)
    }

    /// Enable a webhook. Messages that were not delivered are sent.
    #[oai(
        path = "/v1/webhooks/:webhook/enable",
        method = "post",
        operation_id = "enableWebhook"
    )]
    async fn enable(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
    ) -> Result<Json<WebhookView>, Problem> {
        let by = operator.may(Right::Webhooks)?;
        let changed = self.0.enable_webhook(&webhook, true, by).await?;
        Ok(Json(WebhookView::from(&changed)))
    }

    /// Disable a webhook: nothing is sent until it is enabled.
    #[oai(
        path = "/v1/webhooks/:webhook/disable",
        method = "post",
        operation_id = "disableWebhook"
    )]
    async fn disable(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
    ) -> Result<Json<WebhookView>, Problem> {
        let by = operator.may(Right::Webhooks)?;
        let changed = self.0.enable_webhook(&webhook, false, by).await?;
        Ok(Json(WebhookView::from(&changed)))
    }

    /// Give a webhook a new secret. Only this answer contains it. The secret before it signs too for 24 hours.
    #[oai(
        path = "/v1/webhooks/:webhook/secret",
        method = "post",
        operation_id = "renewWebhookSecret"
    )]
    async fn renew(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
    ) -> Result<Json<SecretView>, Problem> {
        let by = operator.may(Right::Webhooks)?;
        let (secret, until) = self.0.renew_webhook_secret(&webhook, by).await?;
        Ok(Json(SecretView {
            secret: secret.expose(),
            both_sign_until: until.to_string(),
        }))
    }

    /// Send a message of type `webhook.test`.
    #[oai(
        path = "/v1/webhooks/:webhook/test",
        method = "post",
        operation_id = "testWebhook"
    )]
    async fn test(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
    ) -> Result<TestAnswer, Problem> {
        operator.may(Right::Webhooks)?;
        let test = self.0.test_webhook(&webhook).await?;
        Ok(TestAnswer::Accepted(Json(DeliveryView::from(&test))))
    }

    /// Send all events after a number again.
    #[oai(
        path = "/v1/webhooks/:webhook/send-again",
        method = "post",
        operation_id = "sendEventsAgain"
    )]
    async fn send_events_again(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
        again: StrictJson<SendAgainAfter>,
    ) -> Result<WaitsAnswer, Problem> {
        let by = operator.may(Right::Webhooks)?;
        if again.0.after > LARGEST_NUMBER {
            return Err(Problem::invalid("No event has this number."));
        }
        self.0
            .send_events_again(&webhook, again.0.after, by)
            .await?;
        Ok(WaitsAnswer::Accepted)
    }

    /// List the deliveries of a webhook, sent and waiting, the newest first.
    #[oai(
        path = "/v1/webhooks/:webhook/deliveries",
        method = "get",
        operation_id = "listDeliveries"
    )]
    async fn deliveries(
        &self,
        request: &Request,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
        /// The id of a delivery: only those after it in the list.
        before: Query<Option<String>>,
        /// The most deliveries in the answer, 1 to 100.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<usize>>,
    ) -> Result<Json<DeliveriesView>, Problem> {
        operator.may(Right::Webhooks)?;
        only_parameters(request, &["before", "limit"])?;
        let limit = limit.0.unwrap_or(PAGE).clamp(1, PAGE);
        let webhook = self.0.webhook(&webhook).await?;
        let deliveries = self.0.deliveries(&webhook, before.as_deref(), limit);
        let deliveries = deliveries.await?.iter().map(DeliveryView::from).collect();
        Ok(Json(DeliveriesView { deliveries }))
    }

    /// Send a message again, from the first attempt on.
    #[oai(
        path = "/v1/webhooks/:webhook/deliveries/:delivery/send-again",
        method = "post",
        operation_id = "sendAgain"
    )]
    async fn send_again(
        &self,
        operator: Operator,
        /// The id of the webhook.
        webhook: Path<String>,
        /// The id of the delivery.
        delivery: Path<String>,
    ) -> Result<WaitsAnswer, Problem> {
        operator.may(Right::Webhooks)?;
        self.0.send_again(&webhook, &delivery).await?;
        Ok(WaitsAnswer::Accepted)
    }
}
