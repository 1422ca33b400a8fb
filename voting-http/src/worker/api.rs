//! The operator's API.

use data_encoding::BASE64;
use poem_openapi::{
    ApiResponse, Object, OpenApi, SecurityScheme,
    auth::Bearer,
    param::{Path, Query},
    payload::Json,
};
use voting_core::{
    Poll, PollId, PollOption, Tally,
    dead_letter::DeadLetter,
    position::{InvalidPosition, Position},
    worker::Progress,
};

use super::WorkerService;
use crate::{polls::PollView, problem::Problem};

/// The operator's token.
#[derive(SecurityScheme)]
#[oai(ty = "bearer")]
struct Operator(Bearer);

/// Dead letters in one answer.
const PAGE: usize = 100;

pub(super) struct Api(pub(super) WorkerService);

/// Where all ballots are. At rest `accepted` is the sum of `pending`, `counted`, `superseded` and
/// `rejected`; under load the numbers are of slightly different moments.
#[derive(Debug, Object)]
#[oai(rename = "Pipeline", skip_serializing_if_is_none)]
struct PipelineView {
    /// Ballots ever acknowledged to voters.
    accepted: u64,
    /// Ballots that the store has not confirmed yet.
    pending: u64,
    /// When the oldest pending ballot was cast, in milliseconds since 1970.
    oldest_pending_ms: Option<u64>,
    /// Ballots that count: one a voter and poll.
    counted: u64,
    /// Ballots whose voter has a newer one.
    superseded: u64,
    /// Ballots among the dead letters.
    rejected: u64,
    /// The worker of this process.
    worker: WorkerView,
}

/// What the worker of this process has done since it started.
#[derive(Debug, Object)]
#[oai(rename = "Worker", skip_serializing_if_is_none)]
struct WorkerView {
    /// Batches flushed and acknowledged.
    batches: u64,
    /// Entries that had been flushed before.
    replayed: u64,
    /// Since its loop last went round, in milliseconds. Grows while a store fails.
    idle_ms: u64,
    /// What it is waiting out, if anything.
    trouble: Option<String>,
}

/// Ballots that could not be counted.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetters", skip_serializing_if_is_none)]
struct DeadLettersView {
    /// By position.
    dead_letters: Vec<DeadLetterView>,
    /// Ask for those after this one, when there are more.
    next: Option<String>,
}

/// A ballot that could not be counted.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetter")]
struct DeadLetterView {
    /// Where it stood in the log: shard, milliseconds since 1970, number.
    position: String,
    /// The kind of defect.
    reason: String,
    /// The defect in words.
    detail: String,
    /// The log entry, in base64.
    payload: String,
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            position: letter.position.to_string(),
            reason: letter.reason.to_string(),
            detail: letter.detail.clone(),
            payload: BASE64.encode(&letter.payload),
        }
    }
}

/// A poll to be stored.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewPoll {
    /// Names the poll in addresses: 1 to 63 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    id: String,
    /// The question, up to 200 characters.
    title: String,
    /// How many options one ballot may choose.
    #[oai(default = "one")]
    max_choices: usize,
    /// What can be voted for: 2 to 63 options. They cannot change once the poll is stored; their
    /// labels can.
    options: Vec<NewOption>,
}

/// One thing that can be voted for.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewOption {
    /// Names the option in a ballot: 1 to 32 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    id: String,
    /// The option in words, up to 200 characters.
    label: String,
}

fn one() -> usize {
    1
}

/// The kept tally beside a count of the ballots.
#[derive(Debug, Object)]
#[oai(rename = "Recount")]
struct RecountView {
    /// Whether the two are the same.
    agrees: bool,
    /// The tally that is shown.
    kept: CountView,
    /// What the ballots say.
    counted: CountView,
}

/// A count.
#[derive(Debug, Object)]
#[oai(rename = "Count")]
struct CountView {
    /// Voters whose ballot counts.
    voters: u64,
    /// The votes, in the poll's order of options.
    options: Vec<OptionCountView>,
}

/// The votes for one option.
#[derive(Debug, Object)]
#[oai(rename = "OptionCount")]
struct OptionCountView {
    /// Names the option.
    id: String,
    /// How many voters chose it.
    votes: u64,
}

impl CountView {
    fn new(poll: &Poll, tally: &Tally) -> Self {
        let options = poll.options().iter().zip(&tally.votes);
        let options = options.map(|(option, votes)| OptionCountView {
            id: option.id.to_string(),
            votes: *votes,
        });
        Self {
            voters: tally.voters,
            options: options.collect(),
        }
    }
}

#[derive(ApiResponse)]
enum PutAnswer {
    /// The poll was there, and has these texts now.
    #[oai(status = 200)]
    Changed(Json<PollView>),
    /// The poll is stored and can be voted in.
    #[oai(status = 201)]
    Created(Json<PollView>),
}

impl Api {
    fn authorize(&self, operator: &Operator) -> Result<(), Problem> {
        if self.0.0.operator.is(&operator.0.token) {
            return Ok(());
        }
        Err(Problem::unauthorized("This is not the operator's token."))
    }
}

#[OpenApi]
impl Api {
    /// Where all ballots are, and how the worker does.
    #[oai(path = "/v1/pipeline", method = "get", operation_id = "getPipeline")]
    async fn pipeline(&self, operator: Operator) -> Result<Json<PipelineView>, Problem> {
        self.authorize(&operator)?;
        let pipeline = &self.0.0.pipeline;
        let stats = pipeline.queue.stats().await?;
        let totals = pipeline.flusher.totals().await?;
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
            counted: totals.counted,
            superseded: totals.superseded,
            rejected: totals.rejected,
            worker: WorkerView {
                batches,
                replayed: flushed.replayed,
                idle_ms: u64::try_from(alive_at.elapsed().as_millis()).unwrap_or(u64::MAX),
                trouble,
            },
        }))
    }

    /// The ballots that could not be counted, 100 at a time.
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
        self.authorize(&operator)?;
        let after: Option<Position> = after
            .0
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: InvalidPosition| Problem::invalid(error.to_string()))?;
        let letters = self
            .0
            .0
            .pipeline
            .dead_letters
            .dead_letters(after, PAGE)
            .await?;
        let next = letters.get(PAGE - 1).map(|last| last.position.to_string());
        Ok(Json(DeadLettersView {
            dead_letters: letters.iter().map(DeadLetterView::from).collect(),
            next,
        }))
    }

    /// Store a poll, or give a stored one another title or labels.
    #[oai(path = "/v1/polls", method = "post", operation_id = "putPoll")]
    async fn put_poll(
        &self,
        operator: Operator,
        poll: Json<NewPoll>,
    ) -> Result<PutAnswer, Problem> {
        self.authorize(&operator)?;
        let poll = poll.0.check()?;
        let polls = &self.0.0.pipeline.polls;
        let was_there = polls.poll(poll.id()).await?.is_some();
        polls.put_poll(&poll).await?;
        let view = Json(PollView::from(&poll));
        Ok(if was_there {
            PutAnswer::Changed(view)
        } else {
            PutAnswer::Created(view)
        })
    }

    /// Count the ballots of a poll and compare with its tally, both of one moment.
    #[oai(
        path = "/v1/polls/:poll/recount",
        method = "post",
        operation_id = "recountPoll"
    )]
    async fn recount(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Json<RecountView>, Problem> {
        self.authorize(&operator)?;
        let id: PollId = poll.parse().map_err(|_| Problem::no_poll(&poll))?;
        let pipeline = &self.0.0.pipeline;
        let definition = pipeline.polls.poll(&id).await?;
        let definition = definition.ok_or_else(|| Problem::no_poll(&poll))?;
        let recount = pipeline.tallies.recount(&id).await?;
        let recount = recount.ok_or_else(|| Problem::no_poll(&poll))?;
        let agrees = recount.agrees();
        if !agrees {
            tracing::error!(poll = %id, ?recount, "the tally is not what the ballots say");
        }
        Ok(Json(RecountView {
            agrees,
            kept: CountView::new(&definition, &recount.kept),
            counted: CountView::new(&definition, &recount.counted),
        }))
    }
}

impl NewPoll {
    fn check(self) -> Result<Poll, Problem> {
        let invalid = |error: &dyn std::error::Error| {
            Problem::invalid(format!("{}.", crate::site::capitalized(&error.to_string())))
        };
        let id = self.id.parse().map_err(|error| invalid(&error))?;
        let options = self
            .options
            .into_iter()
            .map(|option| {
                let id = option.id.parse()?;
                Ok(PollOption {
                    id,
                    label: option.label,
                })
            })
            .collect::<Result<_, voting_core::id::InvalidId>>()
            .map_err(|error| invalid(&error))?;
        Poll::new(id, self.title, options, self.max_choices).map_err(|error| invalid(&error))
    }
}
