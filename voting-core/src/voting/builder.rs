//! Puts the parts of a [`Voting`] together, and starts them.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use futures_util::future::{BoxFuture, join};

use super::{Inner, Voting};
use crate::{
    error::{StoreError, in_one_line},
    log::{Log, SeparateLog},
    model::poll_key::PollKeyWrap,
    pipeline::{
        closing,
        coordinator::Coordinator,
        group_commit::{GroupCommit, GroupCommitOptions},
        observe::{ObserveOptions, keep_observing},
        poll_keys::{KeyedPolls, rewrap_all},
        rule::BallotRule,
        schedule::{Published, ScheduledPolls},
        worker::{AfterFlush, Worker, WorkerOptions},
    },
    store::{SeparateStore, Store},
};

/// How often polls that are to close are moved on, where log and store are one.
const CLOSING_STEP: Duration = Duration::from_millis(500);

/// What a [`Voting`] is made of; see [`Voting::embedded`] and [`Voting::over`].
#[must_use = "nothing runs before `start`"]
pub struct VotingBuilder {
    parts: Parts,
    sink: GroupCommitOptions,
    worker: WorkerOptions,
    rule: Option<Arc<dyn BallotRule>>,
    hook: Option<Arc<dyn AfterFlush>>,
    keys: Option<PollKeyWrap>,
    pseudonyms: bool,
    observing: ObserveOptions,
}

/// Where ballots wait, and where they are counted.
enum Parts {
    Together {
        log: Arc<dyn Log>,
        store: Arc<dyn Store>,
    },
    Apart {
        log: Arc<dyn Log>,
        separate: Arc<dyn SeparateLog>,
        store: Arc<dyn SeparateStore>,
    },
}

impl Voting {
    /// A system on one back end that is log and store in one, such as
    /// [`Memory`](crate::backends::memory::Memory) or [`Sqlite`](crate::backends::sqlite::Sqlite).
    pub fn embedded<B: Log + Store>(backend: B) -> VotingBuilder {
        let backend = Arc::new(backend);
        VotingBuilder::new(Parts::Together {
            log: Arc::clone(&backend) as _,
            store: backend,
        })
    }

    /// The same where the log and the store are two types, such as a log of your own beside
    /// [`Memory`](crate::backends::memory::Memory). They must live and die together: if one is restored from a backup
    /// or made anew while the other stays, take [`over`](Self::over).
    pub fn of_parts(log: impl Log + 'static, store: impl Store) -> VotingBuilder {
        VotingBuilder::new(Parts::Together {
            log: Arc::new(log),
            store: Arc::new(store),
        })
    }

    /// A system on a log and a store that are apart. Of the built-in back ends these are `Redis` and `Postgres`, whose
    /// schema must be there (`Postgres::migrate`); another log implements [`SeparateLog`], another store
    /// [`AppliedStore`](crate::store::AppliedStore). Other processes may run vote services and workers on the same two.
    /// A [`Coordinator`] runs inside.
    pub fn over<L, S>(log: L, store: S) -> VotingBuilder
    where
        L: Log + SeparateLog + 'static,
        S: SeparateStore,
    {
        let log = Arc::new(log);
        VotingBuilder::new(Parts::Apart {
            log: Arc::clone(&log) as _,
            separate: log,
            store: Arc::new(store),
        })
    }
}

impl VotingBuilder {
    fn new(parts: Parts) -> Self {
        Self {
            parts,
            sink: GroupCommitOptions::default(),
            worker: WorkerOptions::default(),
            rule: None,
            hook: None,
            keys: None,
            pseudonyms: false,
            observing: ObserveOptions::default(),
        }
    }

    /// Options of the [events](crate::store::events) that no change of a poll makes, and how long events are kept.
    pub fn observing(mut self, options: ObserveOptions) -> Self {
        self.observing = options;
        self
    }

    /// How ballots are gathered on their way into the log.
    pub fn sink_options(mut self, options: GroupCommitOptions) -> Self {
        self.sink = options;
        self
    }

    /// When the worker flushes, and how long it waits for a store.
    pub fn worker_options(mut self, options: WorkerOptions) -> Self {
        self.worker = options;
        self
    }

    /// Which ballots count, beside what their polls say. [`Voting::cast`] asks the rule, and the worker asks it.
    pub fn validate(mut self, rule: impl BallotRule + 'static) -> Self {
        self.rule = Some(Arc::new(rule));
        self
    }

    /// What is called after each flush.
    pub fn after_flush(mut self, hook: impl AfterFlush + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Gives each new poll with codes a [key](crate::model::poll_key), wrapped under this one. The vote service needs the same
    /// keys.
    pub fn poll_keys(mut self, keys: PollKeyWrap) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Whether a voter with a cookie has another id in each new poll for everybody. Needs [`poll_keys`](Self::poll_keys). By
    /// default voters have the same id in all of them.
    pub fn voter_pseudonyms(mut self, pseudonyms: bool) -> Self {
        self.pseudonyms = pseudonyms;
        self
    }

    /// Starts the sink, the worker, and what closes polls, as tasks of the current tokio runtime.
    ///
    /// # Errors
    /// A log or a store that are apart could not be brought in line: one of them does not answer, or the store was
    /// put back to an earlier state. Later failures are logged and waited out.
    pub async fn start(self) -> Result<Voting, StoreError> {
        let parts = match self.parts {
            Parts::Together { log, store } => Started {
                queue: log.reader(),
                polls: Arc::new(ScheduledPolls::new(Arc::clone(&log), Arc::clone(&store))),
                directory: Arc::new(Published(Arc::clone(&store))),
                worker_polls: Arc::clone(&store) as _,
                flusher: Arc::clone(&store) as _,
                log,
                store,
                coordinator: None,
            },
            Parts::Apart {
                log,
                separate,
                store,
            } => {
                let queue = log.reader();
                let coordinator = Coordinator::new(
                    Arc::clone(&separate),
                    Arc::clone(&queue),
                    Arc::clone(&store),
                );
                // No ballot may come before the log's ids are above those of the store.
                coordinator.round().await?;
                Started {
                    queue,
                    polls: coordinator.polls(),
                    directory: separate,
                    worker_polls: coordinator.guarded(),
                    flusher: coordinator.guarded(),
                    log,
                    store,
                    coordinator: Some(coordinator),
                }
            }
        };
        if let Some(keys) = &self.keys {
            rewrap_all(&parts.polls, keys).await?;
        }
        let mut worker = Worker::new(
            Arc::clone(&parts.queue),
            parts.worker_polls,
            parts.flusher,
            self.worker,
        );
        if let Some(rule) = &self.rule {
            worker = worker.with_rule(Arc::clone(rule));
        }
        if let Some(hook) = self.hook {
            worker = worker.after_flush(hook);
        }
        let worker = worker.start();
        let observing = keep_observing(
            Arc::clone(&parts.store),
            Arc::clone(&parts.queue),
            self.observing,
        );
        let keeping: BoxFuture<'static, ()> = match parts.coordinator.clone() {
            Some(coordinator) => Box::pin(async move {
                let Err(error) = coordinator.run(|| std::future::ready(Ok(()))).await;
                tracing::error!(
                    error = in_one_line(&error),
                    "the coordinator has ended; polls do not close"
                );
            }),
            None => Box::pin(closing::keep_advancing(
                Arc::clone(&parts.log) as _,
                Arc::clone(&parts.queue),
                Arc::clone(&parts.polls),
                CLOSING_STEP,
            )),
        };
        let keeper = tokio::spawn(async move {
            join(keeping, observing).await;
        });
        Ok(Voting(Arc::new(Inner {
            sink: Arc::new(GroupCommit::new(Arc::clone(&parts.log) as _, self.sink)),
            bulk: OnceLock::new(),
            log: parts.log,
            queue: parts.queue,
            store: parts.store,
            polls: Arc::new(
                KeyedPolls::new(parts.polls, self.keys).with_pseudonyms(self.pseudonyms),
            ),
            directory: parts.directory,
            coordinator: parts.coordinator,
            rule: self.rule,
            worker,
            keeper: Mutex::new(Some(keeper)),
        })))
    }
}

/// The parts as the sink, the worker and the services see them.
struct Started {
    log: Arc<dyn Log>,
    queue: Arc<dyn crate::BallotQueue>,
    store: Arc<dyn Store>,
    polls: Arc<dyn crate::PollStore>,
    directory: Arc<dyn crate::PollDirectory>,
    worker_polls: Arc<dyn crate::PollDirectory>,
    flusher: Arc<dyn crate::BatchFlusher>,
    coordinator: Option<Coordinator>,
}

impl fmt::Debug for VotingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VotingBuilder")
            .field("sink", &self.sink)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
