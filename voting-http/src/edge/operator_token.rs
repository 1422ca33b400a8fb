//! The operator's token in a request.
//!
//! The right token is always accepted. So nobody can lock the operator out, even from the same address, which may be
//! that of an unnamed proxy. A wrong token makes its sender wait; it is counted and logged. The token cannot be found
//! by trying, since the programs refuse a weak token (see docs/adr/0007).

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
