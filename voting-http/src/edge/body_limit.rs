//! Reads the body of a request before any other part does, with a limit on its size and on the time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, combinators::BoxBody};
use poem::{
    Request,
    http::{Method, header},
};
use tokio::time::timeout;

use crate::problem::Problem;

/// A vote for all of 63 options is far smaller, in any encoding.
pub(crate) const OF_VOTER: usize = 16 * 1024;

/// A form with 63 options that each have the longest label and the longest description, percent-encoded, has 1.3 MB.
pub(crate) const OF_HOST: usize = 2 * 1024 * 1024;

/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The service reads and discards up to this many bytes of a body that is too large. A client whose connection is
/// closed while it sends does not see the answer.
const MAX_DISCARDED: usize = 32 * 1024 * 1024;

pub(crate) async fn limit_body(request: &mut Request, limit: usize) -> Result<(), Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let body = timeout(BODY_TIMEOUT, read(request, limit))
            .await
            .map_err(|_| Problem::too_slow())??;
        request.set_body(body);
    }
    Ok(())
}

/// Reads a body and keeps nothing of it, so that the client sees the answer.
pub(crate) async fn discard<E>(body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin)) {
    let read = async {
        let mut received = 0usize;
        while received <= MAX_DISCARDED
            && let Some(Ok(chunk)) = body.next().await
        {
            received = received.saturating_add(chunk.len());
        }
    };
    // The answer is the same if the time is over.
    let _ = timeout(BODY_TIMEOUT, read).await;
}

/// Most bodies arrive in one piece, which is kept as it is.
async fn read(request: &mut Request, limit: usize) -> Result<Bytes, Problem> {
    let announced = request
        .header(header::CONTENT_LENGTH)
        .and_then(|length| length.parse().ok());
    let announced: usize = announced.unwrap_or(0);
    let mut chunks = BoxBody::from(request.take_body());
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    let mut received = 0usize;
    while let Some(frame) = chunks.frame().await {
        let frame = frame.map_err(|_| Problem::invalid("The request's body ended early."))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        let is_first = received == 0;
        received = received.saturating_add(chunk.len());
        if received > limit {
            if received.max(announced) > MAX_DISCARDED {
                break;
            }
        } else if is_first {
            first = chunk;
        } else {
            if all.is_empty() {
                all.reserve(announced.clamp(received, OF_VOTER.max(received)));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&chunk);
        }
    }
    if received > limit {
        return Err(Problem::too_large(limit));
    }
    Ok(if all.is_empty() { first } else { all.into() })
}
