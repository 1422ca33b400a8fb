//! Whether a service is alive, and whether it is ready for requests.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use voting_core::{StoreError, error::in_one_line};

use crate::{document::Operation, problem::Problem, problem_kind::ProblemKind};

/// A store that takes longer to answer is not fit for requests.
const PATIENCE: Duration = Duration::from_secs(2);

type Answer = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;
type Check = Arc<dyn Fn() -> Answer + Send + Sync>;

/// When it was last found out, and what.
type Last = Option<(Instant, Result<(), Problem>)>;

/// How long an answer holds: asking often must not load the stores.
const FRESH: Duration = Duration::from_secs(1);

/// Answers the health checks of a service.
#[derive(Clone)]
pub(crate) struct Health {
    stop: CancellationToken,
    checks: Vec<(&'static str, Check)>,
    last: Arc<Mutex<Last>>,
}

impl Health {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
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

    /// Whether the service is ready, or why not; up to a second old.
    async fn readiness(&self) -> Result<(), Problem> {
        if self.stop.is_cancelled() {
            return Err(Problem::not_ready("service", "it is about to stop"));
        }
        // Held meanwhile, so that those who ask together share one answer.
        let mut last = self.last.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        match fresh {
            Some((_, outcome)) => outcome.clone(),
            None => {
                let outcome = self.check().await;
                *last = Some((Instant::now(), outcome.clone()));
                outcome
            }
        }
    }

    /// The same, for a metric.
    pub(crate) async fn is_ready(&self) -> bool {
        self.readiness().await.is_ok()
    }

    async fn check(&self) -> Result<(), Problem> {
        for (what, check) in &self.checks {
            match timeout(PATIENCE, check()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = in_one_line(&error), what, "not ready");
                    return Err(Problem::not_ready(what, &error.to_string()));
                }
                Err(_) => {
                    tracing::warn!(what, "not ready: no answer in time");
                    return Err(Problem::not_ready(what, "no answer in time"));
                }
            }
        }
        Ok(())
    }
}

/// What the code does not tell the document.
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
    /// Alive: the process answers. Restart it otherwise.
    #[oai(path = "/healthz", method = "get", operation_id = "getHealth")]
    async fn healthz(&self) -> HealthAnswer {
        ok()
    }

    /// Ready: its stores answer and it is not about to stop. Send it no requests otherwise.
    #[oai(path = "/readyz", method = "get", operation_id = "getReadiness")]
    async fn readyz(&self) -> Result<HealthAnswer, Problem> {
        self.readiness().await?;
        Ok(ok())
    }
}
