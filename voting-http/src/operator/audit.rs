//! The operator's API: the audit log.

use std::{borrow::Cow, sync::Arc};

use futures_util::{StreamExt, stream};
use poem::{Body, Request};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use voting_core::{
    PollId, StoreError,
    store::{Store, audit::AuditEntry},
};

use super::{OperatorService, api::Operator};
use crate::{
    edge::callers::Right,
    export::csv,
    problem::{Problem, kind::ProblemKind},
    server::document::Operation,
    views::csv::Csv,
};

/// The most entries in one answer, and how many are read at a time.
const PAGE: usize = 200;

/// How many pages are looked through at most for the entries of one poll.
const PAGES_LOOKED_AT: usize = 20;

pub(super) struct Api(pub(super) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listAuditLog",
        problems: &[ProblemKind::Invalid, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"entries":[{"number":7,"at":"2026-11-27T17:00:00.25Z","by":"operator","action":"token.added","after":"{\"name\":\"anna\",\"role\":\"host\"}"}]}"#,
        )],
    },
    Operation {
        id: "exportAuditLog",
        problems: &[ProblemKind::Invalid, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            "number,at,by,action,poll,before,after\r\n7,2026-11-27T17:00:00.25Z,operator,poll.closing,lunch,,\r\n",
        )],
    },
];

/// A part of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditLog", skip_serializing_if_is_none)]
struct AuditLogView {
    /// The oldest first.
    entries: Vec<AuditEntryView>,
    /// The number after which the next page begins. Absent: this is the last page.
    next: Option<u64>,
}

/// An entry of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEntry", skip_serializing_if_is_none)]
struct AuditEntryView {
    /// Numbers the entries; later ones have greater numbers, which need not follow each other.
    number: u64,
    /// When it was done, by the clock of the store: RFC 3339, in UTC.
    at: String,
    /// Who did it: `operator`, the name of a token, or a part of the system such as `schedule`.
    by: String,
    /// What was done, such as `poll.changed`.
    action: String,
    /// The poll to which it was done, if it was one.
    poll: Option<String>,
    /// The state before: JSON as a string.
    before: Option<String>,
    /// The state after: JSON as a string.
    after: Option<String>,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(AuditEntry { number, at, note }: AuditEntry) -> Self {
        Self {
            number,
            at: at.to_string(),
            by: note.by,
            action: note.action,
            poll: note.poll.map(|poll| poll.to_string()),
            before: note.before,
            after: note.after,
        }
    }
}

/// Up to `limit` entries after this number, only of one poll if that is given; and the number after which to go on, if
/// there may be more.
pub(crate) async fn page(
    store: &dyn Store,
    mut after: u64,
    limit: usize,
    poll: Option<&PollId>,
) -> Result<(Vec<AuditEntry>, Option<u64>), StoreError> {
    let mut found = Vec::new();
    for _ in 0..PAGES_LOOKED_AT {
        let read = if poll.is_some() { PAGE } else { limit };
        let entries = store.audit_log(after, read).await?;
        let is_last = entries.len() < read;
        for entry in entries {
            after = entry.number;
            if poll.is_some_and(|poll| entry.note.poll.as_ref() != Some(poll)) {
                continue;
            }
            found.push(entry);
            if found.len() == limit {
                return Ok((found, Some(after)));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, Some(after)))
}

fn poll_id(text: Option<&str>) -> Result<Option<PollId>, Problem> {
    let id = text.map(str::parse).transpose();
    id.map_err(|_| Problem::invalid("The poll is not named by an id."))
}

/// Refuses a parameter that is not known. A misspelt `poll` would give the entries of all polls.
pub(super) fn only_parameters(request: &Request, known: &[&str]) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    match names.find(|name| !known.contains(&name.as_ref())) {
        None => Ok(()),
        Some(name) => {
            // What is echoed back must be bounded.
            let name: String = name.chars().take(64).collect();
            let known = known.join(", ");
            Err(Problem::bad_request(format!(
                "There is no parameter {name:?}; known here: {known}."
            )))
        }
    }
}

/// What is read of the log for an export.
struct Export {
    store: Arc<dyn Store>,
    poll: Option<PollId>,
    /// The number after which to go on; `None` at the end.
    next: Option<u64>,
}

impl Export {
    /// The next rows, of a page.
    async fn rows(&mut self) -> Result<Option<String>, StoreError> {
        let Some(after) = self.next else {
            return Ok(None);
        };
        let (entries, next) = page(self.store.as_ref(), after, PAGE, self.poll.as_ref()).await?;
        self.next = next;
        let mut rows = String::new();
        for entry in entries {
            let note = &entry.note;
            let (number, at) = (entry.number.to_string(), entry.at.to_string());
            let cells: [&str; 7] = [
                &number,
                &at,
                &note.by,
                &note.action,
                note.poll.as_ref().map_or("", PollId::as_str),
                note.before.as_deref().unwrap_or_default(),
                note.after.as_deref().unwrap_or_default(),
            ];
            csv::row(&mut rows, cells.map(Cow::from));
        }
        Ok(Some(rows))
    }
}

impl OperatorService {
    /// The audit log as CSV, of one poll if that is given.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn audit_table(&self, poll: Option<PollId>) -> Result<Body, Problem> {
        let mut export = Export {
            store: Arc::clone(&self.0.pipeline.store),
            poll,
            next: Some(0),
        };
        let mut table = "number,at,by,action,poll,before,after\r\n".to_owned();
        // A store that does not answer is told with a status.
        table.extend(export.rows().await?);
        let rest = stream::unfold(export, |mut export| async {
            let rows = export.rows().await.transpose()?;
            if rows.is_err() {
                export.next = None;
            }
            Some((rows.map_err(std::io::Error::other), export))
        });
        let table = stream::once(async { Ok(table) }).chain(rest);
        Ok(Body::from_bytes_stream(table))
    }
}

#[OpenApi]
impl Api {
    /// What was done, by whom and when, the oldest first.
    #[oai(path = "/v1/audit", method = "get", operation_id = "listAuditLog")]
    async fn audit_log(
        &self,
        request: &Request,
        operator: Operator,
        /// The number after which to go on.
        // Well below 2^53: up to there a number in JSON is exact.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000000000")))]
        after: Query<Option<u64>>,
        /// The most entries in the answer, 1 to 200. There may be fewer although there is a `next`.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<usize>>,
        /// Only what was done to the poll with this id.
        poll: Query<Option<String>>,
    ) -> Result<Json<AuditLogView>, Problem> {
        operator.may(Right::Audit)?;
        only_parameters(request, &["after", "limit", "poll"])?;
        let limit = limit.0.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&limit) {
            return Err(Problem::invalid(format!("The limit is 1 to {PAGE}.")));
        }
        let poll = poll_id(poll.0.as_deref())?;
        let store = self.0.0.pipeline.store.as_ref();
        let after = after.0.unwrap_or_default();
        let (entries, next) = page(store, after, limit, poll.as_ref()).await?;
        Ok(Json(AuditLogView {
            entries: entries.into_iter().map(Into::into).collect(),
            next,
        }))
    }

    /// The audit log as a table, for spreadsheets.
    ///
    /// A cell that would be taken for a formula begins with an apostrophe.
    #[oai(
        path = "/v1/audit.csv",
        method = "get",
        operation_id = "exportAuditLog"
    )]
    async fn export(
        &self,
        request: &Request,
        operator: Operator,
        /// Only what was done to the poll with this id.
        poll: Query<Option<String>>,
    ) -> Result<Csv, Problem> {
        operator.may(Right::Audit)?;
        only_parameters(request, &["poll"])?;
        let poll = poll_id(poll.0.as_deref())?;
        Ok(Csv(self.0.audit_table(poll).await?))
    }
}
