//! Turns whatever goes wrong in a service into an answer: a page where the client is a browser that
//! asked for one, otherwise a problem document.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, IntoResponse, PathPattern, Request, Response, middleware::CatchPanic,
};

use crate::{
    problem::Problem,
    site::{self, Prefix},
    views,
};

/// To be put around the routes of a service.
pub(crate) fn answer_failures<E: Endpoint + 'static>(
    routes: E,
) -> impl Endpoint<Output = Response> {
    routes
        .with(CatchPanic::new().with_handler(|_| Problem::internal().to_response()))
        .around(answer_errors)
}

async fn answer_errors<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let page_prefix = site::wants_html(&request).then(|| Prefix::of(&request));
    match endpoint.call(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(error) => {
            let problem = Problem::from(&error);
            let mut answer = match page_prefix {
                Some(prefix) => problem.finish(views::message(&prefix, &problem)),
                None => problem.to_response(),
            };
            // Which route it was.
            if let Some(pattern) = error.data::<PathPattern>() {
                answer.set_data(pattern.clone());
            }
            Ok(answer)
        }
    }
}
