//! Headers by which something is decided are there once, if at all. Of two, a proxy could look at the one
//! and the service at the other. `Host`, which must be there, is seen to in [`host`](crate::host).

use poem::{Request, http::HeaderMap};

use crate::problem::Problem;

/// As they are written in messages. Those of a list, such as `Accept` or `Cookie`, may be there more than once.
const SINGLE: [&str; 6] = [
    "Authorization",
    "Content-Type",
    "Origin",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Voter-Tag",
];

pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    // Almost always no header is there twice, which the map knows without a look at any of them.
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

/// The header of this name, if it is there once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?;
    (!is_there_twice(headers, name)).then(|| value.to_str().ok())?
}
