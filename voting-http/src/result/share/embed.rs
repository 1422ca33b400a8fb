//! The result inside pages of other sites. It needs no cookies, and nobody votes in it: browsers send a voter's cookie to
//! this site's own pages only.

use askama::Template;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header},
};

use super::{
    board::{self, Choice},
    let_others_load,
};
use crate::{
    edge::security_headers,
    pages::{
        assets, language::Language, poll_of_page::PagePlace, preview::keep_out_of_search,
        site::Prefix, templates,
    },
    problem::Problem,
    result::{ResultService, page::HiddenWords},
    texts::Texts,
    views::poll_view::StateView,
};

/// `GET`: the page for a frame.
pub(in crate::result) struct Show(pub(in crate::result) ResultService);

#[derive(Template)]
#[template(path = "share/embed.html")]
struct EmbedPage<'a> {
    t: &'static Texts,
    base: &'a str,
    assets_version: &'a str,
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
    stalled_since: Option<String>,
    vote_url: Option<String>,
}

impl EmbedPage<'_> {
    fn is_open(&self) -> bool {
        self.state == StateView::Open
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
        let origins = &service.site.embed_origins;
        if origins.is_empty() {
            return Err(Problem::not_embedded().into());
        }
        let poll = PagePlace::Named.poll(&service.polls, &request).await?;
        let viewer = service.granted.viewer(&request, poll.id());
        let known = service.live.known(poll.id()).await?;
        let t = Texts::of(&request, Some(&poll));
        let prefix = Prefix::of(&request);
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
                let reason = words.reason.as_str();
                (Some(reason), words.turnout.as_str(), 0, Vec::new())
            }
        };
        let page = EmbedPage {
            t,
            base: prefix.as_str(),
            assets_version: assets::version(),
            poll: poll.id().as_str(),
            title: poll.title(),
            language: Language::of(&poll),
            state: StateView::now(&poll),
            version,
            total,
            choices,
            hidden,
            stalled_since: known
                .stalled
                .as_ref()
                .map(|stalled| t.stalled_since(&stalled.since.in_words(t))),
            vote_url: service.site.peer.poll_url(&request, poll.id()),
        };
        let mut answer = templates::render_in(t, &page);
        let headers = answer.headers_mut();
        let policy = security_headers::policy_framed_by(origins);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        let caching = HeaderValue::from_static("private, no-cache");
        headers.insert(header::CACHE_CONTROL, caching);
        keep_out_of_search(headers);
        // A site that isolates its pages frames only what says this.
        let_others_load(headers);
        Ok(match figures {
            Ok(_) => answer,
            Err(problem) => problem.finish(answer),
        })
    }
}
