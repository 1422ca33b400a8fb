//! Pictures for `<img>`: the result as a chart, the QR code of the address at which people vote, and the picture beside a
//! link.

use std::{iter, time::SystemTime};

use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderValue, header},
};
use voting_core::{Poll, model::poll::Viewer};

use super::{address::VoteAddress, board, card, chart::Chart, let_others_load};
use crate::{
    pages::{
        poll_of_page::PagePlace,
        preview::{keep_out_of_search, keep_unlisted_out_of_search},
        templates::BY_LANGUAGE,
    },
    problem::Problem,
    result::{ResultService, page::HiddenWords},
    texts::Texts,
    views::{poll_view::StateView, since::Since},
};

const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";

/// `GET`: the chart.
pub(in crate::result) struct ResultSvg(pub(in crate::result) ResultService);

/// `GET`: the chart for who reads no SVG.
pub(in crate::result) struct ResultPng(pub(in crate::result) ResultService);

/// `GET`: the picture beside a link.
pub(in crate::result) struct PreviewPng(pub(in crate::result) ResultService);

/// `GET`: the code.
pub(in crate::result) struct QrSvg(pub(in crate::result) ResultService);

/// The chart as everybody sees it; and the problem, if the result is hidden and the picture says why.
async fn chart(
    service: &ResultService,
    poll: &Poll,
    t: &'static Texts,
) -> Result<(String, Option<Problem>), Problem> {
    let known = service.0.live.known(poll.id()).await?;
    let is_rtl = t.dir == "rtl";
    // Who has voted sees more on the page. A picture is kept by others, so it is for everybody.
    Ok(match known.snapshot.figures(Viewer::Public) {
        Ok(figures) => {
            let result = &figures.in_language(t).texts;
            let since = match &known.stalled {
                Some(stalled) => stalled.since,
                None => Since::new(SystemTime::now()),
            };
            let note = match result.state {
                StateView::Final | StateView::Archived => t.final_word.clone(),
                _ => t.picture_as_of(&since.in_words(t)),
            };
            let chart = Chart {
                title: &result.title,
                total: &result.total,
                choices: &board::with_figures(result),
                note: &note,
                is_rtl,
            };
            (chart.to_svg(), None)
        }
        Err(hidden) => {
            let words = HiddenWords::new(&known, t);
            let chart = Chart {
                title: poll.title(),
                total: &words.turnout,
                choices: &[],
                note: &words.reason,
                is_rtl,
            };
            (chart.to_svg(), Some(hidden))
        }
    })
}

/// The texts of a poll that are in pictures.
fn texts(poll: &Poll) -> impl Iterator<Item = &str> {
    let labels = poll.options().iter().map(|option| option.label.as_str());
    iter::once(poll.title()).chain(labels)
}

/// The answer with a chart. Browsers show a picture whatever its status is.
fn chart_answer(picture: impl Into<Body>, kind: &str, hidden: Option<Problem>) -> Response {
    let mut answer = answer(picture, kind, "public, max-age=10");
    let headers = answer.headers_mut();
    headers.insert(header::VARY, BY_LANGUAGE);
    keep_out_of_search(headers);
    match hidden {
        Some(problem) => problem.finish(answer),
        None => answer,
    }
}

impl Endpoint for ResultSvg {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let t = Texts::of(&request, Some(&poll));
        let (svg, hidden) = chart(&self.0, &poll, t).await?;
        Ok(chart_answer(svg, SVG, hidden))
    }
}

impl Endpoint for ResultPng {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = PagePlace::Named.poll(&service.polls, &request).await?;
        let pictures = &service.pictures;
        if !pictures.can_write(texts(&poll)).await {
            return Err(Problem::no_letters().into());
        }
        let t = Texts::of(&request, Some(&poll));
        let words = [&t.final_word, &t.then_shown].map(String::as_str);
        let t = match pictures.can_write(words).await {
            true => t,
            false => Texts::english(),
        };
        let (svg, hidden) = chart(&self.0, &poll, t).await?;
        let png = pictures.png(svg, 2.0).await?;
        Ok(chart_answer(png, PNG, hidden))
    }
}

impl Endpoint for PreviewPng {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = PagePlace::Named.poll(&service.polls, &request).await?;
        let is_written = service.pictures.can_write(texts(&poll)).await;
        let svg = card::of(&poll, is_written);
        let png = service.pictures.png(svg, 1.0).await?;
        // Its address changes with the poll.
        let mut answer = answer(png, PNG, "public, max-age=3600");
        keep_unlisted_out_of_search(&poll, answer.headers_mut());
        Ok(answer)
    }
}

impl Endpoint for QrSvg {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = PagePlace::Named.poll(&service.polls, &request).await?;
        let url = service.site.whole_peer_url(&request, poll.id());
        let address = url.and_then(VoteAddress::new);
        let address = address.ok_or_else(Problem::no_such_address)?;
        let mut answer = answer(address.to_svg(), SVG, "public, max-age=300");
        keep_unlisted_out_of_search(&poll, answer.headers_mut());
        Ok(answer)
    }
}

fn answer(picture: impl Into<Body>, kind: &str, caching: &'static str) -> Response {
    let mut answer = Response::builder()
        .content_type(kind)
        .header(header::CACHE_CONTROL, HeaderValue::from_static(caching))
        .body(picture);
    let_others_load(answer.headers_mut());
    answer
}
