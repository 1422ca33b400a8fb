//! The worker service: the operator's view of the pipeline, and the changes that operators can make.

mod api;
mod audit;
mod builder;
mod bulk;
pub(crate) mod changes;
pub(crate) mod codes;
mod dead_letters;
mod events;
mod export;
pub(crate) mod form;
mod metrics;
mod new_voters;
mod overview;
mod polls;
mod tokens;
pub(crate) mod voidings;
pub(crate) mod webhooks;

use std::sync::{Arc, Once};

use poem::IntoEndpoint;
use poem_openapi::OpenApiService;
use tokio::sync::Semaphore;
use voting_core::{
    BallotQueue, PollDirectory, PollStore, SecretKey, StoreError, WorkerHandle,
    model::poll_key::PollKeyWrap, pipeline::coordinator::Coordinator, store::Store,
};

pub use self::builder::OperatorServiceBuilder;
use self::overview::Overview;
use crate::{
    edge::{Edge, callers::Callers, endpoint::ServiceEndpoint, options::Options},
    host::{self, Host, oidc::Oidc},
    pages::{assets, site::Site},
    problem::seldom::Seldom,
    server::{
        api_routes::{ApiRoutes, Pages},
        document,
        gate::Gate,
        health::{self, Health},
        methods::Methods,
        tower::HttpService,
    },
    webhooks::Webhooks,
};

/// The operator's service. It shows where all ballots are, and lets the operator change and close polls. It runs
/// beside a worker.
#[derive(Clone)]
pub struct OperatorService(Arc<Inner>);

struct Inner {
    pipeline: Pipeline,
    overview: Overview,
    /// Starts the task that asks the stores regularly.
    asking: Once,
    callers: Callers,
    /// Who is signed in to the host's pages.
    sessions: host::Sessions,
    /// Where people sign in without a token.
    oidc: Option<Arc<Oidc>>,
    gate: Gate,
    /// Where the host's pages are, and the voting page.
    site: Site,
    /// With these the keys of polls are read.
    keys: Option<PollKeyWrap>,
    /// Takes bulk casts, if they are set up.
    bulk: Option<Arc<bulk::BulkCasts>>,
    /// Sends webhooks, if they are set up.
    webhooks: Option<Webhooks>,
    /// How many more exports of ballots may begin.
    exports: Arc<Semaphore>,
    /// How many more may wait for events, or follow them.
    followers: Arc<Semaphore>,
    newest_event: events::Newest,
    options: Options,
}

/// The operations of the service.
type Apis = (
    api::Api,
    polls::Api,
    dead_letters::Api,
    audit::Api,
    events::Api,
    tokens::Api,
    export::Api,
    codes::Api,
    bulk::Api,
    voidings::Api,
    new_voters::Api,
    webhooks::Api,
    Health,
);

/// The parts that the operator's API shows and changes.
#[derive(Clone)]
struct Pipeline {
    /// The worker of this process.
    worker: WorkerHandle,
    queue: Arc<dyn BallotQueue>,
    store: Arc<dyn Store>,
    /// The store, or a part in front of it that announces changes of polls.
    polls: Arc<dyn PollStore>,
    /// Where the vote services look polls up: the store, or the copy of its polls that is published for them.
    directory: Arc<dyn PollDirectory>,
    /// Without its set-up, the service is not ready.
    coordinator: Option<Coordinator>,
}

impl OperatorService {
    /// A service for a running worker, the log that the worker reads and the store that it writes to. The API is for
    /// clients that send the operator's token.
    ///
    /// `operator_token` has at least 32 bytes. With a `Voting`, pass `voting.worker().clone()`, `voting.queue()` and
    /// `voting.store()`, and call `.polls(voting.polls())`.
    ///
    /// The service itself only marks a poll as closing. A `Voting` then seals it and makes it final. Without a
    /// `Voting`, some process must run a [`Coordinator`](voting_core::pipeline::coordinator::Coordinator), or, if log
    /// and store are one, [`keep_advancing`](voting_core::pipeline::closing::keep_advancing). Otherwise no poll
    /// becomes final.
    pub fn builder(
        worker: WorkerHandle,
        queue: Arc<dyn BallotQueue>,
        store: Arc<dyn Store>,
        operator_token: &SecretKey,
    ) -> OperatorServiceBuilder {
        OperatorServiceBuilder::new(worker, queue, store, operator_token)
    }

    /// The service as an endpoint, to be served or mounted. Call it within a tokio runtime: it starts a task that
    /// asks the stores once a second until the service is to stop.
    pub fn into_endpoint(self) -> ServiceEndpoint {
        let options = &self.0.options;
        self.0.asking.call_once(|| {
            let overview = self.0.overview.clone();
            tokio::spawn(overview.keep_asking(self.0.pipeline.clone(), options.stop.clone()));
        });
        let methods = Methods::of(&self.openapi())
            .and(host::FORMS, "GET, HEAD, POST")
            .and(host::ONLY_FORMS, "POST");
        let edge = Edge::new(self.api_routes(), options)
            .with_methods(methods)
            .over_https(self.0.site.is_https())
            .taking_bodies()
            .for_hosts(self.0.sessions.clone())
            .for_operator(self.0.callers.clone(), self.0.gate.clone());
        ServiceEndpoint::new(edge)
    }

    /// The patterns of all addresses that the service answers, such as `/polls/:poll` for pages and `/v1/polls/{poll}`
    /// for the API.
    pub fn routes(&self) -> Vec<String> {
        self.api_routes().patterns()
    }

    fn api_routes(&self) -> ApiRoutes {
        let health = self.health();
        let metrics = metrics::Metrics::new(self.clone(), health.clone());
        let pages = Pages::default().nest("/assets", assets::route(None));
        ApiRoutes::new(
            self.documented(health),
            self.openapi(),
            metrics,
            self.host().add_to(pages),
            self.0.options.exposed,
        )
    }

    /// The service for axum, hyper and other users of tower services. If it is mounted below a path, set `base_path`.
    pub fn into_service(self) -> HttpService {
        HttpService::new(self)
    }

    /// The OpenAPI document of the service, as JSON.
    pub fn openapi(&self) -> String {
        let derived = self.documented(self.health()).spec();
        document::complete(
            &derived,
            None,
            &[
                api::OPERATIONS,
                polls::OPERATIONS,
                dead_letters::OPERATIONS,
                audit::OPERATIONS,
                events::OPERATIONS,
                tokens::OPERATIONS,
                export::OPERATIONS,
                codes::OPERATIONS,
                bulk::OPERATIONS,
                voidings::OPERATIONS,
                new_voters::OPERATIONS,
                webhooks::OPERATIONS,
                health::OPERATIONS,
            ],
        )
    }

    /// The pages for people.
    fn host(&self) -> Host {
        let Pipeline {
            queue,
            store,
            polls,
            ..
        } = self.0.pipeline.clone();
        Host::new(host::Parts {
            service: self.clone(),
            queue,
            store,
            polls,
            callers: self.0.callers.clone(),
            sessions: self.0.sessions.clone(),
            oidc: self.0.oidc.clone(),
            gate: self.0.gate.clone(),
            failed_logins: Arc::new(Seldom::up_to(30)),
            site: self.0.site.clone(),
        })
    }

    fn health(&self) -> Health {
        let Pipeline {
            queue,
            store,
            worker,
            coordinator,
            ..
        } = self.0.pipeline.clone();
        let progress = worker.progress().clone();
        Health::new("worker", self.0.options.stop.clone())
            .needs("ballot log", move || {
                let queue = Arc::clone(&queue);
                async move { queue.ready_to_claim().await }
            })
            .needs("tally store", move || {
                let store = Arc::clone(&store);
                async move {
                    store.ready_to_read().await?;
                    store.ready_to_flush().await
                }
            })
            // A store may answer and still refuse to write, for example with a full disk.
            .needs("worker", move || {
                let trouble = progress.borrow().trouble.clone();
                async move { trouble.map_or(Ok(()), |why| Err(StoreError::unavailable(why))) }
            })
            .needs("polls", move || {
                let lacks = coordinator.as_ref().is_some_and(|all| !all.is_set_up());
                async move {
                    match lacks {
                        true => Err(StoreError::unavailable("they are not set up yet")),
                        false => Ok(()),
                    }
                }
            })
    }

    fn documented(&self, health: Health) -> OpenApiService<Apis, ()> {
        OpenApiService::new(
            (
                api::Api(self.clone()),
                polls::Api(self.clone()),
                dead_letters::Api(self.clone()),
                audit::Api(self.clone()),
                events::Api(self.clone()),
                tokens::Api(self.clone()),
                export::Api(self.clone()),
                codes::Api(self.clone()),
                bulk::Api(self.clone()),
                voidings::Api(self.clone()),
                new_voters::Api(self.clone()),
                webhooks::Api(self.clone()),
                health,
            ),
            "Worker",
            env!("CARGO_PKG_VERSION"),
        )
        .description(
            "For the operator: polls, dead letters, and how many ballots are in each state.",
        )
    }
}

impl IntoEndpoint for OperatorService {
    type Endpoint = ServiceEndpoint;

    fn into_endpoint(self) -> ServiceEndpoint {
        Self::into_endpoint(self)
    }
}

impl std::fmt::Debug for OperatorService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorService").finish_non_exhaustive()
    }
}
