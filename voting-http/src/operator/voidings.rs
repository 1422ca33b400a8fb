//! The operator's API: the rules by which ballots of a poll are voided.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde::Deserialize;
use voting_core::{
    Poll,
    model::{
        code::Serial,
        moment::Moment,
        poll::{ChangeTo, NewVoided, NewVoiding, PollChange, VoidedBallots, Voiding, check_text},
    },
};

use super::{OperatorService, api::Operator};
use crate::{
    edge::{callers::Right, strict_json::StrictJson},
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
};

pub(super) struct Api(pub(super) OperatorService);

const CHANGE: &[ProblemKind] = &[
    ProblemKind::UnknownPoll,
    ProblemKind::Conflict,
    ProblemKind::Invalid,
    ProblemKind::StoreUnavailable,
];

const ONE_RULE: &str = r#"{"voters":4100,"voided":900,"voidings":[{"number":1,"made_at":"2026-11-27T18:31:00Z","reason":"A script voted from one address.","from":"2026-11-27T18:00:00Z","until":"2026-11-27T18:05:00Z"}]}"#;

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listVoidings",
        problems: &[ProblemKind::UnknownPoll, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[("200", ONE_RULE)],
    },
    Operation {
        id: "voidBallots",
        problems: CHANGE,
        body: Some(
            r#"{"reason":"A script voted from one address.","from":"2026-11-27T18:00:00Z","until":"2026-11-27T18:05:00Z"}"#,
        ),
        answers: &[("200", ONE_RULE)],
    },
    Operation {
        id: "undoVoiding",
        problems: CHANGE,
        body: None,
        answers: &[("200", r#"{"voters":5000,"voided":0,"voidings":[]}"#)],
    },
];

/// Which ballots to void: those of a span of time (`from` and `until`), those of all revoked codes (`revoked_codes`), or
/// those of some revoked codes (`codes`), or those that trusted servers have handed in (`handed_in`). Exactly one of the four.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields, rename = "NewVoiding")]
#[serde(deny_unknown_fields)]
struct NewVoidingForm {
    /// The reason, for people: one line of 1 to 200 characters. The audit log contains it.
    reason: String,
    /// The first moment: RFC 3339 with an offset.
    from: Option<String>,
    /// The moment after the last one: RFC 3339 with an offset. It is not in the future.
    until: Option<String>,
    /// `true`: the ballots that were cast with codes which are revoked now. Codes that are revoked later need another
    /// rule.
    revoked_codes: Option<bool>,
    /// The ballots that were cast with these codes, all of which are revoked.
    #[oai(validator(min_items = 1, max_items = 10000))]
    codes: Option<Vec<CodeForm>>,
    /// `true`: all ballots that trusted servers have handed in (`castBallots`), also those that they hand in later.
    handed_in: Option<bool>,
}

/// A code.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields, rename = "CodeToVoid")]
#[serde(deny_unknown_fields)]
struct CodeForm {
    /// Its serial number.
    #[oai(validator(minimum(value = "0"), maximum(value = "99999999")))]
    serial: u32,
}

/// A rule by which ballots are voided.
#[derive(Debug, Object)]
#[oai(rename = "Voiding", skip_serializing_if_is_none)]
struct VoidingView {
    /// Its number in the poll.
    number: u32,
    /// When it was made: RFC 3339, in UTC.
    made_at: String,
    /// Why.
    reason: String,
    /// The first moment of the span: RFC 3339, in UTC. Absent: the rule is not about a span.
    from: Option<String>,
    /// The moment after the last one of the span.
    until: Option<String>,
    /// The number of revoked codes whose ballots are voided. Absent: the rule is not about codes.
    codes: Option<usize>,
    /// `true`: the ballots that trusted servers have handed in. Absent: the rule is not about them.
    handed_in: Option<bool>,
}

/// The rules of a poll by which ballots are voided.
#[derive(Debug, Object)]
#[oai(rename = "Voidings")]
struct VoidingsView {
    /// Voters whose ballot counts.
    voters: u64,
    /// Voters whose ballot is voided, by any of the rules. They are not among `voters`.
    voided: u64,
    /// The rules, the oldest first.
    voidings: Vec<VoidingView>,
}

impl From<&Voiding> for VoidingView {
    fn from(rule: &Voiding) -> Self {
        let (from, until, codes) = match rule.ballots() {
            VoidedBallots::Span { from, until } => {
                (Some(from.to_string()), Some(until.to_string()), None)
            }
            VoidedBallots::Codes(voters) => (None, None, Some(voters.ids().len())),
            _ => (None, None, None),
        };
        Self {
            number: rule.number(),
            made_at: rule.at().to_string(),
            reason: rule.reason().to_owned(),
            from,
            until,
            codes,
            handed_in: (*rule.ballots() == VoidedBallots::HandedIn).then_some(true),
        }
    }
}

/// Which ballots somebody wants to void.
pub(crate) enum ToVoid {
    Span {
        from: Moment,
        until: Moment,
    },
    /// Of the codes that are revoked now.
    RevokedCodes,
    Codes(Vec<Serial>),
    /// What trusted servers have handed in.
    HandedIn,
}

impl OperatorService {
    /// Voids ballots of a poll that is not final.
    ///
    /// # Errors
    /// The reason or the span is not valid, a code is not revoked, or the poll is a draft or final.
    pub(crate) async fn void_ballots(
        &self,
        name: &str,
        what: ToVoid,
        reason: &str,
        by: &str,
    ) -> Result<Poll, Problem> {
        let reason = check_text(reason)
            .map_err(|bad| Problem::invalid(format!("The reason cannot be taken: {bad}.")))?;
        let poll = self.stored_poll(name).await?;
        let serials = match what {
            ToVoid::Span { from, until } => {
                if from >= until {
                    return Err(Problem::invalid("The span must begin before it ends."));
                }
                if until > Moment::now() {
                    return Err(Problem::invalid(
                        "The span cannot end in the future: whoever votes then would be told that the vote is in.",
                    ));
                }
                return self
                    .change_voidings(&poll, NewVoided::Span { from, until }, reason, by)
                    .await;
            }
            ToVoid::HandedIn => {
                return self
                    .change_voidings(&poll, NewVoided::HandedIn, reason, by)
                    .await;
            }
            ToVoid::RevokedCodes => poll.codes().revoked_serials().collect(),
            ToVoid::Codes(serials) => serials,
        };
        if serials.is_empty() {
            return Err(Problem::conflict(format!(
                "Poll {}: none of its codes is revoked.",
                poll.id()
            )));
        }
        let key = self.poll_key(&poll)?;
        let codes = serials.into_iter();
        let codes = codes.map(|serial| (serial, key.holder(serial))).collect();
        self.change_voidings(&poll, NewVoided::Codes(codes), reason, by)
            .await
    }

    async fn change_voidings(
        &self,
        poll: &Poll,
        ballots: NewVoided,
        reason: String,
        by: &str,
    ) -> Result<Poll, Problem> {
        let to = ChangeTo::Voided(Box::new(NewVoiding { ballots, reason }));
        let change = PollChange::new(poll.id().clone(), to);
        let changed = self.0.pipeline.polls.change_poll(&change, by).await?;
        let changed = changed.ok_or_else(|| Problem::no_poll(poll.id().as_str()))?;
        tracing::warn!(poll = %poll.id(), by, "an operator has voided ballots");
        Ok(changed)
    }

    /// Undoes a rule by which ballots are voided.
    ///
    /// # Errors
    /// There is no such rule, or the poll is final.
    pub(crate) async fn undo_voiding(
        &self,
        name: &str,
        number: &str,
        by: &str,
    ) -> Result<Poll, Problem> {
        let invalid = |_| Problem::invalid("The number of a rule is a whole number from 1 on.");
        let number = number.parse().map_err(invalid)?;
        let poll = self.stored_poll(name).await?;
        let change = PollChange::new(poll.id().clone(), ChangeTo::VoidingUndone(number));
        let changed = self.0.pipeline.polls.change_poll(&change, by).await?;
        let changed = changed.ok_or_else(|| Problem::no_poll(name))?;
        tracing::warn!(poll = %poll.id(), number, by, "an operator has undone a voiding");
        Ok(changed)
    }

    async fn voidings_view(&self, poll: &Poll) -> Result<VoidingsView, Problem> {
        let tally = self.0.pipeline.store.tally(poll.id()).await?;
        let tally = tally.ok_or_else(|| Problem::no_poll(poll.id().as_str()))?;
        Ok(VoidingsView {
            voters: tally.voters,
            voided: tally.voided,
            voidings: poll.voidings().iter().map(VoidingView::from).collect(),
        })
    }
}

impl NewVoidingForm {
    fn to_void(&self) -> Result<ToVoid, Problem> {
        let one = || {
            Problem::invalid(
                "Name the votes to void in one way: from and until, or revoked_codes (true), or codes, or handed_in (true).",
            )
        };
        let moment = |text: &str| {
            let moment = text.parse::<Moment>();
            moment.map_err(|error| Problem::invalid(format!("{error}.")))
        };
        let revoked_codes = self.revoked_codes.unwrap_or(false);
        let codes = self.codes.as_ref();
        if self.handed_in == Some(true) {
            let is_alone = self.from.is_none() && self.until.is_none() && codes.is_none();
            return match is_alone && !revoked_codes {
                true => Ok(ToVoid::HandedIn),
                false => Err(one()),
            };
        }
        match (&self.from, &self.until, revoked_codes, codes) {
            (Some(from), Some(until), false, None) => Ok(ToVoid::Span {
                from: moment(from)?,
                until: moment(until)?,
            }),
            (None, None, true, None) => Ok(ToVoid::RevokedCodes),
            (None, None, false, Some(codes)) => Ok(ToVoid::Codes(
                codes.iter().map(|code| code.serial).collect(),
            )),
            _ => Err(one()),
        }
    }
}

#[OpenApi]
impl Api {
    /// List the rules by which ballots of a poll are voided.
    #[oai(
        path = "/v1/polls/:poll/voidings",
        method = "get",
        operation_id = "listVoidings"
    )]
    async fn voidings(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Json<VoidingsView>, Problem> {
        operator.may(Right::Read)?;
        let poll = self.0.stored_poll(&poll).await?;
        Ok(Json(self.0.voidings_view(&poll).await?))
    }

    /// Void ballots of a poll that is published and not final.
    ///
    /// A ballot that the rule names does not count, also if it is stored only later. If it is the voter's last ballot, no
    /// earlier one counts in its place; a ballot that the voter casts later counts. The tally has moved when the answer comes.
    /// The rule can be undone until the poll is final. Close the poll only afterwards: a closed poll is soon final. The same
    /// rule again changes nothing. In a large poll it takes a while.
    #[oai(
        path = "/v1/polls/:poll/voidings",
        method = "post",
        operation_id = "voidBallots"
    )]
    async fn void(
        &self,
        operator: Operator,
        poll: Path<String>,
        form: StrictJson<NewVoidingForm>,
    ) -> Result<Json<VoidingsView>, Problem> {
        let by = operator.may(Right::Void)?;
        let what = form.0.to_void()?;
        let poll = self.0.void_ballots(&poll, what, &form.0.reason, by).await?;
        Ok(Json(self.0.voidings_view(&poll).await?))
    }

    /// Undo a rule by which ballots are voided. Ballots that no other rule voids count again.
    ///
    /// Only until the poll is final.
    #[oai(
        path = "/v1/polls/:poll/voidings/:number",
        method = "delete",
        operation_id = "undoVoiding"
    )]
    async fn undo(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// The number of the rule.
        number: Path<String>,
    ) -> Result<Json<VoidingsView>, Problem> {
        let by = operator.may(Right::Void)?;
        let poll = self.0.undo_voiding(&poll, &number, by).await?;
        Ok(Json(self.0.voidings_view(&poll).await?))
    }
}
