//! The operator's API: the codes of a poll.

use std::{io, ops::Range};

use futures_util::stream;
use poem::Body;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    payload::{Binary, Json},
};
use serde::Deserialize;
use voting_core::{
    Poll,
    model::{
        code::Serial,
        poll::{ChangeTo, CodeChange, PollChange},
        poll_key::PollKey,
    },
};

use super::{OperatorService, api::Operator};
use crate::{
    edge::{callers::Right, strict_json::StrictJson},
    export::{CodeFile, CodeFormat},
    pages::site::PeerLink,
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

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "getCodes",
        problems: &[ProblemKind::UnknownPoll, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"issued":5000,"revoked":2,"replaced":1,"used":1200}"#,
        )],
    },
    Operation {
        id: "issueCodes",
        problems: CHANGE,
        body: Some(r#"{"count":2}"#),
        answers: &[(
            "200",
            r#""serial,code,link\r\n17,0000-0H5Z-8S1M-Q0VE,https://vote.example.org/polls/lunch/c/0000-0H5Z-8S1M-Q0VE\r\n""#,
        )],
    },
    Operation {
        id: "revokeCode",
        problems: CHANGE,
        body: None,
        answers: &[(
            "200",
            r#"{"issued":5000,"revoked":3,"replaced":1,"used":1200}"#,
        )],
    },
    Operation {
        id: "replaceCode",
        problems: CHANGE,
        body: None,
        answers: &[(
            "200",
            r#"{"serial":17,"code":"0000-0H5Z-8S1M-Q0VE","link":"https://vote.example.org/polls/lunch/c/0000-0H5Z-8S1M-Q0VE"}"#,
        )],
    },
];

/// How many codes to issue.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct NewCodes {
    /// That many.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    count: u32,
}

/// The codes of a poll, as numbers.
#[derive(Debug, Object)]
#[oai(rename = "Codes")]
struct CodesView {
    /// How many were issued, the revoked ones included.
    issued: u32,
    /// How many are revoked.
    revoked: usize,
    /// How many were replaced.
    replaced: usize,
    /// How many were used: the voters whose ballot counts.
    used: u64,
}

/// A code that replaces another one.
#[derive(Debug, Object)]
#[oai(rename = "ReplacedCode", skip_serializing_if_is_none)]
struct ReplacedView {
    /// The serial number. It stays.
    serial: u32,
    /// The new code.
    code: String,
    /// Its link, if the address of the vote service is known (`vote.public_url`).
    link: Option<String>,
}

#[derive(ApiResponse)]
enum Issued {
    /// CSV with the columns `serial` and `code`, and `link` if the address of the vote service is known
    /// (`vote.public_url`). An answer that ends early is incomplete.
    #[oai(status = 200, content_type = "text/csv; charset=utf-8")]
    File(
        Binary<Body>,
        /// The name of the file, which contains the id of the poll.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

/// The codes that a change has issued.
pub(crate) struct NewlyIssued {
    pub(crate) poll: Poll,
    pub(crate) key: PollKey,
    pub(crate) serials: Range<Serial>,
}

impl OperatorService {
    /// The key of a poll.
    ///
    /// # Errors
    /// The poll has none, or it cannot be read.
    pub(crate) fn poll_key(&self, poll: &Poll) -> Result<PollKey, Problem> {
        let no = |why: &str| Problem::conflict(format!("Poll {}: {why}", poll.id()));
        let wrapped = poll
            .wrapped_key()
            .ok_or_else(|| match poll.voters_are_forgotten() {
                true => no("its voters are forgotten, and its codes with them."),
                false => no("it has no codes, and no key for them."),
            })?;
        let keys = self.0.keys.as_ref();
        let keys = keys.ok_or_else(|| no("this worker has no entry_key_file."))?;
        let opened = keys.open(poll.id(), wrapped);
        opened.map_err(|error| {
            tracing::error!(poll = %poll.id(), %error, "the key of a poll cannot be read");
            no("its key cannot be read; the log of the worker says why.")
        })
    }

    /// The address of a poll's page for voters, if it is known whatever the request.
    fn page_for_voters(&self, poll: &Poll) -> Option<String> {
        match &self.0.site.peer {
            PeerLink::Url(url) => Some(format!("{url}/polls/{}", poll.id())),
            _ => None,
        }
    }

    /// Changes the codes of a poll.
    ///
    /// # Errors
    /// The poll has no codes, is closed, or has no code of this number.
    pub(crate) async fn change_codes(
        &self,
        name: &str,
        change: CodeChange,
        by: &str,
    ) -> Result<Poll, Problem> {
        let poll = self.stored_poll(name).await?;
        // Before the change: nobody could use codes that cannot be written.
        self.poll_key(&poll)?;
        let change = PollChange::new(poll.id().clone(), ChangeTo::Codes(change));
        let changed = self.0.pipeline.polls.change_poll(&change, by).await?;
        changed.ok_or_else(|| Problem::no_poll(name))
    }

    /// Issues codes. No two calls issue the same serial numbers.
    ///
    /// # Errors
    /// As [`change_codes`](Self::change_codes).
    pub(crate) async fn issue_codes(
        &self,
        name: &str,
        count: u32,
        by: &str,
    ) -> Result<NewlyIssued, Problem> {
        let poll = self
            .change_codes(name, CodeChange::Issue(count), by)
            .await?;
        let issued = poll.codes().issued();
        let key = self.poll_key(&poll)?;
        tracing::info!(poll = %poll.id(), count, by, "issued codes");
        Ok(NewlyIssued {
            serials: issued - count..issued,
            poll,
            key,
        })
    }

    async fn codes_view(&self, poll: &Poll) -> Result<CodesView, Problem> {
        let tally = self.0.pipeline.store.tally(poll.id()).await?;
        let codes = poll.codes();
        Ok(CodesView {
            issued: codes.issued(),
            revoked: codes.revoked(),
            replaced: codes.replaced(),
            used: tally.map_or(0, |tally| tally.voters),
        })
    }
}

fn serial(text: &str) -> Result<Serial, Problem> {
    let invalid = |_| Problem::invalid("A serial number is a whole number from 0 on.");
    text.parse().map_err(invalid)
}

#[OpenApi]
impl Api {
    /// Get how many codes of a poll were issued, revoked, replaced and used.
    #[oai(
        path = "/v1/polls/:poll/codes",
        method = "get",
        operation_id = "getCodes"
    )]
    async fn codes(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Json<CodesView>, Problem> {
        operator.may(Right::Read)?;
        let poll = self.0.stored_poll(&poll).await?;
        Ok(Json(self.0.codes_view(&poll).await?))
    }

    /// Issue codes of a poll whose `electorate` is `codes`, and get them as CSV.
    ///
    /// They are shown only here: whoever has them can vote with them. The vote services take them a second later. If
    /// the answer is incomplete, all its codes are issued nevertheless.
    #[oai(
        path = "/v1/polls/:poll/codes",
        method = "post",
        operation_id = "issueCodes"
    )]
    async fn issue(
        &self,
        operator: Operator,
        poll: Path<String>,
        codes: StrictJson<NewCodes>,
    ) -> Result<Issued, Problem> {
        let by = operator.may(Right::Codes)?;
        let count = codes.0.count;
        if !(1..=1_000_000).contains(&count) {
            return Err(Problem::invalid("The count is 1 to 1000000."));
        }
        let issued = self.0.issue_codes(&poll, count, by).await?;
        let name = format!("codes-{}-{}.csv", issued.poll.id(), issued.serials.start);
        let page = self.0.page_for_voters(&issued.poll);
        let file = CodeFile::new(
            &issued.poll,
            issued.key,
            issued.serials,
            CodeFormat::Csv,
            page,
        );
        let pieces = stream::iter(file.map(Ok::<_, io::Error>));
        Ok(Issued::File(
            Binary(Body::from_bytes_stream(pieces)),
            format!("attachment; filename=\"{name}\""),
        ))
    }

    /// Revoke a code, for good. It is no longer accepted. A ballot that was cast with it stays.
    #[oai(
        path = "/v1/polls/:poll/codes/:serial/revoke",
        method = "post",
        operation_id = "revokeCode"
    )]
    async fn revoke(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// The serial number of the code.
        serial: Path<String>,
    ) -> Result<Json<CodesView>, Problem> {
        let by = operator.may(Right::Codes)?;
        let change = CodeChange::Revoke(self::serial(&serial)?);
        let poll = self.0.change_codes(&poll, change, by).await?;
        Ok(Json(self.0.codes_view(&poll).await?))
    }

    /// Replace a code by a new one, which is shown only here. The old one is no longer accepted. Whoever has the new
    /// one is the same voter.
    #[oai(
        path = "/v1/polls/:poll/codes/:serial/replace",
        method = "post",
        operation_id = "replaceCode"
    )]
    async fn replace(
        &self,
        operator: Operator,
        poll: Path<String>,
        /// The serial number of the code.
        serial: Path<String>,
    ) -> Result<Json<ReplacedView>, Problem> {
        let by = operator.may(Right::Codes)?;
        let serial = self::serial(&serial)?;
        let poll = self
            .0
            .change_codes(&poll, CodeChange::Replace(serial), by)
            .await?;
        let generation = poll.codes().generation(serial);
        let generation =
            generation.map_err(|_| Problem::conflict("It was just revoked.".into()))?;
        let code = self.0.poll_key(&poll)?.codes().code(serial, generation);
        let page = self.0.page_for_voters(&poll);
        let link = page.map(|page| format!("{page}/c/{code}"));
        Ok(Json(ReplacedView {
            serial,
            code: code.to_string(),
            link,
        }))
    }
}
