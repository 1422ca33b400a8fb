//! What search engines and messengers show of a page before it is opened. It has no figures, since previews are kept
//! for a long time.

use poem::{
    Endpoint, Response,
    endpoint::make_sync,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use voting_core::Poll;

use crate::{
    pages::site::{PeerLink, Site},
    texts::Texts,
    views::poll_view::StateView,
};

/// Search engines show about this many characters.
const LONGEST: usize = 155;

/// Crawlers may read the pages. They need not read what is for programs, and an event stream would hold a crawler for
/// ever.
const ROBOTS: &str = "User-agent: *\n\
    Disallow: /v1/\n\
    Disallow: /docs\n\
    Disallow: /openapi.json\n\
    Disallow: /metrics\n\
    Disallow: /oembed\n\
    Disallow: /*/live\n";

/// Search engines do not show this answer.
pub(crate) fn keep_out_of_search(headers: &mut HeaderMap) {
    let name = HeaderName::from_static("x-robots-tag");
    headers.insert(name, HeaderValue::from_static("noindex"));
}

/// Search engines do not show the pages of a poll that is in no list: they are for whoever has the address.
pub(crate) fn keep_unlisted_out_of_search(poll: &Poll, headers: &mut HeaderMap) {
    if !poll.settings().listed {
        keep_out_of_search(headers);
    }
}

/// `GET /robots.txt`. Crawlers look for it only at the root of a host.
pub(crate) fn robots() -> impl Endpoint {
    make_sync(|_| {
        Response::builder()
            .content_type("text/plain; charset=utf-8")
            .header("cache-control", "public, max-age=3600")
            .body(ROBOTS)
    })
}

/// Title, description and address of a page.
#[derive(Debug, Clone)]
pub(crate) struct Preview<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: String,
    /// The permanent address of the page's contents. It is absolute if the service knows its public URL.
    pub(crate) address: String,
    /// Whether the address is absolute, as previews need it.
    pub(crate) is_whole: bool,
    /// Whether search engines may show the page.
    pub(crate) is_listed: bool,
    /// The address of the picture that messengers show, if it is known. It changes with the poll.
    pub(crate) picture: Option<String>,
    /// Where other sites ask for a frame in place of this page.
    pub(crate) oembed: Option<String>,
}

impl<'a> Preview<'a> {
    pub(crate) fn of_vote(site: &Site, base: &str, poll: &'a Poll, t: &Texts) -> Self {
        let options = poll.options().len() as u64;
        let begin = match (StateView::now(poll), poll.max_choices()) {
            (StateView::Scheduled, _) => t.preview_scheduled.clone(),
            (StateView::Open, 1) => t.preview_one(options),
            (StateView::Open, max) => t.preview_several(options, &t.number(max as u64)),
            _ => t.preview_closed.clone(),
        };
        let results = match &site.peer {
            PeerLink::Url(results) => Some(results.to_string()),
            _ => None,
        };
        Self::new(site, base, poll.title(), with_labels(&begin, poll, t))
            .of_poll(poll, site, results)
    }

    pub(crate) fn of_result(
        site: &Site,
        base: &str,
        poll: &'a Poll,
        is_shown: bool,
        t: &Texts,
    ) -> Self {
        let begin = match StateView::now(poll) {
            _ if !is_shown => &t.preview_hidden,
            StateView::Open => &t.preview_live,
            _ => &t.preview_result,
        };
        let results = site.public_url.as_ref().map(|own| format!("{own}{base}"));
        Self::new(site, base, poll.title(), with_labels(begin, poll, t))
            .of_poll(poll, site, results)
    }

    pub(crate) fn of_list(site: &Site, base: &str, t: &'a Texts) -> Self {
        Self::new(site, base, &t.all_polls, t.preview_list.clone()).at("/polls")
    }

    fn new(site: &Site, base: &str, title: &'a str, description: String) -> Self {
        let host = site.public_url.as_ref();
        Self {
            title,
            description,
            address: host.map(ToString::to_string).unwrap_or_default() + base,
            is_whole: host.is_some(),
            is_listed: true,
            picture: None,
            oembed: None,
        }
    }

    /// The preview of a poll's page. `results` is the address of the result service, if it is known.
    fn of_poll(self, poll: &Poll, site: &Site, results: Option<String>) -> Self {
        let mut preview = self.at(&format!("/polls/{}", poll.id()));
        preview.is_listed = poll.settings().listed;
        let (id, revision) = (poll.id(), poll.revision());
        let picture = |results: &String| format!("{results}/polls/{id}/preview.png?v={revision}");
        preview.picture = results.as_ref().map(picture);
        if preview.is_whole && !site.embed_origins.is_empty() {
            let url: String = form_urlencoded::byte_serialize(preview.address.as_bytes()).collect();
            preview.oembed = results.map(|results| format!("{results}/oembed?url={url}"));
        }
        preview
    }

    fn at(mut self, path: &str) -> Self {
        self.address.push_str(path);
        self
    }
}

/// The beginning, and as many labels of the poll as fit.
fn with_labels(begin: &str, poll: &Poll, t: &Texts) -> String {
    let mut room = LONGEST.saturating_sub(begin.chars().count() + 3);
    let mut fitting = 0;
    for option in poll.options() {
        let takes = option.label.chars().count() + 2;
        if takes > room {
            break;
        }
        room -= takes;
        fitting += 1;
    }
    let labels = t.list(
        poll.options()
            .iter()
            .take(fitting)
            .map(|option| &option.label),
    );
    match fitting {
        0 => t.preview_bare(begin),
        all if all == poll.options().len() => t.preview_options(begin, &labels),
        _ => t.preview_cut(begin, &labels),
    }
}

#[cfg(test)]
mod tests {
    use voting_core::PollOption;

    use super::*;

    fn poll(labels: &[&str], max_choices: usize) -> Poll {
        let options = labels
            .iter()
            .enumerate()
            .map(|(index, label)| PollOption {
                id: format!("o{index}").parse().unwrap(),
                label: (*label).to_owned(),
            })
            .collect();
        Poll::new("p".parse().unwrap(), "What?", options, max_choices).unwrap()
    }

    #[test]
    fn a_preview_names_the_options_and_has_no_figures_of_the_count() {
        let (poll, site) = (poll(&["Cats", "Dogs"], 1), Site::default());
        let vote = Preview::of_vote(&site, "", &poll, Texts::english());
        assert_eq!(vote.description, "Vote for one of 2 options: Cats, Dogs.");
        assert_eq!((vote.address.as_str(), vote.is_whole), ("/polls/p", false));
        let result = Preview::of_result(&site, "", &poll, true, Texts::english());
        assert_eq!(result.description, "Watch the result come in: Cats, Dogs.");
        let site = Site {
            public_url: Some("https://vote.test".parse().unwrap()),
            ..site
        };
        let vote = Preview::of_vote(&site, "/vote", &poll, Texts::english());
        assert_eq!(vote.address, "https://vote.test/vote/polls/p");
        assert!(vote.is_whole);
    }

    #[test]
    fn a_preview_is_as_short_as_it_is_shown() {
        let long = ["x", "y", "z"].map(|letter| letter.repeat(70));
        let poll = poll(&[&long[0], &long[1], &long[2]], 2);
        let description =
            Preview::of_vote(&Site::default(), "", &poll, Texts::english()).description;
        assert!(description.chars().count() <= LONGEST, "{description}");
        assert!(description.ends_with(", …"), "{description}");
    }
}
