//! The operator's API: polls.

use std::time::Duration;

use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use voting_core::{Poll, PollId, PollOption, PollState, Tally, model::poll_state::Seals};

use super::{OperatorService, api::Operator};
use crate::{
    cache::polls::FRESH_MISS,
    edge::strict_json::StrictJson,
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
    views::poll_view::{self, PollView, StoredPollView},
};

/// How long a request waits until a stored poll is published.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(3);

/// How often the directory is asked during this time.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Api(pub(super) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "putPoll",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::Conflict,
            ProblemKind::StoreUnavailable,
        ],
        body: Some(
            r#"{"id":"lunch","title":"What is for lunch?","max_choices":2,"options":[{"id":"rice","label":"Rice"},{"id":"soup","label":"Soup"}]}"#,
        ),
        answers: &[
            ("200", poll_view::STORED_EXAMPLE),
            ("201", poll_view::STORED_EXAMPLE),
        ],
    },
    Operation {
        id: "closePoll",
        problems: &[ProblemKind::UnknownPoll, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[("200", poll_view::EXAMPLE), ("202", poll_view::EXAMPLE)],
    },
    Operation {
        id: "recountPoll",
        problems: &[ProblemKind::UnknownPoll, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"agrees":true,"kept":{"voters":3,"options":[{"id":"a","votes":2},{"id":"b","votes":1}]},"counted":{"voters":3,"options":[{"id":"a","votes":2},{"id":"b","votes":1}]}}"#,
        )],
    },
];

/// A poll to be stored.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct NewPoll {
    /// Names the poll in addresses: 1 to 63 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    id: String,
    /// The question: up to 200 characters that can be seen, and none that turn the direction of text
    /// around.
    title: String,
    /// How many options one ballot may choose.
    #[oai(
        default = "one",
        validator(minimum(value = "1"), maximum(value = "63"))
    )]
    #[serde(default = "one")]
    max_choices: usize,
    /// What can be voted for: 2 to 63 options. They cannot change once the poll is stored; their
    /// labels can while it is open.
    #[oai(validator(min_items = 2, max_items = 63))]
    options: Vec<NewOption>,
}

/// One thing that can be voted for.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct NewOption {
    /// Names the option in a ballot: 1 to 32 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    id: String,
    /// The option in words: as the title, and no other option's label looks the same.
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
    Changed(Json<StoredPollView>),
    /// The poll is stored, and can be voted in if it is `published`.
    #[oai(status = 201)]
    Created(Json<StoredPollView>),
}

#[derive(ApiResponse)]
enum CloseAnswer {
    /// The poll was final already.
    #[oai(status = 200)]
    Final(Json<PollView>),
    /// The poll takes no more ballots within a moment, and is final once all are counted.
    #[oai(status = 202)]
    Closing(Json<PollView>),
}

impl Api {
    async fn find(&self, name: &str) -> Result<Poll, Problem> {
        let id: PollId = name.parse().map_err(|_| Problem::no_poll(name))?;
        let poll = self.0.0.pipeline.polls.poll(&id).await?;
        poll.ok_or_else(|| Problem::no_poll(name))
    }

    /// Waits until the vote services find the poll as it is now. They look in the directory.
    async fn is_published(&self, poll: &Poll) {
        let mut was_there = false;
        loop {
            let found = self.0.0.pipeline.directory.poll(poll.id()).await;
            let is_there = found.is_ok_and(|found| {
                found.is_some_and(|found| {
                    found.title() == poll.title() && found.options() == poll.options()
                })
            });
            // The poll must be seen twice: another worker may still write a list that it has read before.
            if is_there && was_there {
                return;
            }
            was_there = is_there;
            // A vote service that has just looked up the polls does not look again within this time.
            sleep(if is_there { FRESH_MISS } else { LOOK_AGAIN }).await;
        }
    }
}

#[OpenApi]
impl Api {
    /// Store a poll, or give a stored one another title or labels.
    ///
    /// A poll that is closing or final keeps the texts that its voters have read (409).
    /// The answer comes once the vote services find the poll, or after 3 seconds: `published` says which.
    #[oai(path = "/v1/polls", method = "post", operation_id = "putPoll")]
    async fn put_poll(
        &self,
        operator: Operator,
        poll: StrictJson<NewPoll>,
    ) -> Result<PutAnswer, Problem> {
        self.0.authorize(&operator)?;
        let poll = poll.0.check()?;
        let polls = &self.0.0.pipeline.polls;
        let before = polls.poll(poll.id()).await?;
        polls.put_poll(&poll).await?;
        let was_there = before.is_some();
        // The state of a stored poll does not change here.
        let state = before.map_or(PollState::Open, |poll| poll.state().clone());
        let poll = poll.in_state(state);
        let published = timeout(PUBLISHED_WITHIN, self.is_published(&poll)).await;
        let view = Json(StoredPollView::new(&poll, published.is_ok()));
        Ok(if was_there {
            PutAnswer::Changed(view)
        } else {
            PutAnswer::Created(view)
        })
    }

    /// Close a poll, for good. Every ballot that was acknowledged before counts.
    ///
    /// The poll is `closing` until all its ballots are counted, then `final`: ask again, or watch the
    /// tally.
    #[oai(
        path = "/v1/polls/:poll/close",
        method = "post",
        operation_id = "closePoll"
    )]
    async fn close(&self, operator: Operator, poll: Path<String>) -> Result<CloseAnswer, Problem> {
        self.0.authorize(&operator)?;
        let found = self.find(&poll).await?;
        let polls = &self.0.0.pipeline.polls;
        let closing = PollState::Closing(Seals::default());
        let state = polls
            .advance_poll_by(found.id(), &closing, "operator")
            .await?;
        let state = state.ok_or_else(|| Problem::no_poll(&poll))?;
        if found.state().is_open() {
            tracing::info!(poll = %found.id(), "the poll is closing");
        }
        let is_final = matches!(state, PollState::Final(_));
        let view = Json(PollView::from(&found.in_state(state)));
        Ok(if is_final {
            CloseAnswer::Final(view)
        } else {
            CloseAnswer::Closing(view)
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
        self.0.authorize(&operator)?;
        let definition = self.find(&poll).await?;
        let id = definition.id();
        let recount = self.0.0.pipeline.store.recount(id).await?;
        let recount = recount.ok_or_else(|| Problem::no_poll(&poll))?;
        let agrees = recount.agrees();
        if !agrees {
            tracing::error!(poll = %id, ?recount, "the tally differs from the recounted ballots");
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
            Problem::invalid(format!(
                "{}.",
                crate::problem::capitalized(&error.to_string())
            ))
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
            .collect::<Result<_, voting_core::model::id::InvalidId>>()
            .map_err(|error| invalid(&error))?;
        Poll::new(id, self.title, options, self.max_choices).map_err(|error| invalid(&error))
    }
}
