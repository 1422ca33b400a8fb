//! The page of all polls: open ones, those that open later, and those that are closed; with a search.

use std::sync::Arc;

use crate::{
    cache::polls::Polls,
    pages::{
        assets,
        language::Language,
        preview::Preview,
        site::{Prefix, Site},
        templates::{self, PollListPage, PollRow, PollRows},
    },
    problem::Problem,
    texts::Texts,
    views::{poll_view::StateView, time_left::time_left},
};
use poem::{Endpoint, Request, Response, http::header};
use voting_core::{Poll, model::moment::Moment};

/// How many polls are on a page.
const PER_PAGE: usize = 50;

/// A longer text is in no title.
const LONGEST_QUERY: usize = 200;

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
        let asked = Asked::of(&request).ok_or_else(Problem::no_such_address)?;
        let found: Vec<_> = all
            .iter()
            .rev()
            .filter(|poll| asked.query.fits(poll.title()))
            .collect();
        let pages = found.len().div_ceil(PER_PAGE).max(1);
        if !(1..=pages).contains(&asked.page) {
            return Err(Problem::no_such_address().into());
        }
        let prefix = Prefix::of(&request);
        let base = prefix.as_str();
        let (now, t) = (Moment::now(), Texts::of(&request, None));
        let mut ordered: Vec<_> = found
            .into_iter()
            .map(|poll| (poll, StateView::now(poll)))
            .collect();
        // The sort is stable: polls of the same state stay in their order.
        ordered.sort_by_key(|(_, state)| place_of(*state));
        let total = ordered.len();
        let open = ordered.iter().filter(|(_, state)| state.is_open()).count();
        let rows: Vec<_> = ordered
            .into_iter()
            .skip((asked.page - 1) * PER_PAGE)
            .take(PER_PAGE)
            .map(|(poll, state)| row(poll, state, base, now, t))
            .collect();
        let link = |page: usize| asked.query.address(base, page);
        let list = PollListPage {
            t,
            here: &link(asked.page),
            base,
            assets_version: assets::version(),
            preview: Preview::of_list(&self.site, base, t),
            query: &asked.query.text,
            has_search: all.len() > 1,
            open,
            total,
            groups: in_groups(rows),
            page: asked.page,
            pages,
            previous_url: (asked.page > 1).then(|| link(asked.page - 1)),
            next_url: (asked.page < pages).then(|| link(asked.page + 1)),
            served_by: self.site.served_by.as_deref(),
        };
        let mut answer = templates::render_in(t, &list);
        let caching = header::HeaderValue::from_static("private, no-cache");
        answer.headers_mut().insert(header::CACHE_CONTROL, caching);
        Ok(answer)
    }
}

/// Open polls come first, then those that open later.
fn place_of(state: StateView) -> u8 {
    match state {
        StateView::Open => 0,
        StateView::Draft | StateView::Scheduled => 1,
        StateView::Closing | StateView::Final | StateView::Archived => 2,
    }
}

fn row<'a>(
    poll: &'a Arc<Poll>,
    state: StateView,
    base: &str,
    now: Moment,
    t: &Texts,
) -> PollRow<'a> {
    PollRow {
        href: format!("{base}/polls/{}", poll.id()),
        title: poll.title(),
        language: Language::of(poll),
        state,
        time_left: time_left(poll, state, now, t),
    }
}

/// The rows, which are in order, under a heading for each kind of state.
fn in_groups(rows: Vec<PollRow<'_>>) -> Vec<PollRows<'_>> {
    let mut groups: Vec<PollRows<'_>> = Vec::new();
    for row in rows {
        match groups.last_mut() {
            Some(group) if place_of(group.state) == place_of(row.state) => group.rows.push(row),
            _ => groups.push(PollRows {
                state: row.state,
                rows: vec![row],
            }),
        }
    }
    groups
}

/// What the address asks for.
struct Asked {
    query: Query,
    page: usize,
}

impl Asked {
    /// `None` if the number of the page is not a number, or if the text is too long.
    fn of(request: &Request) -> Option<Self> {
        let query = request.uri().query().unwrap_or_default();
        let (mut text, mut page) = (String::new(), 1);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "q" => text = value.trim().to_owned(),
                "page" => page = value.parse().ok()?,
                _ => {}
            }
        }
        let query = (text.chars().count() <= LONGEST_QUERY).then(|| Query::new(text))?;
        Some(Self { query, page })
    }
}

/// A search by title.
struct Query {
    text: String,
    words: Vec<String>,
}

impl Query {
    fn new(text: String) -> Self {
        let words = text.split_whitespace().map(str::to_lowercase).collect();
        Self { text, words }
    }

    /// Whether the title has all words of the search, in any order; capitals do not matter.
    fn fits(&self, title: &str) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let title = title.to_lowercase();
        self.words.iter().all(|word| title.contains(word.as_str()))
    }

    fn address(&self, base: &str, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.text.is_empty() {
            query.append_pair("q", &self.text);
        }
        query.append_pair("page", &page.to_string());
        format!("{base}/polls?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_fits_if_it_has_all_words() {
        let fits = |query: &str, title: &str| Query::new(query.to_owned()).fits(title);
        assert!(fits("", "Cats or dogs?"));
        assert!(fits("DOGS cat", "Cats or dogs?"));
        assert!(fits("öl", "Ölheizung"));
        assert!(!fits("cats cows", "Cats or dogs?"));
    }

    #[test]
    fn a_search_keeps_its_text_on_each_page() {
        let query = Query::new("a&b c".to_owned());
        assert_eq!(query.address("/vote", 2), "/vote/polls?q=a%26b+c&page=2");
        assert_eq!(Query::new(String::new()).address("", 1), "/polls?page=1");
    }
}
