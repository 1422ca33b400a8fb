//! All services in one process: combines them, runs them, and stops them in order.

use std::{sync::Arc, time::Duration};

use voting_core::{
    BallotLog, BallotQueue, PollDirectory, PollId, StoreError, Voting,
    backends::sqlite::{OpenError, Sqlite, SqliteOptions},
    model::{poll_key::PollKeyWrap, secrets::Secrets},
    pipeline::retention::keep_clearing,
};
use voting_http::{OperatorService, ResultService, Site, VoteService};
use voting_service::{
    Config, Exit, HostLoginError, Kept, LoginError, ResolvedSecret, SecretError, Service, Services,
    StopOn, ThemeError, cats_vs_dogs, host_site, resolve_secret, site,
};

/// How often polls are looked for that were kept long enough.
const RETENTION_ROUND: Duration = Duration::from_secs(3_600);

/// Why the system does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file of the ballots cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The settings of logins do not fit together.
    #[error(transparent)]
    Logins(#[from] LoginError),
    /// The settings of the host's sign-in do not fit together.
    #[error(transparent)]
    HostLogins(#[from] HostLoginError),
    /// The theme of the pages is not valid.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The ballots in the file belong to another secret.
    #[error(
        "the ballots in {path} were cast under another secret (its fingerprint is {there}, that of this one \
         {ours}): their voters would count again; put that secret back, or name its file in other_secret_files"
    )]
    OtherSecret {
        /// The file.
        path: String,
        /// The fingerprint of its secret.
        there: String,
        /// The fingerprint of the secret that is set.
        ours: String,
    },
    /// The file does not say to which secret its ballots belong.
    #[error("cannot find out under which secret ballots were cast")]
    SecretUnknown(#[source] StoreError),
    /// The polls of the settings cannot be stored.
    #[error("cannot set up the polls")]
    Polls(#[source] StoreError),
    /// The pipeline does not start.
    #[error("cannot start the pipeline")]
    Pipeline(#[source] StoreError),
    /// The poll at `/` does not exist.
    #[error("default_poll is {0}, but there is no such poll")]
    DefaultPoll(PollId),
    /// A service does not start.
    #[error(transparent)]
    Services(#[from] voting_service::StartError),
}

/// Runs the whole system until it is asked to stop, or fails.
///
/// # Errors
/// The system cannot start.
pub async fn run(config: Config, stop: StopOn) -> Result<Exit, StartError> {
    let mut services = Services::new(&config, stop)?;
    let database = &config.sqlite.path;
    let store = Sqlite::open(database, SqliteOptions::default())?;
    let secrets = secrets(&config, &store).await?;
    hold_to_secrets(&store, &config, &secrets).await?;
    let token = operator_token(&config)?;
    let poll_keys = PollKeyWrap::of_secrets(&secrets);
    let default_poll = set_up_polls(&store, &config, &poll_keys).await?;

    let vote_at = services
        .listen("vote", "the voting page", config.vote.listen)
        .await?;
    let result_at = services
        .listen("result", "the result page", config.result.listen)
        .await?;
    let worker_at = services
        .listen("worker", "the operator's API", config.worker.listen)
        .await?;
    let stop = services.leaving().clone();
    let gates = config.gates(Service::AllInOne);
    let theme = config.theme()?;
    let with_default = |site: Site| {
        site.with_default_poll(default_poll.clone())
            .with_served_by(config.served_by())
            .with_embed_origins(config.embed_origins.clone())
            .with_theme(theme.clone())
    };
    let vote_site = site(&config.vote, &config.result, result_at.port(), &gates.vote);
    let result_site = site(&config.result, &config.vote, vote_at.port(), &gates.result);

    let voting = Voting::embedded(store.clone())
        .worker_options(config.worker_options())
        .observing(config.event_options());
    let voting = voting
        .poll_keys(poll_keys.clone())
        .voter_pseudonyms(config.voter_pseudonyms);
    let voting = voting.start().await.map_err(StartError::Pipeline)?;
    let (worker, queue) = (voting.worker().clone(), voting.queue());
    services.watch(worker.progress().clone(), Arc::clone(&queue));
    let vote = VoteService::builder(voting.sink(), voting.directory(), &secrets)
        .results(voting.store())
        .site(with_default(vote_site))
        .allow_origins(config.api_origins.clone())
        .logins(config.logins()?)
        .poll_keys(poll_keys.clone())
        .stop(stop.clone())
        .build();
    let result = ResultService::builder(voting.store(), voting.directory(), &secrets)
        .site(with_default(result_site))
        .allow_origins(config.api_origins.clone())
        .stop(stop.clone())
        .build();
    let webhooks = config.webhooks(Arc::new(store.clone()), poll_keys.clone());
    let operator = OperatorService::builder(worker.clone(), queue, voting.store(), &token.key)
        .polls(voting.polls())
        .directory(voting.directory())
        .poll_keys(poll_keys)
        .bulk_casts(voting.bulk_sink(), &secrets)
        .webhooks(webhooks.clone())
        .site(host_site(&config, vote_at.port(), result_at.port()))
        .gate(gates.worker.clone())
        .idle_time_out(config.host_idle())
        .stop(stop);
    let operator = match config.host_logins()? {
        Some(logins) => operator.host_logins(logins),
        None => operator,
    };
    let operator = operator.build();

    let token = match &token.file {
        Some(file) => format!("token: {}", file.display()),
        None => "token: as configured".to_owned(),
    };
    services.announce("Vote", &vote_at.url(), "");
    services.announce("Result", &result_at.url(), "");
    let operator_url = format!("{}docs/", worker_at.url());
    services.announce("Operator", &operator_url, &format!(" ({token})"));
    services.announce("Host", &worker_at.url(), &format!(" ({token})"));
    services.remark(&format!(
        "Ballots:   {}\nPress Ctrl-C to stop.\n",
        database.display()
    ));
    services.name_stores(&[("ballot log", "the file"), ("tally store", "the file")]);
    config.warn_of_remarks(Service::AllInOne);
    services.serve(vote_at, vote.into_endpoint(), gates.vote);
    services.serve(result_at, result.into_endpoint(), gates.result);
    services.serve(worker_at, operator.into_endpoint(), gates.worker);

    let broken = async {
        tokio::select! {
            () = store.failed() => {
                tracing::error!("the disk failed; the next start reads what the file holds");
                Exit::AtOnce
            }
            never = keep_clearing(voting.polls(), config.kept_days(), RETENTION_ROUND) => {
                match never {}
            }
            never = webhooks.keep_sending(config.event_options().kept) => match never {},
            exit = worker.ended() => {
                tracing::error!(?exit, "the worker ended unexpectedly");
                Exit::Failed
            }
        }
    };
    let finish = async {
        // Each service has its own deadline.
        let stopped = voting.shutdown(Duration::MAX).await;
        if stopped.is_err() {
            tracing::error!("ballots stay in the log; the next start counts them");
        }
        stopped.is_ok()
    };
    Ok(services.run(broken, finish).await)
}

async fn secrets(config: &Config, store: &Sqlite) -> Result<Secrets, StartError> {
    let stats = store.queue().stats().await.map_err(StartError::Polls)?;
    let kept = Kept {
        path: &config.beside_database("secret"),
        // With another secret, the voters of these cookies would become new voters.
        may_make: stats.accepted == 0,
    };
    let (value, file) = (config.secret.as_ref(), config.secret_file.as_deref());
    let secret = resolve_secret("secret", value, file, Some(kept))?;
    Ok(config.with_other_secrets(&secret.key)?)
}

/// Checks that the voters of the ballots in the file have cookies of these secrets.
async fn hold_to_secrets(
    store: &Sqlite,
    config: &Config,
    secrets: &Secrets,
) -> Result<(), StartError> {
    let checked = store.check_secrets(&secrets.known()).await;
    checked.map(drop).map_err(|error| match error {
        StoreError::ForeignSecret { allowed, ours } => StartError::OtherSecret {
            path: config.sqlite.path.display().to_string(),
            there: allowed
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            ours: ours.to_string(),
        },
        error => StartError::SecretUnknown(error),
    })
}

fn operator_token(config: &Config) -> Result<ResolvedSecret, SecretError> {
    let kept = Kept {
        path: &config.beside_database("operator-token"),
        may_make: true,
    };
    config.operator_token(Some(kept))
}

/// Removes the example poll if other polls are configured and nobody has voted in it. Nothing uses the file yet, so no
/// ballot can be in flight.
async fn remove_left_over(store: &Sqlite, config: &Config) -> Result<(), StoreError> {
    let course = store.poll(cats_vs_dogs().id()).await?;
    let Some(course) = course.filter(|course| config.is_left_over(course)) else {
        return Ok(());
    };
    let poll = course.id();
    if store.remove_unused_poll(poll).await? {
        tracing::info!(%poll, "removed the example poll, in which nobody has voted");
    }
    Ok(())
}

/// Stores the configured polls and says which one is at `/`.
async fn set_up_polls(
    store: &Sqlite,
    config: &Config,
    keys: &PollKeyWrap,
) -> Result<Option<PollId>, StartError> {
    let failed = StartError::Polls;
    let keyed = config.keyed_polls(store, Some(keys.clone()));
    config.put_polls(&keyed).await.map_err(failed)?;
    remove_left_over(store, config).await.map_err(failed)?;
    let first = match &config.polls {
        Some(polls) => polls.first().map(|poll| poll.id().clone()),
        None => Some(cats_vs_dogs().id().clone()),
    };
    let Some(default) = config.default_poll.clone().or(first) else {
        return Ok(None);
    };
    if store.poll(&default).await.map_err(failed)?.is_some() {
        return Ok(Some(default));
    }
    // The settings still name it. The oldest poll takes its place.
    if store.is_deleted(&default).await.map_err(failed)? {
        tracing::warn!(poll = %default, "the poll at / was deleted; the oldest one takes its place");
        return Ok(None);
    }
    match config.default_poll {
        Some(_) => Err(StartError::DefaultPoll(default)),
        None => Ok(Some(default)),
    }
}
