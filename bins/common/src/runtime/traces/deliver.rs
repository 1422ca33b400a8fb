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
            // Spans go to the address of the settings, and not where its answer points.
            .max_redirects(0)
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

    fn log_change(&self, trouble: Option<&str>) {
        let was_failing = self.failing.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(error) if !was_failing => {
                tracing::warn!(
                    error,
                    "cannot deliver traces to the collector, dropping them until it accepts them again"
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
                self.log_change(trouble.as_deref());
                Ok(answer)
            }
            Err(error) => {
                self.log_change(Some(&in_one_line(&error)));
                Err(error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    #[test]
    fn spans_go_to_no_other_address_than_that_of_the_settings() {
        let [collector, elsewhere] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let there = elsewhere.local_addr().unwrap();
        let url = format!("http://{}/v1/traces", collector.local_addr().unwrap());
        let answering = thread::spawn(move || {
            let (mut client, _) = collector.accept().unwrap();
            let _ = client.read(&mut [0; 4_096]).unwrap();
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{there}/\r\ncontent-length: 0\r\n\r\n"
            );
            client.write_all(answer.as_bytes()).unwrap();
        });
        let request = Request::post(url).body(Bytes::from_static(b"spans"));
        let answer = Deliverer::new(Duration::from_secs(5)).deliver(request.unwrap());
        answering.join().unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        let asked = elsewhere.accept().map_err(|error| error.kind());
        assert!(matches!(asked, Err(ErrorKind::WouldBlock)), "{asked:?}");
        assert_eq!(answer.unwrap().status(), 302);
    }
}
