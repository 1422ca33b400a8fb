//! The codes of a poll: how many there are, and what a host does with them.

use std::io;

use askama::Template;
use futures_util::stream;
use poem::{
    Body, Response,
    http::{HeaderValue, header},
};
use voting_core::{
    Poll,
    model::{
        code::Serial,
        poll::{CodeChange, MAX_CODES, Voters},
    },
};

use super::{Frame, Visit};
use crate::{
    export::{CodeFile, CodeFormat},
    pages::templates::render,
    problem::Problem,
    views::result_texts::counted,
};

/// How many codes a form issues at most.
const AT_ONCE: u32 = 1_000_000;

#[derive(Template)]
#[template(path = "host/codes.html")]
struct CodesPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    id: String,
    title: String,
    issued: String,
    used: String,
    revoked: String,
    replaced: String,
    /// Whether codes can change.
    is_open: bool,
    /// Whether there are links, and QR codes.
    has_links: bool,
    /// What was done, and what went wrong.
    done: Option<String>,
    error: Option<String>,
    /// A code that took the place of another one.
    code: Option<String>,
    link: Option<String>,
}

/// What came of a form.
#[derive(Default)]
struct Outcome {
    done: Option<String>,
    error: Option<String>,
    code: Option<String>,
    link: Option<String>,
}

impl Outcome {
    fn error(text: impl Into<String>) -> Self {
        Self {
            error: Some(text.into()),
            ..Self::default()
        }
    }
}

fn page_for_voters(visit: &Visit, poll: &Poll) -> Option<String> {
    visit.parts().site.whole_peer_url(&visit.request, poll.id())
}

/// The poll, if it has codes.
async fn poll_of(visit: &Visit) -> Result<Poll, Problem> {
    let poll = visit.poll().await?;
    match poll.settings().voters {
        Voters::Codes => Ok(poll),
        _ => Err(Problem::conflict(
            "This poll has no codes: everybody may vote in it.".to_owned(),
        )),
    }
}

async fn page(visit: &Visit, poll: &Poll, outcome: Outcome) -> Result<Response, Problem> {
    let tally = visit.parts().store.tally(poll.id()).await?;
    let frame = visit.frame();
    let codes = poll.codes();
    let number = |count: usize| counted(u64::try_from(count).unwrap_or(u64::MAX), "code");
    Ok(render(&CodesPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        id: poll.id().to_string(),
        title: poll.title().to_owned(),
        issued: counted(codes.issued().into(), "code"),
        used: counted(tally.map_or(0, |tally| tally.voters), "code"),
        revoked: number(codes.revoked()),
        replaced: number(codes.replaced()),
        is_open: poll.state().is_open(),
        has_links: page_for_voters(visit, poll).is_some(),
        done: outcome.done,
        error: outcome.error,
        code: outcome.code,
        link: outcome.link,
    }))
}

/// `GET /polls/:poll/codes`.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    let poll = poll_of(&visit).await?;
    page(&visit, &poll, Outcome::default()).await
}

/// `POST /polls/:poll/codes/issue`: the codes as a file.
pub(super) async fn issue(visit: Visit) -> Result<Response, Problem> {
    let poll = poll_of(&visit).await?;
    let count = visit.form.text("count").trim().parse::<u32>();
    let count = match count {
        Ok(count) if (1..=AT_ONCE.min(MAX_CODES)).contains(&count) => count,
        _ => {
            let outcome = Outcome::error("Enter how many codes: a number from 1 to 1000000.");
            return page(&visit, &poll, outcome).await;
        }
    };
    let is_sheet = visit.form.text("format") == "html";
    let service = &visit.parts().service;
    let issued = service
        .issue_codes(poll.id().as_str(), count, visit.by())
        .await?;
    let (format, kind, ending) = match is_sheet {
        true => (CodeFormat::Html, "text/html; charset=utf-8", "html"),
        false => (CodeFormat::Csv, "text/csv; charset=utf-8", "csv"),
    };
    let name = format!("codes-{}-{}.{ending}", poll.id(), issued.serials.start);
    let links = page_for_voters(&visit, &poll);
    let file = CodeFile::new(&issued.poll, issued.key, issued.serials, format, links);
    let pieces = stream::iter(file.map(Ok::<_, io::Error>));
    let mut answer = Response::builder()
        .content_type(kind)
        .body(Body::from_bytes_stream(pieces));
    let disposition = format!("attachment; filename=\"{name}\"");
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(answer)
}

/// `POST /polls/:poll/codes/change`: one code is revoked or replaced.
pub(super) async fn change(visit: Visit) -> Result<Response, Problem> {
    let poll = poll_of(&visit).await?;
    let Ok(serial) = visit.form.text("serial").trim().parse::<Serial>() else {
        let outcome = Outcome::error("Enter the serial number of the code.");
        return page(&visit, &poll, outcome).await;
    };
    let replaces = visit.form.text("what") == "replace";
    let change = match replaces {
        true => CodeChange::Replace(serial),
        false => CodeChange::Revoke(serial),
    };
    let service = &visit.parts().service;
    let changed = service
        .change_codes(poll.id().as_str(), change, visit.by())
        .await;
    let after = match changed {
        Ok(after) => after,
        Err(problem) if problem.status().is_client_error() => {
            let outcome = Outcome::error(problem.detail());
            return page(&visit, &poll, outcome).await;
        }
        Err(problem) => return Err(problem),
    };
    let mut outcome = Outcome {
        done: Some(match replaces {
            true => format!("Code {serial} is replaced. The new code is shown only here:"),
            false => format!("Code {serial} is revoked."),
        }),
        ..Outcome::default()
    };
    if let (true, Ok(generation)) = (replaces, after.codes().generation(serial)) {
        let code = service.poll_key(&after)?.codes().code(serial, generation);
        let links = page_for_voters(&visit, &after);
        outcome.link = links.map(|page| format!("{page}/c/{code}"));
        outcome.code = Some(code.to_string());
    }
    page(&visit, &after, outcome).await
}
