//! Refuses requests that repeat a header on which a decision depends. A proxy could read one of the two values, and
//! the service the other. `Host`, which is required, is checked in [`host`](crate::edge::host).

use poem::{Request, http::HeaderMap};

use crate::problem::Problem;

/// The headers, written as in messages. A header with a list, such as `Accept` or `Cookie`, may occur more than once.
const SINGLE: [&str; 11] = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "Origin",
    "Result-Grant",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Voter-Code",
    "Voter-Proof",
    "Voter-Tag",
];

pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    // Almost no request repeats a header. The map knows this without looking at the headers.
    if request.headers().len() == request.headers().keys_len() {
        return Ok(());
    }
    match SINGLE
        .iter()
        .find(|name| is_there_twice(request.headers(), name))
    {
        Some(name) => Err(Problem::bad_request(format!(
            "There are two headers {name}; send one."
        ))),
        None => Ok(()),
    }
}

fn is_there_twice(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).into_iter().nth(1).is_some()
}

/// The value of this header, if the header occurs once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?;
    (!is_there_twice(headers, name)).then(|| value.to_str().ok())?
}
