//! The vote service.

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    connection::Headers,
    error::Error,
    retry::Retry,
    service::{Call, Repeat, Service, of_poll},
    types::{Accepted, Eligibility, Poll, Withdrawn},
    voter::Voter,
};

/// The vote service. A copy uses the same connections.
#[derive(Debug, Clone)]
pub struct VoteClient(Service);

#[derive(Deserialize)]
struct Polls {
    polls: Vec<Poll>,
}

impl VoteClient {
    /// At an address such as `https://vote.example.org`.
    ///
    /// # Errors
    /// The address is not valid, or the certificates of the system cannot be read.
    pub fn new(address: &str) -> Result<Self, Error> {
        Ok(Self(Service::new(address, Vec::new())?))
    }

    /// Sends requests again as this says.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// The polls that are listed.
    ///
    /// # Errors
    /// The request failed.
    pub async fn polls(&self) -> Result<Vec<Poll>, Error> {
        let Polls { polls } = self.0.get("v1/polls", &Vec::new()).await?;
        Ok(polls)
    }

    /// A poll.
    ///
    /// # Errors
    /// The request failed.
    pub async fn poll(&self, poll: &str) -> Result<Poll, Error> {
        self.0.get(&of_poll(poll, ""), &Vec::new()).await
    }

    /// Whether the voter may vote in the poll now.
    ///
    /// # Errors
    /// The request failed.
    pub async fn eligibility(&self, poll: &str, voter: &Voter) -> Result<Eligibility, Error> {
        let read = (Method::GET, "/eligibility", None, Repeat::Safe);
        self.by(voter, poll, read).await
    }

    /// Casts a ballot for these options, by their ids. The ballot is stored once this returns `Ok`.
    ///
    /// It is sent again after a failure; a voter counts once. If the future is dropped, the ballot may be stored.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: the ballot may be stored. Any other: it is not stored.
    pub async fn cast(
        &self,
        poll: &str,
        voter: &mut Voter,
        choices: &[&str],
    ) -> Result<Accepted, Error> {
        let body = json!({ "choices": choices });
        let cast = (Method::PUT, "/ballot", Some(body), Repeat::Ballot);
        self.by(voter, poll, cast).await
    }

    /// Takes the voter's ballot back.
    ///
    /// # Errors
    /// As of [`cast`](Self::cast).
    pub async fn withdraw(&self, poll: &str, voter: &mut Voter) -> Result<Withdrawn, Error> {
        let withdrawal = (Method::DELETE, "/ballot", None, Repeat::Ballot);
        self.by(voter, poll, withdrawal).await
    }

    /// Asks for something in the name of a voter. A voter whose session has ended signs in again.
    async fn by<T: DeserializeOwned>(
        &self,
        voter: &Voter,
        poll: &str,
        (method, rest, body, repeat): (Method, &str, Option<Value>, Repeat),
    ) -> Result<T, Error> {
        let path = of_poll(poll, rest);
        let body = body.map(|body| Bytes::from(body.to_string()));
        let call = |headers| Call {
            method: method.clone(),
            path: &path,
            headers,
            body: body.clone(),
            repeat,
        };
        let headers = self.headers(voter, poll).await?;
        match self.0.json(call(&headers)).await {
            Err(Error::Problem(problem)) if problem.status == 401 && voter.token().is_some() => {
                voter.signed_out(poll);
                let headers = self.headers(voter, poll).await?;
                self.0.json(call(&headers)).await
            }
            answered => answered,
        }
    }

    /// The headers that name the voter in a poll.
    async fn headers(&self, voter: &Voter, poll: &str) -> Result<Headers, Error> {
        if let Some(headers) = voter.headers(poll) {
            return Ok(headers);
        }
        let token = voter.token().unwrap_or_default();
        let call = Call {
            method: Method::POST,
            path: "v1/session",
            headers: &token,
            body: Some(json!({ "poll": poll }).to_string().into()),
            // A session that nobody has does no harm.
            repeat: Repeat::Safe,
        };
        let answer = self.0.answer(call).await?;
        voter.signed_in(poll, answer.headers());
        let no_session = || Error::Unreadable("no cookie of a session".into());
        voter.headers(poll).ok_or_else(no_session)
    }
}
