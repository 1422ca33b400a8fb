//! A poll as its voters will see it.

use poem::Response;
use voting_core::{Poll, model::moment::Moment};

use super::Visit;
use crate::{
    pages::{
        assets,
        language::Language,
        other_polls::OtherPolls,
        preview::Preview,
        templates::{Notice, VoteOption, VotePage, Voted, render},
    },
    problem::Problem,
    texts::Texts,
    views::{
        paragraphs::paragraphs, poll_view::StateView, secrecy_words::secrecy, time_left::time_left,
        vote_words::PollWords,
    },
};

/// `GET /polls/:poll/preview`.
pub(super) async fn stored(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    Ok(show(&visit, &poll))
}

/// The voting page of a poll that is open, where nothing can be sent.
pub(super) fn show(visit: &Visit, poll: &Poll) -> Response {
    let (base, settings) = (visit.prefix.as_str(), poll.settings());
    let options = poll.options().iter().map(|option| VoteOption {
        id: option.id.as_str(),
        label: &option.label,
        about: settings
            .option_descriptions
            .get(&option.id)
            .map(String::as_str)
            .unwrap_or_default(),
        chosen: false,
        ticked: false,
    });
    let t = Texts::english();
    render(&VotePage {
        outcome: None,
        awaits_outcome: false,
        why_hidden: None,
        t,
        here: "",
        base,
        assets_version: assets::version(),
        preview: Preview::of_vote(&visit.parts().site, base, poll, t),
        poll: poll.id().as_str(),
        title: poll.title(),
        options: options.collect(),
        max_choices: poll.max_choices(),
        revote: settings.revote,
        state: StateView::Open,
        words: PollWords::new(poll, StateView::Open, false, t),
        shape: String::new(),
        opens_ms: None,
        closes_ms: None,
        time_left: time_left(poll, StateView::Open, Moment::now(), t),
        now_ms: None,
        description: paragraphs(&settings.description),
        language: Language::of(poll),
        address: format!("{base}/polls/{}/preview", poll.id()),
        ballot_url: String::new(),
        voter_tag: String::new(),
        ballot_mark: None,
        new_voter: false,
        has_code: false,
        has_session: false,
        secrecy: secrecy(poll, false, t),
        login: false,
        voted: Voted::Unknown,
        takes_blank: settings.blank,
        takes_back: false,
        unsure: false,
        result_url: None,
        see_result_url: None,
        notice: Some(Notice {
            error: false,
            text: "This is a preview, as voters will see the poll. Nobody can vote here."
                .to_owned(),
        }),
        other_polls: OtherPolls::none(poll.id(), base),
        served_by: None,
        proves: false,
        proof: None,
        is_preview: true,
    })
}
