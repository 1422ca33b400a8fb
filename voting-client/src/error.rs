//! What can go wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one of HTTP or HTTPS, or has a query; or a token cannot be sent in a header.
    #[error("not a valid {what}")]
    Invalid {
        /// What is not valid.
        what: &'static str,
    },
    /// The certificates of the system cannot be read.
    #[error("the certificates of the system cannot be read")]
    Certificates(#[source] Source),
    /// The service answered with a problem.
    #[error("{}{}", .0.detail, asks(.0.retry_after))]
    Problem(Box<Problem>),
    /// The answer has this status, and is not one of the services. A proxy may have sent it.
    #[error("answered with status {0}")]
    Status(u16),
    /// The same, and the answer asks to wait. That is longer than [`Retry`](crate::Retry) allows, or it was asked too often.
    #[error("answered with status {status}{}", asks(Some(*.wait)))]
    Wait {
        /// The HTTP status.
        status: u16,
        /// How long the answer asks to wait before the next try.
        wait: Duration,
    },
    /// No whole answer came.
    #[error("no answer")]
    NoAnswer(#[source] Source),
    /// The answer says that the request succeeded, but is not one of the services.
    #[error("the answer cannot be read")]
    Unreadable(#[source] Source),
    /// The ballot may be stored, or not. Cast it again with the same voter: it counts once.
    #[error("it is not known whether the ballot is stored")]
    OutcomeUnknown(#[source] Box<Error>),
    /// The poll is closing, but was not final in time.
    #[error("the poll is not final yet")]
    NotFinal,
}

fn asks(wait: Option<Duration>) -> String {
    match wait {
        Some(wait) if !wait.is_zero() => format!(", and asks to wait {} s", wait.as_secs()),
        _ => String::new(),
    }
}

impl Error {
    /// The kind of the problem, without its prefix, such as `poll-closed`. New kinds may come.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(problem.kind()),
            _ => None,
        }
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The kind of problem, an URN. New kinds may come: go by the status of one that you do not know.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The kind of problem in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, as a sentence for people.
    pub detail: String,
    /// Of `result-hidden`: when the poll closes, if that is known and still to come: RFC 3339, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<String>,
    /// Of `result-hidden`: the voters whose ballot counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<u64>,
    /// Of `proof-needed`: the challenge of ALTCHA's proof of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Value>,
    /// How long the service asks to wait before the next try.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// The kind without its prefix, such as `poll-closed`.
    pub fn kind(&self) -> &str {
        let kind = self.problem_type.as_str();
        kind.strip_prefix("urn:voting:problem:").unwrap_or(kind)
    }
}
