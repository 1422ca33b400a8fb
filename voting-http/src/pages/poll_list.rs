//! The page of all polls.

use crate::{
    cache::polls::Polls,
    pages::{
        assets,
        language::Language,
        preview::Preview,
        site::{Prefix, Site},
        templates::{self, PollListPage, PollRow},
    },
    problem::Problem,
    texts::Texts,
    views::poll_view::StateView,
};
use poem::{Endpoint, Request, Response, http::header};

/// How many polls are on a page.
const PER_PAGE: usize = 50;

/// `GET`: the page of all polls.
pub(crate) struct Show {
    polls: Polls,
    site: Site,
}

impl Show {
    pub(crate) fn new(polls: &Polls, site: &Site) -> Self {
        Self {
            polls: polls.clone(),
            site: site.clone(),
        }
    }
}

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let all = self.polls.listed().await?.all;
        let pages = all.len().div_ceil(PER_PAGE).max(1);
        let page = page_of(&request)
            .filter(|page| (1..=pages).contains(page))
            .ok_or_else(Problem::no_such_address)?;
        let prefix = Prefix::of(&request);
        let base = prefix.as_str();
        let mut ordered: Vec<_> = all
            .iter()
            .rev()
            .map(|poll| (poll, StateView::now(poll)))
            .collect();
        // The sort is stable: polls of the same state stay in their order.
        ordered.sort_by_key(|(_, state)| match state {
            StateView::Open => 0,
            StateView::Scheduled => 1,
            _ => 2,
        });
        let open = ordered.iter().filter(|(_, state)| state.is_open()).count();
        let rows = ordered
            .into_iter()
            .skip((page - 1) * PER_PAGE)
            .take(PER_PAGE)
            .map(|(poll, state)| PollRow {
                href: format!("{base}/polls/{}", poll.id()),
                title: poll.title(),
                language: Language::of(poll),
                state,
            });
        let link = |page: usize| format!("{base}/polls?page={page}");
        let t = Texts::of(&request, None);
        let list = PollListPage {
            t,
            here: &link(page),
            base,
            assets_version: assets::version(),
            preview: Preview::of_list(&self.site, base, t),
            open,
            total: all.len(),
            rows: rows.collect(),
            page,
            pages,
            previous_url: (page > 1).then(|| link(page - 1)),
            next_url: (page < pages).then(|| link(page + 1)),
            served_by: self.site.served_by.as_deref(),
        };
        let mut answer = templates::render_in(t, &list);
        let caching = header::HeaderValue::from_static("private, no-cache");
        answer.headers_mut().insert(header::CACHE_CONTROL, caching);
        Ok(answer)
    }
}

/// The number of the requested page; `None` if the request's text is not a number.
fn page_of(request: &Request) -> Option<usize> {
    let query = request.uri().query().unwrap_or_default();
    let mut fields = form_urlencoded::parse(query.as_bytes());
    match fields.find(|(name, _)| name == "page") {
        Some((_, page)) => page.parse().ok(),
        None => Some(1),
    }
}
