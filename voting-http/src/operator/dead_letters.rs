//! The operator's API: ballots that could not be counted.

use data_encoding::BASE64;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use voting_core::{
    model::position::Position,
    pipeline::replay::{self, Revived},
    store::{
        audit::AuditNote,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD},
        outcome::FlushReport,
    },
};

use super::{OperatorService, api::Operator};
use crate::{
    edge::callers::Right,
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
    views::reason_view::ReasonView,
};

/// The most dead letters in one answer.
const PAGE: usize = 100;

pub(super) struct Api(pub(super) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listDeadLetters",
        problems: &[ProblemKind::Invalid, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"dead_letters":[{"position":"0-1790000000000-0-3","reason":"unknown-option","detail":"the poll has no option 7","payload":"AQ==","payload_cut":false}]}"#,
        )],
    },
    Operation {
        id: "getDeadLetter",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::UnknownDeadLetter,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"position":"0-1790000000000-0-3","reason":"unknown-option","detail":"the poll has no option 7","payload":"AQ==","payload_cut":false,"cast_at_ms":1790000000000,"count":1,"ballots":[{"position":"0-1790000000000-0-3","poll":"lunch","choices":[7]}]}"#,
        )],
    },
    Operation {
        id: "replayDeadLetter",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::UnknownDeadLetter,
            ProblemKind::StillRejected,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[("200", r#"{"counted":1,"superseded":0,"rejected":0}"#)],
    },
];

/// Ballots that could not be counted.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetters", skip_serializing_if_is_none)]
struct DeadLettersView {
    /// By position.
    dead_letters: Vec<DeadLetterView>,
    /// The value after which the next page begins. Absent: this is the last page.
    next: Option<String>,
}

/// A ballot that could not be counted.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetter")]
struct DeadLetterView {
    /// Its place in the log: shard, milliseconds since 1970, number.
    position: String,
    /// The kind of defect.
    reason: ReasonView,
    /// The defect in words.
    detail: String,
    /// The log entry, in base64; in a list its first 1,024 bytes.
    payload: String,
    /// Whether this is only the beginning of the kept payload.
    payload_cut: bool,
}

impl DeadLetterView {
    /// A view with at most this many bytes of the payload.
    fn new(letter: &DeadLetter, bytes: usize) -> Self {
        let payload = &letter.payload[..letter.payload.len().min(bytes)];
        Self {
            position: letter.position.to_string(),
            reason: letter.reason.into(),
            detail: letter.detail.clone(),
            payload: BASE64.encode(payload),
            payload_cut: payload.len() < letter.payload.len(),
        }
    }
}

/// A ballot of a dead letter.
#[derive(Debug, Object)]
#[oai(rename = "DeadBallot")]
struct DeadBallotView {
    /// Its place in the log.
    position: String,
    /// The poll that it names.
    poll: String,
    /// The indices of the options that it chooses, the first being 0.
    choices: Vec<usize>,
}

/// A dead letter with what can be read of it.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetterDetails")]
struct DetailsView {
    #[oai(flatten)]
    letter: DeadLetterView,
    /// When it was cast, in milliseconds since 1970.
    cast_at_ms: u64,
    /// The number of ballots that it stands for.
    count: u16,
    /// The ballots in it; none when it cannot be read.
    ballots: Vec<DeadBallotView>,
}

impl From<&DeadLetter> for DetailsView {
    fn from(letter: &DeadLetter) -> Self {
        let ballots = replay::ballots(letter).unwrap_or_default();
        let ballots = ballots.iter().map(|placed| DeadBallotView {
            position: placed.position.to_string(),
            poll: placed.ballot.poll.to_string(),
            choices: placed.ballot.choices.indices().collect(),
        });
        Self {
            letter: DeadLetterView::new(letter, MAX_PAYLOAD),
            cast_at_ms: letter.position.ms(),
            count: letter.ballots,
            ballots: ballots.collect(),
        }
    }
}

/// The outcome for the ballots of a dead letter.
#[derive(Debug, Object)]
#[oai(rename = "Replay")]
struct ReplayView {
    /// Ballots that count now.
    counted: u64,
    /// Ballots whose voter has a newer one.
    superseded: u64,
    /// Ballots that are still rejected, each in a dead letter of its own.
    rejected: u64,
}

fn position(text: &str) -> Result<Position, Problem> {
    text.parse::<Position>()
        .map_err(|error| Problem::invalid(format!("This is {error}.")))
}

impl OperatorService {
    /// Counts a dead letter, and tells the audit log what became of its ballots.
    ///
    /// # Errors
    /// There is none at this position, its ballots still cannot be counted, or the store does not answer.
    pub(crate) async fn count_dead_letter(
        &self,
        position: &str,
        by: &str,
    ) -> Result<FlushReport, Problem> {
        let at = self::position(position)?;
        let pipeline = &self.0.pipeline;
        let store = pipeline.store.as_ref();
        let rule = pipeline.worker.rule().map(AsRef::as_ref);
        let report = match replay::revive(store, store, store, rule, at).await? {
            Revived::NotFound => return Err(Problem::no_dead_letter()),
            Revived::Rejected(reason, detail) => {
                return Err(Problem::still_rejected(format!("{reason}: {detail}.")));
            }
            Revived::Flushed(report) => report,
        };
        tracing::info!(position = %at, ?report, by, "a dead letter was counted");
        let reported = serde_json::json!({
            "position": at.to_string(),
            "counted": report.counted,
            "superseded": report.superseded,
            "rejected": report.rejected,
        });
        let note = AuditNote {
            by: by.to_owned(),
            action: "dead_letter.replayed".to_owned(),
            poll: None,
            before: None,
            after: Some(reported.to_string()),
        };
        store.add_to_audit_log(&note).await?;
        Ok(report)
    }
}

#[OpenApi]
impl Api {
    /// The ballots that could not be counted, 100 at a time.
    ///
    /// The list has only the beginning of each payload. The whole payload is in the dead letter itself.
    #[oai(
        path = "/v1/dead-letters",
        method = "get",
        operation_id = "listDeadLetters"
    )]
    async fn dead_letters(
        &self,
        operator: Operator,
        /// The position after which to go on.
        after: Query<Option<String>>,
    ) -> Result<Json<DeadLettersView>, Problem> {
        operator.may(Right::DeadLetters)?;
        let after = after.0.as_deref().map(position).transpose()?;
        let letters = self.0.0.pipeline.store.dead_letters(after, PAGE).await?;
        let next = letters.get(PAGE - 1).map(|last| last.position.to_string());
        Ok(Json(DeadLettersView {
            dead_letters: letters
                .iter()
                .map(|letter| DeadLetterView::new(letter, LISTED))
                .collect(),
            next,
        }))
    }

    /// A dead letter.
    #[oai(
        path = "/v1/dead-letters/:position",
        method = "get",
        operation_id = "getDeadLetter"
    )]
    async fn dead_letter(
        &self,
        operator: Operator,
        /// Its place in the log.
        position: Path<String>,
    ) -> Result<Json<DetailsView>, Problem> {
        operator.may(Right::DeadLetters)?;
        let at = self::position(&position)?;
        let letter = self.0.0.pipeline.store.dead_letter(at).await?;
        let letter = letter.ok_or_else(Problem::no_dead_letter)?;
        Ok(Json(DetailsView::from(&letter)))
    }

    /// Count a dead letter, once its cause is fixed.
    ///
    /// The ballot keeps its place in the order, so a newer ballot of its voter still counts. If the ballot still
    /// cannot be counted, the dead letter stays, and the answer says why.
    #[oai(
        path = "/v1/dead-letters/:position/replay",
        method = "post",
        operation_id = "replayDeadLetter"
    )]
    async fn replay(
        &self,
        operator: Operator,
        /// Its place in the log.
        position: Path<String>,
    ) -> Result<Json<ReplayView>, Problem> {
        let by = operator.may(Right::DeadLetters)?;
        let report = self.0.count_dead_letter(&position, by).await?;
        Ok(Json(ReplayView {
            counted: report.counted,
            superseded: report.superseded,
            rejected: report.rejected,
        }))
    }
}
