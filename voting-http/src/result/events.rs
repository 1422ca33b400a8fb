//! A poll's tally as an event stream. Each event is written once and shared by all streams.
//!
//! There are three kinds of streams: the API's stream has tallies, or only their digests, and the page's stream has the texts that
//! the page shows. All say when the tally can no longer be read. All regularly send the event `alive`, which scripts can
//! see; scripts do not see the protocol's comments. So a client can tell apart "nothing changes", "the tally cannot
//! be read" and "the connection is dead".

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use voting_core::model::poll::Viewer;

use crate::{
    cache::live::{Figures, Known, Snapshot},
    server::{
        event_stream::{self, EVENT_STREAM},
        gate::StreamPlace,
    },
    texts::Texts,
    views::{pointer_view::PointerView, tally_view::TallyView},
};

/// The time between two `alive` events while nothing else is sent. `result.js` connects again after 40 s without any
/// event.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client whose stream has ended is to connect again, in milliseconds.
const RETRY: &[u8] = b"retry: 2000\n";

/// The event has data, since browsers ignore an event without data.
const ALIVE: Bytes = Bytes::from_static(b"event: alive\ndata: {}\n\n");

/// Which part of a snapshot a stream sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The tally, for programs.
    Tally,
    /// What names the tally, for programs that fetch it from a cache.
    Digest,
    /// The texts that the page shows.
    Texts(&'static Texts),
}

impl Content {
    fn of(self, figures: &Figures) -> &Bytes {
        match self {
            Self::Tally => &figures.tally_event,
            Self::Digest => &figures.digest_event,
            Self::Texts(t) => &figures.in_language(t).event,
        }
    }
}

/// Sends the current tally, and then each change. It ends when the service stops, and when its time is over.
pub(super) struct Events {
    content: Content,
    viewer: Viewer,
    tallies: watch::Receiver<Known>,
    sent: Option<Arc<Snapshot>>,
    stop: CancellationToken,
    viewers: Gauge,
    place: StreamPlace,
    begun: bool,
    /// The result was hidden meanwhile: nothing follows.
    ended: bool,
}

impl Events {
    pub(super) fn new(
        content: Content,
        viewer: Viewer,
        mut tallies: watch::Receiver<Known>,
        stop: CancellationToken,
        viewers: Gauge,
        place: StreamPlace,
    ) -> Self {
        tallies.mark_changed();
        viewers.inc();
        Self {
            content,
            viewer,
            tallies,
            sent: None,
            stop,
            viewers,
            place,
            begun: false,
            ended: false,
        }
    }

    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            // This comes before the first event, as a part of it.
            return Some(Bytes::from_static(RETRY));
        }
        let left = self.place.ends_at.saturating_duration_since(Instant::now());
        if left.is_zero() || self.ended {
            // A client that still watches connects again; meanwhile another client can take the place.
            return None;
        }
        let changed = timeout(KEEP_ALIVE.min(left), self.tallies.changed());
        match self.stop.run_until_cancelled(changed).await? {
            Ok(Ok(())) => Some(self.news()),
            Ok(Err(_)) => None,
            Err(_) => Some(ALIVE),
        }
    }

    /// The bytes for a change. If the snapshot is the same one, it is sent again, to say that it is current again.
    fn news(&mut self) -> Bytes {
        let known = self.tallies.borrow_and_update();
        let figures = match known.snapshot.figures(self.viewer) {
            Ok(figures) => figures,
            Err(hidden) => {
                self.ended = true;
                return hidden.as_event("hidden");
            }
        };
        let snapshot = self.content.of(figures);
        let seen = self.sent.as_ref();
        let seen = seen.is_some_and(|sent| Arc::ptr_eq(sent, &known.snapshot));
        let news = match &known.stalled {
            None => snapshot.clone(),
            Some(stalled) if seen => stalled.event.clone(),
            Some(stalled) => {
                let mut both = BytesMut::with_capacity(snapshot.len() + stalled.event.len());
                both.extend_from_slice(snapshot);
                both.extend_from_slice(&stalled.event);
                both.freeze()
            }
        };
        if !seen {
            self.sent = Some(Arc::clone(&known.snapshot));
        }
        news
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.viewers.dec();
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let pieces = stream::unfold(self, async |mut events| {
            let piece = events.next().await?;
            Some((piece, events))
        });
        event_stream::answer(pieces)
    }
}

/// The stream of the API.
pub(super) struct TallyEvents(pub(super) Events);

impl IntoResponse for TallyEvents {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl Payload for TallyEvents {
    const CONTENT_TYPE: &'static str = EVENT_STREAM;

    fn schema_ref() -> MetaSchemaRef {
        // The schema is that of one event: this version of OpenAPI cannot describe a stream.
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(
                "An event; `data` is a Tally as JSON, or with `content=digest` a TallyPointer.",
            ),
            properties: ["event", "id", "data"]
                .map(|name| (name, String::schema_ref()))
                .to_vec(),
            ..MetaSchema::new("object")
        }))
    }

    fn register(registry: &mut Registry) {
        TallyView::register(registry);
        PointerView::register(registry);
    }
}

impl ApiResponse for TallyEvents {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "`tally`: the tally, at first and whenever it differs; `id` is its version, the \
                    same for two events when only the state or a text changed. With `content=digest` there is `digest` in \
                    its place, whose data is a TallyPointer. `stalled`: newer tallies cannot be read; data `{\"since\":\"2026-11-26T14:05:00Z\"}` says since when the last one \
                    may be out of date; the next `tally` or `digest` says that it is over. `hidden`: the result is no longer \
                    shown to this client; data is a Problem as JSON, and the stream ends. `alive`: nothing else was sent \
                    for 15 seconds; a client that receives nothing for 40 seconds should connect again.",
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
