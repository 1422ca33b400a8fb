//! The vote service.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::{
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
        let path = of_poll(poll, "/eligibility");
        self.0.get(&path, voter.headers()).await
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
        let call = Call {
            method: Method::PUT,
            path: &of_poll(poll, "/ballot"),
            headers: voter.headers(),
            body: Some(json!({ "choices": choices }).to_string().into()),
            repeat: Repeat::Ballot,
        };
        self.0.json(call).await
    }

    /// Takes the voter's ballot back.
    ///
    /// # Errors
    /// As of [`cast`](Self::cast).
    pub async fn withdraw(&self, poll: &str, voter: &mut Voter) -> Result<Withdrawn, Error> {
        let call = Call {
            method: Method::DELETE,
            path: &of_poll(poll, "/ballot"),
            headers: voter.headers(),
            body: None,
            repeat: Repeat::Ballot,
        };
        self.0.json(call).await
    }
}
