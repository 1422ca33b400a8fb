//! Which poll a page is about.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use voting_core::{Poll, PollId};

use crate::{cache::polls::Polls, pages::site::Prefix, problem::Problem};

/// How a page's request names the poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PagePlace {
    /// The request names no poll: it is for the page at `/`.
    Root,
    /// The address names the poll: `/polls/:poll`.
    Named,
}

/// The poll to show, or a redirect to its page.
pub(crate) enum Shown {
    Here(Arc<Poll>),
    Elsewhere(Response),
}

/// The poll's name in a page's address. The router omits a name that it cannot read. Such a request names no poll; it
/// is not a request for the poll at `/`.
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

    /// The poll of a page that is only shown. If its address has capitals, a redirect to the address in lower case.
    pub(crate) async fn shown(self, polls: &Polls, request: &Request) -> Result<Shown, Problem> {
        if self == Self::Named
            && let Some(poll) = polls.in_lower_case(named(request)?).await?
        {
            return Ok(Shown::Elsewhere(redirect(request, poll.id())?));
        }
        Ok(Shown::Here(self.poll(polls, request).await?))
    }
}
