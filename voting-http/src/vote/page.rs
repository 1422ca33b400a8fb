//! The voting page and its form.

use std::time::Duration;

use poem::{
    Endpoint, Request, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use voting_core::{
    Choices, Poll,
    model::{
        moment::Moment,
        poll::{ShowResults, Viewer},
    },
};

use super::{
    VoteService, form,
    memory::{Kept, Remembered, set_cookie},
    outcome,
    proof::{PROOF_FIELD, of_header},
    start_over,
    state::shape_of,
};
use crate::{
    edge::visitor::Visitor,
    pages::{
        accept, assets,
        language::Language,
        other_polls::OtherPolls,
        poll_of_page::{PagePlace, Shown as ShownAt},
        preview::{Preview, keep_unlisted_out_of_search},
        site::Prefix,
        templates::{self, Notice, VoteOption, VotePage, Voted},
    },
    problem::{Problem, kind::ProblemKind},
    result::granted::FIELD,
    texts::Texts,
    views::{
        paragraphs::paragraphs,
        poll_view::StateView,
        secrecy_words::secrecy,
        time_left::time_left,
        vote_words::{self, PollWords},
    },
};

/// The same address gives browsers and programs different answers, in different languages.
pub(super) const VARY: &str = "accept, accept-language, cookie";

/// How long after a vote the page says which vote was confirmed. Later it only shows the vote.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// `GET`: the page.
pub(super) struct Show(pub(super) VoteService, pub(super) PagePlace);

/// `POST`: the form.
pub(super) struct Cast(pub(super) VoteService, pub(super) PagePlace);

/// `POST`: the voter takes the vote back.
pub(super) struct Withdraw(pub(super) VoteService);

/// `POST`: this browser is to forget the vote.
pub(super) struct Forget(pub(super) VoteService);

/// `GET`: redirects to the result page; if this browser has voted, with a grant.
pub(super) struct SeeResult(pub(super) VoteService);

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = match self.1.shown(&self.0.0.polls, &request).await? {
            ShownAt::Here(poll) => poll,
            ShownAt::Elsewhere(there) => return Ok(there),
        };
        let visitor = self.0.visitor(&request, &poll).await?;
        if let Some(refusal) = visitor.refusal() {
            return Ok(start_over::ask(&request, &poll, refusal, false));
        }
        if let Some(page) = self.0.ask_visitor(&request, &poll, visitor, false) {
            return Ok(page);
        }
        let kept = self.0.kept(&request, &poll, visitor);
        let t = Texts::of(&request, Some(&poll));
        let notice = kept
            .vote
            .filter(|vote| vote.is_within(TOLD_FOR) && StateView::now(&poll).is_open())
            .map(|vote| Notice {
                error: false,
                text: match vote.choices {
                    Some(choices) => vote_words::confirmed(&poll, choices, t),
                    None => t.not_shown.clone(),
                },
            });
        let shown = Shown {
            notice,
            ..Shown::of(kept.vote)
        };
        let page = self.0.show(&request, &poll, visitor, shown).await;
        let mut page = kept_by_one_browser(page, kept.vote.is_some());
        kept.renew(&mut page);
        kept.drop_others(&mut page);
        for cookie in self.0.0.ballots.surplus(&request, visitor.id()) {
            set_cookie(&mut page, &cookie);
        }
        Ok(page)
    }
}

impl Endpoint for Cast {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = self.1.poll(&self.0.0.polls, &request).await?;
        self.0
            .cast_by_form(request, &poll, |form, _| form.choices(&poll))
            .await
    }
}

impl Endpoint for Withdraw {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let choose = |_: &Form, visitor: Visitor| match visitor.is_new() {
            true => Err(Problem::cookies_needed()),
            false => Ok(poll.withdraw()?),
        };
        self.0.cast_by_form(request, &poll, choose).await
    }
}

impl VoteService {
    /// Casts what a form says, and answers with the page, or with a sentence for a program.
    pub(super) async fn cast_by_form(
        &self,
        mut request: Request,
        poll: &Poll,
        choose: impl FnOnce(&Form, Visitor) -> Result<Choices, Problem>,
    ) -> poem::Result<Response> {
        let visitor = self.caster(&request, poll).await?;
        if let Some(refusal) = visitor.refusal()
            && accept::wants_html(&request)
        {
            self.0.metrics.unidentified();
            return Ok(start_over::ask(&request, poll, refusal, true));
        }
        if accept::wants_html(&request)
            && let Some(page) = self.ask_visitor(&request, poll, visitor, true)
        {
            self.0.metrics.unidentified();
            return Ok(page);
        }
        let form = match Form::read(&mut request).await {
            Ok(form) => form,
            Err(problem) => {
                return self
                    .refuse(&request, poll, visitor, &Form::default(), problem)
                    .await;
            }
        };
        let from_page = form.voter();
        let cast = match self.identify(&request, poll, visitor, from_page) {
            Ok(voter) => {
                let choose = || choose(&form, visitor);
                let proof = form.proof().or_else(|| of_header(&request));
                self.cast(&request, poll, visitor, voter, choose, proof)
                    .await
            }
            Err(problem) => Err(problem),
        };
        match cast {
            Ok((choices, receipt)) => {
                let vote = Remembered::stored(choices, &receipt);
                // Browsers are redirected to the page, so that a reload does not send the vote again. The page knows
                // the vote by its cookie; a visitor without cookies is told now.
                let follows = accept::navigates(&request).unwrap_or(from_page.is_some());
                let mut answer = if follows && !visitor.is_new() {
                    see_page(&request, poll)
                } else {
                    let is_page = accept::wants_html(&request);
                    // What programs are told stays English.
                    let t = match is_page {
                        true => Texts::of(&request, Some(poll)),
                        false => Texts::english(),
                    };
                    let text = vote_words::thanks(poll, choices, visitor.is_new(), t);
                    if is_page {
                        let notice = Some(Notice { error: false, text });
                        let shown = Shown {
                            notice,
                            ..Shown::of(Some(vote))
                        };
                        self.show(&request, poll, visitor, shown).await
                    } else {
                        told(text, self.0.site.served_by.as_deref())
                    }
                };
                if follows {
                    // Programs do not use this cookie, so they get none.
                    let remember = self.0.ballots.write(poll.id(), visitor.id(), vote);
                    set_cookie(&mut answer, &remember);
                }
                Ok(answer)
            }
            Err(problem) => {
                let problem = problem.for_client(visitor.is_new());
                self.refuse(&request, poll, visitor, &form, problem).await
            }
        }
    }
}

impl Endpoint for Forget {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let visitor = self.0.visitor(&request, &poll).await?;
        let mut answer = see_page(&request, &poll);
        // If there was no vote, the page must not look as if there had been one.
        let kept = self.0.kept(&request, &poll, visitor);
        if let Some(vote) = kept.vote {
            let forgotten = vote.forgotten();
            let cookie = self.0.0.ballots.write(poll.id(), visitor.id(), forgotten);
            set_cookie(&mut answer, &cookie);
        }
        kept.drop_others(&mut answer);
        Ok(answer)
    }
}

impl Endpoint for SeeResult {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let visitor = self.0.visitor(&request, &poll).await?;
        let id = poll.id();
        let there = self.0.0.site.peer.poll_url(&request, id);
        let mut there = there.ok_or_else(Problem::no_such_address)?;
        // The cookie that shows the vote is the proof that there was one, also if its choices were forgotten.
        let kept = self.0.kept(&request, &poll, visitor).vote;
        let has_voted = kept.is_some_and(|vote| !vote.is_withdrawn());
        if let Some(grant) = self.0.grant(&poll).filter(|_| has_voted) {
            there = format!("{there}?{FIELD}={grant}");
        }
        Ok(Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, there)
            .header(header::REFERRER_POLICY, "no-referrer")
            .finish())
    }
}

/// What the page shows of the visitor's vote.
#[derive(Default)]
struct Shown {
    remembered: Option<Remembered>,
    /// The options that are selected in the form, as bits.
    ticked: u64,
    notice: Option<Notice>,
    unsure: bool,
    /// The log has refused a vote because the poll is closed. The copy of the poll at this service may still be open.
    closed: bool,
    /// When the form may be sent, signed.
    proof: Option<String>,
}

impl Shown {
    fn of(remembered: Option<Remembered>) -> Self {
        let chosen = remembered.and_then(|vote| vote.choices);
        Self {
            remembered,
            ticked: chosen.map_or(0, Choices::bits),
            ..Self::default()
        }
    }
}

/// The fields of the form.
#[derive(Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    async fn read(request: &mut Request) -> Result<Self, Problem> {
        let fields = form::fields(request).await?;
        Ok(Self(form_urlencoded::parse(&fields).into_owned().collect()))
    }

    fn votes(&self) -> impl Iterator<Item = &str> {
        let votes = self.0.iter().filter(|(name, _)| name == "vote");
        votes.map(|(_, value)| value.as_str())
    }

    /// What the form says.
    pub(super) fn choices(&self, poll: &Poll) -> Result<Choices, Problem> {
        let is_blank = self
            .0
            .iter()
            .any(|(name, value)| name == "blank" && value == "yes");
        match (is_blank, self.votes().next()) {
            (true, Some(_)) => Err(Problem::invalid(
                "A vote is either blank or for options, not both.",
            )),
            (true, None) => Ok(poll.blank()?),
            (false, _) => Ok(poll.choose(self.votes())?),
        }
    }

    /// The tag of the voter for whom the form was made. Only forms of our own pages have it.
    fn voter(&self) -> Option<&str> {
        let mut fields = self.0.iter();
        let voter = fields.find(|(name, _)| name == "voter")?;
        Some(&voter.1)
    }

    /// A proof that the form has waited.
    fn proof(&self) -> Option<&str> {
        let mut fields = self.0.iter();
        let proof = fields.find(|(name, _)| name == PROOF_FIELD)?;
        Some(&proof.1)
    }

    /// The selected options, as bits, even if they are not a valid vote.
    fn ticked(&self, poll: &Poll) -> u64 {
        let options = poll.options();
        self.votes()
            .filter_map(|vote| options.iter().position(|option| option.id.as_str() == vote))
            .fold(0, |bits, index| bits | 1 << index)
    }
}

/// A browser may store the answer, and must ask before it uses it again. When it goes back, it shows the stored
/// answer at once. An answer that shows a vote is not stored: its copy would outlast the cookie that remembers the vote,
/// and the next person at a shared device could find it.
pub(super) fn kept_by_one_browser(mut answer: Response, shows_vote: bool) -> Response {
    let headers = answer.headers_mut();
    let caching = match shows_vote {
        true => "no-store",
        false => "private, no-cache",
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
    answer
}

/// The headers of the answer to a program.
const SENTENCE_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::VARY, HeaderValue::from_static(VARY)),
];

/// Space for these headers, for those that every answer gets, and for a cookie.
const HEADER_SPACE: usize = 11;

/// The answer to a program that sends the form: only the sentence, since a program does not need the page.
fn told(mut text: String, served_by: Option<&str>) -> Response {
    text.push('\n');
    if let Some(replica) = served_by {
        text.extend(["Served by ", replica, "\n"]);
    }
    // A builder would copy these values, and look at each byte of them.
    let mut answer = Response::from(text);
    let headers = answer.headers_mut();
    headers.reserve(HEADER_SPACE);
    headers.extend(SENTENCE_HEADERS);
    answer
}

/// Redirects a browser to the poll's page.
pub(super) fn see_page(request: &Request, poll: &Poll) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, address(&Prefix::of(request), poll))
        .finish()
}

pub(super) fn address(prefix: &Prefix, poll: &Poll) -> String {
    format!("{}/polls/{}", prefix.as_str(), poll.id())
}

impl VoteService {
    pub(super) fn kept(&self, request: &Request, poll: &Poll, visitor: Visitor) -> Kept {
        let revote = poll.settings().revote;
        let ballots = &self.0.ballots;
        ballots.read(request, poll.id(), revote, visitor.id())
    }

    /// A grant for the result of this poll, if its result is for who has voted.
    pub(super) fn grant(&self, poll: &Poll) -> Option<String> {
        let is_needed = poll.settings().results == ShowResults::AfterVote;
        is_needed.then(|| self.0.grants.issue(poll.id(), Moment::now()))
    }

    /// The page again, so that the voter can correct the vote there.
    async fn refuse(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        form: &Form,
        problem: Problem,
    ) -> poem::Result<Response> {
        if !accept::wants_html(request) {
            return Err(problem.into());
        }
        let (problem, proof) = match problem.kind() {
            ProblemKind::ProofNeeded => self.make_form_wait(request, poll, visitor, form.proof()),
            _ => (problem, None),
        };
        let shown = Shown {
            remembered: self.kept(request, poll, visitor).vote,
            ticked: form.ticked(poll),
            notice: Some(Notice {
                error: true,
                text: problem.to_voter(Texts::of(request, Some(poll))),
            }),
            unsure: problem.leaves_unknown(),
            closed: problem.is_poll_closed(),
            proof,
        };
        let page = self.show(request, poll, visitor, shown).await;
        Ok(problem.finish(page))
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
        let chosen = shown.remembered.and_then(|vote| vote.choices);
        let yours = chosen.unwrap_or(Choices::BLANK);
        let chosen = chosen.map_or(0, Choices::bits);
        let settings = poll.settings();
        let order = self.0.orders.of(poll, visitor.id());
        let options = order.into_iter().map(|index| {
            let option = &poll.options()[index];
            let about = settings.option_descriptions.get(&option.id);
            VoteOption {
                id: option.id.as_str(),
                label: &option.label,
                about: about.map_or("", String::as_str),
                chosen: chosen & (1 << index) != 0,
                ticked: shown.ticked & (1 << index) != 0,
            }
        });
        let state = match StateView::now(poll) {
            StateView::Open if shown.closed => StateView::Closing,
            state => state,
        };
        let result_url = self.0.site.peer.poll_url(request, id);
        // The way over this service gives a grant to who has voted.
        let result_url = match settings.results {
            ShowResults::AfterVote => result_url.map(|_| address(&prefix, poll) + "/result"),
            _ => result_url,
        };
        let now = Moment::now();
        let is_shown = poll.shows_result(Viewer::Voted, now).is_shown();
        let times = [settings.opens_at, settings.closes_at];
        let times = times.map(|time| time.map(Moment::unix_ms));
        let t = Texts::of(request, Some(poll));
        let here = address(&prefix, poll);
        let known = outcome::read(self, poll).await;
        let outcome = known
            .as_ref()
            .and_then(|known| outcome::shown(&known.snapshot, request, yours, t));
        let page = VotePage {
            t,
            here: &here,
            base,
            assets_version: assets::version(),
            preview: Preview::of_vote(&self.0.site, base, poll, t),
            poll: id.as_str(),
            title: poll.title(),
            options: options.collect(),
            max_choices: poll.max_choices(),
            revote: settings.revote,
            state,
            words: PollWords::new(poll, state, visitor.is_named(), t),
            shape: shape_of(poll),
            opens_ms: times[0],
            closes_ms: times[1],
            time_left: time_left(poll, state, now, t),
            now_ms: times.iter().flatten().next().map(|_| now.unix_ms()),
            description: paragraphs(&settings.description),
            language: Language::of(poll),
            see_result_url: result_url.clone().filter(|_| is_shown),
            outcome,
            awaits_outcome: outcome::is_to_come(self, poll),
            why_hidden: outcome::hidden(poll, Viewer::Voted, t),
            address: here.clone(),
            ballot_url: format!("{base}/v1/polls/{id}/ballot"),
            voter_tag: self.0.tags.tag(visitor.id()),
            ballot_mark: shown.remembered.map(|vote| self.0.ballots.vote_mark(vote)),
            new_voter: visitor.is_new(),
            login: visitor.is_named() || visitor.has_login(),
            has_code: visitor.has_code() && !poll.voters_are_forgotten(),
            has_session: visitor.has_login() && self.0.logins.has_session(request, poll),
            secrecy: secrecy(poll, visitor.is_named(), t),
            voted: match shown.remembered.map(|vote| vote.choices) {
                None | Some(Some(Choices::WITHDRAWN)) => Voted::Unknown,
                Some(None) => Voted::Forgotten,
                Some(Some(Choices::BLANK)) => Voted::Blank,
                Some(Some(_)) => Voted::Shown,
            },
            takes_blank: settings.blank && self.takes_empty(poll, false),
            takes_back: settings.revote && self.takes_empty(poll, true),
            unsure: shown.unsure,
            result_url,
            proves: self.0.site.gate.proof_of_work().is_some(),
            proof: shown.proof,
            notice: shown.notice,
            other_polls: OtherPolls::beside(id, base, &self.0.polls).await,
            served_by: self.0.site.served_by.as_deref(),
            is_preview: false,
        };
        let mut response = templates::render_in(t, &page);
        let vary = HeaderValue::from_static(VARY);
        response.headers_mut().insert(header::VARY, vary);
        keep_unlisted_out_of_search(poll, response.headers_mut());
        response
    }
}
