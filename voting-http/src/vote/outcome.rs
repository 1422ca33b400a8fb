//! What the page of a poll that is over says of its result.

use poem::Request;
use voting_core::{
    Choices, Poll,
    model::{
        moment::Moment,
        poll::{ShowResults, Shown, Viewer},
    },
};

use super::VoteService;
use crate::{
    cache::live::{Known, Snapshot},
    pages::templates::Outcome,
    result::rows::Rows,
    texts::Texts,
    views::{hidden_words::why_hidden, poll_view::StateView},
};

/// Whether the page has the result once the poll is final. Then the open page is to be loaded again at that moment.
pub(super) fn is_to_come(service: &VoteService, poll: &Poll) -> bool {
    service.0.results.is_some() && poll.settings().results != ShowResults::Host
}

/// The result of a poll that is final, if this process can read it. Before that it may still change, and the page does not follow it.
/// If it cannot be read now, the page has the link to the result service.
pub(super) async fn read(service: &VoteService, poll: &Poll) -> Option<Known> {
    let results = service.0.results.as_ref()?;
    if !StateView::now(poll).is_final() {
        return None;
    }
    let known = results.known(poll.id()).await;
    let known = known.inspect_err(|problem| {
        tracing::debug!(%problem, "the page of a closed poll has no result");
    });
    known.ok().filter(|known| known.snapshot.is_final())
}

/// The result as everybody sees it, with the choices of this voter marked.
pub(super) fn shown<'a>(
    snapshot: &'a Snapshot,
    request: &Request,
    chosen: Choices,
    t: &'static Texts,
) -> Option<Outcome<'a>> {
    let figures = snapshot.figures(Viewer::Public).ok()?;
    let texts = &figures.in_language(t).texts;
    Some(Outcome {
        texts,
        rows: Rows::new(request, texts, chosen),
    })
}

/// To whom the result is shown, and when, if it is hidden from this voter although voting has ended.
pub(super) fn hidden(poll: &Poll, viewer: Viewer, t: &Texts) -> Option<String> {
    match poll.shows_result(viewer, Moment::now()) {
        Shown::Hidden(hidden) => Some(why_hidden(poll, &hidden, t)),
        Shown::Yes => None,
    }
}
