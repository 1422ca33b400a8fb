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
    PollId, PollStore, StoreError, Worker, WorkerHandle,
    sqlite::{OpenError, Sqlite, SqliteOptions},
    worker::WorkerExit,
};
use voting_http::{
    PeerLink, Pipeline, PublicUrl, ResultService, ServeOptions, Site, VoteService, WorkerService,
    serve,
};

use crate::{
    config::Config,
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
    #[error("cannot set up poll {0}")]
    Poll(PollId, #[source] StoreError),
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
    operator_token: PathBuf,
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
        let secret = secrets::find(
            "secret",
            config.secret.as_ref(),
            config.secret_file.as_deref(),
            &beside("secret"),
        )?;
        let kept_token = beside("operator-token");
        let operator_token = secrets::find(
            "worker.token",
            config.worker.token.as_ref(),
            config.worker.token_file.as_deref(),
            &kept_token,
        )?;
        for poll in &config.polls {
            let put = store.put_poll(poll).await;
            put.map_err(|error| StartError::Poll(poll.id().clone(), error))?;
        }

        let (vote_socket, vote_at) = listen("the voting page", config.vote.listen).await?;
        let (result_socket, result_at) = listen("the result page", config.result.listen).await?;
        let (worker_socket, worker_at) = listen("the operator's API", config.worker.listen).await?;

        let stop = CancellationToken::new();
        let default_poll = config.default_poll.clone();
        let default_poll =
            default_poll.or_else(|| config.polls.first().map(|poll| poll.id().clone()));
        let site = |own: &Option<PublicUrl>, peer: &Option<PublicUrl>, peer_at: SocketAddr| Site {
            public_url: own.clone(),
            peer: match peer {
                Some(url) => PeerLink::Url(url.clone()),
                None => PeerLink::Port(peer_at.port()),
            },
            default_poll: default_poll.clone(),
            served_by: gethostname::gethostname().to_string_lossy().into_owned(),
            stop: stop.clone(),
        };
        let (vote_url, result_url) = (&config.vote.public_url, &config.result.public_url);

        let all = Arc::new(store.clone());
        let queue = Arc::new(store.queue());
        let worker = Worker::new(
            queue.clone(),
            all.clone(),
            all.clone(),
            config.worker_options(),
        );
        let worker = worker.start();
        let vote = VoteService::new(
            Arc::new(store.sink()),
            all.clone(),
            &secret,
            site(vote_url, result_url, result_at),
        );
        let result = ResultService::new(
            all.clone(),
            all.clone(),
            &secret,
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
        let operator = WorkerService::new(pipeline, &operator_token, stop.clone());

        let mut servers = JoinSet::new();
        let options = ServeOptions::default();
        servers.spawn(serve(
            vote_socket,
            vote.into_endpoint(),
            options,
            stop.clone(),
        ));
        servers.spawn(serve(
            result_socket,
            result.into_endpoint(),
            options,
            stop.clone(),
        ));
        servers.spawn(serve(
            worker_socket,
            operator.into_endpoint(),
            options,
            stop.clone(),
        ));
        Ok(Self {
            addresses: [vote_at, result_at, worker_at],
            operator_token: config.worker.token_file.unwrap_or(kept_token),
            database,
            servers,
            worker,
            signals,
            stop,
        })
    }

    /// Says where to click.
    pub(crate) fn announce(&self) {
        let [vote, result, worker] = self.addresses.map(browsable);
        let (token, database) = (self.operator_token.display(), self.database.display());
        let text = format!(
            "Vote:      {vote}\n\
             Result:    {result}\n\
             Operator:  {worker}docs/ (token: {token})\n\
             Ballots:   {database}\n\
             Press Ctrl-C to stop.\n"
        );
        // Whoever started it may not be reading; that is no reason to stop.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    /// Runs until a signal, or until a part fails, then stops in order: no new requests, those
    /// in flight answered, all ballots counted. Returns whether all of that went well.
    pub(crate) async fn run(mut self) -> bool {
        let asked = tokio::select! {
            () = self.signals.next() => true,
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
            self.worker.stop().await
        };
        let exit = tokio::select! {
            exit = ending => exit,
            () = self.signals.next() => return false,
        };
        if exit != WorkerExit::Clean {
            tracing::error!(?exit, "ballots stay in the log; the next start counts them");
        }
        asked && exit == WorkerExit::Clean
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
