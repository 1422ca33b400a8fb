//! The worker: takes ballots from Redis, writes them to Postgres in batches, and serves the operator's API. Run
//! several: if one dies, the others take over its ballots.

mod set_up;

use std::{future::pending, sync::Arc, time::Duration};

use self::set_up::set_up;
use voting_core::{
    BallotQueue, Worker, WorkerOptions,
    error::in_one_line,
    pipeline::{
        coordinator::Coordinator, observe::keep_observing, retention::keep_clearing,
        worker::WorkerExit,
    },
};
use voting_http::OperatorService;
use voting_service::{Config, Exit, Service, Services, StartError, StopOn, host_site};

/// How long Redis may take to remove the consumer of a worker that ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Postgres writes each batch in a process of its own.
const FLUSHES: usize = 2;

/// How often polls are looked for that were kept long enough.
const RETENTION_ROUND: Duration = Duration::from_secs(3_600);

/// Runs the service until it is asked to stop, or fails.
///
/// # Errors
/// It cannot start: a secret or an address is missing, or its own address is taken.
pub async fn run(config: Config, stop: StopOn) -> Result<Exit, StartError> {
    let mut services = Services::new(&config, stop)?;
    let token = config.operator_token(None)?;
    let entry_keys = config.entry_keys()?;
    let poll_keys = config.poll_keys()?;
    let redis = config.redis()?;
    let postgres = Arc::new(config.postgres()?);
    let queue = Arc::new(redis.queue());
    let log = Arc::new(redis.clone());
    let coordinator = Coordinator::new(log, queue.clone(), postgres.clone());
    let listener = services
        .listen("worker", "the operator's API", config.worker.listen)
        .await?;

    let options = WorkerOptions {
        // Other workers continue, so there is nothing to drain.
        drain: Duration::ZERO,
        flushes: FLUSHES,
        ..config.worker_options()
    };
    let claims = queue.clone();
    let guarded = coordinator.guarded();
    let worker = Worker::new(queue.clone(), guarded.clone(), guarded, options);
    let mut worker = worker.with_entry_keys(entry_keys);
    if !config.accept_unsigned_entries {
        worker = worker.refusing_unsigned(Arc::new(redis.clone()), postgres.clone());
    }
    let worker = worker.start();
    services.watch(worker.progress().clone(), queue.clone());
    let gate = config.gates(Service::Worker).worker;
    let site = host_site(
        &config,
        config.vote.listen.port(),
        config.result.listen.port(),
    );
    let polls = config.keyed_polls(coordinator.polls(), poll_keys.clone());
    let mut operator =
        OperatorService::builder(worker.clone(), queue.clone(), postgres.clone(), &token.key)
            .polls(Arc::new(polls))
            .coordinator(&coordinator)
            .directory(Arc::new(redis.clone()))
            .site(site)
            .gate(gate.clone())
            .idle_time_out(config.host_idle())
            .stop(services.leaving().clone());
    if let Some(logins) = config.host_logins()? {
        operator = operator.host_logins(logins);
    }
    if let Some(keys) = poll_keys.clone() {
        operator = operator.poll_keys(keys);
    }
    let webhooks = poll_keys
        .clone()
        .map(|keys| config.webhooks(postgres.clone(), keys));
    if let Some(webhooks) = webhooks.clone() {
        operator = operator.webhooks(webhooks);
    }
    let sending = async {
        match webhooks {
            Some(webhooks) => webhooks.keep_sending(config.event_options().kept).await,
            None => pending().await,
        }
    };
    let bulk = match config.bulk_secrets()? {
        Some(secrets) => {
            let sink = Arc::new(redis.bulk_sink());
            operator = operator.bulk_casts(sink.clone(), secrets);
            Some(sink)
        }
        None => None,
    };
    let operator = operator.build();
    services.announce("Operator", &format!("{}docs/", listener.url()), "");
    services.announce("Host", &listener.url(), "");
    services.name_stores(&[
        ("ballot log", "Redis"),
        ("tally store", "Postgres"),
        ("polls", "Postgres"),
    ]);
    config.warn_of_remarks(Service::Worker);
    services.serve(listener, operator.into_endpoint(), gate);

    let broken = async {
        tokio::select! {
            Err(error) = coordinator.run(|| async {
                set_up(&postgres, &config, poll_keys.as_ref()).await?;
                // The worker may have looked for the tables before.
                worker.try_again();
                Ok(())
            }) => {
                tracing::error!(error = in_one_line(&error), "cannot set up the polls");
                Exit::Failed
            }
            never = keep_clearing(coordinator.polls(), config.kept_days(), RETENTION_ROUND) => {
                match never {}
            }
            never = keep_observing(postgres.clone(), queue.clone(), config.event_options()) => {
                match never {}
            }
            never = sending => match never {},
            exit = worker.ended() => {
                tracing::error!(?exit, "the worker ended unexpectedly");
                Exit::Failed
            }
        }
    };
    let finish = async {
        // Other workers count what is written now.
        if let Some(bulk) = bulk {
            bulk.close().await;
        }
        let exit = worker.stop().await;
        if exit != WorkerExit::Clean {
            tracing::error!(?exit, "ballots stay in Redis; other workers count them");
        }
        // This only tidies up, so it is not waited for long.
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, claims.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::warn!(
                "could not remove this worker's consumer from Redis; other workers will"
            );
        }
        exit == WorkerExit::Clean
    };
    Ok(services.run(broken, finish).await)
}
