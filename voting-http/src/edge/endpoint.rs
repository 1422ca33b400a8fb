//! A service as an endpoint of poem.

use std::fmt;

use poem::{Endpoint, Request, Response};

use crate::{edge::Edge, server::api_routes::ApiRoutes};

/// One of the services as an endpoint of poem. It can be nested in a [`poem::Route`], or served by
/// [`serve()`](crate::serve()).
pub struct ServiceEndpoint(Edge<ApiRoutes>);

impl ServiceEndpoint {
    pub(crate) fn new(edge: Edge<ApiRoutes>) -> Self {
        Self(edge)
    }
}

impl Endpoint for ServiceEndpoint {
    type Output = Response;

    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        self.0.call(request)
    }
}

impl fmt::Debug for ServiceEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceEndpoint").finish_non_exhaustive()
    }
}
