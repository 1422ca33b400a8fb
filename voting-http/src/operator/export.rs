//! The operator's API: exports.

use std::{io, marker::PhantomData, sync::Arc};

use futures_util::stream;
use poem::{
    Body, IntoResponse, Response,
    http::{HeaderName, HeaderValue, header},
};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::Path,
    registry::{
        MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
    },
    types::Type,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use voting_core::{
    PollId,
    store::{audit::AuditNote, export::BallotExport},
};

use super::{OperatorService, api::Operator};
use crate::{
    edge::callers::{Caller, Right},
    export::{BallotFile, BallotsView, ExportFormat, TallyExport, tally_file, warning},
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
};

/// How many exports of ballots there are at a time. Each has a connection to the store.
pub(super) const AT_ONCE: usize = 2;

/// The header with the warning of an export of ballots.
const WARNING: HeaderName = HeaderName::from_static("export-warning");

const CSV: &str = "text/csv; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

pub(super) struct Api(pub(super) OperatorService);

const TALLY: &[ProblemKind] = &[
    ProblemKind::UnknownPoll,
    ProblemKind::ResultHidden,
    ProblemKind::StoreUnavailable,
];

const BALLOTS: &[ProblemKind] = &[
    ProblemKind::UnknownPoll,
    ProblemKind::PollNotFinal,
    ProblemKind::TooManyExports,
    ProblemKind::StoreUnavailable,
];

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "exportTallyCsv",
        problems: TALLY,
        body: None,
        answers: &[(
            "200",
            "option,label,votes,share,voters,poll,title,state,opens_at,closes_at,final_at,max_choices,revote,\
             counting,exported_at\r\na,Cats,2,0.666667,3,…\r\nb,Dogs,1,0.333333,3,…\r\n",
        )],
    },
    Operation {
        id: "exportTally",
        problems: TALLY,
        body: None,
        answers: &[(
            "200",
            r#"{"poll":"cats-vs-dogs","title":"Cats or dogs?","state":"final","closes_at":"2027-01-31T17:00:00Z","final_at":"2027-01-31T17:00:01.5Z","max_choices":1,"revote":true,"counting":"Each voter chooses one option. If a voter has voted more than once, the last ballot counts.","voters":3,"exported_at":"2027-02-01T09:00:00Z","options":[{"id":"a","label":"Cats","votes":2,"share":0.666667},{"id":"b","label":"Dogs","votes":1,"share":0.333333}]}"#,
        )],
    },
    Operation {
        id: "exportBallotsCsv",
        problems: BALLOTS,
        body: None,
        answers: &[("200", "choice\r\na\r\nb\r\na\r\n")],
    },
    Operation {
        id: "exportBallots",
        problems: BALLOTS,
        body: None,
        answers: &[(
            "200",
            r#"{"poll":"cats-vs-dogs","title":"Cats or dogs?","max_choices":1,"revote":true,"counting":"Each voter chooses one option. If a voter has voted more than once, the last ballot counts.","final_at":"2027-01-31T17:00:01.5Z","voters":3,"few_alike":3,"warning":"There are only 3 ballots. 3 of 3 ballots have choices that fewer than 3 voters made. Such ballots may tell who cast them.","ballots":[["a"],["b"],["a"]]}"#,
        )],
    },
];

/// What is in a file.
trait Content {
    const TYPE: &'static str;
    const DESCRIPTION: &'static str;
    /// Whether the answer may have a warning.
    const WARNS: bool;

    fn schema() -> MetaSchemaRef;

    fn register(_: &mut Registry) {}
}

struct TallyCsv;
struct TallyJson;
struct BallotsCsv;
struct BallotsJson;

fn text() -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
}

impl Content for TallyCsv {
    const TYPE: &'static str = CSV;
    const DESCRIPTION: &'static str = "A row for each option, with a byte order mark at the beginning. A field that a \
        spreadsheet could take for a formula begins with `'`.";
    const WARNS: bool = false;

    fn schema() -> MetaSchemaRef {
        text()
    }
}

impl Content for TallyJson {
    const TYPE: &'static str = JSON;
    const DESCRIPTION: &'static str = "The count, with what it is a count of.";
    const WARNS: bool = false;

    fn schema() -> MetaSchemaRef {
        TallyExport::schema_ref()
    }

    fn register(registry: &mut Registry) {
        TallyExport::register(registry);
    }
}

impl Content for BallotsCsv {
    const TYPE: &'static str = CSV;
    const DESCRIPTION: &'static str = "A row for each ballot. If each voter had one choice: the column \
    `choice` with the id of the option. Otherwise: a column for each option, named by its id, with \
    1 if it was chosen, or else 0. An answer that ends early is incomplete.";
    const WARNS: bool = true;

    fn schema() -> MetaSchemaRef {
        text()
    }
}

impl Content for BallotsJson {
    const TYPE: &'static str = JSON;
    const DESCRIPTION: &'static str =
        "The ballots. Each has a line of its own. An answer that ends early is incomplete.";
    const WARNS: bool = true;

    fn schema() -> MetaSchemaRef {
        BallotsView::schema_ref()
    }

    fn register(registry: &mut Registry) {
        BallotsView::register(registry);
    }
}

/// A file to be saved.
pub(crate) struct ExportFile {
    name: String,
    content_type: &'static str,
    warning: Option<String>,
    body: Body,
}

impl IntoResponse for ExportFile {
    fn into_response(self) -> Response {
        let mut answer = Response::builder()
            .content_type(self.content_type)
            .body(self.body);
        let headers = answer.headers_mut();
        let disposition = format!("attachment; filename=\"{}\"", self.name);
        if let Ok(disposition) = HeaderValue::try_from(disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        if let Some(Ok(warning)) = self.warning.map(HeaderValue::try_from) {
            headers.insert(WARNING, warning);
        }
        answer
    }
}

fn content_type(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Csv => CSV,
        ExportFormat::Json => JSON,
    }
}

/// A file as an answer of the API.
struct Download<C> {
    file: ExportFile,
    content: PhantomData<fn() -> C>,
}

impl<C> From<ExportFile> for Download<C> {
    fn from(file: ExportFile) -> Self {
        let content = PhantomData;
        Self { file, content }
    }
}

impl<C: Content> IntoResponse for Download<C> {
    fn into_response(self) -> Response {
        self.file.into_response()
    }
}

impl<C: Content> ApiResponse for Download<C> {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str, required| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required,
            deprecated: false,
            schema: text(),
        };
        let mut headers = vec![header(
            "Content-Disposition",
            "The name of the file, which contains the id of the poll.",
            true,
        )];
        if C::WARNS {
            headers.push(header(
                "Export-Warning",
                "A warning that some ballots may reveal who cast them.",
                false,
            ));
        }
        MetaResponses {
            responses: vec![MetaResponse {
                description: C::DESCRIPTION,
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: C::TYPE,
                    schema: C::schema(),
                }],
                headers,
            }],
        }
    }

    fn register(registry: &mut Registry) {
        C::register(registry);
    }
}

/// A file that is made while it is sent. When the client goes away, it is dropped, and the store stops.
struct Sent {
    file: BallotFile,
    stop: CancellationToken,
    _turn: OwnedSemaphorePermit,
}

impl Sent {
    async fn next(mut self) -> Option<(io::Result<bytes::Bytes>, Self)> {
        let piece = match self.stop.run_until_cancelled(self.file.next()).await {
            Some(Some(Ok(piece))) => Ok(piece),
            Some(Some(Err(error))) => {
                tracing::error!(
                    error = voting_core::error::in_one_line(&error),
                    "an export of ballots failed"
                );
                Err(io::Error::other(error))
            }
            Some(None) => return None,
            // The answer must not look whole.
            None => Err(io::Error::other("the service stops")),
        };
        Some((piece, self))
    }
}

impl OperatorService {
    /// The tally of a poll as a file.
    ///
    /// # Errors
    /// The caller may not export, or may not see this result; there is no such poll, or the store does not answer.
    pub(crate) async fn export_tally(
        &self,
        caller: &Caller,
        name: &str,
        format: ExportFormat,
    ) -> Result<ExportFile, Problem> {
        caller.may(Right::Export)?;
        let id: PollId = name.parse().map_err(|_| Problem::no_poll(name))?;
        let counted = self.0.pipeline.store.counted_poll(&id).await?;
        let (poll, tally) = counted.ok_or_else(|| Problem::no_poll(name))?;
        caller.may_see_result_of(&poll, tally.voters)?;
        let handed_in = match format {
            ExportFormat::Csv => None,
            ExportFormat::Json => self.0.pipeline.store.handed_in(&id).await?,
        };
        Ok(ExportFile {
            name: format!("tally-{id}.{}", format.as_str()),
            content_type: content_type(format),
            warning: None,
            body: Body::from_string(tally_file(&poll, &tally, handed_in, format)),
        })
    }

    /// An export of the ballots of a final poll, which holds one of the few turns.
    async fn begin_export(
        &self,
        id: &PollId,
    ) -> Result<(BallotExport, OwnedSemaphorePermit), Problem> {
        let turn = Arc::clone(&self.0.exports).try_acquire_owned();
        let turn = turn.map_err(|_| Problem::too_many_exports())?;
        let export = self.0.pipeline.store.export_ballots(id).await?;
        Ok((export, turn))
    }

    /// What an export of the ballots of a poll would be warned of; `None` if there is nothing to warn of.
    ///
    /// # Errors
    /// As [`export_ballots`](Self::export_ballots).
    pub(crate) async fn export_warning(
        &self,
        caller: &Caller,
        id: &PollId,
    ) -> Result<Option<String>, Problem> {
        caller.may(Right::Export)?;
        let (export, _turn) = self.begin_export(id).await?;
        Ok(warning(export.head()))
    }

    /// The ballots of a final poll as a file. The audit log tells of it.
    ///
    /// # Errors
    /// The caller may not export; there is no such poll, or it is not final; there are too many exports, or the store
    /// does not answer.
    pub(crate) async fn export_ballots(
        &self,
        caller: &Caller,
        name: &str,
        format: ExportFormat,
    ) -> Result<ExportFile, Problem> {
        let by = caller.may(Right::Export)?;
        let id: PollId = name.parse().map_err(|_| Problem::no_poll(name))?;
        let (export, turn) = self.begin_export(&id).await?;
        let head = export.head();
        let note = serde_json::json!({
            "ballots": head.ballots,
            "format": format.as_str(),
        });
        let warning = warning(head);
        // Before anything is sent: no export is without its note.
        let note = AuditNote {
            by: by.to_owned(),
            action: "poll.exported".to_owned(),
            poll: Some(id.clone()),
            before: None,
            after: Some(note.to_string()),
        };
        self.0.pipeline.store.add_to_audit_log(&note).await?;
        let sent = Sent {
            file: BallotFile::new(export, format),
            stop: self.0.options.stop.clone(),
            _turn: turn,
        };
        Ok(ExportFile {
            name: format!("ballots-{id}.{}", format.as_str()),
            content_type: content_type(format),
            warning,
            body: Body::from_bytes_stream(stream::unfold(sent, Sent::next)),
        })
    }
}

#[OpenApi]
impl Api {
    /// Get the tally of a poll as CSV, for a spreadsheet.
    #[oai(
        path = "/v1/polls/:poll/export/tally.csv",
        method = "get",
        operation_id = "exportTallyCsv"
    )]
    async fn tally_csv(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Download<TallyCsv>, Problem> {
        let file = self
            .0
            .export_tally(operator.caller(), &poll, ExportFormat::Csv);
        Ok(file.await?.into())
    }

    /// Get the tally of a poll as JSON, with the poll's times and its rule of counting.
    #[oai(
        path = "/v1/polls/:poll/export/tally.json",
        method = "get",
        operation_id = "exportTally"
    )]
    async fn tally_json(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Download<TallyJson>, Problem> {
        let file = self
            .0
            .export_tally(operator.caller(), &poll, ExportFormat::Json);
        Ok(file.await?.into())
    }

    /// Get the ballots of a final poll as CSV: what each voter chose, without the voter and the time, in random order.
    ///
    /// Each export is in the audit log.
    #[oai(
        path = "/v1/polls/:poll/export/ballots.csv",
        method = "get",
        operation_id = "exportBallotsCsv"
    )]
    async fn ballots_csv(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Download<BallotsCsv>, Problem> {
        let file = self
            .0
            .export_ballots(operator.caller(), &poll, ExportFormat::Csv);
        Ok(file.await?.into())
    }

    /// Get the ballots of a final poll as JSON: what each voter chose, without the voter and the time, in random order.
    ///
    /// Each export is in the audit log.
    #[oai(
        path = "/v1/polls/:poll/export/ballots.json",
        method = "get",
        operation_id = "exportBallots"
    )]
    async fn ballots_json(
        &self,
        operator: Operator,
        poll: Path<String>,
    ) -> Result<Download<BallotsJson>, Problem> {
        let file = self
            .0
            .export_ballots(operator.caller(), &poll, ExportFormat::Json);
        Ok(file.await?.into())
    }
}
