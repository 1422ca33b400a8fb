//! The host's pages, on the operator's service: polls, their lives and their results, for people with a browser. All of
//! it works with plain forms; scripts only make it more comfortable. Nothing here can do what the API cannot do.

mod actions;
mod audit;
mod codes;
mod edit;
mod form;
mod list;
mod poll_page;
mod preview;
pub(crate) mod qr;
mod session;
mod sign_in;
mod times;
mod typed;

use std::sync::Arc;

use poem::{
    Endpoint, Request, Response, Route,
    endpoint::make,
    get,
    http::{HeaderValue, Method, StatusCode, header},
    post,
};
use voting_core::{
    BallotQueue, Poll, PollDirectory, PollId, PollStore, SecretKey, model::moment::Moment,
    store::Store,
};

pub(crate) use self::session::Sessions;
use self::{
    form::Form,
    session::{Carried, Session},
};
use crate::{
    edge::same_site,
    operator::OperatorService,
    pages::{
        assets,
        site::{self, Prefix, Site},
        templates::{self, Next},
    },
    problem::Problem,
    server::gate::Gate,
    tokens::signed::OperatorKey,
};

/// The parts that the pages show and change.
pub(crate) struct Parts {
    /// Changes polls, as for the API.
    pub(crate) service: OperatorService,
    pub(crate) queue: Arc<dyn BallotQueue>,
    pub(crate) store: Arc<dyn Store>,
    /// Where polls are stored.
    pub(crate) polls: Arc<dyn PollStore>,
    pub(crate) operator: OperatorKey,
    pub(crate) sessions: Sessions,
    pub(crate) gate: Gate,
    /// Where these pages and the voting page are.
    pub(crate) site: Site,
}

/// The host's pages.
#[derive(Clone)]
pub(crate) struct Host(Arc<Parts>);

/// What the pages keep of the process: how the browser signs in.
pub(crate) fn sessions(token: &SecretKey, site: &Site) -> Sessions {
    Sessions::new(token, site.is_https())
}

/// The pages that take forms, for `Allow`.
pub(crate) const FORMS: &[&str] = &[
    "/sign-in",
    "/polls/new",
    "/polls/:poll/edit",
    "/polls/:poll/close",
    "/polls/:poll/delete",
];

/// The pages that take nothing but forms.
pub(crate) const ONLY_FORMS: &[&str] = &[
    "/sign-out",
    "/polls/:poll/publish",
    "/polls/:poll/open",
    "/polls/:poll/archive",
    "/polls/:poll/recount",
    "/polls/:poll/codes/issue",
    "/polls/:poll/codes/change",
];

impl Host {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Adds the pages to the routes of a service.
    pub(crate) fn add_to(&self, routes: Route) -> Route {
        routes
            .at("/", get(self.page(list::show)))
            .at("/polls", get(self.page(list::show)))
            .at(
                "/polls/new",
                get(self.page(edit::new)).post(self.page(edit::save)),
            )
            .at(
                "/polls/:poll/edit",
                get(self.page(edit::edit)).post(self.page(edit::save)),
            )
            .at(
                "/polls/:poll/close",
                get(self.page(actions::close)).post(self.page(actions::close)),
            )
            .at(
                "/polls/:poll/delete",
                get(self.page(actions::delete)).post(self.page(actions::delete)),
            )
            .at("/polls/:poll/publish", post(self.page(actions::publish)))
            .at("/polls/:poll/open", post(self.page(actions::open)))
            .at("/polls/:poll/archive", post(self.page(actions::archive)))
            .at("/polls/:poll/recount", post(self.page(actions::recount)))
            .at("/polls/:poll/codes", get(self.page(codes::show)))
            .at("/polls/:poll/codes/issue", post(self.page(codes::issue)))
            .at("/polls/:poll/codes/change", post(self.page(codes::change)))
            .at("/polls/:poll/preview", get(self.page(preview::stored)))
            .at("/audit", get(self.page(audit::log)))
            .at("/dead-letters", get(self.page(audit::dead_letters)))
            .at("/polls/:poll", get(self.page(poll_page::show)))
            .at(
                "/sign-in",
                get(self.open(sign_in::ask)).post(self.open(sign_in::take)),
            )
            .at("/sign-out", post(self.open(sign_in::leave)))
    }

    /// A page for who is signed in.
    fn page<F, A>(&self, answer: F) -> impl Endpoint<Output = Response> + use<F, A>
    where
        F: Fn(Visit) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let host = self.clone();
        make(move |request: Request| {
            let (host, answer) = (host.clone(), answer.clone());
            async move {
                let asked = Asked::of(&request);
                let answered = match host.admit(request).await {
                    Ok(Admitted::In(visit, newly)) => {
                        let signed = newly.then(|| visit.session.clone());
                        answer(*visit).await.map(|mut answer| {
                            if let Some(session) = signed {
                                host.0.sessions.begin(&mut answer, &session);
                            }
                            answer
                        })
                    }
                    Ok(Admitted::Not(answer)) => Ok(answer),
                    Err(problem) => Err(problem),
                };
                Ok::<_, poem::Error>(asked.told(answered))
            }
        })
    }

    /// A page for everybody.
    fn open<F, A>(&self, answer: F) -> impl Endpoint<Output = Response> + use<F, A>
    where
        F: Fn(Host, Request) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let host = self.clone();
        make(move |request: Request| {
            let (host, answer) = (host.clone(), answer.clone());
            async move {
                let asked = Asked::of(&request);
                let answered = match host.check_origin(&request) {
                    Ok(()) => answer(host, request).await,
                    Err(problem) => Err(problem),
                };
                Ok::<_, poem::Error>(asked.told(answered))
            }
        })
    }

    /// Refuses what a page of another site sends.
    fn check_origin(&self, request: &Request) -> Result<(), Problem> {
        same_site::check(request, &self.0.site).map_err(|_| Problem::cross_site_form())
    }

    async fn admit(&self, mut request: Request) -> Result<Admitted, Problem> {
        self.check_origin(&request)?;
        let is_form = request.method() == Method::POST;
        let form = match is_form {
            true => Form::read(&mut request).await?,
            false => Form::default(),
        };
        let now = Moment::now();
        let carried = self.0.sessions.carried(&request, now);
        let prefix = Prefix::of(&request);
        let (session, newly) = match carried {
            Carried::Signed(session) => (session, false),
            // What somebody typed is not lost: it is sent again together with the token.
            Carried::Nothing | Carried::Over if is_form => {
                match sign_in::again(self, &request, &prefix, &form, &carried) {
                    Ok(session) => (session, true),
                    Err(answer) => return Ok(Admitted::Not(*answer)),
                }
            }
            Carried::Nothing | Carried::Over => {
                return Ok(Admitted::Not(sign_in::redirect(&request, &carried)));
            }
        };
        let visit = Visit {
            host: self.clone(),
            prefix,
            request,
            form,
            session,
            now,
        };
        Ok(Admitted::In(Box::new(visit), newly))
    }
}

enum Admitted {
    /// Somebody who is signed in, perhaps only since this request.
    In(Box<Visit>, bool),
    /// Whoever is not gets this.
    Not(Response),
}

/// A request of somebody who is signed in.
struct Visit {
    host: Host,
    prefix: Prefix,
    request: Request,
    /// What was sent with it; empty where nothing was.
    form: Form,
    session: Session,
    now: Moment,
}

impl Visit {
    fn parts(&self) -> &Parts {
        &self.host.0
    }

    /// The value of this name in the address.
    fn query(&self, name: &str) -> Option<String> {
        query(&self.request, name)
    }

    /// The poll that the address names.
    async fn poll(&self) -> Result<Poll, Problem> {
        let name = self.request.raw_path_param("poll");
        let name = name.ok_or_else(Problem::no_such_address)?;
        let id: PollId = name.parse().map_err(|_| Problem::no_poll(name))?;
        let poll = self.parts().polls.poll(&id).await?;
        poll.ok_or_else(|| Problem::no_poll(name))
    }

    /// What all pages show.
    fn frame(&self) -> Frame {
        Frame {
            base: self.prefix.as_str().to_owned(),
            assets_version: assets::version(),
            name: Some(self.session.name.clone()),
            done: self.query("done").and_then(|key| done(&key)),
        }
    }
}

fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let found = fields.find(|(known, _)| known == name)?;
    Some(found.1.into_owned())
}

/// What all of the host's pages show.
#[derive(Debug, Clone)]
struct Frame {
    /// URL prefix where the service is mounted, without a final slash.
    base: String,
    assets_version: &'static str,
    /// Who is signed in.
    name: Option<String>,
    /// What was done before this page.
    done: Option<&'static str>,
}

/// What the host reads after something was done. The key is in the address, so that no process has to remember it.
fn done(key: &str) -> Option<&'static str> {
    Some(match key {
        "saved" => "The poll is saved.",
        "draft-saved" => "The draft is saved. Only hosts see it until you publish it.",
        "published" => "The poll is published.",
        "opened" => "The poll is open.",
        "closed" => "Voting has ended. The last votes are being counted.",
        "archived" => "The poll is in the archive: it is in no list.",
        "unarchived" => "The poll is out of the archive.",
        "deleted" => "The poll is deleted.",
        "signed-out" => "You are signed out.",
        _ => return None,
    })
}

/// Redirects a browser after a form, so that a reload does not send the form again. `to` begins with a slash.
fn see(prefix: &Prefix, to: &str) -> Response {
    let location = format!("{}{to}", prefix.as_str());
    let mut answer = Response::builder().status(StatusCode::SEE_OTHER).finish();
    if let Ok(location) = HeaderValue::try_from(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// What the page about a failure needs of its request.
struct Asked {
    prefix: Prefix,
    address: Option<String>,
    is_form: bool,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            prefix: Prefix::of(request),
            address: site::address_of(request).filter(|at| !at.starts_with("//")),
            is_form: request.method() == Method::POST,
        }
    }

    fn told(&self, answered: Result<Response, Problem>) -> Response {
        let problem = match answered {
            Ok(answer) => return answer,
            Err(problem) => problem,
        };
        let next = match &self.address {
            Some(address) if problem.status().is_server_error() && !self.is_form => {
                Next::Again(address)
            }
            _ => Next::AllPolls,
        };
        let page = templates::message(&self.prefix, &problem, problem.detail(), next);
        problem.finish(page)
    }
}
