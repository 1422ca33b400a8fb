//! The worker: takes ballots from Redis, writes them to Postgres in batches, and serves the
//! operator's API. Run several; one that dies is relieved by the others.

use std::{process::ExitCode, sync::Arc, time::Duration};

use voting_core::{
    BallotQueue, Poll, PollDirectory, PollPublisher, PollStore, StoreError, Worker, WorkerOptions,
    closing, error::in_one_line, postgres::Postgres, redis::Redis, worker::WorkerExit,
};
use voting_http::{Pipeline, WorkerService};
use voting_service::{Config, Exit, Service, Services, StartError, announce, cats_vs_dogs};

/// How long Redis may take to forget a worker that ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    voting_service::run("voting-worker", |config| config.worker.listen, run)
}

async fn run(config: Config) -> Result<Exit, StartError> {
    let mut services = Services::new(&config)?;
    let token = config.operator_token(None)?;
    let redis = config.redis()?;
    let postgres = Arc::new(config.postgres()?);
    let queue = Arc::new(redis.queue());
    let listener = services
        .listen("worker", "the operator's API", config.worker.listen)
        .await?;

    let options = WorkerOptions {
        // The others go on.
        drain: Duration::ZERO,
        ..config.worker_options()
    };
    let claims = queue.clone();
    let worker = Worker::new(queue.clone(), postgres.clone(), postgres.clone(), options).start();
    services.watch(worker.progress().clone());
    let pipeline = Pipeline {
        worker: worker.clone(),
        queue: queue.clone(),
        flusher: postgres.clone(),
        tallies: postgres.clone(),
        polls: postgres.clone(),
        dead_letters: postgres.clone(),
    };
    let gate = config.gates(Service::Worker).worker;
    let operator = WorkerService::new(pipeline, &token.key, services.leaving().clone());
    let operator = operator.behind(gate.clone());
    announce(&format!("Operator:  {}docs/\n", listener.url()));
    services.serve(listener, operator.into_endpoint(), gate);

    let broken = async {
        tokio::select! {
            error = keep_in_line(&postgres, &redis, queue.as_ref(), config.polls) => {
                tracing::error!(error = in_one_line(&error), "cannot set up the polls");
                Exit::Failed
            }
            exit = worker.ended() => {
                tracing::error!(?exit, "the worker has ended by itself");
                Exit::Failed
            }
        }
    };
    let finish = async {
        let exit = worker.stop().await;
        if exit != WorkerExit::Clean {
            tracing::error!(?exit, "ballots stay in Redis; other workers count them");
        }
        // No more than tidiness, so it is not waited for long.
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, claims.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::warn!("Redis still knows this worker's consumer; other workers remove it");
        }
        exit == WorkerExit::Clean
    };
    Ok(services.run(broken, finish).await)
}

/// Brings the schema up to date and stores the configured polls, as soon as Postgres answers, then
/// keeps Redis in line with it, and closes the polls that are to close. Ends only with what waiting does
/// not mend.
async fn keep_in_line(
    postgres: &Postgres,
    redis: &Redis,
    queue: &dyn BallotQueue,
    polls: Option<Vec<Poll>>,
) -> StoreError {
    let mut is_set_up = false;
    let mut trouble = None;
    loop {
        let round = async {
            if !is_set_up {
                set_up(postgres, polls.as_deref()).await?;
                is_set_up = true;
            }
            // In this order: there is no vote before there are polls, and so none with an id that
            // is too low, or in a poll that is closed and that a new Redis does not know to be.
            redis.raise_ids(postgres.newest_applied().await?).await?;
            closing::advance(redis, queue, postgres).await?;
            redis.publish(&postgres.polls().await?).await
        };
        match round.await {
            Ok(()) => trouble = None,
            Err(error @ StoreError::PollConflict(_)) => return error,
            Err(error) => {
                let error = in_one_line(&error);
                if trouble.as_ref() != Some(&error) {
                    tracing::warn!(error, "the stores are not in line; waiting");
                    trouble = Some(error);
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn set_up(postgres: &Postgres, polls: Option<&[Poll]>) -> Result<(), StoreError> {
    // Does nothing where `voting migrate` was run before, as when this login may not do it.
    postgres.migrate().await?;
    match polls {
        Some(polls) => {
            for poll in polls {
                postgres.put_poll(poll).await?;
            }
        }
        // An operator may have given it other labels since.
        None => {
            let poll = cats_vs_dogs();
            if postgres.poll(poll.id()).await?.is_none() {
                postgres.put_poll(&poll).await?;
            }
        }
    }
    Ok(())
}
