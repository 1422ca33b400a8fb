//! The result page, and the addresses that its script requests.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use data_encoding::BASE64;
use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderValue, header},
};
use sha2::{Digest, Sha256};
use voting_core::{
    Choices, Poll,
    model::{
        poll::{ShowResults, Viewer},
        vote_history::VoteHistory,
    },
};

use super::{
    ResultService,
    events::{Content, Events},
    rows::Rows,
    yours,
};
use crate::{
    cache::live::{InLanguage, Known},
    edge::security_headers,
    pages::{
        assets,
        language::Language,
        other_polls::OtherPolls,
        poll_of_page::{PagePlace, Shown},
        preview::{Preview, keep_unlisted_out_of_search},
        site::Prefix,
        templates::{self, HiddenPage, HistoryPart, ResultPage},
    },
    problem::Problem,
    server::gate::StreamPlace,
    texts::Texts,
    views::{history_plot::HistoryPlot, paragraphs::paragraphs, poll_view::StateView},
};

/// `GET`: the page.
pub(super) struct Show(pub(super) ResultService, pub(super) PagePlace);

/// `GET`: the page's event stream.
pub(super) struct Live(pub(super) ResultService);

/// `GET`: the same as one document, for a page whose stream does not arrive.
pub(super) struct LiveJson(pub(super) ResultService);

/// `GET`: the plot of the history by itself.
pub(super) struct History(pub(super) ResultService);

/// The only script inside a page. It must run even if no script can be loaded: it reloads the page if `result.js` did
/// not load, could not be parsed or failed at its start.
const GUARD: &str = "(function(){\
    function reload(){if(!window.votingResult)location.reload()}\
    window.onload=function(){setTimeout(reload,5000)};setTimeout(reload,30000)})()";

/// The page's policy allows the guard by its hash, and no other script inside the page.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64.encode(&Sha256::digest(GUARD));
    security_headers::policy_with_script(&hash)
});

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = match self.1.shown(&service.polls, &request).await? {
            Shown::Here(poll) => poll,
            Shown::Elsewhere(there) => return Ok(there),
        };
        if let Some(clean) = service.granted.exchange(&request, &poll) {
            return Ok(clean);
        }
        let viewer = service.granted.viewer(&request, poll.id());
        service.granted.renew(&request, poll.id());
        let known = service.live.known(poll.id()).await?;
        let prefix = Prefix::of(&request);
        let base = prefix.as_str();
        let id = poll.id();
        let t = Texts::of(&request, Some(&poll));
        let result = match known.snapshot.figures(viewer) {
            Ok(figures) => &figures.in_language(t).texts,
            Err(hidden) => {
                let page = self.0.hidden(&request, &poll, &known, &hidden);
                return Ok(page.await);
            }
        };
        let history = service.histories.of(id).await;
        let history = history.inspect_err(|error| {
            tracing::debug!(%error, "the result page has no history");
        });
        let yours = service.yours.choices(&request, &poll);
        // When a browser goes back, it shows the page as it was, and the page's script connects again. But a vote that was
        // forgotten meanwhile is shown to nobody.
        let caching = match yours == Choices::BLANK {
            true => "private, no-cache",
            false => "no-store",
        };
        let result_page = ResultPage {
            t,
            here: &format!("{base}/polls/{id}"),
            base,
            assets_version: assets::version(),
            preview: Preview::of_result(&service.site, base, &poll, true, t),
            result,
            rows: Rows::new(&request, result, yours),
            your_word: yours::word(&poll, t),
            stalled_since: known
                .stalled
                .as_ref()
                .map(|stalled| t.stalled_since(&stalled.since.in_words(t))),
            live_url: format!("{base}/polls/{id}/live"),
            guard: GUARD,
            shows_history: history.is_ok(),
            plot: history
                .ok()
                .and_then(|history| HistoryPlot::new(&poll, &history, t)),
            history_url: format!("{base}/polls/{id}/history"),
            vote_url: service.site.peer.poll_url(&request, id),
            description: paragraphs(&poll.settings().description),
            language: Language::of(&poll),
            other_polls: OtherPolls::beside(id, base, &service.polls).await,
            served_by: service.site.served_by.as_deref(),
        };
        let mut page = templates::render_in(t, &result_page);
        let headers = page.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        keep_unlisted_out_of_search(&poll, headers);
        Ok(page)
    }
}

impl Endpoint for Live {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = self.0.poll_of(&request).await?;
        let place = self.0.0.site.gate.stream(&request)?;
        let viewer = self.0.0.granted.viewer(&request, poll.id());
        let t = Texts::of(&request, Some(&poll));
        let events = self
            .0
            .events(&poll, viewer, Content::Texts(t), place)
            .await?;
        Ok(events.into_response())
    }
}

impl Endpoint for History {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = self.0.poll_of(&request).await?;
        let history = self.0.history(&request, &poll).await?;
        let t = Texts::of(&request, Some(&poll));
        let part = HistoryPart {
            t,
            language: Language::of(&poll),
            plot: HistoryPlot::new(&poll, &history, t),
        };
        let mut answer = templates::render_in(t, &part);
        let caching = HeaderValue::from_static("private, no-cache");
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, caching);
        service.granted.renew(&request, poll.id());
        Ok(answer)
    }
}

impl Endpoint for LiveJson {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = self.0.poll_of(&request).await?;
        let known = self.0.0.live.known(poll.id()).await?;
        let viewer = self.0.0.granted.viewer(&request, poll.id());
        let t = Texts::of(&request, Some(&poll));
        Ok(match known.snapshot.figures(viewer) {
            Ok(figures) => Response::builder()
                .content_type("application/json; charset=utf-8")
                .header(header::CACHE_CONTROL, "private, no-cache")
                .body({
                    let yours = self.0.0.yours.choices(&request, &poll);
                    in_one_piece(&known, figures.in_language(t), &poll, yours)
                }),
            Err(hidden) => {
                let words = HiddenWords::new(&known, t);
                let hidden = hidden.with_detail(words.reason);
                let state = StateView::now(&poll);
                hidden.to_response_with(&[("turnout", &words.turnout), ("state", state.as_str())])
            }
        })
    }
}

/// The texts of the page, since when they may be out of date, or `null`, and the options that this browser has voted for.
fn in_one_piece(known: &Known, figures: &InLanguage, poll: &Poll, yours: Choices) -> Bytes {
    let since = match &known.stalled {
        Some(stalled) => format!("\"{}\"", stalled.since.rfc3339()),
        None => "null".to_owned(),
    };
    let options = poll.options();
    let yours = yours.indices().filter_map(|index| options.get(index));
    let yours: Vec<_> = yours.map(|option| option.id.as_str()).collect();
    // Ids are of letters, digits and signs that need no escape.
    let yours = match yours.is_empty() {
        true => String::new(),
        false => format!("\"{}\"", yours.join("\",\"")),
    };
    let mut json =
        format!("{{\"stalled_since\":{since},\"yours\":[{yours}],\"result\":").into_bytes();
    json.extend_from_slice(&figures.json);
    json.push(b'}');
    json.into()
}

/// What is said in place of a result that is hidden.
pub(super) struct HiddenWords {
    pub(super) turnout: String,
    /// To whom the result is shown, and when.
    pub(super) reason: String,
}

impl HiddenWords {
    pub(super) fn new(known: &Known, t: &'static Texts) -> Self {
        let turnout = known.snapshot.turnout(t);
        let reason = known.snapshot.why_hidden(t);
        match &known.stalled {
            None => Self { turnout, reason },
            Some(stalled) => Self {
                turnout: t.turnout_since(&turnout, &stalled.since.in_words(t)),
                reason: t.sentences(&reason, &t.count_out_of_date),
            },
        }
    }
}

impl ResultService {
    async fn poll_of(&self, request: &Request) -> Result<Arc<Poll>, Problem> {
        PagePlace::Named.poll(&self.0.polls, request).await
    }

    /// The page of a result that is hidden.
    async fn hidden(
        &self,
        request: &Request,
        poll: &Poll,
        known: &Known,
        hidden: &Problem,
    ) -> Response {
        let t = Texts::of(request, Some(poll));
        let words = HiddenWords::new(known, t);
        let prefix = Prefix::of(request);
        let (base, id) = (prefix.as_str(), poll.id());
        let page = HiddenPage {
            t,
            here: &format!("{base}/polls/{id}"),
            base,
            assets_version: assets::version(),
            preview: Preview::of_result(&self.0.site, base, poll, false, t),
            title: poll.title(),
            turnout: words.turnout,
            reason: &words.reason,
            follow_url: format!("{base}/polls/{id}/live.json?lang={}", t.tag),
            granted_url: (poll.settings().results == ShowResults::AfterVote)
                .then(|| Some(self.0.site.peer.poll_url(request, id)? + "/result"))
                .flatten(),
            vote_url: self.0.site.peer.poll_url(request, id),
            language: Language::of(poll),
            other_polls: OtherPolls::beside(id, base, &self.0.polls).await,
            served_by: self.0.site.served_by.as_deref(),
        };
        let mut answer = hidden.finish(templates::render_in(t, &page));
        keep_unlisted_out_of_search(poll, answer.headers_mut());
        answer
    }

    /// The history of a poll, if its result is shown to who asks.
    pub(super) async fn history(
        &self,
        request: &Request,
        poll: &Poll,
    ) -> Result<Arc<VoteHistory>, Problem> {
        let current = self.0.live.current(poll.id()).await?;
        let viewer = self.0.granted.viewer(request, poll.id());
        current.figures(viewer)?;
        self.0.histories.of(poll.id()).await
    }

    /// An event stream of a poll's tally.
    pub(super) async fn events(
        &self,
        poll: &Poll,
        viewer: Viewer,
        content: Content,
        place: StreamPlace,
    ) -> Result<Events, Problem> {
        let tallies = self.0.live.watch(poll).await?;
        tallies.borrow().snapshot.figures(viewer)?;
        let viewers = self.0.live.metrics().viewers.clone();
        let stop = self.0.options.stop.clone();
        Ok(Events::new(content, viewer, tallies, stop, viewers, place))
    }
}
