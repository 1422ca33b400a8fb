//! A poll's tally as an event stream. Each event is written once and shared by all streams.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

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

use crate::{gate::StreamPlace, live::Snapshot, tally_view::TallyView};

/// Between two signs of life on a stream where nothing changes, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client whose stream has ended is to come back, in milliseconds.
const RETRY: &[u8] = b"retry: 2000\n";

/// First the tally as it is, then each that differs; ends when the service stops, and when it has had its
/// time.
pub(super) struct TallyEvents {
    tallies: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
    viewers: Gauge,
    place: StreamPlace,
    begun: bool,
}

impl TallyEvents {
    pub(super) fn new(
        mut tallies: watch::Receiver<Arc<Snapshot>>,
        stop: CancellationToken,
        viewers: Gauge,
        place: StreamPlace,
    ) -> Self {
        tallies.mark_changed();
        viewers.inc();
        Self {
            tallies,
            stop,
            viewers,
            place,
            begun: false,
        }
    }

    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            // Goes before the first event, as a part of it.
            return Some(Bytes::from_static(RETRY));
        }
        let left = self.place.ends_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Whoever goes on watching comes back, and others find a place meanwhile.
            return None;
        }
        let changed = timeout(KEEP_ALIVE.min(left), self.tallies.changed());
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
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            items: Some(Box::new(TallyView::schema_ref())),
            ..MetaSchema::new_with_format("array", "event-stream")
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
