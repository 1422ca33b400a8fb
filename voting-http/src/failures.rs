//! Turns whatever goes wrong in a service into an answer: a page where the client is a browser that
//! asked for one, otherwise a problem document.

use poem::{Error, PathPattern, Request, Response};

use crate::{
    problem::Problem,
    site::{self, Prefix},
    views,
};

/// How the client of a request is told of a failure.
pub(crate) struct Failures {
    /// Where the service is mounted, if a page is asked for.
    page: Option<Prefix>,
}

impl Failures {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            page: site::wants_html(request).then(|| Prefix::of(request)),
        }
    }

    pub(crate) fn answer(&self, error: &Error) -> Response {
        let problem = Problem::from(error);
        let mut answer = match &self.page {
            Some(prefix) => problem.finish(views::message(prefix, &problem)),
            None => problem.to_response(),
        };
        // Which route it was.
        if let Some(pattern) = error.data::<PathPattern>() {
            answer.set_data(pattern.clone());
        }
        answer
    }
}
