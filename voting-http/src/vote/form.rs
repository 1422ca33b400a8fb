//! Reads the body of a form.

use bytes::Bytes;
use poem::Request;

use crate::problem::Problem;

/// The fields of a form, not decoded yet.
pub(crate) async fn fields(request: &mut Request) -> Result<Bytes, Problem> {
    let kind = request.content_type().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::not_a_form());
    }
    let body = request.take_body().into_bytes().await;
    body.map_err(|_| Problem::invalid("The request's body ended early."))
}
