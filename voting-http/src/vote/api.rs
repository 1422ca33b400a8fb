//! The vote service's API.

use poem::{IntoResponse, Request, Response};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
};
use serde::{Deserialize, Serialize};
use voting_core::{Choices, Poll, Receipt};

use super::{VoteService, memory::Remembered, proof::of_header};
use crate::{
    edge::{
        json_answer::JsonAnswer,
        strict_json::{self, StrictJson},
        visitor::{NoVoterCookie, Visitor},
    },
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
    texts::Texts,
    views::poll_view::{self, PollView, StateView},
};

pub(super) struct Api(pub(super) VoteService);

/// The operation that casts a ballot.
pub(super) const CAST: &str = "castBallot";

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listPolls",
        problems: &[ProblemKind::StoreUnavailable],
        body: None,
        answers: &[("200", poll_view::LIST_EXAMPLE)],
    },
    Operation {
        id: "getPoll",
        problems: &[ProblemKind::UnknownPoll, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[("200", poll_view::EXAMPLE)],
    },
    Operation {
        id: "getEligibility",
        problems: &[
            ProblemKind::InvalidVoterCookie,
            ProblemKind::SeveralVoterCookies,
            ProblemKind::OutdatedVoterCookie,
            ProblemKind::InvalidCode,
            ProblemKind::TooManyCodes,
            ProblemKind::UnknownPoll,
            ProblemKind::Invalid,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[("200", r#"{"eligible":true}"#)],
    },
    Operation {
        id: CAST,
        problems: &[
            ProblemKind::InvalidVoterCookie,
            ProblemKind::SeveralVoterCookies,
            ProblemKind::OutdatedVoterCookie,
            ProblemKind::CookiesNeeded,
            ProblemKind::SignInNeeded,
            ProblemKind::NotEligible,
            ProblemKind::CodeNeeded,
            ProblemKind::InvalidCode,
            ProblemKind::TooManyCodes,
            ProblemKind::Invalid,
            ProblemKind::VoterChanged,
            ProblemKind::CrossSite,
            ProblemKind::UnknownPoll,
            ProblemKind::PollClosed,
            ProblemKind::PollNotOpen,
            ProblemKind::PollChanged,
            ProblemKind::InvalidChoice,
            ProblemKind::TooManyNewVoters,
            ProblemKind::TooManyNewVotersOfPoll,
            ProblemKind::ProofNeeded,
            ProblemKind::EmptyBallotsNotTaken,
            ProblemKind::Overloaded,
            ProblemKind::ForeignSecret,
            ProblemKind::NotStored,
            ProblemKind::OutcomeUnknown,
            ProblemKind::StoreUnavailable,
        ],
        body: Some(r#"{"choices":["a"]}"#),
        answers: &[(
            "202",
            r#"{"receipt":"2.13HGy3gzMkkqM6i7MzKn1hz_4i2DKByiI_UY9m0Hz9LRHgbpid3Ox8kTnzpMT8A2_5KMOEqoAsJbI-Wr2o4","voter":"3Kx0_q1Z"}"#,
        )],
    },
    Operation {
        id: "openSession",
        problems: &[
            ProblemKind::InvalidToken,
            ProblemKind::NotEligible,
            ProblemKind::TooManyTokens,
            ProblemKind::UnknownPoll,
            ProblemKind::PollClosed,
            ProblemKind::Invalid,
            ProblemKind::CrossSite,
            ProblemKind::StoreUnavailable,
        ],
        body: Some(r#"{"poll":"cats-vs-dogs"}"#),
        answers: &[(
            "200",
            r#"{"voter":"3Kx0_q1Z","ends_at":"2026-11-27T21:00:00Z"}"#,
        )],
    },
    Operation {
        id: "withdrawBallot",
        problems: &[
            ProblemKind::CodeNeeded,
            ProblemKind::InvalidCode,
            ProblemKind::TooManyCodes,
            ProblemKind::Invalid,
            ProblemKind::InvalidVoterCookie,
            ProblemKind::SeveralVoterCookies,
            ProblemKind::OutdatedVoterCookie,
            ProblemKind::NothingToTakeBack,
            ProblemKind::SignInNeeded,
            ProblemKind::NotEligible,
            ProblemKind::VoterChanged,
            ProblemKind::CrossSite,
            ProblemKind::UnknownPoll,
            ProblemKind::PollClosed,
            ProblemKind::PollNotOpen,
            ProblemKind::PollChanged,
            ProblemKind::InvalidChoice,
            ProblemKind::TooManyNewVoters,
            ProblemKind::EmptyBallotsNotTaken,
            ProblemKind::Overloaded,
            ProblemKind::ForeignSecret,
            ProblemKind::NotStored,
            ProblemKind::OutcomeUnknown,
            ProblemKind::StoreUnavailable,
        ],
        body: None,
        answers: &[(
            "202",
            r#"{"receipt":"2.13HGy3gzMkkqM6i7MzKn1hz_4i2DKByiI_UY9m0Hz9LRHgbpid3Ox8kTnzpMT8A2_5KMOEqoAsJbI-Wr2o4"}"#,
        )],
    },
];

/// The description of `castBallot`, if the application says who votes.
pub(super) const CAST_BY_LOGIN: &str = "The voter is the one who has signed in to the application. A voter counts once, with the last accepted ballot, so \
    trying again is safe.\n\nWhoever has not signed in is answered 401, `urn:voting:problem:sign-in-needed`; whoever \
    may not vote 403, `urn:voting:problem:not-eligible`.\n\nA poll that is closed takes no ballots: 409, \
    `urn:voting:problem:poll-closed`.";

/// A list of polls.
#[derive(Debug, Object)]
#[oai(rename = "Polls")]
struct PollsView {
    /// The oldest first.
    polls: Vec<PollView>,
}

/// A request to open a session.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct NewSession {
    /// The id of the poll.
    #[oai(validator(max_length = 63))]
    poll: String,
}

/// A session in a poll.
#[derive(Debug, Object)]
#[oai(rename = "Session")]
struct SessionView {
    /// A short tag of the voter in this poll. It grants nothing.
    voter: String,
    /// When the session ends: RFC 3339, in UTC.
    ends_at: String,
}

#[derive(ApiResponse)]
enum SessionAnswer {
    /// The session is open.
    #[oai(status = 200)]
    Opened(
        Json<SessionView>,
        /// The cookie of the session. It ends with the session, or with the browser.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// Why somebody may not vote, as a fact and not as a failure.
const EXCLUDES: &[ProblemKind] = &[
    ProblemKind::CodeNeeded,
    ProblemKind::SignInNeeded,
    ProblemKind::NotEligible,
];

/// Whether somebody may vote.
#[derive(Debug, Object)]
#[oai(rename = "Eligibility", skip_serializing_if_is_none)]
struct EligibilityView {
    /// Whether a ballot of this sender would be taken now.
    eligible: bool,
    /// Why not: the type of the problem that a ballot would be answered with.
    reason: Option<ProblemKind>,
    /// The same in words, for people.
    detail: Option<String>,
}

/// A vote.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Ballot", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct BallotView {
    /// The ids of the chosen options: one up to the poll's `max_choices`. In a poll with `blank: true` the list may be
    /// empty: a blank vote.
    choices: Vec<String>,
}

/// The answer to a ballot.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Accepted", skip_serializing_if_is_none)]
struct AcceptedView {
    /// The receipt of this ballot: ask the result service for its state.
    receipt: String,
    /// A short tag of the voter, the same for all ballots of this voter in all polls; of the holder of a code, the same for
    /// all ballots in its poll. The voting page has it in `data-voter`. It grants nothing.
    voter: String,
    /// In a poll where the first vote counts: a sentence that says so to the voter. It is not known here whether this
    /// was the first vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// In a poll whose result those who have voted may see: with this text in the header `Result-Grant`, the result
    /// service shows the result. It is valid for a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
}

/// The answer to a withdrawal.
#[derive(Debug, Object)]
#[oai(rename = "Withdrawn")]
struct WithdrawnView {
    /// A receipt: ask the result service whether the ballot is taken back.
    receipt: String,
}

#[derive(ApiResponse)]
enum WithdrawAnswer {
    /// The withdrawal is stored. Once it is counted, the voter's ballot no longer counts.
    #[oai(status = 202)]
    Accepted(
        Json<WithdrawnView>,
        /// With `Voter-Tag`: a cookie for this browser session, so that the voting page shows no vote.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum CastAnswer {
    /// The ballot is stored. It will be counted, and replaces any earlier ballot of this voter. In a poll where the
    /// first vote counts, it is counted only if it is this voter's first.
    #[oai(status = 202)]
    Accepted(
        JsonAnswer<AcceptedView>,
        /// With `Voter-Tag`: a cookie for this browser session by which the voting page shows the vote.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

impl Api {
    /// The cookie by which the voting page shows a vote.
    fn remembered(
        &self,
        poll: &Poll,
        visitor: Visitor,
        choices: Choices,
        receipt: &Receipt,
    ) -> String {
        let vote = Remembered::stored(choices, receipt);
        self.0.0.ballots.write(poll.id(), visitor.id(), vote)
    }

    /// Casts a ballot. `from_page` is the voter's tag in a request from the voting page.
    async fn accept(
        &self,
        poll: &str,
        ballot: &BallotView,
        from_page: Option<&str>,
        request: &Request,
    ) -> Result<CastAnswer, Problem> {
        let poll = self.0.0.polls.get(poll).await?;
        let visitor = self.0.caster(request, &poll).await?;
        let voter = self.0.identify(request, &poll, visitor, from_page)?;
        let named = || ballot.choices.iter().map(String::as_str);
        let choose = || match named().next() {
            None => Ok(poll.blank()?),
            Some(_) => Ok(poll.choose(named())?),
        };
        let proof = of_header(request);
        let cast = self.0.cast(request, &poll, visitor, voter, choose, proof);
        let cast = cast.await;
        let (choices, receipt) = cast.map_err(|problem| problem.for_client(visitor.is_new()))?;
        let remember = from_page.map(|_| self.remembered(&poll, visitor, choices, &receipt));
        let answer = AcceptedView {
            voter: self.0.0.tags.tag_for(from_page, visitor.id()),
            receipt: self.0.0.receipts.seal(&receipt),
            note: (!poll.settings().revote).then(|| Texts::english().received.clone()),
            grant: self.0.grant(&poll),
        };
        Ok(CastAnswer::Accepted(JsonAnswer(answer), remember))
    }

    /// Casts the ballot in the body of a request, as the route does.
    pub(super) async fn cast_at_once(
        &self,
        poll: &str,
        body: &[u8],
        request: &Request,
    ) -> poem::Result<Response> {
        let ballot = match read_at_once(body) {
            Some(ballot) => ballot,
            None => strict_json::read(body).map_err(Problem::bad_request)?,
        };
        let from_page = request.headers().get("voter-tag");
        let from_page = from_page.and_then(|tag| tag.to_str().ok());
        let answer = self.accept(poll, &ballot, from_page, request).await?;
        Ok(answer.into_response())
    }
}

/// A ballot that is read without the tree that [`strict_json`] makes of it. `None` unless that reader would read the same: serde
/// takes a list for an object, so the body must begin as an object; and it refuses fields that are unknown or there twice.
fn read_at_once(body: &[u8]) -> Option<BallotView> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(body).ok())?
}

#[OpenApi]
impl Api {
    /// List the polls, also the closed ones. Polls that are not listed, and polls that are archived, are left out.
    #[oai(path = "/v1/polls", method = "get", operation_id = "listPolls")]
    async fn polls(&self) -> Result<Json<PollsView>, Problem> {
        let polls = self.0.0.polls.listed().await?.all;
        let polls = polls
            .iter()
            .map(|poll| PollView::from(poll.as_ref()))
            .collect();
        Ok(Json(PollsView { polls }))
    }

    /// Get a poll.
    #[oai(path = "/v1/polls/:poll", method = "get", operation_id = "getPoll")]
    async fn poll(&self, poll: Path<String>) -> Result<Json<PollView>, Problem> {
        let poll = self.0.0.polls.get(&poll).await?;
        Ok(Json(PollView::from(poll.as_ref())))
    }

    /// Whether the sender may vote in a poll now: by the cookie, by the application's sign-in, or by a code.
    ///
    /// It says who may vote, not who has voted. Rules of the embedding application are not applied. A code that is not
    /// valid is a problem, as for a ballot.
    #[oai(
        path = "/v1/polls/:poll/eligibility",
        method = "get",
        operation_id = "getEligibility"
    )]
    async fn eligibility(
        &self,
        poll: Path<String>,
        /// The voter's code, in a poll whose `electorate` is `codes`.
        #[oai(name = "Voter-Code", validator(max_length = 100))]
        _code: Header<Option<String>>,
        /// In a poll whose `electorate` is `open`: names the voter, as for `castBallot`.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        request: &Request,
    ) -> Result<Json<EligibilityView>, Problem> {
        let poll = self.0.0.polls.get(&poll).await?;
        let voter = match self.0.visitor(request, &poll).await {
            Ok(visitor) => self.0.voter_in(&poll, visitor).map(|_| ()),
            Err(problem) => Err(problem),
        };
        let state = StateView::now(&poll);
        let why = match voter {
            Err(problem) if EXCLUDES.contains(&problem.kind()) => problem,
            Err(problem) => return Err(problem),
            Ok(()) if state.is_open() => {
                return Ok(Json(EligibilityView {
                    eligible: true,
                    reason: None,
                    detail: None,
                }));
            }
            Ok(()) if state == StateView::Scheduled => {
                Problem::new(ProblemKind::PollNotOpen, "This poll is not open yet.")
            }
            Ok(()) => Problem::poll_closed(),
        };
        Ok(Json(EligibilityView {
            eligible: false,
            reason: Some(why.kind()),
            detail: Some(why.detail().to_owned()),
        }))
    }

    /// Cast a ballot.
    ///
    /// The cookie `voter-xxxxxx` (`__Host-voter-xxxxxx` over HTTPS) names the voter; `xxxxxx` differs between
    /// deployments. A request without the cookie comes from a new voter. Every answer to it sets the cookie, also one
    /// that reports a failure. Send the cookie with the next try, and the voter counts once, with the last accepted
    /// ballot.
    ///
    /// A cookie that is sent but cannot be read is not replaced, and the ballot is refused: 400,
    /// `urn:voting:problem:invalid-voter-cookie`, `…:several-voter-cookies` or `…:outdated-voter-cookie`. To vote as
    /// a new voter, send no cookie.
    ///
    /// A program that keeps no cookies can name the voter by the header `Idempotency-Key` instead. The same key is the same
    /// voter in this poll, so trying again is safe: the voter counts once, with the last accepted ballot. In another poll
    /// the same key is another voter. The answer sets no cookie. A key that is not valid, a key beside a voter's cookie, and a
    /// key in a poll whose `electorate` is not `open` are refused: 422, `urn:voting:problem:invalid`.
    ///
    /// In a poll whose `electorate` is `codes`, whoever has one of its codes can vote. The code is in the header
    /// `Voter-Code`, or in the cookie that the poll's page sets for a code. It neither needs nor sets the voter's
    /// cookie. Without a code: 401,
    /// `urn:voting:problem:code-needed`; with one that is not valid: 403, `urn:voting:problem:invalid-code`.
    ///
    /// In a poll whose `electorate` is `identity`, whoever has signed in can vote: with the cookie of a session
    /// (`openSession`), or through the proxy that signs people in. Otherwise: 401, `urn:voting:problem:sign-in-needed`;
    /// and 403, `urn:voting:problem:not-eligible`, if the poll is for other people.
    ///
    /// A poll with `revote: false` counts the voter's first accepted ballot.
    ///
    /// An address can have a limited number of voters whose request does not show that they have voted before: 429,
    /// `urn:voting:problem:too-many-new-voters`. The ballot is not stored. The same holds for a poll as a whole, if the
    /// deployment limits it: 429, `urn:voting:problem:too-many-new-voters-of-poll`. Or, when very many such voters come, each
    /// of them does a proof of work: 429, `urn:voting:problem:proof-needed`, with a challenge. A solution is good for this voter
    /// in this poll, for ten minutes.
    ///
    /// A closed poll takes no ballots: 409, `urn:voting:problem:poll-closed`; nor does a poll that is not open yet: 409,
    /// `urn:voting:problem:poll-not-open`.
    #[oai(
        path = "/v1/polls/:poll/ballot",
        method = "put",
        operation_id = "castBallot"
    )]
    #[allow(
        clippy::too_many_arguments,
        reason = "the document has the headers that are arguments"
    )]
    async fn cast(
        &self,
        poll: Path<String>,
        ballot: StrictJson<BallotView>,
        /// Sent by the voting page: the `voter` that the page was given. With this header and without the voter's
        /// cookie, the ballot is refused and not counted for a new voter: 400, `urn:voting:problem:cookies-needed`.
        #[oai(name = "Voter-Tag")]
        voter_tag: Header<Option<String>>,
        /// The voter's code, in a poll whose `electorate` is `codes`. Hyphens and spaces may be added, and small
        /// letters are accepted.
        #[oai(name = "Voter-Code", validator(max_length = 100))]
        _code: Header<Option<String>>,
        /// In a poll whose `electorate` is `open`, from a program that sends no cookie: names the voter by a key that the program
        /// makes for this voter, of at least 128 random bits. 32 to 128 hexadecimal digits, or 22 to 128 letters, digits, `-` and
        /// `_`; with or without double quotes around it. No UUID: it has fewer random bits.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        /// Sent after `urn:voting:problem:proof-needed`: the JSON `{"challenge":…,"solution":{"counter":…,"derivedKey":"…"}}` in
        /// Base64, as ALTCHA's own clients make it. `challenge` is that of the answer, `counter` the number that was
        /// found, `derivedKey` the whole hash as hexadecimal digits.
        #[oai(name = "Voter-Proof", validator(max_length = 4096))]
        _proof: Header<Option<String>>,
        request: &Request,
    ) -> Result<CastAnswer, Problem> {
        let from_page = voter_tag.0.as_deref();
        self.accept(&poll, &ballot.0, from_page, request).await
    }

    /// Sign in to vote in a poll whose `electorate` is `identity`, by a token of the deployment's identity provider.
    ///
    /// The token is a JSON Web Token, sent as `Authorization: Bearer`. The answer sets the cookie of a session in this poll.
    /// Send the cookie with each ballot. The same person is the same voter on all devices.
    #[oai(path = "/v1/session", method = "post", operation_id = "openSession")]
    async fn open_session(
        &self,
        wanted: StrictJson<NewSession>,
        /// `Bearer` and the token.
        #[oai(name = "Authorization", validator(max_length = 16400))]
        _token: Header<Option<String>>,
        request: &Request,
    ) -> Result<SessionAnswer, Problem> {
        let poll = self.0.0.polls.get(&wanted.0.poll).await?;
        if let Some(without) = request.data::<NoVoterCookie>() {
            without.set();
        }
        let session = self.0.open_session(request, &poll).await?;
        let answer = SessionView {
            voter: self.0.0.tags.tag(session.voter),
            ends_at: session.ends.to_string(),
        };
        Ok(SessionAnswer::Opened(Json(answer), session.cookie))
    }

    /// Take a ballot back.
    ///
    /// The voter then has no ballot that counts, and may vote again. The request names the voter as `castBallot` does. Without the
    /// voter's cookie there is nothing to take back: 404, `urn:voting:problem:nothing-to-take-back`.
    ///
    /// In a poll with `revote: false` no ballot can be taken back: 422, `urn:voting:problem:invalid-choice`.
    #[oai(
        path = "/v1/polls/:poll/ballot",
        method = "delete",
        operation_id = "withdrawBallot"
    )]
    async fn withdraw(
        &self,
        poll: Path<String>,
        /// Sent by the voting page: the `voter` that the page was given.
        #[oai(name = "Voter-Tag")]
        voter_tag: Header<Option<String>>,
        /// The voter's code, in a poll whose `electorate` is `codes`.
        #[oai(name = "Voter-Code", validator(max_length = 100))]
        _code: Header<Option<String>>,
        /// In a poll whose `electorate` is `open`: names the voter, as for `castBallot`.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        request: &Request,
    ) -> Result<WithdrawAnswer, Problem> {
        let poll = self.0.0.polls.get(&poll).await?;
        let visitor = self.0.caster(request, &poll).await?;
        if visitor.is_new() {
            return Err(Problem::new(
                ProblemKind::NothingToTakeBack,
                "The request names no voter: send the voter's cookie along.",
            ));
        }
        let from_page = voter_tag.0.as_deref();
        let voter = self.0.identify(request, &poll, visitor, from_page)?;
        let cast = self
            .0
            .cast(
                request,
                &poll,
                visitor,
                voter,
                || Ok(poll.withdraw()?),
                None,
            )
            .await;
        let (choices, receipt) = cast.map_err(|problem| problem.for_client(false))?;
        let remember = from_page.map(|_| self.remembered(&poll, visitor, choices, &receipt));
        let answer = WithdrawnView {
            receipt: self.0.0.receipts.seal(&receipt),
        };
        Ok(WithdrawAnswer::Accepted(Json(answer), remember))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_ballot_that_is_read_at_once_is_read_the_same_strictly(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", "\"choices\"", ":", ",", "\"a\"", "\"\\u0061\"", "1", "null", " ", "\"x\"", "\u{feff}",
                    "{\"choices\":[", "]}", "{\"choices\":[\"a\"]}",
                ]),
                0..8,
            ),
        ) {
            let body = parts.concat();
            if let Some(ballot) = read_at_once(body.as_bytes()) {
                let strictly = strict_json::read::<BallotView>(body.as_bytes());
                prop_assert_eq!(Ok(ballot.choices), strictly.map(|ballot| ballot.choices), "{}", body);
            }
        }
    }

    #[test]
    fn the_usual_ballots_are_read_at_once() {
        for body in [
            r#"{"choices":["a"]}"#,
            " {\n\"choices\": [\"a\", \"b\"]}\n",
            r#"{"choices":[]}"#,
        ] {
            assert!(read_at_once(body.as_bytes()).is_some(), "{body}");
        }
        for body in [
            "",
            "[[\"a\"]]",
            r#"{"choices":["a"],"choices":["a"]}"#,
            "{}",
            r#"{"choices":[1]}"#,
        ] {
            assert!(read_at_once(body.as_bytes()).is_none(), "{body}");
        }
    }
}
