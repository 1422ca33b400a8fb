//! What the page's script requests while the page is open: the current poll, and this browser's vote in it, which may
//! come from another tab.

use data_encoding::BASE64URL_NOPAD;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use voting_core::{Choices, Poll, model::moment::Moment};

use super::{VoteService, memory::Remembered, page};
use crate::{
    edge::visitor::Visitor,
    pages::poll_of_page::PagePlace,
    problem::Problem,
    texts::Texts,
    views::{poll_view::StateView, vote_words::PollWords},
};

/// `GET`: the state, or 304 if the client has it already.
pub(super) struct Follow(pub(super) VoteService);

#[derive(Serialize)]
struct State<'a> {
    title: &'a str,
    state: &'static str,
    /// As in the page. If it differs, the page has another form than the poll has now.
    shape: String,
    /// As in the page.
    words: PollWords,
    /// When the poll opens and closes, in milliseconds since 1970.
    opens: Option<u64>,
    closes: Option<u64>,
    /// The options in the poll's order; the page may have them in another one.
    ids: Vec<&'a str>,
    /// Their labels.
    labels: Vec<&'a str>,
    /// The tag of the voter whom the cookie names, as in the page. `None` if the request has no cookie.
    voter: Option<String>,
    /// The choices of the last confirmed vote, if it is remembered.
    choices: Vec<&'a str>,
    /// Differs for each confirmed vote.
    ballot: Option<String>,
    /// There is a vote, and the voter had its choices forgotten.
    forgotten: bool,
    /// The last confirmed vote is blank.
    blank: bool,
}

impl Endpoint for Follow {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let visitor = self.0.visitor(&request, &poll).await?;
        Ok(self.0.state(&request, &poll, visitor)?)
    }
}

impl VoteService {
    fn state(&self, request: &Request, poll: &Poll, visitor: Visitor) -> Result<Response, Problem> {
        visitor.voter()?;
        let kept = self.kept(request, poll, visitor);
        let state = state_of(
            poll,
            kept.vote,
            visitor.is_named(),
            Texts::of(request, Some(poll)),
        );
        // The page may come from a service that makes its tags under another secret.
        let known = request.headers().get("voter-tag");
        let known = known.and_then(|tag| tag.to_str().ok());
        let tag = || self.0.tags.tag_for(known, visitor.id());
        let voter = (!visitor.is_new()).then(tag);
        let ballot = kept.vote.map(|vote| self.0.ballots.vote_mark(vote));
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
        let known = has(request.headers(), &etag) && !kept.has_others();
        let answer = match known {
            true => Response::builder()
                .status(StatusCode::NOT_MODIFIED)
                .finish(),
            false => Response::builder()
                .content_type("application/json")
                .body(body),
        };
        let mut answer = page::kept_by_one_browser(answer, kept.vote.is_some());
        kept.drop_others(&mut answer);
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

/// A short text that differs if the form or the descriptions differ. Titles, labels and times are not part of it: an
/// open page takes them over.
pub(super) fn shape_of(poll: &Poll) -> String {
    let settings = poll.settings();
    let ids = poll.options().iter().map(|option| option.id.as_str());
    let abouts = settings.option_descriptions.iter();
    let parts = (
        ids.collect::<Vec<_>>(),
        poll.max_choices(),
        settings.revote,
        settings.blank,
        poll.keeps_ballots(),
        settings.order,
        settings.language.as_deref(),
        settings.description.as_str(),
        abouts.collect::<Vec<_>>(),
    );
    let bytes = serde_json::to_vec(&parts).unwrap_or_default();
    BASE64URL_NOPAD.encode(&Sha256::digest(bytes)[..6])
}

fn state_of<'a>(
    poll: &'a Poll,
    remembered: Option<Remembered>,
    named: bool,
    t: &'static Texts,
) -> State<'a> {
    let (options, state) = (poll.options(), StateView::now(poll));
    let settings = poll.settings();
    let chosen = remembered.and_then(|vote| vote.choices);
    let chosen = chosen.into_iter().flat_map(|choices| choices.indices());
    State {
        title: poll.title(),
        state: state.as_str(),
        shape: shape_of(poll),
        words: PollWords::new(poll, state, named, t),
        opens: settings.opens_at.map(Moment::unix_ms),
        closes: settings.closes_at.map(Moment::unix_ms),
        ids: options.iter().map(|option| option.id.as_str()).collect(),
        labels: options.iter().map(|option| option.label.as_str()).collect(),
        voter: None,
        ballot: None,
        choices: chosen
            .filter_map(|index| options.get(index))
            .map(|option| option.id.as_str())
            .collect(),
        forgotten: remembered.is_some_and(|vote| vote.choices.is_none()),
        blank: remembered.is_some_and(|vote| vote.choices == Some(Choices::BLANK)),
    }
}
