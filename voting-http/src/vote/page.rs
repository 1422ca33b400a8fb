//! The voting page and its form.

use poem::{Endpoint, FromRequest, Request, Response, http::header, web::Data};
use voting_core::{Choices, Poll, VoterId};

use super::{VoteService, start_over};
use crate::{
    assets,
    poll_list::OtherPolls,
    polls::{self, PagePlace},
    preview::Preview,
    problem::Problem,
    site::{self, Prefix},
    views::{self, Notice, VoteOption, VotePage},
    visitor::Visitor,
};

/// `GET`: the page.
pub(super) struct Show(pub(super) VoteService, pub(super) PagePlace);

/// `POST`: the form.
pub(super) struct Cast(pub(super) VoteService, pub(super) PagePlace);

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = match self.0.0.polls.of_shown_page(self.1, &request).await? {
            polls::Shown::Here(poll) => poll,
            polls::Shown::Elsewhere(there) => return Ok(there),
        };
        let visitor = visitor_of(&request).await?;
        if let Some(refusal) = visitor.refusal() {
            return Ok(start_over::ask(&request, poll.id(), refusal, false));
        }
        Ok(self
            .0
            .show(&request, &poll, visitor, Shown::default())
            .await)
    }
}

impl Endpoint for Cast {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let poll = self.0.0.polls.of_page(self.1, &request).await?;
        let visitor = visitor_of(&request).await?;
        let voter = match self.0.identify(visitor) {
            Ok(voter) => voter,
            Err(problem) => {
                return match visitor.refusal() {
                    Some(refusal) if site::wants_html(&request) => {
                        Ok(start_over::ask(&request, poll.id(), refusal, true))
                    }
                    _ => Err(problem.into()),
                };
            }
        };
        match self.0.cast_form(&mut request, &poll, voter).await {
            Ok(choices) => {
                let shown = Shown {
                    chosen: Some(choices),
                    notice: Some(Notice {
                        error: false,
                        text: thanks(&poll, choices),
                    }),
                };
                Ok(self.0.show(&request, &poll, visitor, shown).await)
            }
            // The page again, so that the voter can mend it there.
            Err(problem) if site::wants_html(&request) => {
                let shown = Shown {
                    chosen: None,
                    notice: Some(Notice {
                        error: true,
                        text: problem.to_voter(),
                    }),
                };
                let page = self.0.show(&request, &poll, visitor, shown).await;
                Ok(problem.finish(page))
            }
            Err(problem) => Err(problem.into()),
        }
    }
}

/// What the page says of the visitor's vote.
#[derive(Default)]
struct Shown {
    chosen: Option<Choices>,
    notice: Option<Notice>,
}

pub(super) async fn visitor_of(request: &Request) -> poem::Result<Visitor> {
    let visitor = Data::<&Visitor>::from_request_without_body(request).await?;
    Ok(*visitor.0)
}

/// The fields of a form, still as they were sent.
pub(super) async fn form(request: &mut Request) -> Result<Vec<u8>, Problem> {
    let kind = request.content_type().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::not_a_form());
    }
    let body = request.take_body().into_vec().await;
    body.map_err(|_| Problem::invalid("The request's body broke off."))
}

/// What a voter is told. `vote.js` has the same words.
fn thanks(poll: &Poll, choices: Choices) -> String {
    let mut chosen = choices
        .indices()
        .filter_map(|index| poll.options().get(index));
    let what = match (chosen.next(), choices.len()) {
        (Some(option), 1) => format!("Your vote for {} is in.", option.label),
        (_, n) => format!("Your {n} choices are in."),
    };
    format!("{what} You can change your vote until the poll closes.")
}

impl VoteService {
    async fn cast_form(
        &self,
        request: &mut Request,
        poll: &Poll,
        voter: VoterId,
    ) -> Result<Choices, Problem> {
        let body = form(request).await?;
        let fields: Vec<_> = form_urlencoded::parse(&body).collect();
        let votes = fields.iter().filter(|(name, _)| name == "vote");
        let (choices, _) = self
            .cast(poll, voter, votes.map(|(_, value)| value.as_ref()))
            .await?;
        Ok(choices)
    }

    async fn show(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        shown: Shown,
    ) -> Response {
        let prefix = Prefix::of(request);
        let base = prefix.as_str();
        let id = poll.id();
        let options = poll
            .options()
            .iter()
            .enumerate()
            .map(|(index, option)| VoteOption {
                id: option.id.as_str(),
                label: &option.label,
                chosen: shown
                    .chosen
                    .is_some_and(|chosen| chosen.bits() & (1 << index) != 0),
            });
        let mut response = views::render(&VotePage {
            base,
            assets_version: assets::version(),
            preview: Preview::of_vote(&self.0.site, base, poll),
            poll: id.as_str(),
            title: poll.title(),
            options: options.collect(),
            max_choices: poll.max_choices(),
            open: poll.state().is_open(),
            action: format!("{base}/polls/{id}"),
            ballot_url: format!("{base}/v1/polls/{id}/ballot"),
            voter_tag: self.0.tags.tag(visitor.id()),
            result_url: self.0.site.peer.poll_url(request, id),
            notice: shown.notice,
            other_polls: OtherPolls::beside(id, base, &self.0.polls).await,
            served_by: self.0.site.served_by.as_deref(),
        });
        // The same address answers browsers and programs differently.
        let vary = header::HeaderValue::from_static("accept, cookie");
        response.headers_mut().insert(header::VARY, vary);
        response
    }
}
