//! What an application may choose for each of the services.

use tokio_util::sync::CancellationToken;

use crate::{
    pages::site::{BasePath, PublicUrl},
    server::api_routes::Exposed,
};

/// The options that all services have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) stop: CancellationToken,
    pub(crate) base_path: Option<BasePath>,
    pub(crate) origins: Vec<PublicUrl>,
    pub(crate) exposed: Exposed,
}

/// The methods of a builder that set its [`Options`], which are in its field `options`.
macro_rules! option_methods {
    () => {
        /// Cancel this token when the service is to stop. The service is then no longer ready, and ends its event
        /// streams.
        pub fn stop(mut self, stop: tokio_util::sync::CancellationToken) -> Self {
            self.options.stop = stop;
            self
        }

        /// Sets the path where the service is mounted, such as `/vote`: its links begin with this path. Requests come
        /// without this path, as a proxy or axum's `nest_service` passes them on. Under poem's `nest` the service
        /// finds the path by itself.
        pub fn base_path(mut self, path: &str) -> Self {
            self.options.base_path = Some($crate::pages::site::BasePath::new(path));
            self
        }

        /// Lets scripts of these origins, such as `https://app.example.org`, use the JSON API and the event streams
        /// (CORS), with cookies. Pages and forms are for the service's own origin only.
        pub fn allow_origins(
            mut self,
            origins: impl IntoIterator<Item = $crate::PublicUrl>,
        ) -> Self {
            self.options.origins.extend(origins);
            self
        }

        /// Sets what is served besides pages, API and health checks; by default, everything. A route that is not
        /// exposed answers 404.
        pub fn expose(mut self, exposed: $crate::Exposed) -> Self {
            self.options.exposed = exposed;
            self
        }
    };
}
pub(crate) use option_methods;
