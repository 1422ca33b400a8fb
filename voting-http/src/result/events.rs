//! A poll's tally as an event stream. Each event is written once and shared by all streams.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use poem::{
    Body, IntoResponse, Response,
    http::{HeaderName, HeaderValue},
};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{live::Snapshot, tally_view::TallyView};

/// Between two signs of life on a stream where nothing changes, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// First the tally as it is, then each that differs; ends when the service stops.
pub(super) struct TallyEvents {
    tallies: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
    viewers: Gauge,
}

impl TallyEvents {
    pub(super) fn new(
        mut tallies: watch::Receiver<Arc<Snapshot>>,
        stop: CancellationToken,
        viewers: Gauge,
    ) -> Self {
        tallies.mark_changed();
        viewers.inc();
        Self {
            tallies,
            stop,
            viewers,
        }
    }

    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        let changed = timeout(KEEP_ALIVE, self.tallies.changed());
        match self.stop.run_until_cancelled(changed).await? {
            Ok(Ok(())) => Some(self.tallies.borrow_and_update().event.clone()),
            Ok(Err(_)) => None,
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
        }
    }
}

impl Drop for TallyEvents {
    fn drop(&mut self) {
        self.viewers.dec();
    }
}

impl IntoResponse for TallyEvents {
    fn into_response(self) -> Response {
        let pieces = stream::unfold(self, async |mut events| {
            let piece = events.next().await?;
            Some((Ok::<_, Infallible>(piece), events))
        });
        let mut response = Response::builder()
            .content_type(Self::CONTENT_TYPE)
            .body(Body::from_bytes_stream(pieces_io(pieces)));
        // nginx would gather events before it passes them on.
        response.headers_mut().insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        response
    }
}

/// The body's stream must be able to fail; this one cannot.
fn pieces_io(
    pieces: impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    use futures_util::StreamExt;
    pieces.map(|piece| piece.map_err(|never| match never {}))
}

impl Payload for TallyEvents {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn schema_ref() -> MetaSchemaRef {
        // Of one event: the document's version has no other way to describe a stream.
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("An event; `data` is a Tally as JSON."),
            properties: ["event", "id", "data"]
                .map(|name| (name, String::schema_ref()))
                .to_vec(),
            ..MetaSchema::new("object")
        }))
    }

    fn register(registry: &mut Registry) {
        TallyView::register(registry);
    }
}

impl ApiResponse for TallyEvents {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Events of type `tally`; `id` is the tally's version, the same for two events when only the state or a label changed",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Self::CONTENT_TYPE,
                    schema: Self::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }
}
