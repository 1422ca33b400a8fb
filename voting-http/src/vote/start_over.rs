//! The page for a visitor whose cookie does not say who the visitor is, and the form to start over. Until the visitor
//! asks for it here, no ballot of theirs is counted, and their cookie is not replaced.

use askama::Template;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use voting_core::{Poll, PollId};

use super::{VoteService, form, page};
use crate::{
    edge::visitor::Refusal,
    pages::{assets, site::Prefix, templates},
    problem::Problem,
    texts::Texts,
};

/// The path that the form is sent to.
pub(super) const PATH: &str = "/start-over";

#[derive(Template)]
#[template(path = "start_over.html")]
struct StartOverPage<'a> {
    t: &'static Texts,
    here: &'a str,
    base: &'a str,
    assets_version: &'a str,
    title: &'a str,
    detail: &'a str,
    /// Whether the visitor has just tried to vote.
    cast: bool,
    /// The address to start over, if a new cookie would help.
    action: Option<String>,
    /// The poll to return to.
    poll: &'a str,
}

/// The page that explains the problem, in place of the ballot. Programs are told where to start over. This page has a button
/// for it, so its texts do not say where.
pub(super) fn ask(request: &Request, poll: &Poll, refusal: Refusal, cast: bool) -> Response {
    let (prefix, problem) = (Prefix::of(request), Problem::from(refusal));
    let base = prefix.as_str();
    let t = Texts::of(request, Some(poll));
    let page = StartOverPage {
        t,
        here: &page::address(&prefix, poll),
        base,
        assets_version: assets::version(),
        title: problem.page_title(t),
        detail: match refusal {
            Refusal::Unreadable => &t.cookie_damaged,
            Refusal::Outdated => &t.cookie_outdated,
            Refusal::Several => &t.several_cookies,
        },
        cast,
        action: refusal.can_start_over().then(|| format!("{base}{PATH}")),
        poll: poll.id().as_str(),
    };
    problem.finish(templates::render_in(t, &page))
}

/// `POST`: sets a new cookie for a visitor whose cookie does not say who the visitor is, then redirects to the poll's
/// page. For other visitors it changes nothing, so the form may be sent twice.
pub(super) struct StartOver(pub(super) VoteService);

impl Endpoint for StartOver {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let visitor = self.0.0.voters.visitor(&request).await?;
        let fields = form::fields(&mut request).await?;
        let polls = form_urlencoded::parse(&fields).filter(|(name, _)| name == "poll");
        let poll = polls.map(|(_, value)| value.parse::<PollId>()).next();
        let base = Prefix::of(&request);
        let there = match poll {
            Some(Ok(poll)) => format!("{}/polls/{poll}", base.as_str()),
            // The client did not use our form.
            Some(Err(_)) | None => format!("{}/", base.as_str()),
        };
        let mut answer = Response::builder().status(StatusCode::SEE_OTHER).finish();
        let location = HeaderValue::try_from(there).map_err(|_| Problem::internal())?;
        answer.headers_mut().insert(header::LOCATION, location);
        if visitor.refusal().is_some_and(Refusal::can_start_over)
            && let Some(cookies) = self.0.0.voters.cookies()
            && let Some(cookie) = cookies.start_over(&request, visitor.id())
        {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(answer)
    }
}
