//! The meaning of an answer to a ballot.

use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{RETRY_AFTER, SET_COOKIE},
};
use serde::Deserialize;

/// The poll takes no more ballots.
const POLL_CLOSED: &str = "urn:voting:problem:poll-closed";

/// The only 503 problem that is not a refusal.
const OUTCOME_UNKNOWN: &str = "urn:voting:problem:outcome-unknown";

/// The outcome of a ballot, as far as its voter knows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The ballot is stored. It has a receipt, if the answer must have one.
    Acknowledged(Option<String>),
    /// The ballot may count.
    Unknown,
    /// The ballot is not stored: the voter should try again later, or the poll is closed.
    Refused,
    /// The service could not be reached.
    Unreachable,
    /// No working service gives this answer.
    Unexpected(String),
}

/// A cookie for the voter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
}

pub(crate) fn cookie_of(headers: &HeaderMap) -> Option<Cookie> {
    let set = headers.get(SET_COOKIE)?.to_str().ok()?;
    let (name, value) = set.split(';').next()?.split_once('=')?;
    Some(Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
    })
}

#[derive(Deserialize)]
struct Accepted {
    receipt: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
}

/// The outcome in an answer. `form` says whether the ballot was sent as a form.
pub(crate) fn outcome(
    status: StatusCode,
    headers: &HeaderMap,
    body: &Bytes,
    form: bool,
) -> Outcome {
    let unexpected = || {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        Outcome::Unexpected(format!("{status}: {text}"))
    };
    match status {
        StatusCode::OK if form => Outcome::Acknowledged(None),
        StatusCode::ACCEPTED if !form => match serde_json::from_slice::<Accepted>(body) {
            Ok(accepted) => Outcome::Acknowledged(Some(accepted.receipt)),
            Err(_) => unexpected(),
        },
        StatusCode::SERVICE_UNAVAILABLE => match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.kind == OUTCOME_UNKNOWN => Outcome::Unknown,
            Ok(_) if headers.contains_key(RETRY_AFTER) => Outcome::Refused,
            // Something between the load and the service has answered, so nothing is known about the ballot.
            _ => Outcome::Unknown,
        },
        StatusCode::CONFLICT => match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.kind == POLL_CLOSED => Outcome::Refused,
            _ => unexpected(),
        },
        status if status.is_server_error() => Outcome::Unknown,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Outcome::Refused,
        _ => unexpected(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry: bool, body: &'static str, form: bool) -> Outcome {
        let mut headers = HeaderMap::new();
        if retry {
            headers.insert(RETRY_AFTER, 2.into());
        }
        let status = StatusCode::from_u16(status).unwrap();
        outcome(status, &headers, &Bytes::from_static(body.as_bytes()), form)
    }

    #[test]
    fn only_a_clear_no_is_a_refusal_and_only_a_clear_yes_an_acknowledgement() {
        let stored = Outcome::Acknowledged(Some("r".to_owned()));
        assert_eq!(of(202, false, r#"{"receipt":"r"}"#, false), stored);
        assert_eq!(of(200, false, "page", true), Outcome::Acknowledged(None));
        let unknown = r#"{"type":"urn:voting:problem:outcome-unknown"}"#;
        assert_eq!(of(503, true, unknown, false), Outcome::Unknown);
        let refused = r#"{"type":"urn:voting:problem:overloaded"}"#;
        assert_eq!(of(503, true, refused, false), Outcome::Refused);
        for (status, body) in [(503, "proxy"), (500, ""), (502, ""), (504, "")] {
            assert_eq!(of(status, false, body, false), Outcome::Unknown);
        }
        for status in [200, 404, 422, 400, 301] {
            let answer = of(status, false, "", false);
            assert!(matches!(answer, Outcome::Unexpected(_)), "{answer:?}");
        }
    }
}
