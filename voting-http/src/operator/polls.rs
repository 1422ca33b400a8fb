//! The operator's API: polls.

use futures_util::{StreamExt, TryStreamExt, stream};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use voting_core::{Poll, PollState, Tally};

use super::{
    OperatorService,
    api::Operator,
    changes::{Expected, Saved},
    form::{OptionForm, PollForm},
};
use crate::{
    edge::{
        callers::Right,
        strict_json::{MergePatch, StrictJson},
    },
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
    views::poll_view::{self, OrderView, PollView, ResultsView, StoredPollView, VotersView},
};

/// How many tallies are read at a time for a list of polls.
const TALLIES_AT_ONCE: usize = 8;

pub(super) struct Api(pub(super) OperatorService);

/// How a change of a stored poll can fail.
const CHANGE: &[ProblemKind] = &[
    ProblemKind::UnknownPoll,
    ProblemKind::Invalid,
    ProblemKind::Conflict,
    ProblemKind::RevisionChanged,
    ProblemKind::StoreUnavailable,
];

const BODY: &str = r#"{"id":"lunch","title":"What is for lunch?","description":"For Friday.","max_choices":2,"options":[{"id":"rice","label":"Rice","description":"With vegetables."},{"id":"soup","label":"Soup"}],"closes_at":"2027-01-31T18:00:00+01:00","time_zone":"Europe/Berlin","results":"after_close"}"#;

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listPolls",
        problems: &[ProblemKind::StoreUnavailable],
        body: None,
        answers: &[("200", poll_view::COUNTED_LIST_EXAMPLE)],
    },
    Operation {
        id: "putPoll",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::Conflict,
            ProblemKind::StoreUnavailable,
        ],
        body: Some(BODY),
        answers: &[
            ("200", poll_view::STORED_EXAMPLE),
            ("201", poll_view::STORED_EXAMPLE),
        ],
    },
    Operation {
        id: "getPoll",
        problems: &[ProblemKind::UnknownPoll, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[("200", poll_view::COUNTED_EXAMPLE)],
    },
    Operation {
        id: "replacePoll",
        problems: CHANGE,
        body: Some(BODY),
        answers: &[
            ("200", poll_view::STORED_EXAMPLE),
            ("201", poll_view::STORED_EXAMPLE),
        ],
    },
    Operation {
        id: "patchPoll",
        problems: CHANGE,
        body: Some(r#"{"closes_at":"2027-01-31T18:00:00+01:00","listed":false}"#),
        answers: &[("200", poll_view::STORED_EXAMPLE)],
    },
    Operation {
        id: "deletePoll",
        problems: CHANGE,
        body: None,
        answers: &[],
    },
    Operation {
        id: "publishPoll",
        problems: CHANGE,
        body: None,
        answers: &[("200", poll_view::STORED_EXAMPLE)],
    },
    Operation {
        id: "openPoll",
        problems: CHANGE,
        body: None,
        answers: &[("200", poll_view::STORED_EXAMPLE)],
    },
    Operation {
        id: "closePoll",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::Conflict,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[("200", poll_view::EXAMPLE), ("202", poll_view::EXAMPLE)],
    },
    Operation {
        id: "archivePoll",
        problems: CHANGE,
        body: None,
        answers: &[("200", poll_view::STORED_EXAMPLE)],
    },
    Operation {
        id: "unarchivePoll",
        problems: CHANGE,
        body: None,
        answers: &[("200", poll_view::STORED_EXAMPLE)],
    },
    Operation {
        id: "forgetVoters",
        problems: CHANGE,
        body: None,
        answers: &[("200", poll_view::WITHOUT_VOTERS_EXAMPLE)],
    },
    Operation {
        id: "recountPoll",
        problems: &[
            ProblemKind::UnknownPoll,
            ProblemKind::ResultHidden,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "200",
            r#"{"agrees":true,"kept":{"voters":3,"options":[{"id":"a","votes":2},{"id":"b","votes":1}]},"counted":{"voters":3,"options":[{"id":"a","votes":2},{"id":"b","votes":1}]}}"#,
        )],
    },
];

/// The fields of a poll that are to change. A field that is `null` gets its default again.
#[derive(Debug, Object)]
#[oai(rename = "PollPatch")]
struct PollPatch {
    /// The question.
    title: Option<String>,
    /// Plain text below the title; paragraphs are separated by empty lines.
    description: Option<String>,
    /// How many options one ballot may choose.
    #[oai(validator(minimum(value = "1"), maximum(value = "63")))]
    max_choices: Option<usize>,
    /// All options, in order.
    #[oai(validator(min_items = 2, max_items = 63))]
    options: Option<Vec<OptionForm>>,
    /// Who may vote. It cannot change once the poll has opened.
    voters: Option<VotersView>,
    /// Where voters sign in: who may vote must be in one of these groups.
    #[oai(validator(max_items = 32))]
    groups: Option<Vec<String>>,
    /// Where voters sign in: who may vote must have a verified e-mail address in one of these domains.
    #[oai(validator(max_items = 32))]
    email_domains: Option<Vec<String>>,
    /// Whether a voter may vote again.
    revote: Option<bool>,
    /// Whether a voter may vote blank: for no option.
    blank: Option<bool>,
    /// When the poll opens: RFC 3339 with an offset, now or later.
    opens_at: Option<String>,
    /// When the poll closes: RFC 3339 with an offset, later than now.
    closes_at: Option<String>,
    /// The time zone in which pages show these moments: an IANA name such as `Europe/Berlin`.
    time_zone: Option<String>,
    /// Who sees the result, and when.
    results: Option<ResultsView>,
    /// The order in which a voter sees the options.
    order: Option<OrderView>,
    /// Whether the poll is in lists and menus.
    listed: Option<bool>,
    /// The language of the texts, a tag such as `de` or `pt-BR`.
    language: Option<String>,
    /// How many days the final poll is kept before it is deleted.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    retention_days: Option<u32>,
    /// How many days after the poll is final its voters are forgotten.
    #[oai(validator(minimum(value = "0"), maximum(value = "36500")))]
    forget_voters_days: Option<u32>,
    /// `false` publishes a draft.
    draft: Option<bool>,
}

/// A poll, and how many voters it has.
#[derive(Debug, Object)]
#[oai(rename = "CountedPoll")]
struct CountedPollView {
    #[oai(flatten)]
    poll: PollView,
    /// Voters whose ballot counts.
    voters: u64,
}

/// A list of polls.
#[derive(Debug, Object)]
#[oai(rename = "CountedPolls")]
struct CountedPollsView {
    /// The oldest first.
    polls: Vec<CountedPollView>,
}

/// The stored tally and a count of the ballots.
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

/// The revision of a poll, as an entity tag.
fn tag(poll: &Poll) -> String {
    format!("\"{}\"", poll.revision())
}

/// What a request says must be stored.
fn expected(if_match: &Header<Option<String>>) -> Result<Expected, Problem> {
    match if_match.0.as_deref().map(str::trim) {
        None => Ok(Expected::Any),
        Some("*") => Ok(Expected::Stored),
        Some(tag) => {
            let revision = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let revision = revision.and_then(|revision| revision.parse().ok());
            revision.map(Expected::Revision).ok_or_else(|| {
                Problem::invalid("If-Match is the ETag of the poll, such as \"3\", or *.")
            })
        }
    }
}

#[derive(ApiResponse)]
enum GetAnswer {
    /// The poll.
    #[oai(status = 200)]
    Found(
        Json<CountedPollView>,
        /// The poll's revision, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum PutAnswer {
    /// The poll existed, and is now as in the answer.
    #[oai(status = 200)]
    Changed(
        Json<StoredPollView>,
        /// The poll's revision, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// The poll is stored. Voters can vote in it if it is `published` and open.
    #[oai(status = 201)]
    Created(
        Json<StoredPollView>,
        /// The poll's revision, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum ChangeAnswer {
    /// The poll is now as in the answer.
    #[oai(status = 200)]
    Changed(
        Json<StoredPollView>,
        /// The poll's revision, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum DeleteAnswer {
    /// The poll is deleted.
    #[oai(status = 204)]
    Deleted,
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

impl From<Saved> for PutAnswer {
    fn from(saved: Saved) -> Self {
        let view = Json(StoredPollView::new(&saved.poll, saved.is_published));
        let tag = tag(&saved.poll);
        if saved.is_new {
            Self::Created(view, tag)
        } else {
            Self::Changed(view, tag)
        }
    }
}

impl From<Saved> for ChangeAnswer {
    fn from(saved: Saved) -> Self {
        let view = Json(StoredPollView::new(&saved.poll, saved.is_published));
        Self::Changed(view, tag(&saved.poll))
    }
}

impl Api {
    async fn counted(&self, poll: &Poll) -> Result<CountedPollView, Problem> {
        let tally = self.0.0.pipeline.store.tally(poll.id()).await?;
        Ok(CountedPollView {
            poll: poll.into(),
            voters: tally.map_or(0, |tally| tally.voters),
        })
    }
}

#[OpenApi]
impl Api {
    /// List all polls, also drafts and archived ones.
    #[oai(path = "/v1/polls", method = "get", operation_id = "listPolls")]
    async fn polls(&self, operator: Operator) -> Result<Json<CountedPollsView>, Problem> {
        operator.may(Right::Read)?;
        let polls = self.0.stored_polls().await?;
        let counting: Vec<_> = polls.iter().map(|poll| self.counted(poll)).collect();
        let counted = stream::iter(counting).buffered(TALLIES_AT_ONCE);
        let polls = counted.try_collect().await?;
        Ok(Json(CountedPollsView { polls }))
    }

    /// Store a poll, or change the title or labels of a stored one.
    ///
    /// For programs that store their polls at each start. The settings of a stored poll stay. If the body has settings
    /// that differ from those of the stored poll, it is refused (409): change them with PUT or PATCH. A poll that is
    /// closing or final keeps the texts that its voters have read (409). The answer comes once the vote services find
    /// the poll, or after 3 seconds. `published` says whether they find it.
    #[oai(path = "/v1/polls", method = "post", operation_id = "putPoll")]
    async fn put_poll(
        &self,
        operator: Operator,
        poll: StrictJson<PollForm>,
    ) -> Result<PutAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        Ok(self.0.define_poll(&poll.0, by).await?.into())
    }

    /// Get a poll in any state, with its revision as `ETag`.
    #[oai(path = "/v1/polls/:poll", method = "get", operation_id = "getPoll")]
    async fn poll(&self, operator: Operator, poll: Path<String>) -> Result<GetAnswer, Problem> {
        operator.may(Right::Read)?;
        let poll = self.0.stored_poll(&poll).await?;
        let view = self.counted(&poll).await?;
        Ok(GetAnswer::Found(Json(view), tag(&poll)))
    }

    /// Store a poll, or replace the definition and all settings of a stored one.
    ///
    /// Fields that the body does not have get their defaults, except `draft`: a draft stays a draft.
    #[oai(path = "/v1/polls/:poll", method = "put", operation_id = "replacePoll")]
    async fn replace(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// Only change the poll with this `ETag`; `*`: only a stored one.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// `*`: only store a poll that does not exist.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
        form: StrictJson<PollForm>,
    ) -> Result<PutAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        if form.0.id != poll.0 {
            return Err(Problem::invalid(
                "The poll's id in the body is not the one in the address.",
            ));
        }
        let expected = match if_none_match.0.as_deref().map(str::trim) {
            None => expected(&if_match)?,
            Some("*") if if_match.0.is_none() => Expected::Nothing,
            Some(_) => {
                return Err(Problem::invalid(
                    "If-None-Match can be * only, and without If-Match.",
                ));
            }
        };
        Ok(self.0.save_poll(&form.0, expected, by).await?.into())
    }

    /// Change single fields of a poll.
    ///
    /// The body is a JSON merge patch (RFC 7396): only the fields that it has change, and a field that is `null` gets
    /// its default again. `options` are replaced as a whole. The id cannot change.
    #[oai(path = "/v1/polls/:poll", method = "patch", operation_id = "patchPoll")]
    async fn patch(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// Only change the poll with this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: MergePatch<PollPatch>,
    ) -> Result<ChangeAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        let saved = self.0.patch_poll(&poll, &patch.0, expected, by).await?;
        Ok(saved.into())
    }

    /// Delete a draft or a final poll, with its ballots.
    ///
    /// Its id is never used again. The audit log keeps what it was.
    #[oai(
        path = "/v1/polls/:poll",
        method = "delete",
        operation_id = "deletePoll"
    )]
    async fn delete(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// The poll's id. Needed if the poll has ballots.
        confirm: Query<Option<String>>,
        /// Only delete the poll with this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<DeleteAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        self.0
            .delete_poll(&poll, confirm.0.as_deref(), expected, by)
            .await?;
        Ok(DeleteAnswer::Deleted)
    }

    /// Publish a draft: it opens at once, or at its time.
    ///
    /// A poll that is published stays as it is.
    #[oai(
        path = "/v1/polls/:poll/publish",
        method = "post",
        operation_id = "publishPoll"
    )]
    async fn publish(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// Only publish the poll with this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ChangeAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        Ok(self.0.publish_poll(&poll, expected, by).await?.into())
    }

    /// Open a poll now that is a draft or opens later.
    ///
    /// A poll that is open stays as it is.
    #[oai(
        path = "/v1/polls/:poll/open",
        method = "post",
        operation_id = "openPoll"
    )]
    async fn open(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// Only open the poll with this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ChangeAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        Ok(self.0.open_poll(&poll, expected, by).await?.into())
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
        let by = operator.may(Right::Polls)?;
        let poll = self.0.close_poll(&poll, by).await?;
        let view = Json(PollView::from(&poll));
        Ok(match poll.state() {
            PollState::Final(_) => CloseAnswer::Final(view),
            _ => CloseAnswer::Closing(view),
        })
    }

    /// Put a final poll into the archive: it is no longer in any list.
    #[oai(
        path = "/v1/polls/:poll/archive",
        method = "post",
        operation_id = "archivePoll"
    )]
    async fn archive(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// Only archive the poll with this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ChangeAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        Ok(self.0.archive_poll(&poll, true, expected, by).await?.into())
    }

    /// Take a poll out of the archive.
    #[oai(
        path = "/v1/polls/:poll/unarchive",
        method = "post",
        operation_id = "unarchivePoll"
    )]
    async fn unarchive(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// Only take the poll with this `ETag` out of the archive.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ChangeAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        let saved = self.0.archive_poll(&poll, false, expected, by).await?;
        Ok(saved.into())
    }

    /// Forget the voters of a final poll.
    ///
    /// Of its ballots only the number for each choice stays, and the poll's key is destroyed. Tally, recount and export
    /// stay as they are. After that, nobody can find out who cast which ballot, except from backups of the store and
    /// from what the ballot log still keeps. This cannot be undone. A poll whose voters are forgotten stays as it is.
    /// In a large poll it takes a while.
    #[oai(
        path = "/v1/polls/:poll/forget-voters",
        method = "post",
        operation_id = "forgetVoters"
    )]
    async fn forget_voters(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// The poll's id, since this cannot be undone.
        confirm: Query<Option<String>>,
        /// Only forget the voters of the poll with this `ETag`.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<ChangeAnswer, Problem> {
        let by = operator.may(Right::Polls)?;
        let expected = expected(&if_match)?;
        let confirm = confirm.0.as_deref();
        let saved = self.0.forget_voters(&poll, confirm, expected, by).await?;
        Ok(saved.into())
    }

    /// Count the ballots of a poll and compare the count with its tally, both from the same moment.
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
        operator.may(Right::Recount)?;
        let definition = self.0.stored_poll(&poll).await?;
        let id = definition.id();
        let recount = self.0.0.pipeline.store.recount(id).await?;
        let recount = recount.ok_or_else(|| Problem::no_poll(&poll))?;
        operator.may_see_result_of(&definition, recount.kept.voters)?;
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
