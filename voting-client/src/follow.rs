//! Follows the count of a poll over a stream that is opened again.

use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderName, HeaderValue, Method};
use hyper::body::Incoming;
use sse_stream::{Sse, SseStream};
use tokio::time::{sleep, timeout};

use crate::{
    connection::Headers,
    error::{Error, Problem},
    service::Service,
    types::{PollState, Tally},
};

/// The service sends something every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// A stream is opened again after this time, however long the service asks to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The count of a poll, and whether it is current.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    /// The count.
    pub tally: Tally,
    /// Whether the count is current as far as is known. It is not while the service cannot read it, or is not reached.
    pub is_current: bool,
}

/// Follows the count of a poll.
pub struct Follow {
    service: Service,
    path: String,
    headers: Headers,
    stream: Option<SseStream<Incoming>>,
    last: Option<Update>,
    last_id: Option<String>,
    failures: u32,
    asked: Option<Duration>,
    ended: bool,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Follow");
        shown.field("path", &self.path).field("last", &self.last);
        shown.finish_non_exhaustive()
    }
}

impl Follow {
    pub(crate) fn new(service: Service, path: String, headers: Headers) -> Self {
        Self {
            service,
            path,
            headers,
            stream: None,
            last: None,
            last_id: None,
            failures: 0,
            asked: None,
            ended: false,
        }
    }

    /// The present count at first, then each that differs, or that is no longer current, or current again. `None` after
    /// the count of a final poll.
    ///
    /// A connection that is lost is opened again, for as long as it takes, and after 5 minutes at most, however long the service asks
    /// to wait. If the future is dropped, no update is lost.
    ///
    /// # Errors
    /// The poll is unknown, or its result is hidden, also if it is hidden later; or the address is not that of a result
    /// service. `None` follows.
    pub async fn next(&mut self) -> Option<Result<Update, Error>> {
        while !self.ended {
            if self.stream.is_none() {
                if self.failures > 0 {
                    let pause = self.service.retry.pause(self.failures);
                    // A stream that ends at once must not be asked for at once.
                    let pause = pause.max(Duration::from_millis(50));
                    sleep(pause.max(self.asked.unwrap_or_default())).await;
                }
                if let Err(error) = self.open().await {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
            let Some(stream) = &mut self.stream else {
                if let Some(update) = self.stale() {
                    return Some(Ok(update));
                }
                continue;
            };
            let Ok(Some(Ok(event))) = timeout(SILENCE, stream.next()).await else {
                self.lost(None);
                if let Some(update) = self.stale() {
                    return Some(Ok(update));
                }
                continue;
            };
            match self.taken(event) {
                Ok(Some(update)) => return Some(Ok(update)),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn open(&mut self) -> Result<(), Error> {
        let mut headers = self.headers.clone();
        let id = self.last_id.as_ref();
        if let Some(id) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.push((HeaderName::from_static("last-event-id"), id));
        }
        let connection = &self.service.connection;
        let opening = connection.open(&Method::GET, &self.path, &headers, None);
        match timeout(self.service.retry.timeout(), opening).await {
            Ok(Ok(answer)) => self.stream = Some(SseStream::new(answer.into_body())),
            Ok(Err(failure)) if !failure.passing => return Err(failure.error),
            Ok(Err(failure)) => self.lost(failure.asked),
            Err(_) => self.lost(None),
        }
        Ok(())
    }

    /// Also after the regular end of a stream.
    fn lost(&mut self, asked: Option<Duration>) {
        self.stream = None;
        self.failures = self.failures.saturating_add(1);
        self.asked = asked.map(|asked| asked.min(LONGEST_ASKED));
    }

    /// The last update as one that is not current, if it was told as current.
    fn stale(&mut self) -> Option<Update> {
        let last = self.last.as_mut()?;
        std::mem::take(&mut last.is_current).then(|| last.clone())
    }

    fn taken(&mut self, event: Sse) -> Result<Option<Update>, Error> {
        if event.event.is_some() {
            self.failures = 0;
        }
        if event.id.is_some() {
            self.last_id = event.id;
        }
        let data = event.data.unwrap_or_default();
        let unreadable = |error: serde_json::Error| Error::Unreadable(error.into());
        match event.event.as_deref() {
            Some("tally") => {
                let tally: Tally = serde_json::from_str(&data).map_err(unreadable)?;
                self.ended = matches!(tally.state, PollState::Final | PollState::Archived);
                let update = Update {
                    tally,
                    is_current: true,
                };
                if self.last.as_ref() == Some(&update) {
                    return Ok(None);
                }
                self.last = Some(update.clone());
                Ok(Some(update))
            }
            Some("stalled") => Ok(self.stale()),
            Some("hidden") => {
                let problem: Problem = serde_json::from_str(&data).map_err(unreadable)?;
                Err(Error::Problem(Box::new(problem)))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_asks_to_wait_for_long_is_asked_again_within_minutes() {
        let service = Service::new("http://localhost", Vec::new()).expect("an address");
        let mut follow = Follow::new(service, String::new(), Vec::new());
        follow.lost(Some(Duration::from_secs(u64::MAX)));
        assert_eq!(follow.asked, Some(LONGEST_ASKED));
        follow.lost(Some(Duration::from_secs(2)));
        assert_eq!(follow.asked, Some(Duration::from_secs(2)));
    }
}
