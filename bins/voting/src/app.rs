//! Puts the parts together, runs them, and takes them down in order.

use std::{sync::Arc, time::Duration};

use voting_core::{
    BallotQueue, PollDirectory, PollId, PollStore, StoreError, Worker, WorkerHandle, closing,
    sqlite::{OpenError, Sqlite, SqliteOptions},
    worker::WorkerExit,
};
use voting_http::{Pipeline, ResultService, Site, VoteService, WorkerService};
use voting_service::{
    Config, Exit, Found, Kept, SecretError, Services, announce, cats_vs_dogs, find, site,
};

/// How often polls that are to close are moved on.
const CLOSING_STEP: Duration = Duration::from_millis(500);

/// Why the system does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("cannot set up the polls")]
    Polls(#[source] StoreError),
    #[error("default_poll is {0}, but there is no such poll")]
    DefaultPoll(PollId),
    #[error(transparent)]
    Services(#[from] voting_service::StartError),
}

/// Runs the whole system until it is asked to stop.
pub(crate) async fn run(config: Config) -> Result<Exit, StartError> {
    let mut services = Services::new(&config)?;
    let database = &config.sqlite.path;
    let store = Sqlite::open(database, SqliteOptions::default())?;
    let secret = secret(&config, &store).await?;
    let token = operator_token(&config)?;
    let default_poll = set_up_polls(&store, &config).await?;

    let vote_at = services
        .listen("vote", "the voting page", config.vote.listen)
        .await?;
    let result_at = services
        .listen("result", "the result page", config.result.listen)
        .await?;
    let worker_at = services
        .listen("worker", "the operator's API", config.worker.listen)
        .await?;
    let with_default = |site: Site| Site {
        default_poll: default_poll.clone(),
        served_by: config.served_by(),
        ..site
    };
    let stop = services.leaving().clone();
    let vote_site = with_default(site(&config.vote, &config.result, result_at.port(), &stop));
    let result_site = with_default(site(&config.result, &config.vote, vote_at.port(), &stop));

    let all = Arc::new(store.clone());
    let queue = Arc::new(store.queue());
    let worker = Worker::new(
        queue.clone(),
        all.clone(),
        all.clone(),
        config.worker_options(),
    );
    let worker = worker.start();
    services.watch(worker.progress().clone());
    let sink = Arc::new(store.sink());
    let vote = VoteService::new(sink.clone(), all.clone(), &secret.key, vote_site);
    let result = ResultService::new(all.clone(), all.clone(), &secret.key, result_site);
    tokio::spawn(closing::keep_advancing(
        all.clone(),
        queue.clone(),
        all.clone(),
        CLOSING_STEP,
    ));
    let pipeline = Pipeline {
        worker: worker.clone(),
        queue,
        flusher: all.clone(),
        tallies: all.clone(),
        polls: all.clone(),
        dead_letters: all,
    };
    let operator = WorkerService::new(pipeline, &token.key, stop);

    let token = match &token.file {
        Some(file) => format!("token: {}", file.display()),
        None => "token: as configured".to_owned(),
    };
    announce(&format!(
        "Vote:      {}\n\
         Result:    {}\n\
         Operator:  {}docs/ ({token})\n\
         Ballots:   {}\n\
         Press Ctrl-C to stop.\n",
        vote_at.url(),
        result_at.url(),
        worker_at.url(),
        database.display(),
    ));
    services.serve(vote_at, vote.into_endpoint(), config.vote.max_connections);
    services.serve(
        result_at,
        result.into_endpoint(),
        config.result.max_connections,
    );
    services.serve(worker_at, operator.into_endpoint(), 1_000);

    let broken = async {
        tokio::select! {
            () = store.failed() => {
                tracing::error!("the disk has failed; the next start sees what the file holds");
                Exit::AtOnce
            }
            exit = worker.ended() => {
                tracing::error!(?exit, "the worker has ended by itself");
                Exit::Failed
            }
        }
    };
    let finish = async {
        // All ballots written, then all ballots counted.
        sink.close().await;
        all_counted(&worker).await
    };
    Ok(services.run(broken, finish).await)
}

async fn all_counted(worker: &WorkerHandle) -> bool {
    let exit = worker.stop().await;
    if exit != WorkerExit::Clean {
        tracing::error!(?exit, "ballots stay in the log; the next start counts them");
    }
    exit == WorkerExit::Clean
}

async fn secret(config: &Config, store: &Sqlite) -> Result<Found, StartError> {
    let stats = store.queue().stats().await.map_err(StartError::Polls)?;
    let kept = Kept {
        path: &config.beside_database("secret"),
        // Cookies that were signed with another secret would make voters anew.
        may_make: stats.accepted == 0,
    };
    let (value, file) = (config.secret.as_ref(), config.secret_file.as_deref());
    Ok(find("secret", value, file, Some(kept))?)
}

fn operator_token(config: &Config) -> Result<Found, SecretError> {
    let kept = Kept {
        path: &config.beside_database("operator-token"),
        may_make: true,
    };
    let (value, file) = (
        config.worker.token.as_ref(),
        config.worker.token_file.as_deref(),
    );
    find("worker.token", value, file, Some(kept))
}

/// Stores the configured polls and says which one is at `/`.
async fn set_up_polls(store: &Sqlite, config: &Config) -> Result<Option<PollId>, StartError> {
    let failed = StartError::Polls;
    let first = match &config.polls {
        Some(polls) => {
            for poll in polls {
                store.put_poll(poll).await.map_err(failed)?;
            }
            polls.first().map(|poll| poll.id().clone())
        }
        // An operator may have given it other labels since.
        None => {
            let poll = cats_vs_dogs();
            if store.poll(poll.id()).await.map_err(failed)?.is_none() {
                store.put_poll(&poll).await.map_err(failed)?;
            }
            Some(poll.id().clone())
        }
    };
    let Some(default) = &config.default_poll else {
        return Ok(first);
    };
    match store.poll(default).await.map_err(failed)? {
        Some(_) => Ok(Some(default.clone())),
        None => Err(StartError::DefaultPoll(default.clone())),
    }
}
