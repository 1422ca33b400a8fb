//! Signing in with a token, and out.

use askama::Template;
use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue},
};
use voting_core::{model::moment::Moment, store::tokens::TokenHash};

use super::{
    Frame, Host, Known, done,
    form::Form,
    query, see,
    session::{Carried, Session},
};
use crate::{
    edge::callers::Caller,
    pages::{
        assets,
        site::{self, Prefix},
        templates::render,
    },
    problem::Problem,
};

/// The field with the token. Another form may be sent together with it, so its name is unlike all others.
pub(super) const TOKEN: &str = "sign_in_token";

#[derive(Template)]
#[template(path = "host/sign_in.html")]
struct SignInPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    /// Where the form is sent.
    action: String,
    /// Why nobody is signed in.
    error: Option<String>,
    /// Why the token is asked for again.
    note: Option<&'static str>,
    /// The address to go to afterwards.
    next: Option<String>,
    /// The identity provider at which people can sign in instead.
    provider: Option<String>,
    /// What somebody has typed before, which is sent together with the token.
    held: Vec<(String, String)>,
}

impl SignInPage {
    fn new(host: &Host, prefix: &Prefix, action: String) -> Self {
        let base = prefix.as_str().to_owned();
        Self {
            base: base.clone(),
            assets_version: assets::version(),
            frame: Frame {
                base,
                assets_version: assets::version(),
                who: None,
                done: None,
            },
            action,
            error: None,
            note: None,
            next: None,
            provider: host.provider().map(|provider| provider.name().to_owned()),
            held: Vec::new(),
        }
    }
}

const ENDED: &str = "You are no longer signed in: you did nothing here for some time, more than 12 hours have passed, or your token was revoked or changed.";

/// What the browser removes when somebody signs out. Not cookies: those of voters at this host would be removed, too, and
/// then the person at this browser would be another voter.
const CLEARED: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

/// An address of ours that somebody is sent to after signing in. An address of another site would be a way to lead
/// people there.
pub(super) fn own(address: &str) -> Option<&str> {
    let is_own = address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains('\\')
        && address.bytes().all(|byte| byte.is_ascii_graphic());
    is_own.then_some(address)
}

/// To the page where people sign in, and back.
pub(super) fn redirect(request: &Request, known: &Known) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if *known == Known::Over {
        query.append_pair("ended", "1");
    }
    // The address within the service: the prefix is added again.
    let there = request.uri().path_and_query().map(|there| there.as_str());
    if let Some(there) = there.filter(|there| *there != "/")
        && let Some(there) = own(there)
    {
        query.append_pair("next", there);
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    see(&Prefix::of(request), &format!("/sign-in{mark}{query}"))
}

/// `GET`: the form.
pub(super) async fn ask(host: Host, request: Request) -> Result<Response, Problem> {
    let prefix = Prefix::of(&request);
    let next = query(&request, "next");
    let next = next.as_deref().and_then(own);
    if let Known::Signed(..) = host.who(&request, Moment::now()).await? {
        return Ok(see(&prefix, next.unwrap_or("/")));
    }
    let mut page = SignInPage::new(&host, &prefix, format!("{}/sign-in", prefix.as_str()));
    page.frame.done = query(&request, "done").and_then(|key| done(&key));
    page.note = query(&request, "ended").map(|_| ENDED);
    page.next = next.map(str::to_owned);
    Ok(render(&page))
}

/// `POST`: the token.
pub(super) async fn take(host: Host, mut request: Request) -> Result<Response, Problem> {
    let form = Form::read(&mut request).await?;
    let prefix = Prefix::of(&request);
    let next = own(form.text("next"));
    match host.signed_in(&request, form.text(TOKEN)).await {
        Ok((session, _)) => {
            let mut answer = see(&prefix, next.unwrap_or("/"));
            host.0.sessions.begin(&mut answer, &session);
            Ok(answer)
        }
        Err(problem) => {
            let mut page = SignInPage::new(&host, &prefix, format!("{}/sign-in", prefix.as_str()));
            page.error = Some(told(&problem));
            page.next = next.map(str::to_owned);
            Ok(problem.finish(render(&page)))
        }
    }
}

impl SignInPage {
    /// Where somebody signs in at the provider, and then goes to `next`.
    fn at_provider(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(next) = &self.next {
            query.append_pair("next", next);
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/sign-in/start{mark}{query}", self.base)
    }
}

/// The form, for somebody whom the provider has not signed in.
pub(super) fn failed(
    host: &Host,
    request: &Request,
    problem: &Problem,
    next: Option<&str>,
) -> Response {
    let prefix = Prefix::of(request);
    let mut page = SignInPage::new(host, &prefix, format!("{}/sign-in", prefix.as_str()));
    page.error = Some(told(problem));
    page.next = next.map(str::to_owned);
    problem.finish(render(&page))
}

/// `POST`: signs out. If the store does not answer, the cookie stays, so that the person can try again.
pub(super) async fn leave(host: Host, request: Request) -> Result<Response, Problem> {
    let known = host.who(&request, Moment::now()).await?;
    let done = match Host::is_by_provider(&known) {
        true => "/sign-in?done=signed-out-here",
        false => "/sign-in?done=signed-out",
    };
    if let Known::Signed(session, caller) = known {
        host.0.store.end_session(session.hash()).await?;
        let Caller { name, role } = &caller;
        let address = host.0.gate.client(&request);
        tracing::info!(name = &**name, %role, %address, "signed out");
    }
    let mut answer = see(&Prefix::of(&request), done);
    host.0.sessions.end(&mut answer);
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("clear-site-data"), CLEARED);
    Ok(answer)
}

/// For a form that came without a session: the token that came with it, or a page that asks for one and holds what was
/// typed.
pub(super) async fn again(
    host: &Host,
    request: &Request,
    prefix: &Prefix,
    form: &Form,
    known: &Known,
) -> Result<(Session, Caller), Box<Response>> {
    let asked = form.get(TOKEN);
    let problem = match asked {
        Some(token) => match host.signed_in(request, token).await {
            Ok(signed) => return Ok(signed),
            Err(problem) => problem,
        },
        None => Problem::unauthorized("Sign in first."),
    };
    let action = site::address_of(request).filter(|at| !at.starts_with("//"));
    let mut page = SignInPage::new(host, prefix, action.unwrap_or_default());
    match asked {
        Some(_) => page.error = Some(told(&problem)),
        None if *known == Known::Over => {
            page.note = Some(
                "You are no longer signed in. What you sent was not done yet: sign in, and it is done then.",
            );
        }
        None => page.note = Some("Sign in, and what you sent is done then."),
    }
    let held = form.without(TOKEN);
    page.held = held
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Err(Box::new(problem.finish(render(&page))))
}

fn told(problem: &Problem) -> String {
    problem.detail().to_owned()
}

impl Host {
    /// The session of whoever sends this token. The right token is always taken, as by the API; a wrong one makes its
    /// sender wait.
    async fn signed_in(
        &self,
        request: &Request,
        token: &str,
    ) -> Result<(Session, Caller), Problem> {
        let parts = &*self.0;
        // What is copied may bring spaces along.
        let token = token.trim();
        if token.is_empty() {
            return Err(Problem::unauthorized("Enter the token."));
        }
        let Some(caller) = parts.callers.with_token(token).await? else {
            return Err(parts.gate.wrong_token(request));
        };
        let now = Moment::now();
        let session = parts.sessions.new_session(token, &parts.callers, now)?;
        self.store_session(request, &session, &caller, now).await?;
        Ok((session, caller))
    }

    /// The session whose cookie a request has, whether it is over or not.
    pub(super) fn carried_session(&self, request: &Request, now: Moment) -> Option<TokenHash> {
        match self.0.sessions.carried(request, now) {
            Carried::Signed(session) => Some(session.hash()),
            _ => None,
        }
    }

    /// Stores a session that begins, and ends the one that the browser had.
    pub(super) async fn store_session(
        &self,
        request: &Request,
        session: &Session,
        caller: &Caller,
        now: Moment,
    ) -> Result<(), Problem> {
        let parts = &*self.0;
        parts
            .store
            .add_session(&session.stored(caller, now))
            .await?;
        if let Some(before) = self.carried_session(request, now) {
            parts.store.end_session(before).await?;
        }
        let Caller { name, role } = caller;
        let address = parts.gate.client(request);
        tracing::info!(name = &**name, %role, %address, "signed in");
        Ok(())
    }
}
