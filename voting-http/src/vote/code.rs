//! The pages of a poll with codes: the link with a code, and the form for a code that is typed. Both set the poll's cookie
//! and use no code up.

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use voting_core::{
    Poll,
    model::{
        moment::Moment,
        poll::{Viewer, VoterScheme},
    },
};

use super::{VoteService, electors::Holder, form, memory::set_cookie, page};
use crate::{
    edge::visitor::Visitor,
    pages::{
        assets,
        language::Language,
        poll_of_page::PagePlace,
        site::Prefix,
        templates::{self, CodePage, SignInPage},
    },
    problem::Problem,
    texts::Texts,
    views::paragraphs::paragraphs,
};

/// The longest code that is read. Whoever types it may put some spaces into it.
const MAX_TYPED: usize = 100;

/// `GET /polls/:poll/c/:code`: the link.
pub(super) struct Follow(pub(super) VoteService);

/// `POST /polls/:poll/code`: the form.
pub(super) struct Enter(pub(super) VoteService);

impl Endpoint for Follow {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let code = request.raw_path_param("code").unwrap_or_default();
        Ok(self.0.enter(&request, &poll, code, false))
    }
}

impl Endpoint for Enter {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let fields = form::fields(&mut request).await?;
        let field = |wanted: &str| {
            let mut fields = form_urlencoded::parse(&fields);
            let found = fields.find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.into_owned())
        };
        if field("forget").is_some() {
            let mut answer = page::see_page(&request, &poll);
            set_cookie(
                &mut answer,
                &self.0.0.electors.drop_cookie(&request, poll.id()),
            );
            return Ok(answer);
        }
        let code = field("code").unwrap_or_default();
        let replaces = field("replace").is_some();
        Ok(self.0.enter(&request, &poll, &code, replaces))
    }
}

/// No address with a code goes to another site, nor into a cache.
fn is_private(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    let no_referrer = HeaderValue::from_static("no-referrer");
    headers.insert(header::REFERRER_POLICY, no_referrer);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    headers.insert(
        "x-robots-tag",
        HeaderValue::from_static("noindex, nofollow"),
    );
    answer
}

impl VoteService {
    /// Sets the cookie for the holder of this code, and redirects to the poll's page. Where this browser has another code of
    /// the poll, it asks first, unless that one is to be replaced.
    fn enter(&self, request: &Request, poll: &Poll, code: &str, replaces: bool) -> Response {
        if poll.voter_scheme() != VoterScheme::Code || poll.voters_are_forgotten() {
            return is_private(page::see_page(request, poll));
        }
        let code: String = code.chars().take(MAX_TYPED).collect();
        let holder = match self.check_code(request, poll, &code) {
            Ok(holder) => holder,
            Err(problem) => return self.ask_code(request, poll, Some(&problem)),
        };
        let is_other = |current: Holder| current.serial != holder.serial;
        if !replaces && self.current_holder(request, poll).is_some_and(is_other) {
            return is_private(self.code_page(request, poll, None, Some(&code)));
        }
        let mut answer = is_private(page::see_page(request, poll));
        let cookie = self.0.electors.cookie(request, poll.id(), holder);
        set_cookie(&mut answer, &cookie);
        answer
    }

    /// The page that asks for a code, in place of the ballot. `problem` says what is wrong with the last one.
    pub(super) fn ask_code(
        &self,
        request: &Request,
        poll: &Poll,
        problem: Option<&Problem>,
    ) -> Response {
        let answer = self.code_page(request, poll, problem, None);
        let answer = match problem {
            Some(problem) => problem.finish(answer),
            None => answer,
        };
        is_private(answer)
    }

    /// The page that asks a visitor who has no code, or has not signed in, to do so.
    pub(super) fn ask_visitor(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        casts: bool,
    ) -> Option<Response> {
        if visitor.no_login().is_some() {
            return self.ask_sign_in(request, poll, visitor, casts);
        }
        visitor.no_code()?;
        let problem = visitor.voter().err();
        // Who has not been asked yet has made no mistake.
        let problem = problem.filter(|_| casts || visitor.has_invalid_code());
        Some(self.ask_code(request, poll, problem.as_ref()))
    }

    /// The page that asks to sign in, at `url` if that is known.
    pub(super) fn sign_in_page(
        &self,
        request: &Request,
        poll: &Poll,
        problem: &Problem,
        url: Option<&str>,
    ) -> Response {
        let prefix = Prefix::of(request);
        let is_shown = poll.shows_result(Viewer::Public, Moment::now()).is_shown();
        let result_url = self.0.site.peer.poll_url(request, poll.id());
        let t = Texts::of(request, Some(poll));
        let asked = SignInPage {
            t,
            here: &page::address(&prefix, poll),
            base: prefix.as_str(),
            assets_version: assets::version(),
            title: poll.title(),
            description: paragraphs(&poll.settings().description),
            language: Language::of(poll),
            detail: &problem.page_detail(t).text,
            sign_in_url: url,
            result_url: result_url.filter(|_| is_shown),
        };
        is_private(templates::render_in(t, &asked))
    }

    fn code_page(
        &self,
        request: &Request,
        poll: &Poll,
        problem: Option<&Problem>,
        instead: Option<&str>,
    ) -> Response {
        let prefix = Prefix::of(request);
        let address = page::address(&prefix, poll);
        let is_shown = poll.shows_result(Viewer::Public, Moment::now()).is_shown();
        let result_url = self.0.site.peer.poll_url(request, poll.id());
        let t = Texts::of(request, Some(poll));
        let error = problem.map(|problem| problem.page_detail(t).text);
        let asked = CodePage {
            t,
            here: &address,
            base: prefix.as_str(),
            assets_version: assets::version(),
            title: poll.title(),
            description: paragraphs(&poll.settings().description),
            language: Language::of(poll),
            address: &address,
            error: error.as_deref(),
            instead,
            result_url: result_url.filter(|_| is_shown),
        };
        let mut answer = templates::render_in(t, &asked);
        answer.set_status(StatusCode::OK);
        let vary = HeaderValue::from_static(page::VARY);
        answer.headers_mut().insert(header::VARY, vary);
        answer
    }
}
