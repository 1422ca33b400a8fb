//! The worker service: the operator's view of the pipeline, and what operators do to it.

mod api;
mod dead_letters;
mod metrics;
mod overview;
mod polls;

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Request, Response, Route, endpoint::make_sync, get, web::Redirect,
};
use poem_openapi::OpenApiService;
use tokio_util::sync::CancellationToken;
use voting_core::{
    BallotQueue, BatchFlusher, DeadLetterStore, PollDirectory, PollStore, SecretKey, StoreError,
    TallyStore, WorkerHandle,
};

use self::overview::Overview;
use crate::{
    edge::Edge,
    pages::{assets, site::Prefix},
    problem::Problem,
    server::{
        api_routes::ApiRoutes,
        document,
        gate::Gate,
        health::{self, Health},
        methods::Methods,
    },
    tokens::signed::OperatorKey,
};

/// The worker service, beside a running worker.
#[derive(Clone)]
pub struct OperatorService(Arc<Inner>, Gate);

struct Inner {
    pipeline: Pipeline,
    overview: Overview,
    operator: OperatorKey,
    stop: CancellationToken,
}

/// What the operator's API is about.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "back ends need none")]
pub struct Pipeline {
    /// The worker of this process.
    pub worker: WorkerHandle,
    /// The log.
    pub queue: Arc<dyn BallotQueue>,
    /// The store.
    pub flusher: Arc<dyn BatchFlusher>,
    /// The store.
    pub tallies: Arc<dyn TallyStore>,
    /// The store.
    pub polls: Arc<dyn PollStore>,
    /// Where the vote services look polls up: the store, or the copy that is published to them.
    pub directory: Arc<dyn PollDirectory>,
    /// The store.
    pub dead_letters: Arc<dyn DeadLetterStore>,
}

impl OperatorService {
    /// A service over `pipeline`, for whoever shows the operator's token. It is not ready once
    /// `stop` is cancelled. Call it within a tokio runtime.
    ///
    /// It only says that a poll is to close: some process must run
    /// [`closing::keep_advancing`](voting_core::pipeline::closing::keep_advancing), or no poll becomes final.
    pub fn new(pipeline: Pipeline, operator_token: &SecretKey, stop: CancellationToken) -> Self {
        let overview = Overview::default();
        tokio::spawn(overview.clone().keep_asking(pipeline.clone(), stop.clone()));
        let inner = Inner {
            pipeline,
            overview,
            operator: OperatorKey::new(operator_token),
            stop,
        };
        Self(Arc::new(inner), Gate::default())
    }

    /// The same, letting in whom `gate` does; to be served with the same one.
    #[must_use]
    pub fn behind(mut self, gate: Gate) -> Self {
        self.1 = gate;
        self
    }

    /// The service as an endpoint, to be served or mounted.
    pub fn into_endpoint(self) -> impl Endpoint<Output = Response> {
        let home = make_sync(|request: Request| {
            let prefix = Prefix::of(&request);
            Redirect::see_other(format!("{}/docs/", prefix.as_str())).into_response()
        });
        let health = self.health();
        let metrics = metrics::Metrics::new(self.clone(), health.clone());
        let pages = Route::new()
            .at("/", get(home))
            .nest("/assets", assets::route());
        let methods = Methods::of(&self.openapi());
        let routes = ApiRoutes::new(self.documented(health), self.openapi(), metrics, pages);
        Edge::new(routes)
            .with_methods(methods)
            .taking_bodies()
            .for_operator(self.0.operator.clone(), self.1.clone())
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
                health::OPERATIONS,
            ],
        )
    }

    fn health(&self) -> Health {
        let Pipeline {
            queue,
            tallies,
            flusher,
            worker,
            ..
        } = self.0.pipeline.clone();
        let progress = worker.progress().clone();
        Health::new("worker", self.0.stop.clone())
            .needs("ballot log", move || {
                let queue = Arc::clone(&queue);
                async move { queue.ready_to_claim().await }
            })
            .needs("tally store", move || {
                let (tallies, flusher) = (Arc::clone(&tallies), Arc::clone(&flusher));
                async move {
                    tallies.check().await?;
                    flusher.ready_to_flush().await
                }
            })
            // A store may answer and yet take nothing, as with a full disk.
            .needs("worker", move || {
                let trouble = progress.borrow().trouble.clone();
                async move { trouble.map_or(Ok(()), |why| Err(StoreError::unavailable(why))) }
            })
    }

    fn documented(
        &self,
        health: Health,
    ) -> OpenApiService<(api::Api, polls::Api, dead_letters::Api, Health), ()> {
        OpenApiService::new(
            (
                api::Api(self.clone()),
                polls::Api(self.clone()),
                dead_letters::Api(self.clone()),
                health,
            ),
            "Worker",
            env!("CARGO_PKG_VERSION"),
        )
        .description("The operator's view of the pipeline.")
    }
}

impl OperatorService {
    fn authorize(&self, operator: &api::Operator) -> Result<(), Problem> {
        if self.0.operator.is(&operator.0.token) {
            return Ok(());
        }
        Err(Problem::unauthorized("This is not the operator's token."))
    }
}

impl std::fmt::Debug for OperatorService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorService").finish_non_exhaustive()
    }
}
