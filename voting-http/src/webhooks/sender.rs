//! Sends what is due, again and again.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;
use voting_core::{
    StoreError,
    error::in_one_line,
    model::{
        moment::Moment,
        poll_key::{PollKeyWrap, WrappedPollKey},
    },
    pipeline::retention::remove_in_portions,
    store::{
        WebhookStore,
        webhooks::{Attempt, Condition, Delivery, Outcome, Turn, Webhook, WebhookChange},
    },
};

use super::{Allowed, Answer, Secret, Target, WebhookClient, client::WebhookRequest, sign, wait};
use crate::views::time_zones::timestamp;

/// How long a sender has a webhook without a sign of life. An attempt takes less.
const TURN: Duration = Duration::from_secs(60);

/// How many messages are sent in one turn.
const DELIVERIES_A_TURN: usize = 20;

/// How many webhooks one process sends to at a time.
const AT_ONCE: usize = 8;

/// The time between two looks while nothing is due.
const EVERY: Duration = Duration::from_secs(1);

/// After each attempt that fails, a receiver is left alone for this long more, up to `LONGEST_REST`.
const REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How often the numbers for the metrics are asked for, and old deliveries removed.
const TIDY: Duration = Duration::from_secs(15);

/// The longest text about an attempt that is kept, in characters.
const MAX_RESULT: usize = 200;

/// Webhooks: where they are kept, and how they are sent. Clones share it.
///
/// Give it to [`OperatorService::builder`](crate::OperatorService::builder) by its method `webhooks`, so that hosts can make webhooks, and run
/// [`keep_sending`](Self::keep_sending) beside. Any number of processes may do so: each message is sent by one of them at a time.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    store: Arc<dyn WebhookStore>,
    keys: PollKeyWrap,
    allowed: Allowed,
    client: Arc<dyn WebhookClient>,
    now: Box<dyn Fn() -> Moment + Send + Sync>,
    delivered: AtomicU64,
    failed: AtomicU64,
    latest: Mutex<Option<Numbers>>,
}

/// How many webhooks and deliveries there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Webhooks to which messages are delivered.
    pub(crate) well: u64,
    /// Webhooks whose last attempt has failed.
    pub(crate) failing: u64,
    /// Webhooks to which nothing is sent.
    pub(crate) disabled: u64,
    /// Messages that wait.
    pub(crate) waiting: u64,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("allowed", &self.0.allowed)
            .finish_non_exhaustive()
    }
}

/// What the secret of a webhook is wrapped for.
fn wrapped_for(webhook: Uuid) -> String {
    format!("webhook:{webhook}")
}

impl Webhooks {
    /// Webhooks in this store. Their secrets are wrapped under `keys`, and `client` sends.
    pub fn new(
        store: Arc<dyn WebhookStore>,
        keys: PollKeyWrap,
        allowed: Allowed,
        client: Arc<dyn WebhookClient>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            keys,
            allowed,
            client,
            now: Box::new(Moment::now),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            latest: Mutex::default(),
        }))
    }

    /// The same with another clock, for tests of what takes days. Call it before it is cloned.
    ///
    /// # Panics
    /// If it was cloned.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        let mut inner = Arc::into_inner(self.0).expect("it was not cloned");
        inner.now = Box::new(now);
        Self(Arc::new(inner))
    }

    pub(crate) fn store(&self) -> &dyn WebhookStore {
        self.0.store.as_ref()
    }

    pub(crate) fn allowed(&self) -> &Allowed {
        &self.0.allowed
    }

    pub(crate) fn now(&self) -> Moment {
        (self.0.now)()
    }

    /// How many messages this process has delivered, and how many attempts have failed.
    pub(crate) fn attempts(&self) -> [(&'static str, u64); 2] {
        [
            ("delivered", self.0.delivered.load(Ordering::Relaxed)),
            ("failed", self.0.failed.load(Ordering::Relaxed)),
        ]
    }

    /// The numbers, as they were last asked for.
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wrap(&self, webhook: Uuid, secret: &Secret) -> Option<WrappedPollKey> {
        let bytes = secret.bytes().try_into().ok()?;
        Some(self.0.keys.wrap_secret(&wrapped_for(webhook), &bytes))
    }

    /// The secrets that sign now, the newest first; `None` if one of them cannot be read.
    fn secrets(&self, webhook: &Webhook, now: Moment) -> Option<Vec<Secret>> {
        let name = wrapped_for(webhook.id);
        let sign = webhook.secrets.iter();
        let sign = sign.filter(|secret| secret.until.is_none_or(|until| now < until));
        let secrets = sign.map(|secret| self.0.keys.unwrap_secret(&name, &secret.wrapped));
        secrets
            .map(|bytes| bytes.map(|bytes| Secret::of_bytes(bytes.to_vec())))
            .collect()
    }

    /// Wraps the secrets under the current key of the deployment, if they are wrapped under another one.
    async fn rewrap(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let keys = &self.0.keys;
        let mut wrapped = webhook.secrets.iter().map(|secret| &secret.wrapped);
        if wrapped.clone().all(|wrapped| keys.is_current(wrapped)) {
            return Ok(());
        }
        let name = wrapped_for(webhook.id);
        let again = wrapped.try_fold(Vec::new(), |mut all, wrapped| {
            let secret = keys.unwrap_secret(&name, wrapped)?;
            all.push(keys.wrap_secret(&name, &secret));
            Some(all)
        });
        if let Some(again) = again {
            let change = WebhookChange::Rewrapped(again);
            self.store()
                .change_webhook(webhook.id, &change, "worker")
                .await?;
        }
        Ok(())
    }

    /// Takes one turn: sends what is due for one webhook. Returns whether anything was due. A receiver that does not take a message
    /// is left alone for some seconds, so the rest of what is due waits for its next turn.
    ///
    /// # Errors
    /// The store does not answer. A message may have been delivered that the store does not know of; it is sent again then.
    pub async fn send_once(&self) -> Result<bool, StoreError> {
        match self.next_turn().await? {
            Some(turn) => self.send(turn).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn next_turn(&self) -> Result<Option<Turn>, StoreError> {
        let now = self.now();
        let turn = self
            .store()
            .take_turn(now, now.plus(TURN), DELIVERIES_A_TURN);
        turn.await
    }

    async fn send(&self, turn: Turn) -> Result<(), StoreError> {
        let webhook = &turn.webhook;
        self.rewrap(webhook).await?;
        for delivery in &turn.deliveries {
            let (attempt, asked) = self.attempt(webhook, delivery).await;
            let until = attempt.at.plus(TURN);
            let goes_on = self.store().attempted(&turn, delivery.id, &attempt, until);
            let goes_on = goes_on.await?;
            let counter = match attempt.outcome {
                Outcome::Delivered => &self.0.delivered,
                _ => &self.0.failed,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            if attempt.outcome == Outcome::Gone {
                tracing::warn!(webhook = %webhook.id, "a webhook is disabled: its receiver has answered 410");
            }
            if !goes_on {
                return Ok(());
            }
            if attempt.outcome != Outcome::Delivered {
                let failures = webhook.failures.saturating_add(1);
                let rest = REST.saturating_mul(failures).min(LONGEST_REST);
                let rest = rest.max(asked.unwrap_or_default());
                let rests_until = attempt.at.plus(rest.min(super::MAX_WAIT));
                return self.store().end_turn(&turn, rests_until).await;
            }
        }
        self.store().end_turn(&turn, self.now()).await
    }

    /// Sends a message once. Also returns how long the receiver asks to be left alone.
    async fn attempt(&self, webhook: &Webhook, delivery: &Delivery) -> (Attempt, Option<Duration>) {
        let answer = self.request(webhook, delivery).await;
        let now = self.now();
        let (result, meaning) = match answer {
            Ok(answer) => {
                let at = timestamp(now);
                let meaning = Answer::of(answer.status, answer.retry_after.as_deref(), at);
                (answer.status.to_string(), meaning)
            }
            Err(why) => (why, Answer::Failed { asked: None }),
        };
        let mut asked_for = None;
        let outcome = match meaning {
            Answer::Delivered => Outcome::Delivered,
            Answer::Gone => Outcome::Gone,
            Answer::Failed { asked } => {
                asked_for = asked;
                let failed = delivery.attempts as usize + 1;
                let again = wait(failed, asked, chance());
                Outcome::Failed(again.map(|wait| now.plus(wait)))
            }
        };
        let attempt = Attempt {
            at: now,
            result: result.chars().take(MAX_RESULT).collect(),
            outcome,
        };
        (attempt, asked_for)
    }

    async fn request(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
    ) -> Result<super::WebhookAnswer, String> {
        let target = Target::parse(&webhook.url, &self.0.allowed)
            .map_err(|error| format!("the address may not be used: {error}"))?;
        let now = self.now();
        let secrets = self.secrets(webhook, now).ok_or(
            "the secret cannot be read with the keys of this deployment; make a new secret",
        )?;
        let (id, seconds) = (delivery.id.to_string(), now.unix_ms() / 1_000);
        let signature = sign(&id, seconds, delivery.body.as_bytes(), &secrets);
        let request = WebhookRequest {
            target,
            allowed: self.0.allowed.clone(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                (
                    "user-agent",
                    concat!("voting/", env!("CARGO_PKG_VERSION")).to_owned(),
                ),
                ("webhook-id", id),
                ("webhook-timestamp", seconds.to_string()),
                ("webhook-signature", signature),
            ],
            body: delivery.body.clone(),
        };
        self.0.client.send(&request).await
    }

    /// Asks for the numbers, and removes deliveries that were kept long enough.
    async fn tidy(&self, kept: Duration) -> Result<(), StoreError> {
        let mut numbers = Numbers::default();
        for webhook in self.store().webhooks().await? {
            let of = match webhook.condition() {
                Condition::Disabled(_) => &mut numbers.disabled,
                Condition::Failing(_) => &mut numbers.failing,
                Condition::Well => &mut numbers.well,
            };
            *of += 1;
        }
        numbers.waiting = self.store().waiting_deliveries().await?;
        *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(numbers);
        let before = self.now().minus(kept);
        remove_in_portions(|limit| self.store().remove_deliveries(before, limit)).await
    }

    /// Sends what is due, for ever, and removes deliveries that were made longer ago than `kept`. Errors of the store are logged, once
    /// each, and tried again. Dropping the future stops it: a message that is under way is then sent again.
    pub async fn keep_sending(self, kept: Duration) -> Infallible {
        let mut trouble = None;
        let mut tidied: Option<Instant> = None;
        let mut sending = JoinSet::new();
        loop {
            let mut failed = None;
            if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                match self.tidy(kept).await {
                    Ok(()) => tidied = Some(Instant::now()),
                    Err(error) => failed = Some(error),
                }
            }
            let mut is_idle = true;
            while failed.is_none() && sending.len() < AT_ONCE {
                match self.next_turn().await {
                    Ok(Some(turn)) => {
                        is_idle = false;
                        let this = self.clone();
                        sending.spawn(async move { this.send(turn).await });
                    }
                    Ok(None) => break,
                    Err(error) => failed = Some(error),
                }
            }
            if !is_idle && failed.is_none() && !sending.is_empty() {
                // Something was due, so more may be as soon as one of the turns is over.
                if let Ok(Some(Ok(done))) = timeout(EVERY, sending.join_next()).await {
                    failed = done.err();
                }
            }
            while let Some(done) = sending.try_join_next() {
                failed = failed.or(done.ok().and_then(Result::err));
            }
            let failed = failed.map(|error| in_one_line(&error));
            if let Some(error) = failed
                .as_ref()
                .filter(|error| trouble.as_ref() != Some(*error))
            {
                tracing::warn!(error, "could not send webhooks; will retry");
            }
            if is_idle || failed.is_some() {
                sleep(EVERY).await;
            }
            trouble = failed;
        }
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let random = getrandom::u32().unwrap_or_default();
    f64::from(random) / f64::from(u32::MAX)
}
