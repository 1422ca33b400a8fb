//! Answers that are streams of server-sent events.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use poem::{
    Body, Response,
    http::{HeaderName, HeaderValue},
};

/// The media type of such a stream.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// The answer with these pieces, each of which is sent as it comes.
pub(crate) fn answer(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    // The type of the body requires a stream that can fail; this stream cannot fail.
    let pieces = pieces.map(Ok::<_, io::Error>);
    let mut response = Response::builder()
        .content_type(EVENT_STREAM)
        .body(Body::from_bytes_stream(pieces));
    // Without this header, nginx would collect events before it passes them on.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}
