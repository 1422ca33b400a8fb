//! The result service.

use http::{HeaderName, HeaderValue};

use crate::{
    connection::Headers,
    error::Error,
    follow::Follow,
    retry::Retry,
    service::{Service, of_poll, segment},
    types::{Receipt, Tally},
};

/// The result service. A copy uses the same connections.
#[derive(Debug, Clone)]
pub struct ResultClient(Service);

impl ResultClient {
    /// At an address such as `https://result.example.org`.
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

    /// The count of a poll. `grant` is that of a vote less than a minute ago, where the result is for voters only.
    ///
    /// # Errors
    /// The request failed.
    pub async fn tally(&self, poll: &str, grant: Option<&str>) -> Result<Tally, Error> {
        let path = of_poll(poll, "/tally");
        self.0.get(&path, &granted(grant)?).await
    }

    /// What became of a ballot.
    ///
    /// # Errors
    /// The request failed.
    pub async fn receipt(&self, receipt: &str) -> Result<Receipt, Error> {
        let path = format!("v1/receipts/{}", segment(receipt));
        self.0.get(&path, &Vec::new()).await
    }

    /// Follows the count of a poll. Nothing is sent before the first [`Follow::next`].
    ///
    /// # Errors
    /// The grant cannot be sent.
    pub fn follow(&self, poll: &str, grant: Option<&str>) -> Result<Follow, Error> {
        let path = of_poll(poll, "/tally/events");
        Ok(Follow::new(self.0.clone(), path, granted(grant)?))
    }
}

fn granted(grant: Option<&str>) -> Result<Headers, Error> {
    let Some(grant) = grant else {
        return Ok(Vec::new());
    };
    let value = HeaderValue::from_str(grant).map_err(|_| Error::Invalid { what: "grant" })?;
    Ok(vec![(HeaderName::from_static("result-grant"), value)])
}
