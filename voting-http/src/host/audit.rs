//! The audit log and the dead letters, to be read.

use std::time::Duration;

use askama::Template;
use poem::Response;
use voting_core::model::moment::Moment;

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

struct Letter {
    at: String,
    reason: &'static str,
    detail: String,
    ballots: u16,
    position: String,
}

#[derive(Template)]
#[template(path = "host/dead_letters.html")]
struct DeadLettersPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    letters: Vec<Letter>,
    next: Option<String>,
}

/// `GET /dead-letters`: ballots that could not be counted.
pub(super) async fn dead_letters(visit: Visit) -> Result<Response, Problem> {
    let after = visit.query("after");
    let after = after.map(|after| after.parse()).transpose();
    let after =
        after.map_err(|_| Problem::invalid("This is not the position of a dead letter."))?;
    let found = visit.parts().store.dead_letters(after, ON_A_PAGE).await?;
    let last = found.last().map(|letter| letter.position.to_string());
    let next = last.filter(|_| found.len() == ON_A_PAGE);
    let letters = found.into_iter().map(|letter| {
        let at = Moment::from_unix_ms(0)
            .map(|begin| begin.plus(Duration::from_millis(letter.position.ms())));
        Letter {
            at: at.map(|at| times::for_people(at, None)).unwrap_or_default(),
            reason: letter.reason.as_str(),
            detail: letter.detail,
            ballots: letter.ballots,
            position: letter.position.to_string(),
        }
    });
    let frame = visit.frame();
    Ok(render(&DeadLettersPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        letters: letters.collect(),
        next,
    }))
}
