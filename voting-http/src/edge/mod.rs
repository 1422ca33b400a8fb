//! The checks before the routes of a service, and the headers after them.
//!
//! All of this is one endpoint. If each step were a middleware of poem, the future of each layer would be inside that
//! of the next, and the request would be moved once for each layer: that took longer than everything else that the
//! service does with a ballot.

pub(crate) mod body_limit;
pub(crate) mod callers;
pub(crate) mod cors;
pub(crate) mod endpoint;
pub(crate) mod failures;
pub(crate) mod host;
pub(crate) mod identity;
pub(crate) mod json_answer;
pub(crate) mod operator_token;
pub(crate) mod options;
pub(crate) mod poll_key;
pub(crate) mod refused;
pub(crate) mod same_site;
pub(crate) mod security_headers;
pub(crate) mod set_cookies;
pub(crate) mod single;
pub(crate) mod strict_json;
pub(crate) mod traced;
pub(crate) mod unfit;
pub(crate) mod visitor;
pub(crate) mod voter_cookies;

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, future::Either};
use percent_encoding::percent_decode_str;
use poem::{
    Endpoint, IntoResponse, PathPattern, Request, Response,
    http::{Method, StatusCode, header},
};
use tracing::{Instrument, Span};

use self::{
    body_limit::{OF_HOST, OF_VOTER, limit_body},
    callers::Callers,
    cors::{Cors, CrossOrigin},
    failures::Failures,
    options::Options,
    refused::Attempt,
    security_headers::SecurityHeaders,
    set_cookies::SetCookies,
    traced::Followed,
    visitor::{Visit, Voters},
};
use crate::{
    host::Sessions,
    pages::{
        compression::Packing,
        site::{BasePath, Site},
    },
    problem::Problem,
    server::{gate::Gate, methods::Methods},
    texts::Chosen,
    theme::Theme,
};

/// The routes of a service, with the checks before them and the headers after them.
pub(crate) struct Edge<R> {
    routes: R,
    https: bool,
    takes_bodies: bool,
    base_path: Option<BasePath>,
    cors: Option<Cors>,
    voters: Option<(Voters, Site)>,
    operator: Option<(Callers, Gate)>,
    hosts: Option<Sessions>,
    methods: Methods,
    renews_cookies: bool,
    theme: Option<Theme>,
}

impl<R: Endpoint> Edge<R> {
    pub(crate) fn new(routes: R, options: &Options) -> Self {
        Self {
            routes,
            https: false,
            takes_bodies: false,
            base_path: options.base_path.clone(),
            cors: Cors::new(&options.origins),
            voters: None,
            operator: None,
            hosts: None,
            methods: Methods::default(),
            renews_cookies: false,
            theme: None,
        }
    }

    /// Lets routes replace cookies that were made under another secret.
    pub(crate) fn renewing_cookies(mut self, renews: bool) -> Self {
        self.renews_cookies = renews;
        self
    }

    /// Tells browsers to use HTTPS only.
    pub(crate) fn over_https(mut self, https: bool) -> Self {
        self.https = https;
        self
    }

    /// Makes this the theme of all pages.
    pub(crate) fn themed(mut self, theme: Option<Theme>) -> Self {
        self.theme = theme;
        self
    }

    /// Reads the body of a request before anything else does.
    pub(crate) fn taking_bodies(mut self) -> Self {
        self.takes_bodies = true;
        self
    }

    /// Tells the routes who the voter is, and refuses votes that other sites send.
    pub(crate) fn for_voters(mut self, voters: Voters, site: Site) -> Self {
        self.voters = Some((voters, site));
        self
    }

    /// Requires a token for the API, and tells the routes whose it is.
    pub(crate) fn for_operator(mut self, callers: Callers, gate: Gate) -> Self {
        self.operator = Some((callers, gate));
        self
    }

    /// Takes large forms from who is signed in, and tells people of failures in the words of the host's pages.
    pub(crate) fn for_hosts(mut self, sessions: Sessions) -> Self {
        self.hosts = Some(sessions);
        self
    }

    /// Sets the methods that each route takes.
    pub(crate) fn with_methods(mut self, methods: Methods) -> Self {
        self.methods = methods;
        self
    }

    /// Checks the head of a request, and attaches the visitor if the service has voters.
    fn admit(&self, request: &mut Request) -> Result<Option<Visit<'_>>, Problem> {
        host::check(request)?;
        single::check(request)?;
        // The router would ignore a part of the path that it cannot decode, as if it were absent.
        if !is_text(request.uri().path()) {
            return Err(Problem::no_such_address());
        }
        let Some((voters, site)) = &self.voters else {
            return Ok(None);
        };
        // This check is before the cookies. A browser does not send the cookies with a form of another site. A
        // refusal that set a new cookie would make the person at this browser another voter.
        if request.data::<CrossOrigin>().is_none() {
            same_site::check(request, site)?;
        }
        Ok(match voters {
            Voters::Cookie(cookies) => Some(cookies.meet(request)?),
            // The application is asked later, where a route needs the voter.
            Voters::Application(_) => None,
        })
    }

    fn failed(&self, failures: &Failures, error: &poem::Error) -> Response {
        let mut answer = failures.answer(error);
        if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            let pattern = error.data::<PathPattern>();
            let pattern = pattern.map_or("", |PathPattern(pattern)| pattern.as_ref());
            if let Ok(methods) = self.methods.of_route(pattern).parse() {
                answer.headers_mut().insert(header::ALLOW, methods);
            }
        }
        answer
    }

    // All that is awaited is in this function. Each further async function would hold another copy of the request.
    async fn answer(&self, mut request: Request, followed: Option<Followed>) -> Response {
        if let Some(base) = &self.base_path {
            request.set_data(base.clone());
        }
        let failures = Failures::of(&request, self.voters.is_some());
        let headers = SecurityHeaders::of(&request, self.https);
        let packing = Packing::of(&request);
        let chosen = Chosen::of(&request);
        let cors = self.cors.as_ref().map(|cors| cors.standing(&request));
        if let Some(cors) = &cors {
            if let Some(mut answer) = cors.preflight(&request) {
                headers.put_on(&mut answer);
                cors.put_on(&mut answer);
                return answer;
            }
            if cors.is_allowed() {
                request.set_data(CrossOrigin);
            }
        }
        let set_cookies = self.renews_cookies.then(SetCookies::default);
        if let Some(cookies) = &set_cookies {
            request.set_data(cookies.clone());
        }
        if let Some((Voters::Cookie(cookies), _)) = &self.voters
            && cookies.must_prepare(&request)
        {
            // In a box, so that the future of a vote, for which this is hardly ever needed, stays small.
            Box::pin(cookies.prepare(&request)).await;
        }
        let (visit, mut fit) = match self.admit(&mut request) {
            Ok(visit) => (visit, Ok(())),
            Err(problem) => (None, Err(problem)),
        };
        if fit.is_ok()
            && let Some((callers, gate)) = &self.operator
            && request.uri().path().starts_with("/v1/")
        {
            // The token is checked before the body: the service neither waits for a stranger's body nor reads it.
            fit = match operator_token::given(&request) {
                Ok(token) => {
                    // In a box, so that the future of a vote, which has no token, stays small.
                    let who = Box::pin(callers.with_token(&token)).await;
                    operator_token::admit(&mut request, who, gate)
                }
                Err(problem) => Err(problem),
            };
        }
        // The body of bulk casts has any length. It is read while it is answered.
        let is_bulk = self.operator.is_some()
            && *request.method() == Method::POST
            && request.uri().path().starts_with("/v1/polls/")
            && request.uri().path().ends_with("/ballots");
        if fit.is_ok() && self.takes_bodies && !is_bulk {
            // Nobody else makes this service read much.
            let hosts = self.hosts.as_ref();
            let is_host = hosts.is_some_and(|sessions| sessions.has_issued(&request));
            // In the API of the operator, the token was checked by now.
            let is_host =
                is_host || (self.operator.is_some() && request.uri().path().starts_with("/v1/"));
            let limit = if is_host { OF_HOST } else { OF_VOTER };
            fit = limit_body(&mut request, limit).await;
        }
        let attempt = self
            .operator
            .as_ref()
            .and_then(|(_, gate)| Attempt::of(&request, gate));
        let routed = match fit {
            Ok(()) => {
                let routed = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
                let routed = routed.await;
                routed.unwrap_or_else(|_| Err(Problem::internal().into()))
            }
            Err(problem) => Err(problem.into()),
        };
        let mut answer = match routed {
            Ok(answer) => answer.into_response(),
            Err(error) => self.failed(&failures, &error),
        };
        if let Some(attempt) = attempt
            && answer.status() == StatusCode::FORBIDDEN
        {
            attempt.log();
        }
        if let Some(visit) = visit {
            // The cookie is set with a failure too, so that a retry comes from the same voter.
            visit.part(&mut answer);
        }
        if let Some(cookies) = set_cookies {
            cookies.put_on(&mut answer);
        }
        chosen.keep(&mut answer, self.https);
        packing.pack(&mut answer);
        headers.put_on(&mut answer);
        if let Some(cors) = &cors {
            cors.put_on(&mut answer);
        }
        if let Some(followed) = followed {
            followed.end(&answer);
        }
        answer
    }
}

impl<R: Endpoint> Endpoint for Edge<R> {
    type Output = Response;

    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let followed = Followed::begin(&request);
        let span = followed.as_ref().map_or_else(Span::none, Followed::span);
        // The future holds the request, and the server's layers move it. In a box, only a pointer is moved.
        let answer = Box::pin(self.answer(request, followed));
        let answer = match &self.theme {
            None => Either::Left(answer),
            Some(theme) => Either::Right(theme.around(answer)),
        };
        answer.map(Ok).instrument(span)
    }
}

/// Whether a path is valid UTF-8 once its percent-encoding is decoded.
fn is_text(path: &str) -> bool {
    !path.contains('%') || percent_decode_str(path).decode_utf8().is_ok()
}
