//! The operator's API: the pipeline.

use std::time::SystemTime;

use poem::Request;
use poem_openapi::{Object, OpenApi, SecurityScheme, auth::Bearer, payload::Json};
use voting_core::{Poll, pipeline::worker::Progress};

use super::OperatorService;
use crate::{
    edge::callers::{Caller, Right},
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
};

/// The operator's token, or one with a name and a role.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", checker = "caller")]
pub(super) struct Operator(Caller);

/// Who sends the request. The check before the routes has found out.
#[expect(clippy::unused_async, reason = "poem-openapi awaits it")]
async fn caller(request: &Request, _: Bearer) -> Option<Caller> {
    request.data::<Caller>().cloned()
}

impl Operator {
    /// The caller's name, for the audit log, if the caller may do this.
    ///
    /// # Errors
    /// The caller's role may not do this.
    pub(super) fn may(&self, right: Right) -> Result<&str, Problem> {
        self.0.may(right)
    }

    /// Who calls.
    pub(super) fn caller(&self) -> &Caller {
        &self.0
    }

    /// Whether the caller may see the result of a poll.
    ///
    /// # Errors
    /// The result is hidden from the caller.
    pub(super) fn may_see_result_of(&self, poll: &Poll, voters: u64) -> Result<(), Problem> {
        self.0.may_see_result_of(poll, voters)
    }
}

pub(super) struct Api(pub(super) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[Operation {
    id: "getPipeline",
    problems: &[ProblemKind::StoreUnavailable],
    body: None,
    answers: &[(
        "200",
        r#"{"accepted":1204,"pending":2,"oldest_pending_ms":1790000000000,"lag_ms":40,"counted":1000,"superseded":201,"rejected":1,"lost_entries":0,"accepted_per_second":120.5,"processed_per_second":119.8,"worker":{"batches":31,"replayed":0,"idle_ms":12}}"#,
    )],
}];

/// How many ballots are in each state. At rest `accepted` is the sum of `pending`, `counted`, `superseded` and
/// `rejected`; under load the numbers are from slightly different moments.
#[derive(Debug, Object)]
#[oai(rename = "Pipeline", skip_serializing_if_is_none)]
struct PipelineView {
    /// Ballots acknowledged to voters, since the log was made.
    accepted: u64,
    /// Ballots that the store has not confirmed yet.
    pending: u64,
    /// When the oldest pending ballot was cast, in milliseconds since 1970.
    oldest_pending_ms: Option<u64>,
    /// How long ago that was, in milliseconds; 0 when no ballot is pending.
    lag_ms: u64,
    /// Ballots that count: one for each voter and poll.
    counted: u64,
    /// Ballots whose voter has a newer one.
    superseded: u64,
    /// Ballots among the dead letters.
    rejected: u64,
    /// Log entries that were deleted before they were counted. Must stay 0.
    lost_entries: u64,
    /// Ballots acknowledged to voters, per second, over the last 10 seconds.
    accepted_per_second: f64,
    /// Ballots counted, superseded or rejected, per second, over the last 10 seconds.
    processed_per_second: f64,
    /// The worker of this process.
    worker: WorkerView,
}

/// What the worker of this process has done since it started.
#[derive(Debug, Object)]
#[oai(rename = "Worker", skip_serializing_if_is_none)]
struct WorkerView {
    /// Batches flushed and acknowledged.
    batches: u64,
    /// Entries that an earlier flush had already written.
    replayed: u64,
    /// Milliseconds since the worker last acknowledged a batch, or last heard from the log while it had no batch.
    /// It grows while a store fails.
    idle_ms: u64,
    /// The failure because of which it waits and retries. Absent: none.
    trouble: Option<String>,
}

#[OpenApi]
impl Api {
    /// Get how many ballots are in each state, and what the worker of this process does.
    #[oai(path = "/v1/pipeline", method = "get", operation_id = "getPipeline")]
    async fn pipeline(&self, operator: Operator) -> Result<Json<PipelineView>, Problem> {
        operator.may(Right::Read)?;
        let pipeline = &self.0.0.pipeline;
        let stats = pipeline.queue.stats().await?;
        let totals = pipeline.store.totals().await?;
        let rates = self.0.0.overview.rates();
        let Progress {
            batches,
            flushed,
            alive_at,
            trouble,
        } = pipeline.worker.progress().borrow().clone();
        Ok(Json(PipelineView {
            accepted: stats.accepted,
            pending: stats.pending,
            oldest_pending_ms: stats.oldest_pending_ms,
            lag_ms: stats.oldest_pending_ms.map_or(0, age_ms),
            counted: totals.counted,
            superseded: totals.superseded,
            rejected: totals.rejected,
            lost_entries: stats.lost_entries,
            accepted_per_second: rates.accepted,
            processed_per_second: rates.processed,
            worker: WorkerView {
                batches,
                replayed: flushed.already_applied,
                idle_ms: u64::try_from(alive_at.elapsed().as_millis()).unwrap_or(u64::MAX),
                trouble,
            },
        }))
    }
}

fn age_ms(then_ms: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    now_ms.saturating_sub(then_ms)
}
