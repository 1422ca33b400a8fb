//! Errors as clients see them: problem documents (RFC 9457), or a page for a browser.

pub(crate) mod kind;
pub(crate) mod on_page;
pub(crate) mod seldom;
pub(crate) mod trouble;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
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
    CastError, Poll, PollId, StoreError,
    model::{
        moment::Moment,
        poll::{Hidden, InvalidChoice},
    },
    pipeline::rule::Refusal,
    store::webhooks::MAX_WEBHOOKS,
};

use self::{kind::ProblemKind, on_page::Said, trouble::Trouble};
use crate::{texts::Texts, views::hidden_words::why_hidden};

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The wait that a client is told while a store does not answer, in seconds.
const RETRY_AFTER: u32 = 2;

/// The wait that a viewer is told if all places for event streams are taken.
const STREAM_RETRY: Duration = Duration::from_secs(30);

/// Why a request failed.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
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
    /// Of `result-hidden`: when the poll closes, if that is known and still to come: RFC 3339, in UTC. The result is shown
    /// a moment later, once the last ballots are counted.
    closes_at: Option<String>,
    /// Of `result-hidden`: the voters whose ballot counts.
    voters: Option<u64>,
    /// Of `proof-needed`: what is to be solved.
    challenge: Option<ChallengeView>,
}

/// A challenge of ALTCHA's proof of work, version 2. Find the number (`counter`) for which SHA-256 of the salt, the nonce
/// and the number, as four bytes with the highest first, begins with `keyPrefix`.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Challenge")]
pub(crate) struct ChallengeView {
    parameters: ChallengeParametersView,
    /// Send it back unchanged.
    signature: String,
}

/// The parameters of a challenge. Send them back unchanged.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ChallengeParameters")]
pub(crate) struct ChallengeParametersView {
    /// `SHA-256`.
    algorithm: String,
    /// How often the hash is computed for each number: once.
    cost: u32,
    /// When the challenge ends, in seconds since 1970.
    #[oai(rename = "expiresAt")]
    expires_at: u64,
    /// How many bytes the hash has.
    #[oai(rename = "keyLength")]
    key_length: u32,
    /// The first bytes of the hash, as hexadecimal digits.
    #[oai(rename = "keyPrefix")]
    key_prefix: String,
    /// 16 bytes, as hexadecimal digits.
    nonce: String,
    /// 16 bytes, as hexadecimal digits.
    salt: String,
}

impl ChallengeView {
    /// The challenge as clients see it; `None` if it is of another kind than those that are made here.
    fn new(challenge: &altcha::Challenge) -> Option<Self> {
        let of = &challenge.parameters;
        Some(Self {
            parameters: ChallengeParametersView {
                algorithm: of.algorithm.clone(),
                cost: of.cost,
                expires_at: of.expires_at?.try_into().ok()?,
                key_length: of.key_length.try_into().ok()?,
                key_prefix: of.key_prefix.clone(),
                nonce: of.nonce.clone(),
                salt: of.salt.clone(),
            },
            signature: challenge.signature.clone()?,
        })
    }
}

/// What is said of some problems besides the detail.
#[derive(Debug, Clone)]
enum More {
    /// Of a hidden result.
    Hidden {
        closes_at: Option<Moment>,
        voters: u64,
    },
    /// What is to be solved.
    Proof(ChallengeView),
}

/// Why a service is not ready, with causes that clients are not told. The response to `/readyz` has it as data, for
/// code in the same process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyNotReady {
    /// The failing part: `ballot log`, `tally store` or `polls`.
    pub what: &'static str,
    /// Why this part fails.
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
    /// When the client may try again, in seconds.
    retry_after: Option<u32>,
    /// The address where people sign in.
    sign_in: Option<String>,
    /// The cause, which the client is not told.
    cause: Option<Box<WhyNotReady>>,
    more: Option<Box<More>>,
    /// The words for pages, if there are any in all languages.
    said: Option<Said>,
}

impl Problem {
    /// A problem of this kind, with the kind's status and title.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            status: kind.status(),
            title: kind.title(),
            detail: detail.into(),
            retry_after: (kind.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
            sign_in: None,
            cause: None,
            more: None,
            said: None,
        }
    }

    /// Sets how long the client is to wait before it tries again.
    fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
        self
    }

    pub(crate) fn internal() -> Self {
        Self::said(ProblemKind::Internal, |t| &t.detail_internal)
    }

    pub(crate) fn no_poll(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(
            ProblemKind::UnknownPoll,
            format!("There is no poll {id:?} here."),
        )
        .said_as(Said::Fixed(|t| &t.detail_unknown_poll))
    }

    /// The same, when the id differs from an existing poll's id only by capitals.
    pub(crate) fn no_poll_but(id: &str, there: &PollId) -> Self {
        let mut problem = Self::no_poll(id);
        problem.detail = format!("{} Its name may be {there:?}.", problem.detail).into();
        problem
    }

    pub(crate) fn events_gone(oldest: u64, newest: u64) -> Self {
        Self::new(
            ProblemKind::EventsGone,
            format!(
                "Events after this place are gone, or it is the place in another database. The oldest event here is {oldest}, and \
                 the newest {newest}. Read what you need to know anew, and go on after {newest}."
            ),
        )
    }

    pub(crate) fn too_many_followers() -> Self {
        Self::new(
            ProblemKind::TooManyFollowers,
            "Too many clients wait for events now. Try again later.",
        )
    }

    pub(crate) fn no_polls() -> Self {
        Self::said(ProblemKind::NoPolls, |t| &t.no_poll_yet)
    }

    pub(crate) fn poll_closed() -> Self {
        Self::said(ProblemKind::PollClosed, |t| &t.detail_poll_closed)
    }

    /// The result of the poll may not be shown. `voters` is how many have voted.
    pub(crate) fn result_hidden(poll: &Poll, hidden: &Hidden, voters: u64) -> Self {
        let closes_at = hidden.closes_at;
        Self {
            more: Some(Box::new(More::Hidden { closes_at, voters })),
            ..Self::new(
                ProblemKind::ResultHidden,
                why_hidden(poll, hidden, Texts::english()),
            )
        }
    }

    /// No tally with this digest is known.
    pub(crate) fn no_tally() -> Self {
        Self::new(
            ProblemKind::UnknownTally,
            "This is not the current tally, and not one of the last that this service has read. Ask for the pointer \
             (tally/latest) again.",
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
        Self::said(ProblemKind::CrossSite, |t| &t.detail_cross_site)
    }

    pub(crate) fn cross_site_form() -> Self {
        Self::said(ProblemKind::CrossSite, |t| &t.detail_cross_site_form)
    }

    pub(crate) fn no_such_address() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Not Found",
            ..Self::said(ProblemKind::Request, |t| &t.detail_not_found)
        }
    }

    /// No other site may show results inside its pages.
    pub(crate) fn not_embedded() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Not Found",
            ..Self::said(ProblemKind::Request, |t| &t.embedding_off)
        }
    }

    /// The font of pictures lacks signs of the poll's texts.
    pub(crate) fn no_letters() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Not Found",
            ..Self::new(
                ProblemKind::Request,
                "The fonts for PNG pictures lack signs of this poll's texts, such as Japanese ones. The picture result.svg \
                 has them.",
            )
        }
    }

    pub(crate) fn empty_ballots_not_taken() -> Self {
        Self::said(ProblemKind::EmptyBallotsNotTaken, |t| {
            &t.detail_not_possible
        })
    }

    pub(crate) fn foreign_secret() -> Self {
        Self::said(ProblemKind::ForeignSecret, |t| &t.detail_foreign_secret)
    }

    pub(crate) fn cookies_needed() -> Self {
        Self::said(ProblemKind::CookiesNeeded, |t| &t.detail_cookies_needed)
    }

    /// The voter who is signed in is not the voter for whom the page was made.
    pub(crate) fn voter_changed() -> Self {
        Self::said(ProblemKind::VoterChanged, |t| &t.detail_voter_changed)
    }

    /// A rule of the application refuses the ballot.
    pub(crate) fn refused_by_rule(refusal: &Refusal) -> Self {
        Self::new(ProblemKind::NotEligible, refusal.detail().to_owned())
    }

    /// The same problem in other words.
    pub(crate) fn with_detail(self, detail: String) -> Self {
        Self {
            detail: detail.into(),
            said: None,
            ..self
        }
    }

    /// Adds the address where people sign in.
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
        Self::said(ProblemKind::TooSlow, |t| &t.detail_too_slow)
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

    /// Adds the cause, for code in the same process.
    pub(crate) fn because(self, cause: WhyNotReady) -> Self {
        Self {
            cause: Some(Box::new(cause)),
            ..self
        }
    }

    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Invalid, detail)
    }

    /// Somebody has changed the poll since the client read it.
    fn revision_changed(poll: &PollId, expected: u64, stored: Option<u64>) -> Self {
        let detail = match stored {
            Some(stored) => {
                format!(
                    "Poll {poll} was changed meanwhile: its revision is {stored}, not {expected}."
                )
            }
            None => format!("There is no poll {poll} any more."),
        };
        Self::new(ProblemKind::RevisionChanged, detail)
    }

    pub(crate) fn conflict(detail: String) -> Self {
        Self::new(ProblemKind::Conflict, detail)
    }

    /// The caller's role may not do this; `detail` says what is missing.
    pub(crate) fn forbidden(detail: String) -> Self {
        Self::new(ProblemKind::Forbidden, detail)
    }

    pub(crate) fn token_exists(name: &str) -> Self {
        Self::new(
            ProblemKind::TokenExists,
            format!("There is a token {name:?} already; revoke it first, or choose another name."),
        )
    }

    pub(crate) fn no_webhook() -> Self {
        Self::new(
            ProblemKind::UnknownWebhook,
            "There is no such webhook, or it has no such delivery.",
        )
    }

    pub(crate) fn too_many_webhooks() -> Self {
        Self::new(
            ProblemKind::TooManyWebhooks,
            format!("There are {MAX_WEBHOOKS} webhooks already; remove one first."),
        )
    }

    pub(crate) fn webhooks_off() -> Self {
        Self::new(
            ProblemKind::WebhooksOff,
            "This service sends no webhooks. Set entry_key_file for all workers: their secrets are kept under this key.",
        )
    }

    pub(crate) fn no_token(name: &str) -> Self {
        let name: String = name.chars().take(64).collect();
        Self::new(
            ProblemKind::UnknownToken,
            format!("There is no token {name:?}."),
        )
    }

    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::new(ProblemKind::Unauthorized, detail)
    }

    /// The address has its share of the event streams.
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

    /// The address has sent too many wrong tokens.
    pub(crate) fn too_many_tokens(wait: Duration) -> Self {
        Self::new(
            ProblemKind::TooManyTokens,
            "This token is not known here, and too many wrong ones came from your address.",
        )
        .after(wait)
    }

    /// Too many voters who had not voted before came from one address.
    pub(crate) fn too_many_new_voters(wait: Duration) -> Self {
        Self::said(ProblemKind::TooManyNewVoters, |t| &t.detail_new_voters).after(wait)
    }

    /// Too many voters who had not voted before came to one poll.
    pub(crate) fn too_many_new_voters_of_poll(wait: Duration) -> Self {
        Self::said(ProblemKind::TooManyNewVotersOfPoll, |t| &t.detail_crowded).after(wait)
    }

    /// The voter is to solve this challenge.
    pub(crate) fn proof_needed(why: &'static str, challenge: &altcha::Challenge) -> Self {
        Self {
            more: ChallengeView::new(challenge).map(|challenge| Box::new(More::Proof(challenge))),
            ..Self::new(ProblemKind::ProofNeeded, why)
        }
    }

    /// The voter is to send the form again after this time; `None`: too many wait already.
    pub(crate) fn form_waits(wait: Option<Duration>) -> Self {
        match wait {
            Some(wait) => Self::said(ProblemKind::ProofNeeded, |t| &t.form_waits).after(wait),
            None => Self::said(ProblemKind::ProofNeeded, |t| &t.line_is_full)
                .after(Duration::from_secs(60)),
        }
    }

    /// Too many wrong codes came from the address, or from all addresses together.
    pub(crate) fn too_many_codes(wait: Duration) -> Self {
        Self::said(ProblemKind::TooManyCodes, |t| &t.too_many_codes).after(wait)
    }

    pub(crate) fn bulk_casts_off() -> Self {
        Self::new(
            ProblemKind::BulkCastsOff,
            "This service takes no bulk casts. Set worker.bulk_casts to true for a worker that has secret_file and entry_key_file.",
        )
    }

    pub(crate) fn too_many_exports() -> Self {
        Self::new(
            ProblemKind::TooManyExports,
            "Ballots are being exported already. Please try again when that has ended.",
        )
    }

    pub(crate) fn store_unavailable() -> Self {
        Self::said(ProblemKind::StoreUnavailable, |t| &t.again_soon)
    }

    /// The request itself is wrong: its head or its body.
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Request, detail)
    }

    fn document(&self) -> ProblemDocument {
        let (closes_at, voters, challenge) = match self.more.as_deref() {
            Some(More::Hidden { closes_at, voters }) => (*closes_at, Some(*voters), None),
            Some(More::Proof(challenge)) => (None, None, Some(challenge.clone())),
            None => (None, None, None),
        };
        ProblemDocument {
            kind: self.kind,
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone().into_owned(),
            closes_at: closes_at.map(|at| at.to_string()),
            voters,
            challenge,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The address where people sign in, if they have to sign in.
    pub(crate) fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    /// The kind of problem.
    pub(crate) fn kind(&self) -> ProblemKind {
        self.kind
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the vote was refused because the poll is closed.
    pub(crate) fn is_poll_closed(&self) -> bool {
        self.kind == ProblemKind::PollClosed
    }

    /// Whether a vote with this failure may still count. After an internal error in the middle of a cast, nobody
    /// knows how far the cast came.
    pub(crate) fn leaves_unknown(&self) -> bool {
        matches!(
            self.kind,
            ProblemKind::OutcomeUnknown | ProblemKind::Internal
        )
    }

    /// The problem as it is told to a client; `new` means that the client came without a cookie.
    #[must_use]
    pub(crate) fn for_client(self, new: bool) -> Self {
        if new && self.kind == ProblemKind::OutcomeUnknown {
            return Self::said(self.kind, |t| &t.unknown_with_cookie);
        }
        self
    }

    /// Adds the headers of the problem; the body may be a document or a page.
    pub(crate) fn finish(&self, mut response: Response) -> Response {
        response.set_status(self.status);
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        if self.kind == ProblemKind::ResultHidden {
            // No cache keeps this for others, whatever the answer would say if the result were shown.
            let caching = HeaderValue::from_static("private, no-store");
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, caching);
        }
        if let Some(cause) = &self.cause {
            response.set_data(WhyNotReady::clone(cause));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // HTTP requires a scheme with 401, and the application's sign-in is not a scheme that HTTP knows.
            let scheme = match self.kind {
                ProblemKind::SignInNeeded => "Application",
                ProblemKind::CodeNeeded => "Voter-Code",
                _ => "Bearer",
            };
            let scheme = HeaderValue::from_static(scheme);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }

    /// The problem document as a server-sent event.
    pub(crate) fn as_event(&self, name: &str) -> Bytes {
        let document = self.document().to_json_string();
        format!("event: {name}\ndata: {document}\n\n").into()
    }

    pub(crate) fn to_response(&self) -> Response {
        self.with_document(self.document().to_json_string())
    }

    /// The same, with further texts in the document, each with its name.
    pub(crate) fn to_response_with(&self, texts: &[(&str, &str)]) -> Response {
        let mut document = self.document().to_json_string();
        document.truncate(document.len() - 1);
        for (name, text) in texts {
            let text = serde_json::Value::from(*text);
            document.push_str(&format!(",\"{name}\":{text}"));
        }
        document.push('}');
        self.with_document(document)
    }

    fn with_document(&self, document: String) -> Response {
        let body = Body::from_string(document);
        self.finish(Response::builder().content_type(PROBLEM_JSON).body(body))
    }
}

/// The poll does not accept the choice.
impl From<InvalidChoice> for Problem {
    fn from(error: InvalidChoice) -> Self {
        let problem = Self::new(
            ProblemKind::InvalidChoice,
            format!("{}.", capitalized(&error.to_string())),
        );
        match error {
            InvalidChoice::Nothing => problem.said_as(Said::Fixed(|t| &t.detail_nothing_chosen)),
            InvalidChoice::FirstCounts => problem.said_as(Said::Fixed(|t| &t.detail_no_withdrawal)),
            InvalidChoice::TooMany { chosen, max } => {
                problem.said_as(Said::TooMany(chosen as u64, max as u64))
            }
            _ => problem,
        }
    }
}

impl From<CastError> for Problem {
    fn from(error: CastError) -> Self {
        match &error {
            CastError::Closed(_) => Self::poll_closed(),
            CastError::NotOpen(_) => Self::said(ProblemKind::PollNotOpen, |t| &t.detail_not_open),
            CastError::Changed(_) => Self::said(ProblemKind::PollChanged, |t| &t.detail_changed),
            CastError::Overloaded => Self::said(ProblemKind::Overloaded, |t| &t.detail_overloaded),
            CastError::Unknown(_) => Self::said(ProblemKind::OutcomeUnknown, |t| &t.unknown),
            _ => Self::said(ProblemKind::NotStored, |t| &t.detail_not_stored),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        /// For requests without a `Trouble` of their own, such as those for receipts.
        static OTHERS: LazyLock<Trouble> = LazyLock::new(|| Trouble::with("a request"));
        let detail = || format!("{}.", capitalized(&error.to_string()));
        match &error {
            StoreError::PollConflict(_)
            | StoreError::TextsFrozen(_)
            | StoreError::ChangeRefused(..)
            | StoreError::PollDeleted(_)
            | StoreError::UpgradeUnfinished(_) => return Self::conflict(detail()),
            StoreError::RevisionChanged {
                poll,
                expected,
                stored,
            } => return Self::revision_changed(poll, *expected, *stored),
            StoreError::NotFinal(_) => return Self::new(ProblemKind::PollNotFinal, detail()),
            StoreError::NoPoll(id) => return Self::no_poll(id.as_str()),
            _ => {}
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

/// Converts any error of an endpoint into a problem. This includes errors of poem itself, such as a path without a
/// route or a body that is not JSON.
impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        let status = error.status();
        if status == StatusCode::UNAUTHORIZED {
            return Self::unauthorized("Send the operator's token as a bearer token.");
        }
        // If a part of an address cannot be read, the address names nothing.
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
            // The text is the parser's, about the client's own input.
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

/// The statuses of a problem differ by operation; [`document`](crate::server::document) adds them.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![] }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

/// The text with a capital first letter, as at the beginning of a sentence.
pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
