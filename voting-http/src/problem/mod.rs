//! Errors as clients see them: problem documents (RFC 9457), or a page for a browser.

pub(crate) mod kind;
pub(crate) mod seldom;
pub(crate) mod trouble;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
    time::Duration,
};

use poem::{
    Body, Error, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::{ToJSON, Type},
};
use voting_core::{
    CastError, PollId, StoreError, model::poll::InvalidChoice, pipeline::rule::Refusal,
};

use self::{kind::ProblemKind, trouble::Trouble};

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What a voter is told whose vote may or may not be stored. `vote.js` has the same words.
pub(crate) const UNKNOWN: &str =
    "We do not know whether your vote arrived. Trying again is safe: it counts once.";

/// How long a client is asked to wait when a store is away, in seconds.
const RETRY_AFTER: u32 = 2;

/// The same for a viewer who found no place.
const STREAM_RETRY: Duration = Duration::from_secs(30);

/// Why a request failed.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem")]
pub(crate) struct ProblemDocument {
    /// The kind of problem, for programs. It is the same for each occurrence.
    #[oai(rename = "type")]
    kind: ProblemKind,
    /// The kind of problem in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, as a sentence for people.
    detail: String,
}

/// Why a service is not ready, with causes that clients are not told. The response to `/readyz` carries it as data
/// inside the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyNotReady {
    /// What it waits for: `ballot log`, `tally store` or `polls`.
    pub what: &'static str,
    /// What is wrong with that.
    pub reason: Arc<str>,
}

/// An error on its way to the client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Problem {
    kind: ProblemKind,
    status: StatusCode,
    title: &'static str,
    detail: Cow<'static, str>,
    /// When to come back, in seconds.
    retry_after: Option<u32>,
    /// Where people sign in, to get on.
    sign_in: Option<String>,
    /// More than the client is told.
    cause: Option<WhyNotReady>,
}

impl Problem {
    /// Of this kind, with its status and title.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            status: kind.status(),
            title: kind.title(),
            detail: detail.into(),
            retry_after: (kind.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
            sign_in: None,
            cause: None,
        }
    }

    /// The client is to wait for so long before it tries again.
    fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
        self
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            ProblemKind::Internal,
            "This is a fault of the service. It has been logged.",
        )
    }

    pub(crate) fn no_poll(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(
            ProblemKind::UnknownPoll,
            format!("There is no poll {id:?} here."),
        )
    }

    /// The same, where there is one whose name differs in its capitals only.
    pub(crate) fn no_poll_but(id: &str, there: &PollId) -> Self {
        let mut problem = Self::no_poll(id);
        problem.detail = format!("{} Its name may be {there:?}.", problem.detail).into();
        problem
    }

    pub(crate) fn no_polls() -> Self {
        Self::new(ProblemKind::NoPolls, "There is no poll here yet.")
    }

    pub(crate) fn poll_closed() -> Self {
        Self::new(
            ProblemKind::PollClosed,
            "This poll is closed: votes can no longer be cast or changed. A vote that was confirmed \
             before counts.",
        )
    }

    pub(crate) fn still_rejected(detail: String) -> Self {
        Self::new(ProblemKind::StillRejected, detail)
    }

    pub(crate) fn no_dead_letter() -> Self {
        Self::new(
            ProblemKind::UnknownDeadLetter,
            "There is no dead letter at this position.",
        )
    }

    pub(crate) fn no_receipt() -> Self {
        Self::new(
            ProblemKind::UnknownReceipt,
            "This receipt was not issued here, or this service has another secret than the one that issued it.",
        )
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            ProblemKind::CrossSite,
            "A vote can only be sent from this site's own page.",
        )
    }

    pub(crate) fn no_such_address() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Not Found",
            ..Self::new(ProblemKind::Request, "There is nothing at this address.")
        }
    }

    pub(crate) fn foreign_secret() -> Self {
        Self::new(
            ProblemKind::ForeignSecret,
            "This server is set up with another secret than the others, so it takes no votes.",
        )
    }

    pub(crate) fn cookies_needed() -> Self {
        Self::new(
            ProblemKind::CookiesNeeded,
            "Your browser did not send the cookie that makes sure that you count once. Allow cookies for \
             this site, then vote again.",
        )
    }

    /// The voter who is signed in is not the one for whom the page was made.
    pub(crate) fn voter_changed() -> Self {
        Self::new(
            ProblemKind::VoterChanged,
            "Somebody else has signed in since this page was loaded. Load the page again, then vote.",
        )
    }

    /// A rule of the application refuses the ballot.
    pub(crate) fn refused_by_rule(refusal: &Refusal) -> Self {
        Self::new(ProblemKind::NotEligible, refusal.detail().to_owned())
    }

    /// Says where people sign in.
    pub(crate) fn with_sign_in(self, at: Option<String>) -> Self {
        Self {
            sign_in: at,
            ..self
        }
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            ProblemKind::TooLarge,
            format!("The request's body may have at most {limit} bytes."),
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            ProblemKind::TooSlow,
            "The request's body did not arrive in time.",
        )
    }

    pub(crate) fn not_a_form() -> Self {
        Self::new(
            ProblemKind::NotAForm,
            "Send the vote as application/x-www-form-urlencoded, or as JSON to the API.",
        )
    }

    pub(crate) fn not_ready(what: &'static str, reason: &str) -> Self {
        Self::new(ProblemKind::NotReady, format!("{what}: {reason}"))
    }

    /// With the cause, for who asks within this process.
    pub(crate) fn because(self, cause: WhyNotReady) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }

    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Invalid, detail)
    }

    pub(crate) fn conflict(detail: String) -> Self {
        Self::new(ProblemKind::Conflict, detail)
    }

    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::new(ProblemKind::Unauthorized, detail)
    }

    /// The address holds its share of the event streams.
    pub(crate) fn too_many_viewers_here() -> Self {
        Self::new(
            ProblemKind::TooManyViewersHere,
            "So many live results are open at your address that there is no room for another one. \
             The result can still be looked at.",
        )
        .after(STREAM_RETRY)
    }

    /// All places for event streams are taken.
    pub(crate) fn too_many_viewers() -> Self {
        Self::new(
            ProblemKind::TooManyViewers,
            "So many live results are open that there is no room for another one. The result can \
             still be looked at.",
        )
        .after(STREAM_RETRY)
    }

    /// The address has shown too many wrong tokens.
    pub(crate) fn too_many_tokens(wait: Duration) -> Self {
        Self::new(
            ProblemKind::TooManyTokens,
            "This is not the operator's token, and too many wrong ones came from your address.",
        )
        .after(wait)
    }

    pub(crate) fn store_unavailable() -> Self {
        Self::new(
            ProblemKind::StoreUnavailable,
            "Please try again in a moment.",
        )
    }

    /// The request as such is wrong: its head, or its body.
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Request, detail)
    }

    fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: self.kind,
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone().into_owned(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Where people sign in, if that is what to do.
    pub(crate) fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether a vote was refused since the poll takes none any more.
    pub(crate) fn is_poll_closed(&self) -> bool {
        self.kind == ProblemKind::PollClosed
    }

    /// Whether a vote that failed so may count all the same. A fault of ours in the middle of a cast: nobody
    /// knows how far it came.
    pub(crate) fn leaves_unknown(&self) -> bool {
        matches!(
            self.kind,
            ProblemKind::OutcomeUnknown | ProblemKind::Internal
        )
    }

    /// As told to a client that had no cookie yet, if it is `new`.
    #[must_use]
    pub(crate) fn for_client(mut self, new: bool) -> Self {
        if new && self.kind == ProblemKind::OutcomeUnknown {
            self.detail =
                "We do not know whether your vote arrived. Trying again is safe: it counts once, \
                           if you keep the cookie that came with this answer."
                    .into();
        }
        self
    }

    /// What to tell a voter whose cast failed so. `vote.js` uses the same words.
    pub(crate) fn to_voter(&self) -> String {
        if self.kind == ProblemKind::OutcomeUnknown {
            return self.detail.clone().into_owned();
        }
        if self.leaves_unknown() {
            return UNKNOWN.to_owned();
        }
        if self.is_poll_closed() {
            return "This poll closed before your vote arrived. It was not counted.".to_owned();
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
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(cause) = &self.cause {
            response.set_data(cause.clone());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // The application's sign-in is no scheme that HTTP knows, and 401 must name one.
            let scheme = match self.kind {
                ProblemKind::SignInNeeded => "Application",
                _ => "Bearer",
            };
            let scheme = HeaderValue::from_static(scheme);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
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
            ProblemKind::InvalidChoice,
            format!("{}.", capitalized(&error.to_string())),
        )
    }
}

impl From<CastError> for Problem {
    fn from(error: CastError) -> Self {
        match &error {
            CastError::Closed(_) => Self::poll_closed(),
            CastError::Overloaded => Self::new(
                ProblemKind::Overloaded,
                "Too many votes are arriving at once.",
            ),
            CastError::Unknown(_) => Self::new(ProblemKind::OutcomeUnknown, UNKNOWN),
            _ => Self::new(ProblemKind::NotStored, "Votes cannot be stored right now."),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        /// What has no trouble of its own, such as receipts.
        static OTHERS: LazyLock<Trouble> = LazyLock::new(|| Trouble::with("a request"));
        if let StoreError::PollConflict(_) | StoreError::TextsFrozen(_) = error {
            return Self::conflict(format!("{}.", capitalized(&error.to_string())));
        }
        if let StoreError::ForeignSecret { .. } = error {
            return Self::foreign_secret();
        }
        OTHERS.failed(&error);
        Self::store_unavailable()
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
        // A part of an address that cannot be read names nothing.
        if status == StatusCode::NOT_FOUND
            || error.is::<poem::error::ParsePathError>()
            || error.is::<poem_openapi::error::ParsePathError>()
        {
            return Self::no_such_address();
        }
        let detail: String = match status {
            StatusCode::METHOD_NOT_ALLOWED => "This address does not support the method.".into(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                "Send the body as application/json, in UTF-8.".into()
            }
            // What the parser said, which is about the client's own input.
            _ if status.is_client_error() => error.to_string().chars().take(500).collect(),
            _ => {
                tracing::error!(%error, "a request failed");
                return Self::internal();
            }
        };
        let title = status.canonical_reason().unwrap_or("The request failed");
        Self {
            status,
            title,
            ..Self::new(ProblemKind::Request, detail)
        }
    }
}

/// Which statuses come with a problem differs by operation; [`document`](crate::server::document) adds them.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![] }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

/// With a capital at the front, as a sentence begins.
pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
