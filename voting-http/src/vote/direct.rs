//! Casts that do not go through the routers.
//!
//! A router looks the address up, keeps its parts as texts, and calls its endpoint through several others. For a ballot this
//! takes about a tenth of the time in our own code, and more for copies and allocations. So the usual requests that cast a
//! ballot are recognised here, and handled by the same functions. Every other request goes through the routers, also if it
//! differs in a small way only: what is not usual must be decided in one place. A test compares the answers of both ways.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, PathPattern, Request, Response, Result,
    endpoint::BoxEndpoint,
    http::{Method, header},
};
use poem_openapi::OperationId;
use voting_core::PollId;

use super::{VoteService, api, page};
use crate::server::api_routes::Shortcuts;

/// The patterns of the routes, as the routers have them.
const ROOT: &str = "/";
const NAMED: &str = "/polls/:poll";
const BALLOT: &str = "/v1/polls/:param0/ballot";

/// The longest values of headers that the route of the API takes.
const LONGEST: [(&str, usize); 2] = [("voter-code", 100), ("voter-proof", 4096)];

/// The usual casts.
pub(super) struct Casts {
    root: BoxEndpoint<'static>,
    named: BoxEndpoint<'static>,
    ballot: BoxEndpoint<'static>,
}

impl Casts {
    pub(super) fn new(service: &VoteService) -> Self {
        let form = |pattern: &'static str| {
            let route = Route(pattern.into());
            let service = service.clone();
            Form { service, route }.boxed()
        };
        let ballot = Ballot {
            api: api::Api(service.clone()),
            route: Route(BALLOT.into()),
        };
        Self {
            root: form(ROOT),
            named: form(NAMED),
            ballot: ballot.boxed(),
        }
    }
}

impl Shortcuts for Casts {
    fn of(&self, request: &Request) -> Option<&BoxEndpoint<'static>> {
        // The routers of an application have their part in the name of the route.
        if request.data::<PathPattern>().is_some() {
            return None;
        }
        let path = request.uri().path();
        match *request.method() {
            Method::POST if path == "/" => Some(&self.root),
            Method::POST if poll_of_page(path).is_some() => Some(&self.named),
            Method::PUT if poll_of_ballot(path).is_some() && has_usual_headers(request) => {
                Some(&self.ballot)
            }
            _ => None,
        }
    }
}

fn poll_of_page(path: &str) -> Option<&str> {
    path.strip_prefix("/polls/").filter(|poll| is_id(poll))
}

fn poll_of_ballot(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v1/polls/")?;
    rest.strip_suffix("/ballot").filter(|poll| is_id(poll))
}

/// Whether this can be the id of a poll. Such a text has nothing that a router would decode or divide.
fn is_id(text: &str) -> bool {
    let is_of_id = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.len() <= PollId::MAX_LEN && text.bytes().all(is_of_id)
}

/// Whether the route of the API takes the headers as they are.
fn has_usual_headers(request: &Request) -> bool {
    let headers = request.headers();
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "application/json")
        && LONGEST.iter().all(|(name, most)| {
            let value = headers.get(*name);
            value.is_none_or(|value| value.len() <= *most)
        })
}

/// The pattern of a route. The edge and traces read it from the answer.
struct Route(Arc<str>);

impl Route {
    fn name(&self, answer: Result<Response>) -> Result<Response> {
        let pattern = PathPattern(Arc::clone(&self.0));
        match answer {
            Ok(mut answer) => {
                answer.set_data(pattern);
                Ok(answer)
            }
            Err(mut error) => {
                error.set_data(pattern);
                Err(error)
            }
        }
    }
}

/// `POST` of the form.
struct Form {
    service: VoteService,
    route: Route,
}

impl Endpoint for Form {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        self.route.name(self.cast(request).await)
    }
}

impl Form {
    async fn cast(&self, request: Request) -> Result<Response> {
        let polls = &self.service.0.polls;
        let poll = match poll_of_page(request.uri().path()) {
            Some(poll) => polls.get(poll).await?,
            None => polls.default().await?,
        };
        let choose = |form: &page::Form, _| form.choices(&poll);
        self.service.cast_by_form(request, &poll, choose).await
    }
}

/// `PUT` of a ballot as JSON.
struct Ballot {
    api: api::Api,
    route: Route,
}

impl Endpoint for Ballot {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let operation = OperationId(api::CAST);
        let mut answer = self.route.name(self.cast(&mut request).await);
        match &mut answer {
            Ok(answer) => answer.set_data(operation),
            Err(error) => error.set_data(operation),
        };
        answer
    }
}

impl Ballot {
    async fn cast(&self, request: &mut Request) -> Result<Response> {
        let body = request.take_body().into_bytes().await?;
        let poll = poll_of_ballot(request.uri().path()).unwrap_or_default();
        self.api.cast_at_once(poll, &body, request).await
    }
}
