//! The result service's API.

use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use voting_core::{ReceiptState, model::poll::Viewer};

use super::{
    MINUTE_MS, ResultService,
    events::{Content, TallyEvents},
    tallies::{self, PointerAnswer, TallyAnswer},
};
use crate::{
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
    views::{
        history_view::HistoryView, poll_view::StateView as PollStateView, reason_view::ReasonView,
    },
};

pub(super) struct Api(pub(super) ResultService);

/// What became of a ballot.
#[derive(Debug, Object)]
#[oai(rename = "Receipt", skip_serializing_if_is_none)]
struct ReceiptView {
    /// Where the ballot was cast.
    poll: String,
    /// The minute in which it was cast: its first moment, in milliseconds since 1970. The exact time is not in a
    /// receipt: somebody who watches the tally could infer the choice from it.
    cast_at_ms: u64,
    /// What became of it.
    state: StateView,
    /// Why it was rejected.
    reason: Option<ReasonView>,
}

/// What became of a ballot.
#[derive(Debug, Enum)]
#[oai(rename = "ReceiptState", rename_all = "lowercase")]
enum StateView {
    /// Accepted, not yet counted.
    Pending,
    /// It is the voter's ballot that counts.
    Counted,
    /// The voter has cast a newer one, which counts.
    Superseded,
    /// It does not count: an operator of the poll has voided it. No earlier ballot of the voter counts in its place.
    Voided,
    /// It could not be counted.
    Rejected,
    /// The voters of its poll are forgotten, so nobody can tell any more which ballot was whose. It was counted, or
    /// another one of the voter.
    Forgotten,
    /// Its poll is deleted, with all ballots.
    Deleted,
}

/// What the events of a stream contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "StreamContent", rename_all = "lowercase")]
enum StreamContent {
    /// The tally.
    Tally,
    /// Only the digest of the tally and the state, for clients that fetch the tally from a cache. The stream is for everybody:
    /// a grant is ignored.
    Digest,
}

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "getTally",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::ResultHidden,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"poll":"cats-vs-dogs","state":"open","version":17,"voters":3,"options":[{"id":"a","label":"Cats","votes":2},{"id":"b","label":"Dogs","votes":1}]}"#,
        )],
    },
    Operation {
        id: "getTallyPointer",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::ResultHidden,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"digest":"dad1ae866ea43418519455f509310417","state":"open"}"#,
        )],
    },
    Operation {
        id: "getTallyByDigest",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::UnknownTally,
            ProblemKind::ResultHidden,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"poll":"cats-vs-dogs","state":"open","version":17,"voters":3,"options":[{"id":"a","label":"Cats","votes":2},{"id":"b","label":"Dogs","votes":1}]}"#,
        )],
    },
    Operation {
        id: "getHistory",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::ResultHidden,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"poll":"cats-vs-dogs","state":"open","version":17,"options":["a","b"],"points":[{"at":"2026-11-27T18:00:00Z","voters":0,"votes":[0,0]},{"at":"2026-11-27T18:00:01Z","voters":3,"votes":[2,1]}]}"#,
        )],
    },
    Operation {
        id: "watchTally",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::ResultHidden,
            ProblemKind::StoreUnavailable,
            ProblemKind::TooManyViewers,
            ProblemKind::TooManyViewersHere,
        ],
        body: None,
        answers: &[],
    },
    Operation {
        id: "getReceipt",
        problems: &[ProblemKind::UnknownReceipt, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"poll":"cats-vs-dogs","cast_at_ms":1790000040000,"state":"counted"}"#,
        )],
    },
];

#[OpenApi]
impl Api {
    /// Get the tally of a poll. It is at most a quarter of a second old.
    ///
    /// While the tally cannot be read, the answer is 503, never an older tally. While the poll's rule hides the result,
    /// the answer is 403, `urn:voting:problem:result-hidden`.
    #[oai(
        path = "/v1/polls/:poll/tally",
        method = "get",
        operation_id = "getTally"
    )]
    async fn tally(
        &self,
        request: &Request,
        poll: Path<String>,
        /// The grant from the answer to a vote in this poll. With it, the service shows a result that only those who
        /// have voted may see.
        #[oai(name = "Result-Grant")]
        _grant: Header<Option<String>>,
        /// The `ETag` of a tally that the client has.
        #[oai(name = "If-None-Match")]
        _has: Header<Option<String>>,
    ) -> Result<TallyAnswer, Problem> {
        let service = &self.0.0;
        let poll = service.polls.get(&poll).await?;
        let current = service.live.current(poll.id()).await?;
        if let Ok(figures) = current.figures(Viewer::Public) {
            return Ok(tallies::current(request, &figures.sent));
        }
        let viewer = service.granted.viewer(request, poll.id());
        Ok(tallies::for_one(&current.figures(viewer)?.sent))
    }

    /// Get the digest that names the current tally of a poll. It is at most a quarter of a second old, plus the time
    /// for which caches have kept it.
    ///
    /// With it, caches in front of the service can answer very many viewers. The tally itself is at
    /// `/v1/polls/{poll}/tally/{digest}`. While not everybody sees the result, the answer is 403,
    /// `urn:voting:problem:result-hidden`, also with a grant.
    #[oai(
        path = "/v1/polls/:poll/tally/latest",
        method = "get",
        operation_id = "getTallyPointer"
    )]
    async fn pointer(
        &self,
        request: &Request,
        poll: Path<String>,
        /// The `ETag` of a pointer that the client has.
        #[oai(name = "If-None-Match")]
        _has: Header<Option<String>>,
    ) -> Result<PointerAnswer, Problem> {
        let service = &self.0.0;
        let poll = service.polls.get(&poll).await?;
        let current = service.live.current(poll.id()).await?;
        let figures = current.figures(Viewer::Public)?;
        Ok(tallies::pointer(request, &figures.sent, current.is_final()))
    }

    /// Get the tally with this digest. Caches may keep it for ever, since a digest always names the same tally.
    ///
    /// The service knows the current tally, and the last ones before it. For any other digest the answer is 404,
    /// `urn:voting:problem:unknown-tally`: ask for the pointer again. While not everybody sees the result, the answer is 403,
    /// `urn:voting:problem:result-hidden`, also with a grant.
    #[oai(
        path = "/v1/polls/:poll/tally/:digest",
        method = "get",
        operation_id = "getTallyByDigest"
    )]
    async fn by_digest(
        &self,
        request: &Request,
        poll: Path<String>,
        /// As in a pointer: 32 hexadecimal digits in small letters.
        digest: Path<String>,
        /// The `ETag` of a tally that the client has.
        #[oai(name = "If-None-Match")]
        _has: Header<Option<String>>,
    ) -> Result<TallyAnswer, Problem> {
        let service = &self.0.0;
        let poll = service.polls.get(&poll).await?;
        let sent = service.live.by_digest(poll.id(), &digest).await?;
        Ok(tallies::by_digest(request, &sent))
    }

    /// Get how the votes of a poll grew with time. It is at most a few seconds old.
    ///
    /// The clock of the log dates the votes. The history has a point for each span of time: a second at first, and
    /// longer spans later. While the poll's rule hides the result, the answer is 403,
    /// `urn:voting:problem:result-hidden`. For times at which not everybody could see the result, only the number of
    /// voters is kept.
    #[oai(
        path = "/v1/polls/:poll/history",
        method = "get",
        operation_id = "getHistory"
    )]
    async fn history(
        &self,
        request: &Request,
        poll: Path<String>,
        /// The grant from the answer to a vote in this poll. With it, the service shows a result that only those who
        /// have voted may see.
        #[oai(name = "Result-Grant")]
        _grant: Header<Option<String>>,
    ) -> Result<Json<HistoryView>, Problem> {
        let poll = self.0.0.polls.get(&poll).await?;
        let history = self.0.history(request, &poll).await?;
        let state = PollStateView::now(&poll);
        Ok(Json(HistoryView::new(&poll, state, &history)))
    }

    /// Watch the tally of a poll as server-sent events: first the present tally, then each new one.
    ///
    /// The stream also says when the tally can no longer be read. Every 15 seconds without other events it sends
    /// `alive`. So a client can distinguish a poll without new votes, a service that cannot read the tally, and a lost
    /// connection.
    ///
    /// With `content=digest`, events only name the tally, and the client fetches it from `/v1/polls/{poll}/tally/{digest}`.
    #[oai(
        path = "/v1/polls/:poll/tally/events",
        method = "get",
        operation_id = "watchTally"
    )]
    async fn events(
        &self,
        request: &Request,
        poll: Path<String>,
        /// The grant from the answer to a vote in this poll. With it, the service shows a result that only those who
        /// have voted may see. It is checked when the stream begins.
        #[oai(name = "Result-Grant")]
        _grant: Header<Option<String>>,
        /// What the events contain. Default: `tally`.
        content: Query<Option<StreamContent>>,
    ) -> Result<TallyEvents, Problem> {
        let service = &self.0.0;
        let poll = service.polls.get(&poll).await?;
        let place = service.site.gate.stream(request)?;
        let (viewer, content) = match content.0 {
            Some(StreamContent::Digest) => (Viewer::Public, Content::Digest),
            Some(StreamContent::Tally) | None => {
                (service.granted.viewer(request, poll.id()), Content::Tally)
            }
        };
        Ok(TallyEvents(
            self.0.events(&poll, viewer, content, place).await?,
        ))
    }

    /// Get the state of a ballot. A receipt does not reveal the choice. Only the services can read the voter in it.
    #[oai(
        path = "/v1/receipts/:receipt",
        method = "get",
        operation_id = "getReceipt"
    )]
    async fn receipt(&self, receipt: Path<String>) -> Result<Json<ReceiptView>, Problem> {
        let service = &self.0.0;
        let receipt = service
            .receipts
            .open(&receipt)
            .map_err(|_| Problem::no_receipt())?;
        let state = service.tallies.receipt_state(&receipt).await?;
        Ok(Json(ReceiptView {
            poll: receipt.poll.to_string(),
            cast_at_ms: receipt.position.ms() / MINUTE_MS * MINUTE_MS,
            state: match state {
                ReceiptState::Counted => StateView::Counted,
                ReceiptState::Superseded => StateView::Superseded,
                ReceiptState::Voided => StateView::Voided,
                ReceiptState::Rejected(_) => StateView::Rejected,
                ReceiptState::VotersForgotten => StateView::Forgotten,
                ReceiptState::PollDeleted => StateView::Deleted,
                _ => StateView::Pending,
            },
            reason: match state {
                ReceiptState::Rejected(reason) => Some(reason.into()),
                _ => None,
            },
        }))
    }
}
