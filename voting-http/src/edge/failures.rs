//! Turns errors into answers: a page if a browser asked for one, otherwise a problem document.

use poem::{
    Error, PathPattern, Request, Response,
    http::{Method, StatusCode},
};

use crate::{
    pages::{
        accept,
        site::{self, Prefix},
        templates::{self, Next},
    },
    problem::{Problem, on_page::PageText},
    texts::Texts,
};

/// How a failure is reported to the client of a request.
pub(crate) struct Failures {
    page: Option<Asked>,
}

/// The facts about the failed request that its page needs.
struct Asked {
    /// Where the service is mounted.
    prefix: Prefix,
    /// The address, for a link that repeats the request. `None` if the link could lead to another host.
    address: Option<String>,
    /// Whether the request was a vote from the form.
    is_vote: bool,
    /// Whether the request can be repeated.
    is_get: bool,
    texts: &'static Texts,
}

impl Failures {
    pub(crate) fn of(request: &Request, has_voters: bool) -> Self {
        let page = accept::wants_html(request).then(|| Asked {
            prefix: Prefix::of(request),
            address: site::address_of(request).filter(|at| !at.starts_with("//")),
            is_vote: has_voters && request.method() == Method::POST,
            is_get: request.method() == Method::GET,
            texts: Texts::of(request, None),
        });
        Self { page }
    }

    pub(crate) fn answer(&self, error: &Error) -> Response {
        let problem = Problem::from(error);
        let mut answer = match &self.page {
            Some(asked) => problem.finish(asked.page(&problem)),
            None => problem.to_response(),
        };
        // The edge reads the route from the answer, for `Allow` and for traces.
        if let Some(pattern) = error.data::<PathPattern>() {
            answer.set_data(pattern.clone());
        }
        answer
    }
}

impl Asked {
    fn page(&self, problem: &Problem) -> Response {
        let t = self.texts;
        let detail = match self.is_vote {
            true => PageText {
                text: problem.to_voter(t).into(),
                lang: None,
            },
            false => problem.page_detail(t),
        };
        // To repeat the request is of use only if the failure may pass.
        let passes = problem.status().is_server_error()
            || problem.status() == StatusCode::REQUEST_TIMEOUT
            || problem.status() == StatusCode::TOO_MANY_REQUESTS;
        let next = match (&self.address, problem.status()) {
            _ if problem.sign_in().is_some() => Next::SignIn(problem.sign_in().unwrap_or_default()),
            (_, StatusCode::NOT_FOUND) | (None, _) => Next::AllPolls,
            (Some(address), _) if self.is_vote => Next::Poll(address),
            (Some(address), _) if passes => Next::Again(address),
            _ => Next::AllPolls,
        };
        let here = self.address.as_deref().filter(|_| self.is_get);
        templates::message(&self.prefix, problem, detail, next, here, t)
    }
}
