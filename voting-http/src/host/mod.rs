//! The host's pages, on the operator's service: polls, their lives and their results, for people with a browser. All of
//! it works with plain forms; scripts only make it more comfortable. Nothing here can do what the API cannot do.

mod actions;
mod audit;
mod audit_words;
mod codes;
mod dead_letters;
mod edit;
mod export;
mod form;
mod list;
pub(crate) mod oidc;
mod people;
mod poll_page;
mod preview;
mod problem;
mod provider;
mod session;
mod sign_in;
mod times;
mod typed;
mod voidings;
mod webhooks;

use std::{sync::Arc, time::Duration};

use Right::{Audit, Codes, DeadLetters, Export, Polls, Read, Recount, Tokens, Void, Webhooks};
use poem::{
    Endpoint, Request, Response,
    endpoint::make,
    get,
    http::{HeaderValue, Method, StatusCode, header},
    post,
};
use voting_core::{
    BallotQueue, Poll, PollDirectory, PollId, PollStore, SecretKey, model::moment::Moment,
    store::Store,
};

pub(crate) use self::session::{IDLE, Sessions};
use self::{
    form::Form,
    oidc::{Oidc, Provider},
    problem::{Asked, ProblemPage},
    session::{Carried, Session},
};
use crate::{
    edge::{
        callers::{Caller, Callers, Right},
        refused::Attempt,
        same_site,
    },
    operator::OperatorService,
    pages::{
        assets,
        site::{Prefix, Site},
        templates::render,
    },
    problem::{Problem, seldom::Seldom},
    server::{api_routes::Pages, gate::Gate},
};

/// The parts that the pages show and change.
pub(crate) struct Parts {
    /// Changes polls, as for the API.
    pub(crate) service: OperatorService,
    pub(crate) queue: Arc<dyn BallotQueue>,
    pub(crate) store: Arc<dyn Store>,
    /// Where polls are stored.
    pub(crate) polls: Arc<dyn PollStore>,
    /// Recognises who signs in, and says what they may do: as in the API.
    pub(crate) callers: Callers,
    pub(crate) sessions: Sessions,
    /// The identity provider at which people sign in, if there is one.
    pub(crate) oidc: Option<Arc<Oidc>>,
    pub(crate) gate: Gate,
    /// How often it is logged that the provider signs in a person to whom no role is given.
    pub(crate) failed_logins: Arc<Seldom>,
    /// Where these pages and the voting page are.
    pub(crate) site: Site,
}

/// The host's pages.
#[derive(Clone)]
pub(crate) struct Host(Arc<Parts>);

/// What the pages keep of the process: how the browser signs in.
pub(crate) fn sessions(token: &SecretKey, site: &Site, idle: Duration) -> Sessions {
    Sessions::new(token, site.is_https(), idle)
}

/// The pages that take forms, for `Allow`.
pub(crate) const FORMS: &[&str] = &[
    "/sign-in",
    "/polls/new",
    "/polls/:poll/edit",
    "/polls/:poll/close",
    "/polls/:poll/forget-voters",
    "/polls/:poll/delete",
    "/polls/:poll/voidings",
    "/people",
    "/webhooks",
    "/webhooks/:webhook",
];

/// The pages that take nothing but forms.
pub(crate) const ONLY_FORMS: &[&str] = &[
    "/sign-out",
    "/polls/:poll/publish",
    "/polls/:poll/open",
    "/polls/:poll/archive",
    "/polls/:poll/recount",
    "/people/:name/revoke",
    "/webhooks/:webhook/enable",
    "/webhooks/:webhook/disable",
    "/webhooks/:webhook/secret",
    "/webhooks/:webhook/test",
    "/webhooks/:webhook/remove",
    "/webhooks/:webhook/deliveries/:delivery/send-again",
    "/dead-letters/:position/replay",
    "/polls/:poll/codes/issue",
    "/polls/:poll/codes/change",
    "/polls/:poll/voidings/:number/undo",
];

impl Host {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Adds the pages to the routes of a service. Each names the right that its visitors need.
    pub(crate) fn add_to(&self, routes: Pages) -> Pages {
        routes
            .at("/", get(self.page(Read, list::show)))
            .at("/polls", get(self.page(Read, list::show)))
            .at(
                "/polls/new",
                get(self.page(Polls, edit::new)).post(self.page(Polls, edit::save)),
            )
            .at(
                "/polls/:poll/edit",
                get(self.page(Polls, edit::edit)).post(self.page(Polls, edit::save)),
            )
            .at(
                "/polls/:poll/close",
                get(self.page(Polls, actions::close)).post(self.page(Polls, actions::close)),
            )
            .at(
                "/polls/:poll/forget-voters",
                get(self.page(Polls, actions::forget_voters))
                    .post(self.page(Polls, actions::forget_voters)),
            )
            .at(
                "/polls/:poll/delete",
                get(self.page(Polls, actions::delete)).post(self.page(Polls, actions::delete)),
            )
            .at(
                "/polls/:poll/publish",
                post(self.page(Polls, actions::publish)),
            )
            .at("/polls/:poll/open", post(self.page(Polls, actions::open)))
            .at(
                "/polls/:poll/archive",
                post(self.page(Polls, actions::archive)),
            )
            .at(
                "/polls/:poll/recount",
                post(self.page(Recount, actions::recount)),
            )
            .at(
                "/polls/:poll/preview",
                get(self.page(Read, preview::stored)),
            )
            .at("/audit", get(self.page(Audit, audit::log)))
            .at(
                "/dead-letters",
                get(self.page(DeadLetters, dead_letters::show)),
            )
            .at(
                "/dead-letters/:position/replay",
                post(self.page(DeadLetters, dead_letters::replay)),
            )
            .at("/audit.csv", get(self.page(Audit, export::audit_csv)))
            .at("/polls/:poll/export", get(self.page(Export, export::show)))
            .at(
                "/polls/:poll/export/tally.csv",
                get(self.page(Export, export::tally_csv)),
            )
            .at(
                "/polls/:poll/export/tally.json",
                get(self.page(Export, export::tally_json)),
            )
            .at(
                "/polls/:poll/export/ballots.csv",
                get(self.page(Export, export::ballots_csv)),
            )
            .at(
                "/polls/:poll/export/ballots.json",
                get(self.page(Export, export::ballots_json)),
            )
            .at("/polls/:poll", get(self.page(Read, poll_page::show)))
            .at(
                "/people",
                get(self.page(Tokens, people::show)).post(self.page(Tokens, people::make)),
            )
            .at(
                "/people/:name/revoke",
                post(self.page(Tokens, people::revoke)),
            )
            .at(
                "/webhooks",
                get(self.page(Webhooks, webhooks::show)).post(self.page(Webhooks, webhooks::make)),
            )
            .at(
                "/webhooks/:webhook",
                get(self.page(Webhooks, webhooks::one)).post(self.page(Webhooks, webhooks::edit)),
            )
            .at(
                "/webhooks/:webhook/enable",
                post(self.page(Webhooks, webhooks::enable)),
            )
            .at(
                "/webhooks/:webhook/disable",
                post(self.page(Webhooks, webhooks::disable)),
            )
            .at(
                "/webhooks/:webhook/secret",
                post(self.page(Webhooks, webhooks::renew)),
            )
            .at(
                "/webhooks/:webhook/test",
                post(self.page(Webhooks, webhooks::test)),
            )
            .at(
                "/webhooks/:webhook/remove",
                post(self.page(Webhooks, webhooks::remove)),
            )
            .at(
                "/webhooks/:webhook/deliveries/:delivery/send-again",
                post(self.page(Webhooks, webhooks::send_again)),
            )
            .at("/polls/:poll/codes", get(self.page(Codes, codes::show)))
            .at(
                "/polls/:poll/codes/issue",
                post(self.page(Codes, codes::issue)),
            )
            .at(
                "/polls/:poll/codes/change",
                post(self.page(Codes, codes::change)),
            )
            .at(
                "/polls/:poll/voidings",
                get(self.page(Read, voidings::show)).post(self.page(Void, voidings::make)),
            )
            .at(
                "/polls/:poll/voidings/:number/undo",
                post(self.page(Void, voidings::undo)),
            )
            .at(
                "/sign-in",
                get(self.open(sign_in::ask)).post(self.open(sign_in::take)),
            )
            .at("/sign-in/start", get(self.open(provider::start)))
            .at("/sign-in/back", get(self.open(provider::back)))
            .at("/sign-out", post(self.open(sign_in::leave)))
    }

    /// A page for who is signed in and has this right.
    fn page<F, A>(&self, right: Right, answer: F) -> impl Endpoint<Output = Response> + use<F, A>
    where
        F: Fn(Visit) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let host = self.clone();
        make(move |request: Request| {
            let (host, answer) = (host.clone(), answer.clone());
            async move {
                let asked = Asked::of(&request);
                let (visit, newly) = match host.admit(request).await {
                    Ok(Admitted::In(visit, newly)) => (visit, newly),
                    Ok(Admitted::Not(answer)) => return Ok(answer),
                    Err(problem) => return Ok(asked.told(&problem)),
                };
                let signed = newly.then(|| visit.session.clone());
                let frame = visit.frame();
                let attempt = Attempt::by(&visit.caller, &visit.request, &host.0.gate);
                let answered = match visit.caller.may(right) {
                    Ok(_) => answer(*visit).await,
                    Err(problem) => Err(problem),
                };
                let mut answer = answered.unwrap_or_else(|problem| {
                    problem.finish(render(&ProblemPage::new(frame, &asked, &problem)))
                });
                if answer.status() == StatusCode::FORBIDDEN {
                    attempt.log();
                }
                if let Some(session) = signed {
                    host.0.sessions.begin(&mut answer, &session);
                }
                Ok::<_, poem::Error>(answer)
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
                Ok::<_, poem::Error>(answered.unwrap_or_else(|problem| asked.told(&problem)))
            }
        })
    }

    /// Refuses what a page of another site sends.
    fn check_origin(&self, request: &Request) -> Result<(), Problem> {
        same_site::check(request, &self.0.site).map_err(|_| Problem::cross_site_form())
    }

    /// Where people sign in without a token.
    fn provider(&self) -> Option<&Provider> {
        self.0.oidc.as_ref().map(|oidc| &oidc.provider)
    }

    /// Who sent the request.
    async fn who(&self, request: &Request, now: Moment) -> Result<Known, Problem> {
        let session = match self.0.sessions.carried(request, now) {
            Carried::Signed(session) => session,
            Carried::Over => return Ok(Known::Over),
            Carried::Nothing => return Ok(Known::Nobody),
        };
        let parts = &*self.0;
        let caller = session.caller(&parts.callers, self.provider());
        let Some(caller) = caller.await? else {
            return Ok(Known::Over);
        };
        let goes_on = parts
            .sessions
            .goes_on(&session, &caller, request, &*parts.store, now);
        Ok(match goes_on.await? {
            true => Known::Signed(session, caller),
            false => Known::Over,
        })
    }

    async fn admit(&self, mut request: Request) -> Result<Admitted, Problem> {
        self.check_origin(&request)?;
        let is_form = request.method() == Method::POST;
        let form = match is_form {
            true => Form::read(&mut request).await?,
            false => Form::default(),
        };
        let now = Moment::now();
        let prefix = Prefix::of(&request);
        let known = self.who(&request, now).await?;
        let (session, caller, newly) = match known {
            Known::Signed(session, caller) => (session, caller, false),
            // What somebody typed is not lost: it is sent again together with the token.
            _ if is_form => match sign_in::again(self, &request, &prefix, &form, &known).await {
                Ok((session, caller)) => (session, caller, true),
                Err(answer) => return Ok(Admitted::Not(*answer)),
            },
            _ => {
                let mut answer = sign_in::redirect(&request, &known);
                if known == Known::Over {
                    self.0.sessions.end(&mut answer);
                }
                return Ok(Admitted::Not(answer));
            }
        };
        let visit = Visit {
            host: self.clone(),
            prefix,
            request,
            form,
            session,
            caller,
            now,
        };
        Ok(Admitted::In(Box::new(visit), newly))
    }
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// Nobody who has signed in.
    Nobody,
    /// Somebody who was signed in, and is not any more.
    Over,
    /// Somebody who is signed in.
    Signed(Session, Caller),
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
    /// Who is signed in.
    caller: Caller,
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

    /// The name of who is signed in, for the audit log.
    fn by(&self) -> &str {
        &self.caller.name
    }

    /// What all pages show.
    fn frame(&self) -> Frame {
        Frame {
            base: self.prefix.as_str().to_owned(),
            assets_version: assets::version(),
            who: Some(self.caller.clone()),
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
    who: Option<Caller>,
    /// What was done before this page.
    done: Option<&'static str>,
}

impl Frame {
    /// Whether who is signed in has this right. Without it a page has no button for it; the routes check it again.
    fn may(&self, right: Right) -> bool {
        let caller = self.who.as_ref();
        caller.is_some_and(|caller| caller.may(right).is_ok())
    }

    fn may_read_audit_log(&self) -> bool {
        self.may(Audit)
    }

    fn may_read_dead_letters(&self) -> bool {
        self.may(DeadLetters)
    }

    fn may_manage_tokens(&self) -> bool {
        self.may(Tokens)
    }

    fn may_manage_webhooks(&self) -> bool {
        self.may(Webhooks)
    }

    fn may_change_polls(&self) -> bool {
        self.may(Polls)
    }

    fn may_export(&self) -> bool {
        self.may(Export)
    }

    fn may_void(&self) -> bool {
        self.may(Void)
    }

    fn may_recount(&self) -> bool {
        self.may(Recount)
    }
}

/// What the host reads after something was done. The key is in the address, so that no process has to remember it.
fn done(key: &str) -> Option<&'static str> {
    Some(match key {
        "saved" => "The poll is saved.",
        "draft-saved" => "The draft is saved. Voters do not see it until you publish it.",
        "published" => "The poll is published.",
        "opened" => "The poll is open.",
        "closed" => "Voting has ended.",
        "archived" => "The poll is in the archive: it is in no list.",
        "unarchived" => "The poll is out of the archive.",
        "voters-forgotten" => "The voters of the poll are forgotten.",
        "deleted" => "The poll is deleted.",
        "replayed" => {
            "The dead letter was read again, and its ballots have their place in the count now."
        }
        "revoked" => "The token is revoked.",
        "webhook-saved" => "The webhook is saved.",
        "webhook-enabled" => "The webhook is enabled.",
        "webhook-disabled" => "The webhook is disabled: nothing is sent.",
        "webhook-tested" => {
            "A test is sent. Load this page again in a moment to see what came of it."
        }
        "webhook-sent-again" => {
            "The message is sent again. Load this page again in a moment to see what came of it."
        }
        "webhook-removed" => "The webhook is removed.",
        "signed-out" => "You are signed out.",
        "signed-out-here" => {
            "You are signed out here. At the identity provider you may still be signed in."
        }
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
