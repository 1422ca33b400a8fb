//! The operator's token in a request.
//!
//! The right one is always taken. So nobody can lock the operator out, not even from the same address, as
//! behind a proxy that is not named. A wrong one costs its sender time, and is counted and told; it cannot
//! be found by trying, since programs refuse a token that is weak (see docs/adr/0007).

use poem::{Request, http::header};

use crate::{problem::Problem, server::gate::Gate, tokens::signed::OperatorKey};

pub(crate) fn check(request: &Request, key: &OperatorKey, gate: &Gate) -> Result<(), Problem> {
    let Some(given) = request.header(header::AUTHORIZATION) else {
        return Err(Problem::unauthorized(
            "Send the operator's token as a bearer token.",
        ));
    };
    let token = given
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match token {
        Some(token) if key.is(token) => Ok(()),
        Some(_) => Err(gate.wrong_token(request)),
        None => Err(Problem::unauthorized(
            "Send the operator's token as a bearer token.",
        )),
    }
}
