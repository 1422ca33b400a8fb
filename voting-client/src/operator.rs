//! The operator's service.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use tokio::time::{Instant, sleep};

use crate::{
    connection::Headers,
    error::Error,
    retry::Retry,
    service::{Call, Repeat, Service, of_poll},
    types::{NewPoll, Poll, PollState},
};

/// The operator's service, with a token. A copy uses the same connections.
#[derive(Debug, Clone)]
pub struct OperatorClient(Service);

impl OperatorClient {
    /// At an address, with the token of a host or an operator.
    ///
    /// # Errors
    /// The address or the token is not valid, or the certificates of the system cannot be read.
    pub fn new(address: &str, token: &str) -> Result<Self, Error> {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut bearer = bearer.map_err(|_| Error::Invalid { what: "token" })?;
        bearer.set_sensitive(true);
        let headers = vec![(header::AUTHORIZATION, bearer)];
        Ok(Self(Service::new(address, headers)?))
    }

    /// Sends requests again as this says.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// A poll, also a draft or an archived one.
    ///
    /// # Errors
    /// The request failed.
    pub async fn poll(&self, poll: &str) -> Result<Poll, Error> {
        self.0.get(&of_poll(poll, ""), &Vec::new()).await
    }

    /// Stores a new poll. It is sent once only.
    ///
    /// # Errors
    /// There is a poll with this id (412), or the request failed.
    pub async fn create_poll(&self, poll: &NewPoll) -> Result<Poll, Error> {
        let only_new = vec![(header::IF_NONE_MATCH, HeaderValue::from_static("*"))];
        self.put(poll, &only_new, Repeat::Never).await
    }

    /// Stores a poll, or changes it to be as given.
    ///
    /// # Errors
    /// The request failed.
    pub async fn put_poll(&self, poll: &NewPoll) -> Result<Poll, Error> {
        self.put(poll, &Vec::new(), Repeat::Safe).await
    }

    /// Changes a poll to be as given, if it still has this revision. It is sent once only.
    ///
    /// # Errors
    /// Somebody has changed the poll (412), or the request failed.
    pub async fn replace_poll(&self, poll: &NewPoll, revision: u64) -> Result<Poll, Error> {
        let revision = HeaderValue::from_str(&format!("\"{revision}\""));
        let revision = revision.map_err(|_| Error::Invalid { what: "revision" })?;
        let unchanged: (HeaderName, _) = (header::IF_MATCH, revision);
        self.put(poll, &vec![unchanged], Repeat::Never).await
    }

    async fn put(&self, poll: &NewPoll, headers: &Headers, repeat: Repeat) -> Result<Poll, Error> {
        let body = serde_json::to_vec(poll).map_err(|_| Error::Invalid { what: "poll" })?;
        let call = Call {
            method: Method::PUT,
            path: &of_poll(&poll.id, ""),
            headers,
            body: Some(Bytes::from(body)),
            repeat,
        };
        self.0.json(call).await
    }

    /// Closes a poll for good. It is `closing` until its last ballots are counted.
    ///
    /// # Errors
    /// The request failed.
    pub async fn close_poll(&self, poll: &str) -> Result<Poll, Error> {
        let call = Call {
            method: Method::POST,
            path: &of_poll(poll, "/close"),
            headers: &Vec::new(),
            body: None,
            repeat: Repeat::Safe,
        };
        self.0.json(call).await
    }

    /// Closes a poll, and waits until it is final.
    ///
    /// # Errors
    /// [`Error::NotFinal`] if it is not final within this time: call this again. Or a request failed.
    pub async fn close_and_wait(&self, poll: &str, limit: Duration) -> Result<Poll, Error> {
        let until = Instant::now() + limit;
        loop {
            let closed = self.close_poll(poll).await?;
            if matches!(closed.state, PollState::Final | PollState::Archived) {
                return Ok(closed);
            }
            if Instant::now() >= until {
                return Err(Error::NotFinal);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}
