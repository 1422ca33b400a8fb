//! Puts the parts together, runs them, and takes them down in order.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use voting_core::{
    BallotQueue, GroupCommit, PollDirectory, PollId, PollStore, StoreError, Worker, WorkerHandle,
    sqlite::{OpenError, Sqlite, SqliteOptions},
    worker::WorkerExit,
};
use voting_http::{
    PeerLink, Pipeline, PublicUrl, ResultService, ServeOptions, Site, VoteService, WorkerService,
    serve,
};

use crate::{
    config::{self, Config},
    secrets::{self, SecretError},
    signals::StopSignals,
};

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
    #[error("cannot serve {what} on {address}")]
    Listen {
        what: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// The running system.
pub(crate) struct App {
    addresses: [SocketAddr; 3],
    database: PathBuf,
    operator_token: Option<PathBuf>,
    store: Sqlite,
    sink: Arc<GroupCommit>,
    servers: JoinSet<bool>,
    worker: WorkerHandle,
    signals: StopSignals,
    stop: CancellationToken,
}

async fn listen(
    what: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        what,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl App {
    /// Opens the store and the sockets and starts everything.
    pub(crate) async fn start(config: Config) -> Result<Self, StartError> {
        let signals = StopSignals::listen().map_err(StartError::Signals)?;
        let database = config.sqlite.path.clone();
        let beside = |name: &str| database.parent().unwrap_or(Path::new("")).join(name);
        let store = Sqlite::open(&database, SqliteOptions::default())?;
        // Cookies that were signed with another secret would make voters anew.
        let untouched = is_untouched(&store).await.map_err(StartError::Polls)?;
        let secret = secrets::find(
            "secret",
            config.secret.as_ref(),
            config.secret_file.as_deref(),
            &beside("secret"),
            untouched,
        )?;
        let operator_token = secrets::find(
            "worker.token",
            config.worker.token.as_ref(),
            config.worker.token_file.as_deref(),
            &beside("operator-token"),
            true,
        )?;
        let default_poll = set_up_polls(&store, &config).await?;

        let (vote_socket, vote_at) = listen("the voting page", config.vote.listen).await?;
        let (result_socket, result_at) = listen("the result page", config.result.listen).await?;
        let (worker_socket, worker_at) = listen("the operator's API", config.worker.listen).await?;

        let stop = CancellationToken::new();
        let site = |own: &Option<PublicUrl>, peer: &Option<PublicUrl>, peer_at: SocketAddr| Site {
            public_url: own.clone(),
            peer: match (own, peer) {
                (_, Some(url)) => PeerLink::Url(url.clone()),
                (None, None) => PeerLink::Port(peer_at.port()),
                // Behind a proxy the peer's port is not for voters.
                (Some(_), None) => PeerLink::None,
            },
            default_poll: default_poll.clone(),
            served_by: gethostname::gethostname().to_string_lossy().into_owned(),
            stop: stop.clone(),
        };
        let (vote_url, result_url) = (&config.vote.public_url, &config.result.public_url);

        if vote_url.is_some() != result_url.is_some() {
            tracing::warn!(
                "only one of vote.public_url and result.public_url is set: its pages have no link to the other"
            );
        }

        let all = Arc::new(store.clone());
        let queue = Arc::new(store.queue());
        let worker = Worker::new(
            queue.clone(),
            all.clone(),
            all.clone(),
            config.worker_options(),
        );
        let worker = worker.start();
        let sink = Arc::new(store.sink());
        let vote = VoteService::new(
            sink.clone(),
            all.clone(),
            &secret.key,
            site(vote_url, result_url, result_at),
        );
        let result = ResultService::new(
            all.clone(),
            all.clone(),
            &secret.key,
            site(result_url, vote_url, vote_at),
        );
        let pipeline = Pipeline {
            worker: worker.clone(),
            queue,
            flusher: all.clone(),
            tallies: all.clone(),
            polls: all.clone(),
            dead_letters: all,
        };
        let operator = WorkerService::new(pipeline, &operator_token.key, stop.clone());

        let mut servers = JoinSet::new();
        let with = |max_connections| ServeOptions {
            max_connections,
            ..ServeOptions::default()
        };
        let parts = [
            (
                vote_socket,
                vote.into_endpoint(),
                with(config.vote.max_connections),
            ),
            (
                result_socket,
                result.into_endpoint(),
                with(config.result.max_connections),
            ),
            (worker_socket, operator.into_endpoint(), with(1_000)),
        ];
        for (socket, endpoint, options) in parts {
            servers.spawn(serve(socket, endpoint, options, stop.clone()));
        }
        Ok(Self {
            addresses: [vote_at, result_at, worker_at],
            operator_token: operator_token.file,
            database,
            store,
            sink,
            servers,
            worker,
            signals,
            stop,
        })
    }

    /// Says where to click.
    pub(crate) fn announce(&self) {
        let [vote, result, worker] = self.addresses.map(browsable);
        let database = self.database.display();
        let token = match &self.operator_token {
            Some(file) => format!("token: {}", file.display()),
            None => "token: as configured".to_owned(),
        };
        let text = format!(
            "Vote:      {vote}\n\
             Result:    {result}\n\
             Operator:  {worker}docs/ ({token})\n\
             Ballots:   {database}\n\
             Press Ctrl-C to stop.\n"
        );
        // Whoever started it may not be reading; that is no reason to stop.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    /// Runs until a signal, or until a part fails, then stops in order: no new requests, those
    /// in flight answered, all ballots written, all ballots counted.
    pub(crate) async fn run(mut self) -> Exit {
        let asked = tokio::select! {
            () = self.signals.next() => true,
            () = self.store.failed() => {
                tracing::error!("the disk has failed; the next start sees what the file holds");
                return Exit::AtOnce;
            }
            exit = self.worker.ended() => {
                tracing::error!(?exit, "the worker has ended by itself");
                false
            }
            server = self.servers.join_next() => {
                tracing::error!(?server, "a server has ended by itself");
                false
            }
        };
        tracing::info!("stopping; a second signal ends the process at once");
        self.stop.cancel();
        let ending = async {
            let mut served = true;
            while let Some(server) = self.servers.join_next().await {
                served &= server.unwrap_or(false);
            }
            if !served {
                tracing::warn!("some requests did not end in time");
            }
            self.sink.close().await;
            self.worker.stop().await
        };
        let exit = tokio::select! {
            exit = ending => exit,
            () = self.signals.next() => return Exit::AtOnce,
        };
        if exit != WorkerExit::Clean {
            tracing::error!(?exit, "ballots stay in the log; the next start counts them");
        }
        if asked && exit == WorkerExit::Clean {
            Exit::Clean
        } else {
            Exit::Failed
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As it was asked to, with nothing left to do.
    Clean,
    /// By itself, or with ballots left in the log.
    Failed,
    /// With no time to wait for anything.
    AtOnce,
}

/// Whether no ballot was ever cast into the file.
async fn is_untouched(store: &Sqlite) -> Result<bool, StoreError> {
    Ok(store.queue().stats().await?.accepted == 0)
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
            let poll = config::cats_vs_dogs();
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

/// An address as a person would type it.
fn browsable(address: SocketAddr) -> String {
    let port = address.port();
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        return format!("http://localhost:{port}/");
    }
    format!("http://{address}/")
}
