//! The vote service: takes ballots, from the page's form or as JSON, and hands them to the sink.
//! Holds no state of its own.

mod api;
mod page;

use std::{sync::Arc, time::Instant};

use poem::{Endpoint, Response, Route, get};
use poem_openapi::OpenApiService;
use voting_core::{Ballot, Choices, Poll, PollDirectory, PollId, Receipt, SecretKey, VoteSink};

use crate::{
    api_routes::ApiRoutes,
    assets, document,
    front::Front,
    health::{self, Health},
    metrics::{CastMetrics, Metrics},
    poll_list,
    polls::Polls,
    preview,
    problem::Problem,
    site::Site,
    token::{ReceiptKey, VoterKey},
    visitor::{Visitor, VoterCookies},
};

/// The vote service over its stores.
#[derive(Clone)]
pub struct VoteService(Arc<Inner>);

struct Inner {
    sink: Arc<dyn VoteSink>,
    polls: Polls,
    receipts: ReceiptKey,
    cookies: VoterCookies,
    metrics: CastMetrics,
    site: Site,
}

impl VoteService {
    /// A service that casts into `sink`, in the polls of `polls`. All replicas, and the result
    /// service, need the same secret.
    pub fn new(
        sink: Arc<dyn VoteSink>,
        polls: Arc<dyn PollDirectory>,
        secret: &SecretKey,
        site: Site,
    ) -> Self {
        Self(Arc::new(Inner {
            sink,
            polls: Polls::new(polls, site.default_poll.clone()),
            receipts: ReceiptKey::new(secret),
            cookies: VoterCookies::new(VoterKey::new(secret), site.is_https()),
            metrics: CastMetrics::default(),
            site,
        }))
    }

    /// The service as an endpoint, to be served or mounted.
    pub fn into_endpoint(self) -> impl Endpoint<Output = Response> {
        let page = || get(page::Show(self.clone())).post(page::Cast(self.clone()));
        let health = self.health();
        let metrics = Metrics::new(health.clone(), |registry| self.0.metrics.register(registry));
        let pages = Route::new()
            .at("/", page())
            .at(
                "/polls",
                get(poll_list::Show::new(&self.0.polls, &self.0.site)),
            )
            .at("/polls/:poll", page())
            .at("/robots.txt", preview::robots())
            .nest("/assets", assets::route());
        let routes = ApiRoutes::new(self.documented(health), self.openapi(), metrics, pages);
        Front::new(routes)
            .over_https(self.0.site.is_https())
            .taking_bodies()
            .for_voters(self.0.cookies.clone(), self.0.site.clone())
    }

    /// The OpenAPI document of the service, as JSON.
    pub fn openapi(&self) -> String {
        let derived = self.documented(self.health()).spec();
        document::complete(
            &derived,
            Some(self.0.cookies.name()),
            &[api::OPERATIONS, health::OPERATIONS],
        )
    }

    fn health(&self) -> Health {
        let (sink, polls) = (Arc::clone(&self.0.sink), self.0.polls.clone());
        Health::new(self.0.site.stop.clone())
            .needs("ballot log", move || {
                let sink = Arc::clone(&sink);
                async move { sink.check().await }
            })
            .needs("polls", move || {
                let polls = polls.clone();
                async move { polls.check().await }
            })
    }

    fn documented(&self, health: Health) -> OpenApiService<(api::Api, Health), ()> {
        OpenApiService::new(
            (api::Api(self.clone()), health),
            "Vote",
            env!("CARGO_PKG_VERSION"),
        )
        .description("Casts ballots.")
    }

    /// Casts the visitor's vote for the options of these names.
    async fn cast<'a>(
        &self,
        poll: &Poll,
        visitor: Visitor,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<(Choices, Receipt), Problem> {
        // To say so early. What is not yet known here the log sees to.
        if !poll.state().is_open() {
            return Err(Problem::poll_closed());
        }
        let choices = poll.choose(named)?;
        let ballot = Ballot {
            poll: PollId::clone(poll.id()),
            voter: visitor.voter()?,
            choices,
        };
        let begun = Instant::now();
        let receipt = self.0.sink.cast(ballot).await;
        self.0.metrics.cast(begun.elapsed().as_secs_f64(), &receipt);
        Ok((choices, receipt?))
    }
}

impl std::fmt::Debug for VoteService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoteService")
            .field("site", &self.0.site)
            .finish_non_exhaustive()
    }
}
