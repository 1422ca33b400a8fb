//! Pictures for `<img>`: the result as a chart, and the QR code of the address at which people vote.

use std::time::SystemTime;

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header},
};
use voting_core::model::poll::Viewer;

use super::{address::VoteAddress, board, chart::Chart, let_others_load};
use crate::{
    pages::{poll_of_page::PagePlace, preview::keep_out_of_search, templates::BY_LANGUAGE},
    problem::Problem,
    result::{ResultService, page::HiddenWords},
    texts::Texts,
    views::{poll_view::StateView, since::Since},
};

/// `GET`: the chart.
pub(in crate::result) struct ResultSvg(pub(in crate::result) ResultService);

/// `GET`: the code.
pub(in crate::result) struct QrSvg(pub(in crate::result) ResultService);

impl Endpoint for ResultSvg {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = PagePlace::Named.poll(&service.polls, &request).await?;
        let known = service.live.known(poll.id()).await?;
        let t = Texts::of(&request, Some(&poll));
        // Who has voted sees more on the page. A picture is kept by others, so it is for everybody.
        let figures = known.snapshot.figures(Viewer::Public);
        let svg = match &figures {
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
                Chart {
                    title: &result.title,
                    total: &result.total,
                    choices: &board::with_figures(result),
                    note: &note,
                    is_rtl: t.dir == "rtl",
                }
                .to_svg()
            }
            Err(_) => {
                let words = HiddenWords::new(&known, t);
                Chart {
                    title: poll.title(),
                    total: &words.turnout,
                    choices: &[],
                    note: &words.reason,
                    is_rtl: t.dir == "rtl",
                }
                .to_svg()
            }
        };
        let mut answer = picture(svg, "public, max-age=10");
        let headers = answer.headers_mut();
        headers.insert(header::VARY, BY_LANGUAGE);
        keep_out_of_search(headers);
        Ok(match figures {
            Ok(_) => answer,
            // Browsers show a picture whatever its status is.
            Err(problem) => problem.finish(answer),
        })
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
        Ok(picture(address.to_svg(), "public, max-age=300"))
    }
}

fn picture(svg: String, caching: &'static str) -> Response {
    let mut answer = Response::builder()
        .content_type("image/svg+xml")
        .header(header::CACHE_CONTROL, HeaderValue::from_static(caching))
        .body(svg);
    let_others_load(answer.headers_mut());
    answer
}
