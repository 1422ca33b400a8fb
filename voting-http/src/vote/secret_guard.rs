//! Refuses ballots while the log accepts a secret that this service does not have. This service could not read the
//! cookies of the other vote services, so each voter would count once more.
//!
//! The log also says which secrets it has accepted before. The voters of their cookies are asked to start over.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::Mutex, time::timeout};
use voting_core::{StoreError, VoteSink, error::in_one_line, model::secrets::KnownSecrets};

use crate::{
    edge::visitor::{Unread, UnreadSecrets},
    problem::seldom::Seldom,
};

/// How old an answer may be before the log is asked again. No ballot waits for this.
const FRESH: Duration = Duration::from_secs(1);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why ballots are refused.
#[derive(Debug, Clone)]
pub(super) enum Shut {
    /// The log accepts a secret that this service does not have.
    Foreign,
    /// The log has never answered this question, and does not answer now. The text says why.
    Unknown(String),
}

/// Asks the log whether it accepts these secrets.
pub(super) struct SecretGuard {
    sink: Arc<dyn VoteSink>,
    ours: KnownSecrets,
    /// The secrets whose cookies this service cannot read, by the last answer of the log.
    unread: RwLock<Unread>,
    begun: Instant,
    /// Whether ballots are accepted.
    open: AtomicBool,
    /// When the log was last asked, in milliseconds since `begun`.
    asked: AtomicU64,
    /// The task that asks holds this lock. The value says when the log was last asked without success, and why
    /// ballots are refused.
    asking: Mutex<Option<(Instant, Shut)>>,
    /// 1 while the log accepts a secret that this service does not have, otherwise 0.
    pub(super) foreign: Gauge,
    warnings: Seldom,
}

impl SecretGuard {
    pub(super) fn new(sink: Arc<dyn VoteSink>, ours: KnownSecrets) -> Self {
        Self {
            sink,
            ours,
            unread: RwLock::new(Unread::NotKnown),
            begun: Instant::now(),
            open: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            asking: Mutex::default(),
            foreign: Gauge::default(),
            warnings: Seldom::default(),
        }
    }

    fn now(&self) -> u64 {
        let elapsed = self.begun.elapsed().as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }

    /// Whether a ballot may be cast. The answer of the log is about a second old.
    pub(super) async fn admit(self: &Arc<Self>) -> Result<(), Shut> {
        if self.open.load(Relaxed) {
            let age = self.now().saturating_sub(self.asked.load(Relaxed));
            if u128::from(age) >= FRESH.as_millis() {
                self.ask_beside();
            }
            return Ok(());
        }
        self.answer().await
    }

    /// What the log says, if it was not known whether ballots may be cast.
    async fn answer(&self) -> Result<(), Shut> {
        // One task asks for all that wait. So the log gets one question a second, even if many ballots wait.
        let mut asking = self.asking.lock().await;
        if self.open.load(Relaxed) {
            return Ok(());
        }
        if let Some((since, shut)) = &*asking
            && since.elapsed() < FRESH
        {
            return Err(shut.clone());
        }
        let shut = match self.check().await {
            Ok(()) => return Ok(()),
            Err(StoreError::ForeignSecret { .. }) => Shut::Foreign,
            Err(error) => Shut::Unknown(in_one_line(&error)),
        };
        *asking = Some((Instant::now(), shut.clone()));
        Err(shut)
    }

    /// Asks the log in a task of its own, unless another task asks already.
    fn ask_beside(self: &Arc<Self>) {
        let guard = Arc::clone(self);
        // The time is set first, so that the next ballots do not ask too.
        self.asked.store(self.now(), Relaxed);
        tokio::spawn(async move {
            // If the log does not answer, it accepts no ballots either.
            let _ = guard.check().await;
        });
    }

    fn note(&self, said: Unread) {
        let mut unread = self.unread.write().unwrap_or_else(PoisonError::into_inner);
        *unread = said;
    }

    /// Asks the log now.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let asked = timeout(ANSWER_TIMEOUT, self.sink.check_secrets(&self.ours)).await;
        let asked = asked.unwrap_or_else(|_| Err(StoreError::unavailable("no answer in time")));
        self.asked.store(self.now(), Relaxed);
        match &asked {
            Ok(dropped) => {
                self.note(Unread::Dropped(dropped.as_slice().into()));
                self.open.store(true, Relaxed);
                if self.foreign.set(0) == 1 {
                    tracing::info!("accepting ballots: this service has the secrets of the log");
                }
            }
            Err(error @ StoreError::ForeignSecret { .. }) => {
                self.note(Unread::Accepted);
                self.open.store(false, Relaxed);
                let is_new = self.foreign.set(1) == 0;
                if self.warnings.due().is_some() || is_new {
                    tracing::error!(
                        error = in_one_line(error),
                        "refusing ballots: the log accepts a secret that is not here; give all vote services the same ones"
                    );
                }
            }
            // The earlier answer stays valid.
            Err(_) => {}
        }
        asked.map(drop)
    }
}

#[async_trait]
impl UnreadSecrets for SecretGuard {
    fn known(&self) -> Unread {
        let unread = self.unread.read().unwrap_or_else(PoisonError::into_inner);
        unread.clone()
    }

    async fn ask(&self) {
        // The caller sees whether it is known afterwards.
        let _ = self.answer().await;
    }
}
