//! What an endpoint's answer means.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

/// How long an endpoint that is overloaded is left alone if it does not say how long.
const OVERLOADED: Duration = Duration::from_secs(60);

/// What an endpoint's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The endpoint has the message.
    Delivered,
    /// The endpoint wants no messages any more: it is to be disabled.
    Gone,
    /// The endpoint does not have the message.
    Failed {
        /// The least time until the next attempt, if the endpoint asks for one.
        asked: Option<Duration>,
    },
}

impl Answer {
    /// Reads the status of an answer and its header `Retry-After`.
    ///
    /// Only a status from 200 to 299 is a success: a redirect is not followed.
    #[must_use]
    pub fn of(status: u16, retry_after: Option<&str>, now: Timestamp) -> Self {
        let asked = retry_after.and_then(|text| asked(text, now));
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            429 | 502 | 504 => Self::Failed {
                asked: asked.or(Some(OVERLOADED)),
            },
            _ => Self::Failed { asked },
        }
    }
}

/// How long a header `Retry-After` asks to wait: a number of seconds, or a date.
fn asked(text: &str, now: Timestamp) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Answer {
        Answer::of(
            status,
            retry_after,
            "2026-01-01T00:00:00Z".parse().expect("a time"),
        )
    }

    fn failed(seconds: u64) -> Answer {
        Answer::Failed {
            asked: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn only_2xx_is_a_success_and_410_disables() {
        for status in [200, 204, 299] {
            assert_eq!(of(status, Some("5")), Answer::Delivered);
        }
        for status in [
            100, 199, 300, 301, 302, 307, 308, 400, 404, 409, 411, 500, 503, 999,
        ] {
            assert_eq!(of(status, None), Answer::Failed { asked: None }, "{status}");
        }
        assert_eq!(of(410, Some("5")), Answer::Gone);
    }

    #[test]
    fn an_overloaded_endpoint_is_left_alone_for_as_long_as_it_asks() {
        for status in [429, 502, 504] {
            assert_eq!(of(status, None), failed(60), "{status}");
            assert_eq!(of(status, Some("120")), failed(120), "{status}");
        }
        assert_eq!(of(503, Some("Thu, 01 Jan 2026 00:10:00 GMT")), failed(600));
    }

    #[test]
    fn a_wait_that_is_over_or_cannot_be_read_is_none() {
        assert_eq!(of(503, Some("Wed, 31 Dec 2025 23:00:00 GMT")), failed(0));
        assert_eq!(of(503, Some("99999999999999999999999")), failed(u64::MAX));
        for text in [
            "",
            "-1",
            "+5",
            "1.5",
            "soon",
            "2026-01-01T00:10:00Z",
            "\u{661}",
        ] {
            assert_eq!(
                of(503, Some(text)),
                Answer::Failed { asked: None },
                "{text}"
            );
        }
    }
}
