//! The operator's API: what has happened, as a list and as a stream.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use poem::{IntoResponse, Request, Response};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Query},
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde::Deserialize;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use voting_core::{
    StoreError,
    store::{
        Store,
        events::{Event, Events},
    },
};

use super::{OperatorService, api::Operator, audit::only_parameters};
use crate::{
    edge::callers::Right,
    problem::{Problem, kind::ProblemKind},
    server::{
        document::Operation,
        event_stream::{self, EVENT_STREAM},
    },
};

/// The most events in one answer.
const PAGE: usize = 200;

/// The longest wait for an event.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often those who wait look for something new, all of them together.
const LOOK: Duration = Duration::from_millis(500);

/// How many may wait for events, or follow them, at a time.
pub(super) const FOLLOWERS: usize = 256;

/// A stream ends after this time, and its reader goes on where it was.
const LONGEST_STREAM: Duration = Duration::from_secs(3_600);

/// The time between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");
const ALIVE: Bytes = Bytes::from_static(b"event: alive\ndata: {}\n\n");

pub(super) struct Api(pub(super) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listEvents",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::EventsGone,
            ProblemKind::TooManyFollowers,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"events":[{"number":7,"id":"01932a4e-7d7c-7000-8000-0a1b2c3d4e5f","at":"2026-11-27T17:00:00.25Z","type":"poll.final","poll":"lunch","data":{"title":"What is for lunch?","revision":3}}],"oldest":1,"newest":7}"#,
        )],
    },
    Operation {
        id: "streamEvents",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::EventsGone,
            ProblemKind::TooManyFollowers,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[],
    },
];

/// Something that has happened.
#[derive(Debug, Object)]
#[oai(rename = "Event", skip_serializing_if_is_none)]
struct EventView {
    /// The number of the event: that of the event before it, plus one.
    number: u64,
    /// A UUID that no other event has.
    id: String,
    /// When it happened: RFC 3339, in UTC.
    at: String,
    /// What has happened, such as `poll.final`. New types may come.
    #[oai(rename = "type")]
    kind: String,
    /// The poll to which it happened, if it was one.
    poll: Option<String>,
    /// More about it: the fields that events of this type have.
    data: EventData,
}

/// More about an event. New fields may come.
#[derive(Debug, Default, Deserialize, Object)]
#[oai(skip_serializing_if_is_none)]
struct EventData {
    /// Of a poll: its title.
    title: Option<String>,
    /// Of a poll: its revision.
    revision: Option<u64>,
    /// Of `poll.changed`: what was done, as in the audit log, such as `poll.archived`.
    action: Option<String>,
    /// Of a poll: it is a draft.
    draft: Option<bool>,
    /// Of `tally.changed`: the version of the tally.
    version: Option<u64>,
    /// Of `tally.changed`: the voters whose ballot counts.
    voters: Option<u64>,
    /// Of `dead_letter.created`: the ballots that are dead letters.
    dead_letters: Option<u64>,
    /// Of `count.behind` and `count.caught_up`: the ballots that wait.
    pending: Option<u64>,
    /// Of `count.behind`: for how long the oldest one has waited, in milliseconds.
    waits_ms: Option<u64>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            number: event.number,
            id: event.id.to_string(),
            at: event.at.to_string(),
            kind: event.what.kind.as_str().to_owned(),
            poll: event.what.poll.map(|poll| poll.to_string()),
            data: serde_json::from_str(&event.what.data).unwrap_or_default(),
        }
    }
}

/// A part of the events.
#[derive(Debug, Object)]
#[oai(rename = "Events")]
struct EventsView {
    /// In their order.
    events: Vec<EventView>,
    /// The number of the oldest event that is kept; one more than `newest` if none is.
    oldest: u64,
    /// The number of the newest event; 0 if there was none.
    newest: u64,
}

/// The number of the newest event. However many wait for another one, the store is asked once in a while.
#[derive(Clone)]
pub(super) struct Newest {
    store: Arc<dyn Store>,
    seen: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Newest {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let seen = Arc::default();
        Self { store, seen }
    }

    async fn number(&self) -> Result<u64, StoreError> {
        let mut seen = self.seen.lock().await;
        if let Some((at, newest)) = *seen
            && at.elapsed() < LOOK
        {
            return Ok(newest);
        }
        let newest = self.store.events(u64::MAX >> 1, 0).await?.newest;
        *seen = Some((Instant::now(), newest));
        Ok(newest)
    }

    /// Waits until this is not the newest event.
    async fn other_than(&self, number: u64) -> Result<(), StoreError> {
        while self.number().await? == number {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until there is an event after this one.
    async fn after(&self, number: u64) -> Result<(), StoreError> {
        while self.number().await? <= number {
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The events as server-sent events.
struct EventStream(Response);

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Payload for EventStream {
    const CONTENT_TYPE: &'static str = EVENT_STREAM;

    fn schema_ref() -> MetaSchemaRef {
        // The schema is that of one event: this version of OpenAPI cannot describe a stream.
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("An event; `data` is an Event as JSON, and `id` is its number."),
            properties: ["event", "id", "data"]
                .map(|name| (name, String::schema_ref()))
                .to_vec(),
            ..MetaSchema::new("object")
        }))
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Each event has its type as `event`, its number as `id`, and an Event as JSON as `data`. \
                    `gone`: events after the reader's place are not kept; data is a Problem as JSON, and the stream ends. \
                    `alive`: nothing else was sent for 15 seconds.",
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

/// An event as a server-sent event.
fn written(event: Event) -> Bytes {
    use poem_openapi::types::ToJSON;
    let (number, kind) = (event.number, event.what.kind);
    let view = EventView::from(event).to_json_string();
    format!("id: {number}\nevent: {kind}\ndata: {view}\n\n").into()
}

impl OperatorService {
    /// A place for somebody who waits for events, or follows them.
    fn follower(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let places = Arc::clone(&self.0.followers);
        places
            .try_acquire_owned()
            .map_err(|_| Problem::too_many_followers())
    }

    /// The events after a place, one piece for each.
    fn stream(&self, after: u64, place: OwnedSemaphorePermit) -> Response {
        let follower = Follower {
            store: Arc::clone(&self.0.pipeline.store),
            newest: self.0.newest_event.clone(),
            after,
            ready: VecDeque::new(),
            stop: self.0.options.stop.clone(),
            ends_at: Instant::now() + LONGEST_STREAM,
            _place: place,
        };
        let pieces = stream::unfold(Some(follower), async |follower| {
            let mut follower = follower?;
            let (piece, is_last) = follower.next().await?;
            Some((piece, (!is_last).then_some(follower)))
        });
        event_stream::answer(stream::once(async { RETRY }).chain(pieces))
    }
}

/// Who follows the events by a stream.
struct Follower {
    store: Arc<dyn Store>,
    newest: Newest,
    /// The number of the last event that was sent.
    after: u64,
    /// Those that come next.
    ready: VecDeque<Event>,
    stop: CancellationToken,
    ends_at: Instant,
    /// It is given back with the stream.
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next piece of the stream, and whether it is the last one; `None` at its end.
    async fn next(&mut self) -> Option<(Bytes, bool)> {
        loop {
            let left = self.ends_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                self.after = event.number;
                return Some((written(event), false));
            }
            let stop = self.stop.clone();
            let came = timeout(KEEP_ALIVE.min(left), self.page());
            match stop.run_until_cancelled(came).await? {
                Ok(Ok(page)) if page.is_gone(self.after) => {
                    let gone = Problem::events_gone(page.oldest, page.newest);
                    return Some((gone.as_event("gone"), true));
                }
                Ok(Ok(page)) => self.ready.extend(page.list),
                // A store that does not answer is asked again.
                Ok(Err(_)) | Err(_) => return Some((ALIVE, false)),
            }
        }
    }

    /// What is after the place, once there is something. All who follow share the looks at the store until then.
    async fn page(&self) -> Result<Events, StoreError> {
        loop {
            let read = async {
                self.newest.other_than(self.after).await?;
                self.store.events(self.after, PAGE).await
            };
            let page = read.await;
            let is_news = |page: &Events| !page.list.is_empty() || page.is_gone(self.after);
            if page.as_ref().is_ok_and(is_news) {
                return page;
            }
            // The newest event was of a moment ago, or the store does not answer.
            sleep(LOOK).await;
            page?;
        }
    }
}

#[OpenApi]
impl Api {
    /// What has happened, the oldest first.
    ///
    /// Keep the number of the last event that you have handled, and continue after it: you get each event once, and
    /// miss none. The answer is 410 if events after this number are no longer kept, or if the number is from another
    /// database.
    #[oai(path = "/v1/events", method = "get", operation_id = "listEvents")]
    async fn events(
        &self,
        request: &Request,
        operator: Operator,
        /// The number of the last event that you have handled; 0 for all that are kept.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000000000")))]
        after: Query<Option<u64>>,
        /// The most events in the answer, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<usize>>,
        /// If there is no event yet, wait for one, at most this many seconds, 0 to 30.
        #[oai(validator(minimum(value = "0"), maximum(value = "30")))]
        wait: Query<Option<u64>>,
    ) -> Result<Json<EventsView>, Problem> {
        operator.may(Right::Read)?;
        only_parameters(request, &["after", "limit", "wait"])?;
        let (after, limit) = (after.0, limit.0.unwrap_or(PAGE));
        let wait = Duration::from_secs(wait.0.unwrap_or_default()).min(LONGEST_WAIT);
        if !(1..=PAGE).contains(&limit) {
            return Err(Problem::invalid(format!("The limit is 1 to {PAGE}.")));
        }
        let service = &self.0.0;
        let store = &service.pipeline.store;
        let read = async || {
            let events = store.events(after.unwrap_or_default(), limit).await?;
            // Without a place, reading begins with what is kept.
            let after = after.filter(|after| *after > 0);
            if after.is_some_and(|after| events.is_gone(after)) {
                return Err(Problem::events_gone(events.oldest, events.newest));
            }
            Ok(events)
        };
        let mut events = read().await?;
        if events.list.is_empty() && !wait.is_zero() {
            let _place = self.0.follower()?;
            let newest = service.newest_event.clone();
            // Those that are gone are not waited for.
            let came = timeout(wait, newest.after(events.newest));
            // Otherwise the time is over, or the service stops.
            if let Some(Ok(came)) = service.options.stop.run_until_cancelled(came).await {
                came?;
                events = read().await?;
            }
        }
        Ok(Json(EventsView {
            oldest: events.oldest,
            newest: events.newest,
            events: events.list.into_iter().map(Into::into).collect(),
        }))
    }

    /// Events as they happen, as server-sent events: first those after a number, then each new one.
    ///
    /// A client that connects again sends `Last-Event-ID`, as browsers do, and continues where it was.
    #[oai(
        path = "/v1/events/stream",
        method = "get",
        operation_id = "streamEvents"
    )]
    async fn follow(
        &self,
        request: &Request,
        operator: Operator,
        /// The number of the last event that you have handled; 0 for all that are kept. Without it and `Last-Event-ID`,
        /// only new events come.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000000000")))]
        after: Query<Option<u64>>,
        /// The number of the last event that the client received. It takes precedence.
        #[oai(name = "Last-Event-ID")]
        last_event: Header<Option<String>>,
    ) -> Result<EventStream, Problem> {
        operator.may(Right::Read)?;
        only_parameters(request, &["after"])?;
        let last = match last_event.0.as_deref().map(str::trim) {
            None | Some("") => after.0,
            Some(number) => Some(
                number
                    .parse()
                    .map_err(|_| Problem::invalid("Last-Event-ID is the number of an event."))?,
            ),
        };
        let place = self.0.follower()?;
        let events = self.0.0.pipeline.store.events(u64::MAX >> 1, 0).await?;
        let after = match last {
            None => events.newest,
            Some(0) => events.oldest.saturating_sub(1),
            Some(after) if events.is_gone(after) => {
                return Err(Problem::events_gone(events.oldest, events.newest));
            }
            Some(after) => after,
        };
        Ok(EventStream(self.0.stream(after, place)))
    }
}
