//! Errors as clients see them: problem documents (RFC 9457), or a page for a browser.

use std::borrow::Cow;

use poem::{
    Body, Error, Response,
    error::ResponseError,
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use voting_core::{CastError, StoreError, error::in_one_line, poll::InvalidChoice};

use crate::site;

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The one failure of a cast after which the vote may count all the same.
const OUTCOME_UNKNOWN: &str = "outcome-unknown";

/// How long a client is asked to wait when a store is away, in seconds.
const RETRY_AFTER: u32 = 2;

/// Why a request failed.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem")]
pub(crate) struct ProblemDocument {
    /// Names the kind of problem; the same for each occurrence.
    #[oai(rename = "type")]
    kind: String,
    /// The kind of problem in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, in words.
    detail: String,
}

/// An error on its way to the client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            kind,
            title,
            detail: detail.into(),
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong",
            "This is a fault of the service. It has been logged.",
        )
    }

    pub(crate) fn no_poll(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-poll",
            "No such poll",
            format!("There is no poll {id:?} here."),
        )
    }

    pub(crate) fn no_such_page() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "request",
            "Not Found",
            "There is no such page in the list of polls.",
        )
    }

    pub(crate) fn no_polls() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-polls",
            "No poll yet",
            "There is no poll here yet.",
        )
    }

    pub(crate) fn poll_closed() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "poll-closed",
            "This poll is closed",
            "This poll is closed: votes can no longer be cast or changed. A vote that was confirmed \
             before counts.",
        )
    }

    pub(crate) fn still_rejected(detail: String) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "still-rejected",
            "It still cannot be counted",
            detail,
        )
    }

    pub(crate) fn no_dead_letter() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-dead-letter",
            "No such dead letter",
            "There is no dead letter at this position.",
        )
    }

    pub(crate) fn no_receipt() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-receipt",
            "No such receipt",
            "This is not a receipt that this service has issued.",
        )
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Sent from another site",
            "A vote can only be sent from this site's own page.",
        )
    }

    pub(crate) fn forged_cookie() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-voter-cookie",
            "The voter cookie is not valid",
            "The cookie that names you as a voter was not issued here. You have been given a \
             new one: please vote again.",
        )
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            format!("A request's body may have at most {limit} bytes."),
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The request took too long",
            "The request's body did not arrive in time.",
        )
    }

    pub(crate) fn not_a_form() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-a-form",
            "Not a form",
            "Send the vote as application/x-www-form-urlencoded, or as JSON to the API.",
        )
    }

    pub(crate) fn not_ready(what: &'static str, reason: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "Not ready",
            format!("{what}: {reason}"),
        )
    }

    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The request cannot be followed",
            detail,
        )
    }

    pub(crate) fn conflict(detail: String) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            "In conflict with what is there",
            detail,
        )
    }

    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Not authorized",
            detail,
        )
    }

    fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:voting:problem:{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone().into_owned(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What to tell a voter whose cast failed so. `vote.js` uses the same words.
    pub(crate) fn to_voter(&self) -> String {
        if self.kind == OUTCOME_UNKNOWN {
            return self.detail.clone().into_owned();
        }
        let again = if self.status.is_server_error() {
            " Please try again in a moment."
        } else {
            ""
        };
        format!("Your vote was not counted. {}{again}", self.detail)
    }

    /// Adds the headers that go with the problem, whatever the body is.
    pub(crate) fn finish(&self, mut response: Response) -> Response {
        response.set_status(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }

    pub(crate) fn to_response(&self) -> Response {
        let body = Body::from_string(self.document().to_json_string());
        self.finish(Response::builder().content_type(PROBLEM_JSON).body(body))
    }
}

/// A choice that the poll does not take.
impl From<InvalidChoice> for Problem {
    fn from(error: InvalidChoice) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-choice",
            "This is not a vote in this poll",
            format!("{}.", site::capitalized(&error.to_string())),
        )
    }
}

impl From<CastError> for Problem {
    fn from(error: CastError) -> Self {
        let (kind, title, detail) = match &error {
            CastError::Closed(_) => return Self::poll_closed(),
            CastError::Overloaded => (
                "overloaded",
                "The vote was not taken",
                "Too many votes are arriving at once.",
            ),
            CastError::Unknown(_) => (
                OUTCOME_UNKNOWN,
                "The vote is not confirmed",
                "Whether your vote was stored is not known. Please vote again: it counts only \
                 once.",
            ),
            _ => (
                "not-stored",
                "The vote was not taken",
                "Votes cannot be stored right now.",
            ),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::PollConflict(_) = error {
            return Self::conflict(format!("{}.", site::capitalized(&error.to_string())));
        }
        tracing::error!(error = in_one_line(&error), "a store failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store-unavailable",
            "The store does not answer",
            "Please try again in a moment.",
        )
    }
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn as_response(&self) -> Response {
        self.to_response()
    }
}

/// Any error of an endpoint as a problem, also those of poem itself, such as a path that no
/// route has or a body that is not JSON.
impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        let status = error.status();
        if status == StatusCode::UNAUTHORIZED {
            return Self::unauthorized("Send the operator's token as a bearer token.");
        }
        let detail = match status {
            StatusCode::NOT_FOUND => "There is nothing at this address.".into(),
            StatusCode::METHOD_NOT_ALLOWED => "This address does not take that method.".into(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send the body as application/json.".into(),
            // What the parser said, which is about the client's own input.
            _ if status.is_client_error() => error.to_string().chars().take(500).collect(),
            _ => {
                tracing::error!(%error, "a request failed");
                return Self::internal();
            }
        };
        let title = status.canonical_reason().unwrap_or("The request failed");
        Self::new(status, "request", title, Cow::<'static, str>::Owned(detail))
    }
}

/// In the API's documents: any status but those listed may come with a problem.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "What is wrong (RFC 9457)",
                status: None,
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: ProblemPayload::CONTENT_TYPE,
                    schema: ProblemPayload::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemPayload::register(registry);
    }
}

struct ProblemPayload;

impl Payload for ProblemPayload {
    const CONTENT_TYPE: &'static str = PROBLEM_JSON;

    fn schema_ref() -> MetaSchemaRef {
        ProblemDocument::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}
