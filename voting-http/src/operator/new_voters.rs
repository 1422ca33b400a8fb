//! The operator's API: in which minutes the voters of a poll came.

use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use voting_core::model::{moment::Moment, new_voters::NewVoters};

use super::{OperatorService, api::Operator, audit::only_parameters};
use crate::{
    edge::callers::Right,
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
};

pub(super) struct Api(pub(super) OperatorService);

/// How many minutes an answer has at most: a day.
const MAX_MINUTES: usize = 1_440;

/// How many it has unless the request says so.
const MINUTES: usize = 180;

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[Operation {
    id: "listNewVoters",
    problems: &[
        ProblemKind::UnknownPoll,
        ProblemKind::Invalid,
        ProblemKind::StoreUnavailable,
    ],
    body: None,
    answers: &[(
        "200",
        r#"{"minutes":[{"minute":"2026-11-27T18:04:00Z","voters":312},{"minute":"2026-11-27T18:03:00Z","voters":9}],"next":"2026-11-27T18:03:00Z"}"#,
    )],
}];

/// The voters who were new in a minute.
#[derive(Debug, Object)]
#[oai(rename = "NewVoters")]
struct MinuteView {
    /// When the minute begins: RFC 3339, in UTC.
    minute: String,
    /// Voters whose first stored ballot was cast in this minute.
    voters: u64,
}

/// The voters of a poll, by the minute in which they came.
#[derive(Debug, Object)]
#[oai(rename = "NewVotersByMinute", skip_serializing_if_is_none)]
struct MinutesView {
    /// The newest minute first. Minutes without new voters are left out.
    minutes: Vec<MinuteView>,
    /// There may be more: ask again with this as `before`.
    next: Option<String>,
}

impl OperatorService {
    /// The newest minutes in which voters were new.
    ///
    /// # Errors
    /// There is no such poll, or the store does not answer.
    pub(crate) async fn new_voters(
        &self,
        name: &str,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Vec<NewVoters>, Problem> {
        let id = name.parse().map_err(|_| Problem::no_poll(name))?;
        let store = &self.0.pipeline.store;
        let minutes = store.new_voters(&id, before, limit).await?;
        minutes.ok_or_else(|| Problem::no_poll(name))
    }
}

#[OpenApi]
impl Api {
    /// Get how many voters were new in each minute.
    ///
    /// The minute is that of the ballot with which a voter was first counted, by the clock of the log. Voters from
    /// before the upgrade to a version with this list are in no minute. A voter stays in the minute also if the ballot
    /// is voided or taken back.
    #[oai(
        path = "/v1/polls/:poll/new-voters",
        method = "get",
        operation_id = "listNewVoters"
    )]
    async fn list(
        &self,
        request: &Request,
        operator: Operator,
        poll: Path<String>,
        /// Only minutes that begin before this moment: RFC 3339 with an offset.
        before: Query<Option<String>>,
        /// The most minutes in the answer, 1 to 1440; 180 unless it is given.
        #[oai(validator(minimum(value = "1"), maximum(value = "1440")))]
        limit: Query<Option<usize>>,
    ) -> Result<Json<MinutesView>, Problem> {
        operator.may(Right::Read)?;
        only_parameters(request, &["before", "limit"])?;
        let before = before.0.map(|before| before.parse::<Moment>());
        let before = before.transpose();
        let before = before.map_err(|error| Problem::invalid(format!("{error}.")))?;
        let limit = limit.0.unwrap_or(MINUTES);
        if !(1..=MAX_MINUTES).contains(&limit) {
            return Err(Problem::invalid(format!(
                "The limit is 1 to {MAX_MINUTES}."
            )));
        }
        let minutes = self.0.new_voters(&poll, before, limit).await?;
        let last = minutes.last().filter(|_| minutes.len() == limit);
        Ok(Json(MinutesView {
            next: last.map(|last| last.minute.to_string()),
            minutes: minutes
                .into_iter()
                .map(|of| MinuteView {
                    minute: of.minute.to_string(),
                    voters: of.voters,
                })
                .collect(),
        }))
    }
}
