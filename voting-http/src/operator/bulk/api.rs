//! The operator's API: bulk casts.

use std::sync::Arc;

use poem::{Body, IntoResponse, Request, RequestBody, Response, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi,
    error::ContentTypeError,
    param::Path,
    registry::{
        MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef,
        Registry,
    },
    types::Type,
};
use tokio::sync::OwnedSemaphorePermit;
use voting_core::{StoreError, store::audit::AuditNote};

use super::{BulkCasts, Intake, KeyedPoll, Lines};
use crate::{
    edge::{body_limit, callers::Right, strict_json},
    operator::{OperatorService, api::Operator},
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
};

const NDJSON: &str = "application/x-ndjson";

pub(in crate::operator) struct Api(pub(in crate::operator) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(in crate::operator) const OPERATIONS: &[Operation] = &[Operation {
    id: "castBallots",
    problems: &[
        ProblemKind::UnknownPoll,
        ProblemKind::PollClosed,
        ProblemKind::BulkCastsOff,
        ProblemKind::Overloaded,
        ProblemKind::ForeignSecret,
        ProblemKind::StoreUnavailable,
    ],
    body: Some(r#""{\"voter\":\"0001-9XKQ-7T2M-4HWD\",\"choices\":[\"a\"]}\n""#),
    answers: &[(
        "200",
        r#"{"line":1,"receipt":"2.13HGy3gzMkkqM6i7MzKn1hz_4i2DKByiI_UY9m0Hz9LRHgbpid3Ox8kTnzpMT8A2_5KMOEqoAsJbI-Wr2o4"}"#,
    )],
}];

/// A body of lines, which is read while it is answered.
struct BallotLines(Body);

impl<'a> ApiExtractor<'a> for BallotLines {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: Some(
                "A line for each ballot, each a JSON object of at most 16,384 bytes. Empty lines are \
                 skipped. `voter`: in a poll \
                 whose `electorate` is `codes`, a code as a text; `identity`: `{\"iss\": …, \"sub\": …}`, the names of the \
                 identity provider and of the person, as in the person's tokens; `open`: a key that the server makes for \
                 this voter, as in the header `Idempotency-Key`. `choices`: the ids of the options, none for a blank vote. \
                 Or `\"withdraw\": true` in place of `choices`: the voter's ballot is taken back.",
            ),
            content: vec![MetaMediaType {
                content_type: NDJSON,
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let content_type = request.content_type();
        match content_type {
            Some(kind) if strict_json::is_of_type(kind, NDJSON) => Ok(Self(body.take()?)),
            _ => {
                let mut refused = body.take()?.into_bytes_stream();
                body_limit::discard(&mut refused).await;
                Err(match content_type {
                    Some(kind) => ContentTypeError::NotSupported {
                        content_type: kind.to_owned(),
                    },
                    None => ContentTypeError::ExpectContentType,
                }
                .into())
            }
        }
    }
}

/// The outcome of a line.
#[derive(Debug, Object)]
#[oai(rename = "CastLine", skip_serializing_if_is_none)]
struct AnswerView {
    /// The number of the line in the request, from 1. Empty lines have a number, but no answer.
    line: u64,
    /// The ballot is stored, and will be counted: ask the result service for its state. Absent if it was refused.
    receipt: Option<String>,
    /// Why the ballot was not taken. Of `urn:voting:problem:outcome-unknown` alone it is not known whether it was.
    #[oai(rename = "type")]
    kind: Option<ProblemKind>,
    /// The same in words, for people.
    detail: Option<String>,
}

/// The answers, a line for each ballot.
struct Answers(Body);

impl IntoResponse for Answers {
    fn into_response(self) -> Response {
        Response::builder().content_type(NDJSON).body(self.0)
    }
}

impl ApiResponse for Answers {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A line for each ballot, in the order of the request, while the request is \
                              read. An answer that ends early is incomplete: the outcomes of the ballots without \
                              a line are unknown.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: NDJSON,
                    schema: AnswerView::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        AnswerView::register(registry);
    }
}

impl OperatorService {
    async fn begin_casts(
        &self,
        operator: &Operator,
        name: &str,
    ) -> Result<(Arc<BulkCasts>, KeyedPoll, OwnedSemaphorePermit), Problem> {
        let by = operator.may(Right::Cast)?;
        let bulk = self.0.bulk.clone().ok_or_else(Problem::bulk_casts_off)?;
        let (poll, turn) = bulk.begin(name).await?;
        // A worker of before would take the ballots for those of voters.
        if !self.0.pipeline.store.upgrade_is_finished().await? {
            return Err(StoreError::UpgradeUnfinished(poll.poll.id().clone()).into());
        }
        // Before any ballot: none comes without its note.
        let note = AuditNote {
            by: by.to_owned(),
            action: "ballots.handed-in".to_owned(),
            poll: Some(poll.poll.id().clone()),
            before: None,
            after: None,
        };
        self.0.pipeline.store.add_to_audit_log(&note).await?;
        Ok((bulk, poll, turn))
    }
}

#[OpenApi]
impl Api {
    /// Cast ballots for voters, a line for each.
    ///
    /// For servers that are trusted to say who votes: a kiosk, a telephone service, ballots on paper. It needs a token whose role is
    /// `caster` or `operator`. Ballots are checked as by the vote service; there is no limit of new voters. A line that
    /// is refused does not affect other lines.
    ///
    /// A voter is the same voter as at the vote service, and counts once. So it is safe to send a whole file again:
    /// each ballot replaces its earlier copy. In a poll with `revote: false` the first counts.
    ///
    /// Read the answer while you send: the service reads no further lines while too many answers wait to be read.
    #[oai(
        path = "/v1/polls/:poll/ballots",
        method = "post",
        operation_id = "castBallots"
    )]
    async fn cast(
        &self,
        operator: Operator,
        poll: Path<String>,
        lines: BallotLines,
    ) -> Result<Answers, Problem> {
        let mut lines = Lines::new(lines.0);
        let begun = self.0.begin_casts(&operator, &poll).await;
        let (bulk, poll, turn) = match begun {
            Ok(begun) => begun,
            Err(problem) => {
                lines.discard().await;
                return Err(problem);
            }
        };
        // A client may send nothing before it is told to go on. It is told when the body is read, which must not be after
        // the head of the answer.
        lines.begin().await;
        let intake = Intake {
            bulk,
            lines,
            poll,
            number: 0,
            stop: self.0.0.options.stop.clone(),
            is_over: false,
            _turn: turn,
        };
        Ok(Answers(intake.into_body()))
    }
}
