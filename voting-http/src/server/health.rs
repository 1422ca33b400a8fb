//! Whether a service is alive, and whether it is ready for requests.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use voting_core::{StoreError, error::in_one_line};

use crate::{
    problem::{Problem, WhyNotReady, kind::ProblemKind},
    server::document::Operation,
};

/// A store that takes longer to answer is not usable for requests.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

type Answer = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;
type Check = Arc<dyn Fn() -> Answer + Send + Sync>;

/// When the checks last ran, and their outcome.
type Last = Option<(Instant, Result<(), NotReady>)>;

/// The part that is not ready, and why.
#[derive(Debug, Clone)]
struct NotReady {
    /// The reason as every client is told it.
    reported: String,
    why: WhyNotReady,
}

impl From<NotReady> for Problem {
    fn from(NotReady { reported, why }: NotReady) -> Self {
        Self::not_ready(why.what, &reported).because(why)
    }
}

/// How long an outcome is valid, so that frequent requests do not load the stores.
const FRESH: Duration = Duration::from_secs(1);

/// The same for a failure. It is shorter, since a service that has just started is not ready yet, and whoever waits for
/// it should not wait for longer than it takes.
const FRESH_FAILURE: Duration = Duration::from_millis(20);

/// Answers the health checks of a service.
#[derive(Clone)]
pub(crate) struct Health {
    service: &'static str,
    stop: CancellationToken,
    checks: Vec<(&'static str, Check)>,
    last: Arc<Mutex<Last>>,
}

impl Health {
    /// The health of the service with this name.
    pub(crate) fn new(service: &'static str, stop: CancellationToken) -> Self {
        Self {
            service,
            stop,
            checks: Vec::new(),
            last: Arc::default(),
        }
    }

    /// Makes the service ready only while `check` succeeds.
    pub(crate) fn needs<F>(
        mut self,
        what: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        self.checks
            .push((what, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Whether the service is ready, or why not. The answer is up to a second old, or up to 20 ms if it is a failure.
    async fn readiness(&self) -> Result<(), Problem> {
        if self.stop.is_cancelled() {
            return Err(Problem::not_ready("service", "it is about to stop"));
        }
        // The lock is held during the checks, so that concurrent requests share one outcome.
        let mut last = self.last.lock().await;
        let fresh = last.as_ref().filter(|(at, outcome)| {
            let valid = if outcome.is_ok() {
                FRESH
            } else {
                FRESH_FAILURE
            };
            at.elapsed() < valid
        });
        let outcome = match fresh {
            Some((_, outcome)) => outcome.clone(),
            None => {
                let outcome = self.check().await;
                let before = last.replace((Instant::now(), outcome.clone()));
                let before = before.as_ref().map(|(_, outcome)| outcome);
                log_change(self.service, before, &outcome);
                outcome
            }
        };
        outcome.map_err(Problem::from)
    }

    /// Whether the service is ready, for a metric.
    pub(crate) async fn is_ready(&self) -> bool {
        self.readiness().await.is_ok()
    }

    async fn check(&self) -> Result<(), NotReady> {
        for (what, check) in &self.checks {
            let (reported, reason) = match timeout(CHECK_TIMEOUT, check()).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => {
                    // The error itself only says that the store is unavailable; its source says why.
                    let reason = std::error::Error::source(&error);
                    let reason = reason.map_or_else(|| error.to_string(), in_one_line);
                    (error.to_string(), reason)
                }
                Err(_) => {
                    let silent = "no answer in time".to_owned();
                    (silent.clone(), silent)
                }
            };
            let reason = reason.into();
            let why = WhyNotReady { what, reason };
            return Err(NotReady { reported, why });
        }
        Ok(())
    }
}

/// Logs a change. A state that continues is not logged again; `/readyz` shows it.
fn log_change(
    service: &'static str,
    before: Option<&Result<(), NotReady>>,
    now: &Result<(), NotReady>,
) {
    match (before, now) {
        (Some(Err(before)), Err(now)) if before.why == now.why => {}
        (_, Err(now)) => {
            let WhyNotReady { what, reason } = &now.why;
            tracing::warn!(service, what, %reason, "not ready");
        }
        (Some(Err(_)), Ok(())) => tracing::info!(service, "ready again"),
        (None, Ok(())) => tracing::info!(service, "ready"),
        (Some(Ok(())), Ok(())) => {}
    }
}

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "getHealth",
        problems: &[],
        body: None,
        answers: &[("200", r#"{"status":"ok"}"#)],
    },
    Operation {
        id: "getReadiness",
        problems: &[ProblemKind::NotReady],
        body: None,
        answers: &[("200", r#"{"status":"ok"}"#)],
    },
];

/// A service's health.
#[derive(Debug, Object)]
#[oai(rename = "Health")]
pub(crate) struct HealthView {
    /// `ok`.
    status: String,
}

#[derive(ApiResponse)]
enum HealthAnswer {
    /// The service is alive, or ready.
    #[oai(status = 200)]
    Ok(Json<HealthView>),
}

fn ok() -> HealthAnswer {
    HealthAnswer::Ok(Json(HealthView {
        status: "ok".to_owned(),
    }))
}

#[OpenApi]
impl Health {
    /// Whether the process is alive. If it does not answer, restart it.
    #[oai(path = "/healthz", method = "get", operation_id = "getHealth")]
    async fn healthz(&self) -> HealthAnswer {
        ok()
    }

    /// Whether the service is ready: its stores answer, and it is not about to stop. Otherwise send it no requests.
    #[oai(path = "/readyz", method = "get", operation_id = "getReadiness")]
    async fn readyz(&self) -> Result<HealthAnswer, Problem> {
        self.readiness().await?;
        Ok(ok())
    }
}
