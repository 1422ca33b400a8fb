//! The result on a screen in front of an audience: large, with the address at which people vote.

use askama::Template;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header},
};
use voting_core::{Poll, PollId};

use super::{
    address::VoteAddress,
    board::{self, Choice},
};
use crate::{
    pages::{
        assets, language::Language, poll_of_page::PagePlace, preview::keep_out_of_search,
        site::Prefix, templates,
    },
    result::{ResultService, page::HiddenWords},
    texts::Texts,
    views::{moment_words, poll_view::StateView, text_size::text_size},
};

/// `GET`: the screen.
pub(in crate::result) struct Show(pub(in crate::result) ResultService);

/// The field of the address that says whether the figures are covered, and the value that covers them.
const FIELD: &str = "figures";
const COVERED: &str = "hidden";

#[derive(Template)]
#[template(path = "share/present.html")]
struct PresentPage<'a> {
    t: &'static Texts,
    base: &'a str,
    assets_version: &'a str,
    /// The address of this page, without its query.
    address: &'a str,
    poll: &'a str,
    title: &'a str,
    language: Language<'a>,
    state: StateView,
    version: u64,
    /// `1 voter`, `1,000 voters`.
    total: &'a str,
    choices: Vec<Choice<'a>>,
    /// To whom the result is shown, and when, if it is hidden.
    hidden: Option<&'a str>,
    /// Whether the figures are covered on this screen.
    is_covered: bool,
    stalled_since: Option<String>,
    /// Where people vote, if that is known and if they can.
    vote: Option<VoteAddress>,
    /// From when on people can vote, in a sentence, if they cannot yet.
    opens: Option<String>,
    next_url: Option<String>,
}

impl PresentPage<'_> {
    fn title_size(&self) -> &'static str {
        text_size(self.title.chars().count(), 40, 110)
    }

    /// The classes of the board: how its options stand, and how long they are.
    fn board_class(&self) -> String {
        let (columns, rows) = board::columns(self.choices.len());
        let longest = self.choices.iter().map(|one| one.label.chars().count());
        let is_long = longest.max().unwrap_or(0) > 72 / (columns + 1);
        let long = if is_long { " long" } else { "" };
        format!("in-{columns} of-{rows}{long}")
    }

    fn is_dense(&self) -> bool {
        board::columns(self.choices.len()).0 > 2
    }

    fn is_final(&self) -> bool {
        self.state.is_final()
    }

    fn stalled_template(&self) -> String {
        self.t.stalled_since("{since}")
    }
}

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = PagePlace::Named.poll(&service.polls, &request).await?;
        let viewer = service.granted.viewer(&request, poll.id());
        let known = service.live.known(poll.id()).await?;
        let t = Texts::of(&request, Some(&poll));
        let (prefix, id) = (Prefix::of(&request), poll.id());
        let base = prefix.as_str();
        let words;
        let figures = known.snapshot.figures(viewer);
        let (hidden, total, version, choices) = match &figures {
            Ok(figures) => {
                let result = &figures.in_language(t).texts;
                let choices = board::with_figures(result);
                (None, result.total.as_str(), result.version, choices)
            }
            Err(_) => {
                words = HiddenWords::new(&known, t);
                let choices = board::without_figures(&poll);
                (
                    Some(words.reason.as_str()),
                    words.turnout.as_str(),
                    0,
                    choices,
                )
            }
        };
        let state = StateView::now(&poll);
        let url = service.site.whole_peer_url(&request, id);
        let takes_votes = matches!(state, StateView::Scheduled | StateView::Open);
        let page = PresentPage {
            t,
            base,
            assets_version: assets::version(),
            address: &format!("{base}/polls/{id}/present"),
            poll: id.as_str(),
            title: poll.title(),
            language: Language::of(&poll),
            state,
            version,
            total,
            choices,
            hidden,
            is_covered: is_covered(&request),
            stalled_since: known
                .stalled
                .as_ref()
                .map(|stalled| t.stalled_since(&stalled.since.in_words(t))),
            vote: url.filter(|_| takes_votes).and_then(VoteAddress::new),
            opens: opens(&poll, state, t),
            next_url: self.next(&poll, base).await,
        };
        let mut answer = templates::render_in(t, &page);
        let headers = answer.headers_mut();
        let caching = HeaderValue::from_static("private, no-cache");
        headers.insert(header::CACHE_CONTROL, caching);
        keep_out_of_search(headers);
        Ok(match figures {
            Ok(_) => answer,
            Err(problem) => problem.finish(answer),
        })
    }
}

impl Show {
    /// The screen of the poll after this one in the list of polls; after the last one comes the first.
    async fn next(&self, poll: &Poll, base: &str) -> Option<String> {
        let listed = self.0.0.polls.listed().await.unwrap_or_default().all;
        let ids: Vec<&PollId> = listed.iter().map(|poll| poll.id()).collect();
        let next = after(&ids, poll.id())?;
        Some(format!("{base}/polls/{next}/present"))
    }
}

/// What the screen says until the poll opens. Its script hides the sentence then.
fn opens(poll: &Poll, state: StateView, t: &'static Texts) -> Option<String> {
    let at = poll.settings().opens_at?;
    matches!(state, StateView::Scheduled).then(|| t.opens_on(&moment_words::of_poll(at, poll, t)))
}

/// The one after this one; `None` if there is no other one.
fn after<'a>(ids: &[&'a PollId], this: &PollId) -> Option<&'a PollId> {
    let at = ids.iter().position(|id| *id == this);
    let next = ids.get(at.map_or(0, |at| at + 1)).or_else(|| ids.first())?;
    (*next != this).then_some(*next)
}

fn is_covered(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|field| field == (FIELD.into(), COVERED.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_last_poll_comes_the_first_and_a_single_one_has_none() {
        let ids: Vec<PollId> = ["a", "b", "c"].map(|id| id.parse().unwrap()).into();
        let all: Vec<_> = ids.iter().collect();
        assert_eq!(after(&all, &ids[0]), Some(&ids[1]));
        assert_eq!(after(&all, &ids[2]), Some(&ids[0]));
        assert_eq!(after(&all[..1], &ids[0]), None);
        // One that is not listed.
        assert_eq!(after(&all[..1], &ids[2]), Some(&ids[0]));
        assert_eq!(after(&[], &ids[0]), None);
    }
}
