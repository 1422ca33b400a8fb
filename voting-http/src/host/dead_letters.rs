//! The dead letters: ballots that could not be counted.

use std::time::Duration;

use askama::Template;
use poem::Response;
use voting_core::model::{moment::Moment, rejection::RejectReason};

use super::{Frame, Visit, see, times};
use crate::{pages::templates::render, problem::Problem};

/// The dead letters on one page.
const ON_A_PAGE: usize = 100;

struct Letter {
    at: String,
    /// What is wrong, in words.
    why: &'static str,
    /// The name of the reason in the API.
    reason: &'static str,
    detail: String,
    ballots: u16,
    position: String,
}

/// Why ballots of a dead letter could not be counted, and what can be done.
fn why(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Malformed => "This version of the system cannot read it.",
        RejectReason::UnknownPoll => "There is no such poll.",
        RejectReason::UnknownOption => "The poll has no such option.",
        RejectReason::TooManyChoices => "It has more choices than the poll allows.",
        RejectReason::PollClosed => "It came after the poll was closed.",
        RejectReason::OutsideTimes => "It came before the poll opened, or after it closed.",
        RejectReason::Unstorable => "The store refuses it.",
        RejectReason::NotEligible => "A rule of the application refuses it.",
        _ => "It could not be counted.",
    }
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
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
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
            why: why(letter.reason),
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

/// `POST /dead-letters/:position/replay`: counts a dead letter whose cause was fixed.
pub(super) async fn replay(visit: Visit) -> Result<Response, Problem> {
    let position = visit.request.raw_path_param("position");
    let position = position.unwrap_or_default();
    let service = &visit.parts().service;
    service.count_dead_letter(position, visit.by()).await?;
    Ok(see(&visit.prefix, "/dead-letters?done=replayed"))
}
