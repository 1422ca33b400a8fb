//! Which poll a page is about.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use voting_core::{Poll, PollId};

use crate::{cache::polls::Polls, pages::site::Prefix, problem::Problem};

/// What says which poll a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PagePlace {
    /// Nothing: it is the page at `/`.
    Root,
    /// Its address, `/polls/:poll`.
    Named,
}

/// Where a page is shown.
pub(crate) enum Shown {
    Here(Arc<Poll>),
    Elsewhere(Response),
}

/// The name in a page's address. A router leaves out what it cannot read: that names no poll, not the one
/// at `/`.
fn named(request: &Request) -> Result<&str, Problem> {
    let named = request.raw_path_param("poll");
    named.ok_or_else(Problem::no_such_address)
}

fn redirect(request: &Request, poll: &PollId) -> Result<Response, Problem> {
    let prefix = Prefix::of(request);
    let mut there = format!("{}/polls/{poll}", prefix.as_str());
    if let Some(query) = request.uri().query() {
        there.push('?');
        there.push_str(query);
    }
    let location = HeaderValue::try_from(there).map_err(|_| Problem::internal())?;
    let answer = Response::builder().status(StatusCode::PERMANENT_REDIRECT);
    Ok(answer.header(header::LOCATION, location).finish())
}

impl PagePlace {
    /// The poll of the page.
    pub(crate) async fn poll(self, polls: &Polls, request: &Request) -> Result<Arc<Poll>, Problem> {
        match self {
            Self::Root => polls.default().await,
            Self::Named => polls.get(named(request)?).await,
        }
    }

    /// The poll of a page that is only shown; or a redirect to it, where its address has capitals.
    pub(crate) async fn shown(self, polls: &Polls, request: &Request) -> Result<Shown, Problem> {
        if self == Self::Named
            && let Some(poll) = polls.in_lower_case(named(request)?).await?
        {
            return Ok(Shown::Elsewhere(redirect(request, poll.id())?));
        }
        Ok(Shown::Here(self.poll(polls, request).await?))
    }
}
