//! Results, ballots and the audit log as files. What is taken out, and by whom, is decided where the API decides it.

use askama::Template;
use poem::{IntoResponse, Response, http::HeaderValue, http::header};
use voting_core::{PollId, model::poll::Phase};

use super::{Frame, Visit};
use crate::{export::ExportFormat, pages::templates::render, problem::Problem, views::csv::Csv};

#[derive(Template)]
#[template(path = "host/export.html")]
struct ExportPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    id: String,
    title: String,
    /// Why ballots may tell who cast them.
    warning: Option<String>,
    /// Whether the ballots can be taken out.
    is_final: bool,
}

/// `GET /polls/:poll/export`: what the ballots may tell, and the links to the files.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let is_final = matches!(poll.phase(visit.now), Phase::Final | Phase::Archived);
    let warning = match is_final {
        true => {
            let service = &visit.parts().service;
            service.export_warning(&visit.caller, poll.id()).await?
        }
        false => None,
    };
    let frame = visit.frame();
    Ok(render(&ExportPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        id: poll.id().to_string(),
        title: poll.title().to_owned(),
        warning,
        is_final,
    }))
}

async fn tally(visit: Visit, format: ExportFormat) -> Result<Response, Problem> {
    let name = visit.request.raw_path_param("poll").unwrap_or_default();
    let service = &visit.parts().service;
    let file = service.export_tally(&visit.caller, name, format).await?;
    Ok(file.into_response())
}

async fn ballots(visit: Visit, format: ExportFormat) -> Result<Response, Problem> {
    let name = visit.request.raw_path_param("poll").unwrap_or_default();
    let service = &visit.parts().service;
    let file = service.export_ballots(&visit.caller, name, format).await?;
    Ok(file.into_response())
}

/// `GET /polls/:poll/export/tally.csv`.
pub(super) async fn tally_csv(visit: Visit) -> Result<Response, Problem> {
    tally(visit, ExportFormat::Csv).await
}

/// `GET /polls/:poll/export/tally.json`.
pub(super) async fn tally_json(visit: Visit) -> Result<Response, Problem> {
    tally(visit, ExportFormat::Json).await
}

/// `GET /polls/:poll/export/ballots.csv`.
pub(super) async fn ballots_csv(visit: Visit) -> Result<Response, Problem> {
    ballots(visit, ExportFormat::Csv).await
}

/// `GET /polls/:poll/export/ballots.json`.
pub(super) async fn ballots_json(visit: Visit) -> Result<Response, Problem> {
    ballots(visit, ExportFormat::Json).await
}

/// `GET /audit.csv`.
pub(super) async fn audit_csv(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.query("poll").filter(|poll| !poll.trim().is_empty());
    let poll = poll.map(|poll| poll.trim().parse::<PollId>()).transpose();
    let poll = poll.map_err(|_| Problem::invalid("This is not the identifier of a poll."))?;
    let table = visit.parts().service.audit_table(poll).await?;
    let mut answer = Csv(table).into_response();
    let name = HeaderValue::from_static("attachment; filename=\"audit-log.csv\"");
    answer
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, name);
    Ok(answer)
}
