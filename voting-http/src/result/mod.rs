//! The result service. It shows tallies, live, and the state of a receipt. It writes nothing.

mod api;
mod builder;
mod events;
pub(crate) mod granted;
mod page;
mod receipt;
pub(crate) mod rows;
mod share;
mod tallies;
mod yours;

use std::sync::Arc;

use poem::{IntoEndpoint, get};
use poem_openapi::OpenApiService;
use voting_core::{PollDirectory, TallyStore, model::secrets::Secrets};

pub use self::builder::ResultServiceBuilder;
use self::{
    granted::Granted,
    share::{embed, oembed, picture, png, present},
    yours::Yours,
};
use crate::{
    cache::{histories::Histories, live::LiveTallies, polls::Polls},
    edge::{Edge, endpoint::ServiceEndpoint, options::Options},
    pages::{assets, poll_list, poll_of_page::PagePlace, preview, site::Site},
    server::{
        api_routes::{ApiRoutes, Pages},
        document,
        health::{self, Health},
        methods::Methods,
        metrics::Metrics,
        tower::HttpService,
    },
    tokens::receipt_key::ReceiptKey,
};

/// Of a vote, everybody but the services learns the minute only.
const MINUTE_MS: u64 = 60_000;

/// The result service over its store.
#[derive(Clone)]
pub struct ResultService(Arc<Inner>);

struct Inner {
    tallies: Arc<dyn TallyStore>,
    live: LiveTallies,
    histories: Histories,
    polls: Polls,
    receipts: ReceiptKey,
    granted: Granted,
    yours: Yours,
    renews_cookies: bool,
    site: Site,
    pictures: png::Pictures,
    options: Options,
}

impl ResultService {
    /// A service that shows the tallies in `tallies` of the polls in `polls`. To read receipts, it needs the vote
    /// service's secret, or all [`Secrets`] while it is exchanged.
    pub fn builder(
        tallies: Arc<dyn TallyStore>,
        polls: Arc<dyn PollDirectory>,
        secrets: impl Into<Secrets>,
    ) -> ResultServiceBuilder {
        ResultServiceBuilder::new(tallies, polls, secrets.into())
    }

    /// The patterns of all addresses that the service answers, such as `/polls/:poll` for pages and
    /// `/v1/polls/{poll}/tally` for the API.
    pub fn routes(&self) -> Vec<String> {
        self.api_routes().patterns()
    }

    /// The service as an endpoint, to be served or mounted.
    pub fn into_endpoint(self) -> ServiceEndpoint {
        let options = &self.0.options;
        let methods = Methods::of(&self.openapi()).and(&["/receipt"], "GET, HEAD, POST");
        let edge = Edge::new(self.api_routes(), options)
            .with_methods(methods)
            .renewing_cookies(self.0.renews_cookies)
            .over_https(self.0.site.is_https())
            .themed(self.0.site.theme.clone())
            .taking_bodies();
        ServiceEndpoint::new(edge)
    }

    fn api_routes(&self) -> ApiRoutes {
        let page = |place| get(page::Show(self.clone(), place));
        let options = &self.0.options;
        let health = self.health();
        let metrics = Metrics::new(health.clone(), |registry| {
            self.0.live.metrics().register(registry);
            self.0.site.gate.register(registry);
        });
        let list = Arc::new(poll_list::Show::new(&self.0.polls, &self.0.site));
        let pages = Pages::default()
            .at("/", page(PagePlace::Root))
            .at("/polls", get(list.clone()))
            .at("/polls/", get(list))
            .at("/polls/:poll", page(PagePlace::Named))
            .at("/polls/:poll/", page(PagePlace::Named))
            .at("/polls/:poll/live", get(page::Live(self.clone())))
            .at("/polls/:poll/history", get(page::History(self.clone())))
            .at("/polls/:poll/live.json", get(page::LiveJson(self.clone())))
            .at("/polls/:poll/present", get(present::Show(self.clone())))
            .at("/polls/:poll/qr.svg", get(picture::QrSvg(self.clone())))
            .at(
                "/polls/:poll/result.svg",
                get(picture::ResultSvg(self.clone())),
            )
            .at(
                "/polls/:poll/result.png",
                get(picture::ResultPng(self.clone())),
            )
            .at(
                "/polls/:poll/preview.png",
                get(picture::PreviewPng(self.clone())),
            )
            .at("/embed/polls/:poll", get(embed::Show(self.clone())))
            .at("/oembed", get(oembed::Show(self.clone())))
            .at(
                "/receipt",
                get(receipt::Ask).post(receipt::Check(self.clone())),
            )
            .at("/robots.txt", preview::robots())
            .nest("/assets", assets::route(self.0.site.theme.as_ref()));
        ApiRoutes::new(
            self.documented(health),
            self.openapi(),
            metrics,
            pages,
            options.exposed,
        )
    }

    /// The service for axum, hyper and other users of tower services. If it is mounted below a path, set `base_path`.
    pub fn into_service(self) -> HttpService {
        HttpService::new(self)
    }

    /// The OpenAPI document of the service, as JSON.
    pub fn openapi(&self) -> String {
        let derived = self.documented(self.health()).spec();
        document::complete(&derived, None, &[api::OPERATIONS, health::OPERATIONS])
    }

    fn health(&self) -> Health {
        let (tallies, polls) = (Arc::clone(&self.0.tallies), self.0.polls.clone());
        let shown = polls.clone();
        Health::new("result", self.0.options.stop.clone())
            .needs("tally store", move || {
                let (tallies, polls) = (Arc::clone(&tallies), shown.clone());
                async move {
                    tallies.ready_to_read().await?;
                    // A store may answer, and tallies may still be unreadable, for example if a right or a table is
                    // missing. The next check tells whether there are polls.
                    match polls.default().await {
                        Ok(poll) => tallies.tally(poll.id()).await.map(drop),
                        Err(_) => Ok(()),
                    }
                }
            })
            .needs("polls", move || {
                let polls = polls.clone();
                async move { polls.check().await }
            })
    }

    fn documented(&self, health: Health) -> OpenApiService<(api::Api, Health), ()> {
        OpenApiService::new(
            (api::Api(self.clone()), health),
            "Result",
            env!("CARGO_PKG_VERSION"),
        )
        .description("Shows tallies and the state of receipts.")
    }
}

impl IntoEndpoint for ResultService {
    type Endpoint = ServiceEndpoint;

    fn into_endpoint(self) -> ServiceEndpoint {
        Self::into_endpoint(self)
    }
}

impl std::fmt::Debug for ResultService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResultService")
            .field("site", &self.0.site)
            .finish_non_exhaustive()
    }
}
