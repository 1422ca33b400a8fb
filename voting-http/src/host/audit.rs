//! The audit log, to be read.

use askama::Template;
use poem::Response;

use super::{Frame, Visit, times};
use crate::{pages::templates::render, problem::Problem};

/// The entries on one page.
const ON_A_PAGE: usize = 100;

/// How many entries are looked through at most for those of one poll.
const LOOKED_THROUGH: usize = 10_000;

struct Entry {
    at: String,
    by: String,
    action: String,
    poll: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "host/audit.html")]
struct AuditPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    entries: Vec<Entry>,
    /// Only of this poll.
    poll: String,
    /// Whether this is not the beginning.
    is_later: bool,
    /// Ask for those after this one.
    next: Option<u64>,
}

/// `GET /audit`: the oldest entries first.
pub(super) async fn log(visit: Visit) -> Result<Response, Problem> {
    let asked = visit.query("after").and_then(|after| after.parse().ok());
    let poll = visit.query("poll").unwrap_or_default();
    let poll = poll.trim();
    let mut after: u64 = asked.unwrap_or(0);
    let (mut entries, mut next) = (Vec::new(), None);
    for _ in 0..LOOKED_THROUGH / ON_A_PAGE {
        let found = visit.parts().store.audit_log(after, ON_A_PAGE).await?;
        let is_whole = found.len() < ON_A_PAGE;
        for entry in found {
            after = entry.number;
            let of = entry.note.poll.as_ref().map(ToString::to_string);
            if !poll.is_empty() && of.as_deref() != Some(poll) {
                continue;
            }
            entries.push(Entry {
                at: times::for_people(entry.at, None),
                by: entry.note.by,
                action: entry.note.action,
                poll: of,
                before: entry.note.before,
                after: entry.note.after,
            });
        }
        next = (!is_whole).then_some(after);
        if is_whole || entries.len() >= ON_A_PAGE {
            break;
        }
    }
    let frame = visit.frame();
    Ok(render(&AuditPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        entries,
        poll: poll.to_owned(),
        is_later: asked.is_some(),
        next,
    }))
}
