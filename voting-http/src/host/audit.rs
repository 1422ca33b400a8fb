//! The audit log, to be read: the newest entries first.

use askama::Template;
use poem::Response;
use voting_core::store::audit::AuditEntry;

use super::{Frame, Visit, audit_words, times};
use crate::{pages::templates::render, problem::Problem};

/// The entries on one page.
const ON_A_PAGE: usize = 50;

/// How many entries are looked through at most for those of one poll.
const LOOKED_THROUGH: usize = 10_000;

/// How many entries are read at a time.
const READ: usize = 200;

struct Entry {
    at: String,
    by: String,
    /// What was done, in words.
    words: String,
    /// The name of the action in the API.
    action: String,
    poll: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let note = entry.note;
        Self {
            at: times::for_people(entry.at, None),
            words: audit_words::words(&note),
            by: note.by,
            action: note.action,
            poll: note.poll.map(|poll| poll.to_string()),
            before: note.before,
            after: note.after,
        }
    }
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
    /// Whether there are newer entries than those of this page.
    is_earlier: bool,
    /// Ask for those before this one.
    next: Option<u64>,
}

/// `GET /audit`.
pub(super) async fn log(visit: Visit) -> Result<Response, Problem> {
    let asked = visit.query("before").and_then(|before| before.parse().ok());
    let poll = visit.query("poll").unwrap_or_default();
    let poll = poll.trim();
    let mut before: Option<u64> = asked;
    let (mut entries, mut is_more) = (Vec::new(), true);
    for _ in 0..LOOKED_THROUGH / READ {
        let store = &visit.parts().store;
        let found = store.newest_of_audit_log(before, READ).await?;
        is_more = found.len() == READ;
        for entry in found {
            let of = entry.note.poll.as_ref().map(|poll| poll.as_str());
            if !poll.is_empty() && of != Some(poll) {
                before = Some(entry.number);
                continue;
            }
            if entries.len() == ON_A_PAGE {
                is_more = true;
                break;
            }
            before = Some(entry.number);
            entries.push(Entry::from(entry));
        }
        if !is_more || entries.len() == ON_A_PAGE {
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
        is_earlier: asked.is_some(),
        next: before.filter(|_| is_more),
    }))
}
