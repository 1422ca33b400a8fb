//! Runs the load on its own thread.

use std::{io, sync::Arc, thread, time::Duration};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    casting::{
        caster::Caster,
        pace::Pacer,
        shared::Shared,
        voters::Voters,
        watch::{Shown, follow},
    },
    counts::Counts,
    history::History,
    http::Place,
    plan::{InvalidPlan, Plan},
};

/// How long the result service may take to show the tally before the first ballot.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// If the tally does not change for this long, no further ballot is waited for.
const LAST_LOOK: Duration = Duration::from_secs(3);

/// Why a load does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The plan is not valid.
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    /// The system does not start a thread.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

/// A running load, on its own thread. If it is dropped, it ends soon and its history is lost.
pub struct Load {
    shared: Arc<Shared>,
    stop: CancellationToken,
    cast: CancellationToken,
    over: CancellationToken,
    history: oneshot::Receiver<History>,
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Load {
    /// Starts the load.
    ///
    /// # Errors
    /// The plan is not valid, or a thread cannot be started.
    pub fn start(plan: Plan) -> Result<Self, StartError> {
        plan.check()?;
        let watched = plan.watch.as_deref().map(Place::parse).transpose()?;
        let shared = Arc::new(Shared::new(parse(&plan.votes)?, plan));
        let [stop, cast, over] = [(); 3].map(|()| CancellationToken::new());
        let (send, history) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let load = Arc::clone(&shared);
        let (stopped, all_cast, done) = (stop.clone(), cast.clone(), over.clone());
        // One thread handles tens of thousands of ballots a second, and leaves the other cores to the services.
        thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let known = runtime.block_on(run(&load, watched, &stopped, &all_cast));
                // The receiver may have been dropped.
                let _ = send.send(known);
                done.cancel();
            })?;
        Ok(Self {
            shared,
            stop,
            cast,
            over,
            history,
        })
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// The median and the 99th percentile of the time to an acknowledgement since the last call; zero if there was
    /// none.
    pub fn take_latencies(&self) -> [Duration; 2] {
        self.shared.voters().take_latencies()
    }

    /// Sends further ballots to these services, for example after some of them were replaced. Ballots in flight to
    /// other services are still waited for.
    ///
    /// # Errors
    /// The list is empty, or an address is not valid. Then nothing changes.
    pub fn redirect(&self, votes: &[String]) -> Result<(), InvalidPlan> {
        self.shared.redirect(parse(votes)?);
        Ok(())
    }

    /// Waits until each ballot of the plan has an outcome.
    pub async fn cast(&self) {
        self.cast.cancelled().await;
    }

    /// Waits until the plan is done, and until watched ballots are visible. It does not end the load: a plan without
    /// a number of ballots and without a duration continues until [`Load::stop`].
    pub async fn done(&self) {
        self.over.cancelled().await;
    }

    /// Ends the load, waits for ballots in flight, and returns what the voters know.
    ///
    /// # Panics
    /// The load panicked, which is a fault in it.
    pub async fn stop(mut self) -> History {
        self.stop.cancel();
        (&mut self.history).await.expect("the load does not panic")
    }
}

fn parse(votes: &[String]) -> Result<Arc<[Place]>, InvalidPlan> {
    if votes.is_empty() {
        return Err(InvalidPlan::NoVote);
    }
    votes.iter().map(|url| Place::parse(url)).collect()
}

async fn run(
    shared: &Arc<Shared>,
    watched: Option<Place>,
    stop: &CancellationToken,
    cast: &CancellationToken,
) -> History {
    let (shows, mut shown) = watch::channel(None::<Shown>);
    let mut tasks = JoinSet::new();
    if let Some(place) = watched {
        tasks.spawn(follow(place, shared.plan.poll.clone(), shows));
        // The voters before the load.
        let first = timeout(FIRST_LOOK, shown.wait_for(Option::is_some)).await;
        let before = first.ok().and_then(Result::ok).and_then(|shown| *shown);
        if let Some(before) = before {
            let shared = Arc::clone(shared);
            let mut shown = shown.clone();
            tasks.spawn(async move {
                while shown.changed().await.is_ok() {
                    if let Some(now) = *shown.borrow_and_update() {
                        let voters = now.voters.saturating_sub(before.voters);
                        shared.voters().visible(voters, now.at);
                    }
                }
            });
        }
    }
    let pacer = Pacer::start(&shared.plan, Arc::clone(&shared.counters), stop.clone());
    let mut casters = JoinSet::new();
    for _ in 0..shared.plan.casters() {
        casters.spawn(Caster::new(Arc::clone(shared)).run(Arc::clone(&pacer)));
    }
    while casters.join_next().await.is_some() {}
    cast.cancel();
    while shared.voters().invisible() > 0 {
        let moved = timeout(LAST_LOOK, shown.changed()).await;
        if !matches!(moved, Ok(Ok(()))) {
            break;
        }
        // The other task sees the change too. This lets it run first.
        tokio::task::yield_now().await;
    }
    tasks.shutdown().await;
    let plan = &shared.plan;
    let empty = Voters::new(plan, Arc::clone(&shared.counters));
    std::mem::replace(&mut *shared.voters(), empty).into_history()
}
