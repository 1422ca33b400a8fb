//! The token in a request to the operator's API.
//!
//! The right token is always accepted. So nobody can lock the operator out, even from the same address, which may be
//! that of an unnamed proxy. A wrong token makes its sender wait; it is counted and logged. The token cannot be found
//! by trying, since the programs refuse a weak token (see docs/adr/0007), and named tokens have 256 random bits.

use poem::{Request, http::header};
use voting_core::StoreError;

use super::callers::Caller;
use crate::{problem::Problem, server::gate::Gate};

/// The token that a request carries.
///
/// # Errors
/// It carries none. One of another scheme is an empty one, which is wrong.
pub(crate) fn given(request: &Request) -> Result<String, Problem> {
    let none = || Problem::unauthorized("Send the operator's token as a bearer token.");
    let given = request.header(header::AUTHORIZATION).ok_or_else(none)?;
    let token = given
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(none)?;
    Ok(token.trim().to_owned())
}

/// Tells the routes who sends the request.
///
/// # Errors
/// Nobody has the token of the request, or whether somebody has it is not known.
pub(crate) fn admit(
    request: &mut Request,
    who: Result<Option<Caller>, StoreError>,
    gate: &Gate,
) -> Result<(), Problem> {
    match who? {
        Some(caller) => {
            request.set_data(caller);
            Ok(())
        }
        None => Err(gate.wrong_token(request)),
    }
}
