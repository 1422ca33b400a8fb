//! Serves requests, and stops in order.

use std::{
    env,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use poem::{Endpoint, Response, endpoint::ToDynEndpoint};
use tokio::{runtime::Handle, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use voting_core::{BallotQueue, pipeline::worker::ProgressWatch};
use voting_http::{Gate, ServeOptions, serve};
use voting_signals::StopSignals;

use crate::{
    runtime::{
        cores::Cores,
        listener::{Inherited, Listener},
        logging,
        start_error::StartError,
        supervisor::{self, Lookout, Watchdog},
    },
    settings::{config::Config, log::LogFormat},
};

/// A supervisor commonly waits 30 s before it kills the process.
const DEADLINE: Duration = Duration::from_secs(25);

/// The source of requests to stop.
#[derive(Debug, Clone)]
pub enum StopOn {
    /// A signal to the process. A second signal ends the process at once.
    Signal,
    /// This token, for example in a test that runs the service in its own process.
    Cancel(CancellationToken),
}

/// A [`StopOn`] that is being listened to.
#[derive(Debug)]
enum Stop {
    Signal(StopSignals),
    Cancel(Option<CancellationToken>),
}

impl Stop {
    fn listen(on: StopOn) -> Result<Self, StartError> {
        match on {
            StopOn::Signal => StopSignals::listen()
                .map(Self::Signal)
                .map_err(StartError::Signals),
            StopOn::Cancel(token) => Ok(Self::Cancel(Some(token))),
        }
    }

    /// Waits until the services are asked to stop. A second call waits for the next such request.
    async fn asked(&mut self) {
        match self {
            Self::Signal(signals) => signals.next().await,
            Self::Cancel(token) => {
                match token {
                    Some(token) => token.cancelled().await,
                    None => std::future::pending().await,
                }
                *token = None;
            }
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The process was asked to stop, and nothing was left undone.
    Clean,
    /// The process ended by itself, or left something undone.
    Failed,
    /// The process ended without waiting for anything.
    AtOnce,
}

/// The services of a process.
pub struct Services {
    servers: JoinSet<bool>,
    inherited: Inherited,
    watchdog: Watchdog,
    lookout: Lookout,
    log_format: LogFormat,
    asked: Stop,
    leaving: CancellationToken,
    stop: CancellationToken,
    drain_delay: Duration,
    /// Where connections are served, if not where they are accepted.
    cores: Option<Cores>,
}

impl Services {
    /// Starts without any service. If signals are to stop the services, no signal ends the process by itself from now
    /// on.
    ///
    /// # Errors
    /// [`StartError::Signals`].
    pub fn new(config: &Config, stop: StopOn) -> Result<Self, StartError> {
        let program = env::args_os().next().unwrap_or_default();
        let program = Path::new(&program).file_name().unwrap_or_default();
        tracing::info!(?program, version = env!("CARGO_PKG_VERSION"), "starting");
        Ok(Self {
            servers: JoinSet::new(),
            inherited: Inherited::take(),
            watchdog: Watchdog::default(),
            lookout: Lookout::default(),
            log_format: config.log_format,
            asked: Stop::listen(stop)?,
            leaving: CancellationToken::new(),
            stop: CancellationToken::new(),
            drain_delay: Duration::from_millis(config.drain_delay_ms),
            cores: None,
        })
    }

    /// Serves all connections on a thread of each core but one, each with a runtime of its own. Returns these runtimes. It
    /// is called before [`Services::serve`].
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub fn on_each_core(&mut self) -> Result<&[Handle], StartError> {
        let cores = Cores::start().map_err(StartError::Threads)?;
        self.watchdog.runtimes = cores.runtimes().to_vec();
        Ok(self.cores.insert(cores).runtimes())
    }

    /// This token is cancelled when the services are to stop. From then on they are not ready.
    pub fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// A socket that listens. If a supervisor has passed sockets on, it is the one with this name; otherwise it is a
    /// new one at `address`, where port 0 takes a free port.
    ///
    /// # Errors
    /// [`StartError::Listen`] names `what` was to be served. It is also an error if sockets were passed on, but not
    /// this one, or if this one cannot serve.
    pub async fn listen(
        &mut self,
        name: &'static str,
        what: &'static str,
        address: SocketAddr,
    ) -> Result<Listener, StartError> {
        match self.inherited.named(name)? {
            Some(listener) => Ok(listener),
            None => Listener::bind(what, address).await,
        }
    }

    /// Reports the process as alive only while this worker makes progress, or tries again because a store fails. The
    /// status also says how many ballots wait for the workers.
    pub fn watch(&mut self, mut worker: ProgressWatch, queue: Arc<dyn BallotQueue>) {
        self.lookout.worker = Some((worker.clone(), queue));
        // The start of the worker is its first sign of life.
        worker.mark_changed();
        self.watchdog.worker = Some(worker);
    }

    /// Sets the stores behind the needs of the services, in the words of an operator.
    pub fn name_stores(&mut self, stores: &'static [(&'static str, &'static str)]) {
        self.lookout.stores = stores;
    }

    /// Prints the address of a service, as a line for people or as JSON.
    pub fn announce(&self, service: &str, address: &str, more: &str) {
        announce(&match self.log_format {
            LogFormat::Text => format!("{:<11}{address}{more}\n", format!("{service}:")),
            LogFormat::Json => {
                let service = service.to_lowercase();
                let fields = [("service", service.as_str()), ("address", address)];
                format!("{}\n", logging::object("INFO", "serving", &fields))
            }
        });
    }

    /// Prints a text, if the log format is for people.
    pub fn remark(&self, text: &str) {
        if self.log_format == LogFormat::Text {
            announce(text);
        }
    }

    /// Serves an endpoint. Its service must have the same gate.
    pub fn serve<E>(&mut self, listener: Listener, endpoint: E, gate: Gate)
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let options = ServeOptions {
            gate,
            // This time, the longest drain delay before it and the work after it fit into DEADLINE.
            drain: Duration::from_secs(7),
            runtimes: self
                .cores
                .as_ref()
                .map_or_else(Vec::new, |cores| cores.runtimes().to_vec()),
            ..ServeOptions::default()
        };
        let stop = self.stop.clone();
        let endpoint = Arc::new(endpoint);
        let watched = ToDynEndpoint(Arc::clone(&endpoint));
        let watched: supervisor::Service = Arc::new(watched);
        self.lookout.services.push(Arc::clone(&watched));
        self.watchdog.services.push(watched);
        self.servers
            .spawn(serve(listener.into_socket(), endpoint, options, stop));
    }

    /// Runs until a signal comes, or until a part fails: a server or `broken`. Then it stops in this order: the
    /// services are no longer ready; after the drain delay they accept no new requests; requests in flight are
    /// answered; `finish` runs, and says whether everything was done.
    pub async fn run(
        mut self,
        broken: impl Future<Output = Exit>,
        finish: impl Future<Output = bool>,
    ) -> Exit {
        supervisor::ready();
        tokio::spawn(std::mem::take(&mut self.watchdog).feed());
        let lookout = tokio::spawn(std::mem::take(&mut self.lookout).look());
        let asked = tokio::select! {
            () = self.asked.asked() => true,
            exit = broken => {
                if exit == Exit::AtOnce {
                    return exit;
                }
                false
            }
            server = self.servers.join_next() => {
                tracing::error!(?server, "a server ended unexpectedly");
                false
            }
        };
        tracing::info!("stopping; a second signal ends the process at once");
        // Otherwise the last status of the lookout would stay until the end.
        lookout.abort();
        supervisor::stopping();
        self.leaving.cancel();
        let ending = async {
            sleep(self.drain_delay).await;
            self.stop.cancel();
            let mut served = true;
            while let Some(server) = self.servers.join_next().await {
                served &= server.unwrap_or(false);
            }
            if !served {
                tracing::warn!("some requests did not end in time");
            }
            finish.await
        };
        let finished = tokio::select! {
            finished = ending => finished,
            () = self.asked.asked() => return Exit::AtOnce,
            () = sleep(DEADLINE) => {
                tracing::error!("stopping took too long; what is left is for the next start");
                return Exit::AtOnce;
            }
        };
        if asked && finished {
            Exit::Clean
        } else {
            Exit::Failed
        }
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services")
            .field("servers", &self.servers.len())
            .finish_non_exhaustive()
    }
}

/// Writes a text to the standard output.
pub fn announce(text: &str) {
    // If nothing reads the output, the process continues.
    let _ = io::stdout().write_all(text.as_bytes());
}
