//! Requests to one service, which are sent again where that is safe.

use bytes::Bytes;
use http::{Method, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::{
    connection::{Connection, Headers},
    error::Error,
    retry::Retry,
};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What a second try would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Perhaps something else than the first.
    Never,
    /// The same as the first.
    Safe,
    /// The same, since the request names the voter. If it fails, it matters whether the ballot may be stored.
    Ballot,
}

#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a Headers,
    pub(crate) body: Option<Bytes>,
    pub(crate) repeat: Repeat,
}

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) connection: Connection,
    pub(crate) retry: Retry,
}

impl Service {
    pub(crate) fn new(address: &str, headers: Headers) -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::new(address, headers)?,
            retry: Retry::default(),
        })
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &Headers,
    ) -> Result<T, Error> {
        let call = Call {
            method: Method::GET,
            path,
            headers,
            body: None,
            repeat: Repeat::Safe,
        };
        self.json(call).await
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        let is_ballot = call.repeat == Repeat::Ballot;
        let answer = self.answer(call).await?;
        serde_json::from_slice(answer.body()).map_err(|error| {
            let error = Error::Unreadable(error.into());
            if is_ballot {
                Error::OutcomeUnknown(Box::new(error))
            } else {
                error
            }
        })
    }

    pub(crate) async fn answer(&self, call: Call<'_>) -> Result<Response<Bytes>, Error> {
        let (mut tried, mut unknown) = (0, false);
        loop {
            tried += 1;
            let limit = self.retry.timeout();
            let body = call.body.as_ref();
            let sent = self
                .connection
                .send(&call.method, call.path, call.headers, body, limit);
            let failure = match sent.await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            unknown |= call.repeat == Repeat::Ballot && failure.may_be_stored();
            let again = failure.passing && call.repeat != Repeat::Never;
            match again
                .then(|| self.retry.wait(tried, failure.asked))
                .flatten()
            {
                Some(wait) => sleep(wait).await,
                // A later refusal says nothing about an earlier try.
                None if unknown => return Err(Error::OutcomeUnknown(Box::new(failure.error))),
                None => return Err(failure.error),
            }
        }
    }
}

/// A path of a poll, such as `v1/polls/lunch/tally`.
pub(crate) fn of_poll(poll: &str, rest: &str) -> String {
    format!("v1/polls/{}{rest}", segment(poll))
}

/// A text as a part of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
