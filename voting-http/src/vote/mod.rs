//! The vote service: takes ballots, from the page's form or as JSON, and hands them to the sink.
//! Holds no state of its own.

mod api;
mod memory;
mod metrics;
mod page;
mod secret_guard;
mod start_over;
mod state;

use std::{sync::Arc, time::Instant};

use poem::{Endpoint, Response, Route, get, post};
use poem_openapi::OpenApiService;
use voting_core::{
    Ballot, CastError, Choices, Poll, PollDirectory, PollId, Receipt, SecretKey, VoteSink, VoterId,
};

use self::{
    memory::BallotCookies,
    metrics::CastMetrics,
    secret_guard::{SecretGuard, Shut},
};
use crate::{
    cache::polls::Polls,
    edge::{
        Edge,
        visitor::{Visitor, VoterCookies},
    },
    pages::{assets, poll_list, poll_of_page::PagePlace, preview, site::Site},
    problem::Problem,
    server::{
        api_routes::ApiRoutes,
        document,
        health::{self, Health},
        methods::Methods,
        metrics::Metrics,
    },
    tokens::{receipt_key::ReceiptKey, signed::VoterTags},
};

/// The vote service over its stores.
#[derive(Clone)]
pub struct VoteService(Arc<Inner>);

struct Inner {
    sink: Arc<dyn VoteSink>,
    guard: Arc<SecretGuard>,
    polls: Polls,
    receipts: ReceiptKey,
    cookies: Arc<VoterCookies>,
    tags: VoterTags,
    ballots: BallotCookies,
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
        let guard = SecretGuard::new(Arc::clone(&sink), secret.fingerprint());
        Self(Arc::new(Inner {
            sink,
            guard: Arc::new(guard),
            polls: Polls::new(polls, site.default_poll.clone()),
            receipts: ReceiptKey::new(secret),
            cookies: Arc::new(VoterCookies::new(secret, site.is_https())),
            tags: VoterTags::new(secret),
            ballots: BallotCookies::new(secret, site.is_https()),
            metrics: CastMetrics::default(),
            site,
        }))
    }

    /// The service as an endpoint, to be served or mounted.
    pub fn into_endpoint(self) -> impl Endpoint<Output = Response> {
        let page = |place| {
            let (show, cast) = (self.clone(), self.clone());
            get(page::Show(show, place)).post(page::Cast(cast, place))
        };
        let health = self.health();
        let metrics = Metrics::new(health.clone(), |registry| {
            self.0.metrics.register(registry, &self.0.guard.foreign);
            self.0.site.gate.register(registry);
        });
        let list = Arc::new(poll_list::Show::new(&self.0.polls, &self.0.site));
        let pages = Route::new()
            .at("/", page(PagePlace::Root))
            .at("/polls", get(list.clone()))
            .at("/polls/", get(list))
            .at("/polls/:poll", page(PagePlace::Named))
            // A form that was sent there must not be lost on a redirect.
            .at("/polls/:poll/", page(PagePlace::Named))
            .at("/polls/:poll/state", get(state::Follow(self.clone())))
            .at("/polls/:poll/forget", post(page::Forget(self.clone())))
            .at(start_over::PATH, post(start_over::StartOver(self.clone())))
            .at("/robots.txt", preview::robots())
            .nest("/assets", assets::route());
        let methods = Methods::of(&self.openapi())
            .and(&["/", "/polls/:poll", "/polls/:poll/"], "GET, HEAD, POST")
            .and(&[start_over::PATH, "/polls/:poll/forget"], "POST");
        let routes = ApiRoutes::new(self.documented(health), self.openapi(), metrics, pages);
        Edge::new(routes)
            .with_methods(methods)
            .over_https(self.0.site.is_https())
            .taking_bodies()
            .for_voters(Arc::clone(&self.0.cookies), self.0.site.clone())
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
        let guard = Arc::clone(&self.0.guard);
        Health::new("vote", self.0.site.stop.clone())
            .needs("ballot log", move || {
                let sink = Arc::clone(&sink);
                async move { sink.check().await }
            })
            .needs("secret", move || {
                let guard = Arc::clone(&guard);
                async move { guard.check().await }
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

    /// The voter, if it can be said who it is. `from_page`: what the page that sent the vote says of its voter,
    /// if one of ours did.
    fn identify(&self, visitor: Visitor, from_page: Option<&str>) -> Result<VoterId, Problem> {
        // The page was given a cookie. A browser that keeps none would be a new voter with each click.
        if from_page.is_some() && visitor.is_new() {
            return Err(Problem::cookies_needed());
        }
        let voter = visitor.voter();
        if voter.is_err() {
            self.0.metrics.unidentified();
        }
        voter
    }

    /// Whether the log takes ballots of a service with this secret.
    async fn admit(&self) -> Result<(), Problem> {
        match self.0.guard.admit().await {
            Ok(()) => Ok(()),
            Err(Shut::Foreign) => {
                self.0.metrics.foreign_secret();
                Err(Problem::foreign_secret())
            }
            Err(Shut::Unknown(why)) => {
                let refused = Err::<(), _>(CastError::Refused(why.into()));
                self.0.metrics.cast(0.0, &refused);
                Ok(refused?)
            }
        }
    }

    /// Casts a voter's vote for the options of these names.
    async fn cast<'a>(
        &self,
        poll: &Poll,
        voter: VoterId,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<(Choices, Receipt), Problem> {
        // To say so early. What is not yet known here the log sees to.
        if !poll.state().is_open() {
            return Err(Problem::poll_closed());
        }
        let choices = poll.choose(named)?;
        self.admit().await?;
        let ballot = Ballot {
            poll: PollId::clone(poll.id()),
            voter,
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
