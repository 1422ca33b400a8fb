//! What the page's script requests while the page is open: the current poll, and this browser's vote in it, which may
//! come from another tab.

use data_encoding::BASE64URL_NOPAD;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use voting_core::Poll;

use super::{VoteService, memory::Remembered, page};
use crate::{
    edge::visitor::Visitor, pages::poll_of_page::PagePlace, problem::Problem,
    views::poll_view::StateView,
};

/// `GET`: the state, or 304 if the client has it already.
pub(super) struct Follow(pub(super) VoteService);

#[derive(Serialize)]
struct State<'a> {
    title: &'a str,
    state: &'static str,
    /// The labels in the poll's order.
    labels: Vec<&'a str>,
    /// The tag of the voter whom the cookie names, as in the page. `None` if the request has no cookie.
    voter: Option<String>,
    /// The choices of the last confirmed vote, if it is remembered.
    choices: Vec<&'a str>,
    /// Differs for each confirmed vote.
    ballot: Option<String>,
    /// There is a vote, and the voter had its choices forgotten.
    forgotten: bool,
}

impl Endpoint for Follow {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let visitor = self.0.0.voters.visitor(&request).await?;
        Ok(self.0.state(&request, &poll, visitor)?)
    }
}

impl VoteService {
    fn state(&self, request: &Request, poll: &Poll, visitor: Visitor) -> Result<Response, Problem> {
        let kept = self.0.ballots.read(request, poll.id(), visitor.voter()?);
        let state = state_of(poll, kept.newest);
        let voter = (!visitor.is_new()).then(|| self.0.tags.tag(visitor.id()));
        let ballot = kept.newest.map(|vote| self.0.ballots.vote_mark(vote));
        let body = serde_json::to_vec(&State {
            voter,
            ballot,
            ..state
        });
        let body = body.map_err(|error| {
            tracing::error!(%error, "could not write the state of a poll as JSON");
            Problem::internal()
        })?;
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(&body)[..12]);
        let etag = HeaderValue::try_from(format!("\"{hash}\"")).map_err(|_| Problem::internal())?;
        // A browser may ignore cookies in an answer 304, so there is no such answer while there are cookies to drop.
        let known = has(request.headers(), &etag) && !kept.has_older();
        let answer = match known {
            true => Response::builder()
                .status(StatusCode::NOT_MODIFIED)
                .finish(),
            false => Response::builder()
                .content_type("application/json")
                .body(body),
        };
        let mut answer = page::kept_by_one_browser(answer);
        kept.drop_older(&mut answer);
        answer.headers_mut().insert(header::ETAG, etag);
        Ok(answer)
    }
}

/// Whether `If-None-Match` names this tag: as a strong or a weak tag, in a list, or as `*` (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).into_iter();
    // A tag may contain a comma. Our tag contains none, and no part of another tag looks like ours.
    let mut tags = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tags.any(|known| {
        let known = known.trim_ascii();
        let known = known.strip_prefix(b"W/").unwrap_or(known);
        known == b"*" || known == tag.as_bytes()
    })
}

fn state_of(poll: &Poll, remembered: Option<Remembered>) -> State<'_> {
    let options = poll.options();
    let chosen = remembered.and_then(|vote| vote.choices);
    let chosen = chosen.into_iter().flat_map(|choices| choices.indices());
    State {
        title: poll.title(),
        state: StateView::now(poll).as_str(),
        labels: options.iter().map(|option| option.label.as_str()).collect(),
        voter: None,
        ballot: None,
        choices: chosen
            .filter_map(|index| options.get(index))
            .map(|option| option.id.as_str())
            .collect(),
        forgotten: remembered.is_some_and(|vote| vote.choices.is_none()),
    }
}
