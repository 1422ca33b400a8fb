//! Sends spans to the collector by HTTP, on the caller's thread. It logs once when the collector does not accept
//! them, and once when it accepts them again.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use voting_core::error::in_one_line;

/// The answer of a collector is shorter than this.
const MAX_ANSWER: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Deliverer {
    agent: Agent,
    failing: AtomicBool,
}

impl Deliverer {
    pub(super) fn new(timeout: Duration) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self {
            agent,
            failing: AtomicBool::new(false),
        }
    }

    fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }

    fn tell(&self, trouble: Option<&str>) {
        let was_failing = self.failing.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(error) if !was_failing => {
                tracing::warn!(
                    error,
                    "cannot deliver traces to the collector; dropping them until it takes them"
                );
            }
            None if was_failing => tracing::info!("traces are delivered again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Deliverer {
    /// Blocks the thread that calls it, which is a thread for this purpose.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.deliver(request) {
            Ok(answer) => {
                let refused = !answer.status().is_success();
                let trouble = refused.then(|| format!("the collector says {}", answer.status()));
                self.tell(trouble.as_deref());
                Ok(answer)
            }
            Err(error) => {
                self.tell(Some(&in_one_line(&error)));
                Err(error.into())
            }
        }
    }
}
