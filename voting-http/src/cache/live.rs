//! Live tallies. Any number of readers costs the store as much as one reader: all requests within a tick get the same
//! snapshot, and the event streams of a poll share one read of the store in each pause. The pauses are short while
//! the tally changes and few watch, and a tick at most. The reads stop while nobody watches.
//!
//! While the store cannot be read, viewers see the last snapshot, with the time since when it may be out of date.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use poem_openapi::types::ToJSON;
use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};
use voting_core::{
    Poll, PollId, StoreError, Tally, TallyStore,
    error::in_one_line,
    model::{
        moment::Moment,
        poll::{Phase, Shown, Viewer},
    },
};

use crate::{
    cache::{
        live_metrics::LiveMetrics,
        polls::Polls,
        sent::{Earlier, Sent},
    },
    problem::{Problem, trouble::Trouble},
    texts::{LANGUAGES, Texts},
    views::{
        hidden_words::why_hidden, poll_view::StateView, result_texts::ResultTexts, since::Since,
        tally_view::TallyView, turnout::turnout,
    },
};

/// The greatest age of a tally that is shown as current. Also the longest pause between two reads for event streams.
const TICK: Duration = Duration::from_millis(250);

/// The shortest pause between two reads for event streams.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// The pause is at least this for each event stream of the poll. To write a change to a stream takes 10 µs.
const PER_VIEWER: Duration = Duration::from_micros(25);

/// The pause is at least this for each poll that is watched, so that many polls cause no more than 200 reads a second,
/// or as many as with pauses of a tick.
const PER_POLL: Duration = Duration::from_millis(5);

/// The pause is at least this many times as long as the last read took.
const PER_READ: u32 = 20;

/// The pause is at least this part of the time since the last change, up to [`QUIET`].
const OF_QUIET: u32 = 16;

/// The pause for a tally that has not changed for some seconds. It is short enough for the first vote after that.
const QUIET: Duration = Duration::from_millis(100);

/// How long one read of the store may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long reads may fail before viewers are told.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// A tally, and the poll by whose rule it is shown.
#[derive(Debug)]
pub(crate) struct Snapshot {
    poll: Arc<Poll>,
    state: StateView,
    tally: Tally,
    figures: Figures,
}

/// A tally in all the forms in which it is sent.
#[derive(Debug)]
pub(crate) struct Figures {
    /// The tally as JSON, and what names it.
    pub(crate) sent: Arc<Sent>,
    /// The tally as a server-sent event.
    pub(crate) tally_event: Bytes,
    /// What names the tally, as a server-sent event.
    pub(crate) digest_event: Bytes,
    /// The tally in words, for each language in which it was asked for.
    languages: [OnceLock<InLanguage>; LANGUAGES],
    poll: Arc<Poll>,
    state: StateView,
    tally: Tally,
}

/// The tally in the words of a language.
#[derive(Debug)]
pub(crate) struct InLanguage {
    pub(crate) texts: ResultTexts,
    /// The texts of the result page, as JSON.
    pub(crate) json: Bytes,
    /// The texts of the result page, as a server-sent event.
    pub(crate) event: Bytes,
}

impl Snapshot {
    fn new(poll: Arc<Poll>, state: StateView, tally: Tally) -> Self {
        Self {
            figures: Figures::new(&poll, state, &tally),
            poll,
            state,
            tally,
        }
    }

    /// To whom the result is shown, and when, if it is hidden.
    pub(crate) fn why_hidden(&self, t: &Texts) -> String {
        match self.poll.shows_result(Viewer::Public, Moment::now()) {
            Shown::Yes => String::new(),
            Shown::Hidden(hidden) => why_hidden(&self.poll, &hidden, t),
        }
    }

    /// The tally for this viewer. This is the only way to it, so nothing can show a result that is hidden.
    ///
    /// # Errors
    /// [`ProblemKind::ResultHidden`](crate::problem::kind::ProblemKind::ResultHidden), if the poll's rule hides it.
    pub(crate) fn figures(&self, to: Viewer) -> Result<&Figures, Problem> {
        match self.poll.shows_result(to, Moment::now()) {
            Shown::Yes => Ok(&self.figures),
            Shown::Hidden(hidden) => {
                Err(Problem::result_hidden(&self.poll, &hidden, self.voters()))
            }
        }
    }

    /// Whether the count never changes again.
    pub(crate) fn is_final(&self) -> bool {
        self.state.is_final()
    }

    /// The tally with this digest, if it is this one or one of those before.
    ///
    /// # Errors
    /// The result is not shown to everybody.
    fn sent(&self, latest: &Latest, digest: &str) -> Result<Option<Arc<Sent>>, Problem> {
        let current = &self.figures(Viewer::Public)?.sent;
        if current.digest == digest {
            return Ok(Some(Arc::clone(current)));
        }
        Ok(lock(&latest.earlier).find(digest))
    }

    /// The voters whose ballot counts. This number is not hidden.
    pub(crate) fn voters(&self) -> u64 {
        self.tally.voters
    }

    /// How many people have voted, in words. This is not hidden.
    pub(crate) fn turnout(&self, t: &Texts) -> String {
        turnout(&self.poll, self.voters(), t)
    }
}

impl Figures {
    fn new(poll: &Arc<Poll>, state: StateView, tally: &Tally) -> Self {
        let json = TallyView::new(poll, state, tally).to_json_string();
        let tally_event = event("tally", tally.version, json.as_bytes());
        let sent = Sent::new(json, state);
        Self {
            tally_event,
            digest_event: event("digest", tally.version, &sent.pointer),
            sent: Arc::new(sent),
            languages: Default::default(),
            poll: Arc::clone(poll),
            state,
            tally: tally.clone(),
        }
    }

    /// The tally in the words of this language. All who ask for it get the same.
    pub(crate) fn in_language(&self, t: &'static Texts) -> &InLanguage {
        self.languages[t.index].get_or_init(|| {
            let texts = ResultTexts::new(&self.poll, self.state, &self.tally, t);
            // Texts and numbers can always be written.
            let json = serde_json::to_string(&texts).unwrap_or_default();
            InLanguage {
                event: event("result", texts.version, json.as_bytes()),
                json: json.into(),
                texts,
            }
        })
    }
}

fn event(name: &str, id: u64, data: &[u8]) -> Bytes {
    let head = format!("event: {name}\nid: {id}\ndata: ");
    [head.as_bytes(), data, b"\n\n"].concat().into()
}

/// A snapshot, and whether it may be out of date.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Set while the snapshot cannot be renewed.
    pub(crate) stalled: Option<Stalled>,
}

/// Says since when the snapshot may be out of date.
#[derive(Debug, Clone)]
pub(crate) struct Stalled {
    pub(crate) since: Since,
    /// The same as a server-sent event.
    pub(crate) event: Bytes,
}

impl Stalled {
    fn new(since: SystemTime) -> Self {
        let since = Since::new(since);
        let data = since.rfc3339();
        Self {
            since,
            event: format!("event: stalled\ndata: {{\"since\":\"{data}\"}}\n\n").into(),
        }
    }
}

/// Reads tallies, and keeps the latest snapshot of each poll.
#[derive(Clone)]
pub(crate) struct LiveTallies(Arc<Inner>);

struct Inner {
    store: Arc<dyn TallyStore>,
    polls: Polls,
    latest: Mutex<HashMap<PollId, Arc<Latest>>>,
    watched: Mutex<HashMap<PollId, watch::Sender<Known>>>,
    metrics: LiveMetrics,
}

/// When the store was asked, and its answer.
type Asked = (Instant, Result<Arc<Snapshot>, Problem>);

/// The last answers of the store about one poll.
struct Latest {
    /// The last answer, which may be a failure. The lock is held during a read, so that concurrent requests cause one
    /// read.
    asked: tokio::sync::Mutex<Option<Asked>>,
    /// The last answer that was not a failure.
    good: Mutex<Option<Good>>,
    /// The tallies before that, as far as everybody could see them.
    earlier: Mutex<Earlier>,
    trouble: Trouble,
}

impl Latest {
    fn of(poll: &PollId) -> Self {
        Self {
            asked: tokio::sync::Mutex::default(),
            good: Mutex::default(),
            earlier: Mutex::default(),
            trouble: Trouble::with(format!("the tally of {poll}")),
        }
    }
}

#[derive(Clone)]
struct Good {
    snapshot: Arc<Snapshot>,
    /// When the read began.
    begun: Instant,
    /// When it ended.
    at: Instant,
    clock: SystemTime,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveTallies {
    pub(crate) fn new(store: Arc<dyn TallyStore>, polls: Polls) -> Self {
        Self(Arc::new(Inner {
            store,
            polls,
            latest: Mutex::default(),
            watched: Mutex::default(),
            metrics: LiveMetrics::default(),
        }))
    }

    pub(crate) fn metrics(&self) -> &LiveMetrics {
        &self.0.metrics
    }

    fn of(&self, poll: &PollId) -> Arc<Latest> {
        let mut latest = lock(&self.0.latest);
        let of_poll = latest.entry(poll.clone());
        Arc::clone(of_poll.or_insert_with(|| Arc::new(Latest::of(poll))))
    }

    /// The current tally of a poll, at most a tick old.
    pub(crate) async fn current(&self, poll: &PollId) -> Result<Arc<Snapshot>, Problem> {
        self.younger_than(TICK, poll).await
    }

    /// The tally of a poll, at most this old.
    async fn younger_than(&self, age: Duration, poll: &PollId) -> Result<Arc<Snapshot>, Problem> {
        let latest = self.of(poll);
        let mut asked = latest.asked.lock().await;
        if let Some((at, outcome)) = &*asked
            && at.elapsed() < age
        {
            return outcome.clone();
        }
        let good = lock(&latest.good).clone();
        let (begun, clock) = (Instant::now(), SystemTime::now());
        let last = good.map(|good| good.snapshot);
        let outcome = self.ask(poll, last.clone(), &latest.trouble).await;
        if let Ok(snapshot) = &outcome {
            if let Some(last) = last.filter(|last| !Arc::ptr_eq(last, snapshot))
                && let Ok(figures) = last.figures(Viewer::Public)
            {
                // It is kept before it is replaced, so that it can be found at all times.
                lock(&latest.earlier).keep(Arc::clone(&figures.sent));
            }
            *lock(&latest.good) = Some(Good {
                snapshot: Arc::clone(snapshot),
                begun,
                at: Instant::now(),
                clock,
            });
        } else {
            self.0.metrics.failed_look_ups.inc();
        }
        *asked = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn ask(
        &self,
        poll: &PollId,
        last: Option<Arc<Snapshot>>,
        trouble: &Trouble,
    ) -> Result<Arc<Snapshot>, Problem> {
        self.0.metrics.look_ups.inc();
        // The poll is looked up each time. Its state or labels may have changed, and the answer must not show a new
        // tally beside old labels.
        let poll = self.0.polls.get_recent(poll).await?;
        let tally = timeout(READ_TIMEOUT, self.0.store.tally(poll.id())).await;
        let tally = tally.unwrap_or_else(|_| Err(StoreError::unavailable("no answer in time")));
        let tally = tally.map_err(|error| {
            trouble.failed(&error);
            Problem::store_unavailable()
        })?;
        trouble.worked();
        let tally = tally.ok_or_else(|| Problem::no_poll(poll.id().as_str()))?;
        // Somebody has opened the poll since the copy of it was read. Until then, its rule for the result could become
        // stricter, too.
        let is_outdated = tally.voters > 0 && poll.phase(Moment::now()) == Phase::Scheduled;
        let poll = match is_outdated {
            true => self.0.polls.get_now(poll.id()).await?,
            false => poll,
        };
        let state = StateView::now(&poll);
        if let Some(last) = last
            && (last.state, &last.tally) == (state, &tally)
            && last.poll == poll
        {
            return Ok(last);
        }
        Ok(Arc::new(Snapshot::new(poll, state, tally)))
    }

    /// The current tally of a poll. If the store cannot be read, it is the last one that was read.
    pub(crate) async fn known(&self, poll: &PollId) -> Result<Known, Problem> {
        let latest = self.of(poll);
        let good = lock(&latest.good).clone();
        let Some(good) = good else {
            let snapshot = self.current(poll).await?;
            return Ok(Known {
                snapshot,
                stalled: None,
            });
        };
        if good.at.elapsed() < TICK {
            return Ok(Known {
                snapshot: good.snapshot,
                stalled: None,
            });
        }
        // The read goes on in its own task, even if it takes longer than a page should wait.
        let (this, id) = (self.clone(), poll.clone());
        let looking = tokio::spawn(async move { this.current(&id).await });
        match timeout(STALLED_AFTER, looking).await {
            Ok(Ok(Ok(snapshot))) => Ok(Known {
                snapshot,
                stalled: None,
            }),
            _ => Ok(Known {
                snapshot: good.snapshot,
                stalled: Some(Stalled::new(good.clock)),
            }),
        }
    }

    /// The tally with this digest, if it is the current one, or one of the last that this process has read.
    ///
    /// Another process may have read a newer tally than this one, and told its digest. So if the digest is not known, it is
    /// compared with the next tally that is read. The store is not asked more often for this.
    ///
    /// # Errors
    /// The result is not shown to everybody: then nothing is compared, so that nobody can find a hidden tally by guessing. Or
    /// no such tally is known.
    pub(crate) async fn by_digest(
        &self,
        poll: &PollId,
        digest: &str,
    ) -> Result<Arc<Sent>, Problem> {
        let arrived = Instant::now();
        let latest = self.of(poll);
        let mut snapshot = self.known(poll).await?.snapshot;
        if let Some(found) = snapshot.sent(&latest, digest)? {
            return Ok(found);
        }
        if !Sent::is_digest(digest) {
            return Err(Problem::no_tally());
        }
        let read = lock(&latest.good).clone();
        if let Some(read) = read.filter(|read| read.begun < arrived) {
            sleep_until((read.at + TICK).into()).await;
            snapshot = self.current(poll).await?;
        }
        let found = snapshot.sent(&latest, digest)?;
        found.ok_or_else(Problem::no_tally)
    }

    /// Follows the tally of a poll. The receiver has the current tally at once, and then each change. It also learns
    /// when the tally can no longer be read, and when it can be read again.
    pub(crate) async fn watch(&self, poll: &Poll) -> Result<watch::Receiver<Known>, Problem> {
        if let Some(sender) = lock(&self.0.watched).get(poll.id()) {
            return Ok(sender.subscribe());
        }
        let first = self.known(poll.id()).await?;
        let mut watched = lock(&self.0.watched);
        if let Some(sender) = watched.get(poll.id()) {
            return Ok(sender.subscribe());
        }
        let (sender, receiver) = watch::channel(first);
        watched.insert(poll.id().clone(), sender.clone());
        tokio::spawn(self.clone().follow(poll.id().clone(), sender));
        Ok(receiver)
    }

    /// Sends each change, until nobody watches.
    async fn follow(self, poll: PollId, sender: watch::Sender<Known>) {
        let (mut at, mut clock) = (Instant::now(), SystemTime::now());
        let (mut changed, mut took) = (at, Duration::ZERO);
        loop {
            let load = Load {
                viewers: sender.receiver_count(),
                polls: lock(&self.0.watched).len(),
                took,
                quiet: changed.elapsed(),
            };
            let pause = load.pause();
            tokio::time::sleep(pause).await;
            {
                // The lock is needed: otherwise a reader could subscribe to a sender that is about to be dropped.
                let mut watched = lock(&self.0.watched);
                if sender.receiver_count() == 0 {
                    watched.remove(&poll);
                    return;
                }
            }
            let (begun, asked) = (SystemTime::now(), Instant::now());
            let mut look = pin!(self.younger_than(pause, &poll));
            let outcome = tokio::select! {
                outcome = &mut look => outcome,
                () = sleep_until((at + STALLED_AFTER).into()) => {
                    stall(&sender, &poll, clock, None);
                    look.await
                }
            };
            took = asked.elapsed();
            match outcome {
                Ok(snapshot) => {
                    (at, clock) = (Instant::now(), begun);
                    if renew(&sender, &poll, snapshot) {
                        changed = at;
                    }
                }
                Err(error) if at.elapsed() >= STALLED_AFTER => {
                    stall(&sender, &poll, clock, Some(&error));
                }
                Err(_) => {}
            }
        }
    }
}

/// On what the pause between two reads for the event streams of a poll depends.
struct Load {
    /// The event streams of the poll.
    viewers: usize,
    /// The polls that are watched.
    polls: usize,
    /// How long the last read took.
    took: Duration,
    /// How long ago the last change was seen.
    quiet: Duration,
}

impl Load {
    fn pause(&self) -> Duration {
        let times = |cost: Duration, number: usize| {
            cost.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
        };
        let causes = [
            times(PER_VIEWER, self.viewers),
            times(PER_POLL, self.polls),
            self.took.saturating_mul(PER_READ),
            QUIET.min(self.quiet / OF_QUIET),
        ];
        let longest = causes.into_iter().fold(MIN_PAUSE, Duration::max);
        longest.min(TICK)
    }
}

/// Sends a new snapshot to viewers, or tells them that their snapshot is current again. Returns whether there was
/// something to send.
fn renew(sender: &watch::Sender<Known>, poll: &PollId, snapshot: Arc<Snapshot>) -> bool {
    sender.send_if_modified(|known| {
        let recovered = known.stalled.take().is_some();
        if recovered {
            tracing::info!(%poll, "the tally is refreshed again");
        }
        // If the result has not changed, the same snapshot is returned.
        let differs = !Arc::ptr_eq(&known.snapshot, &snapshot);
        known.snapshot = snapshot;
        recovered || differs
    })
}

/// Tells viewers, once, that their snapshot may be out of date.
fn stall(sender: &watch::Sender<Known>, poll: &PollId, clock: SystemTime, error: Option<&Problem>) {
    sender.send_if_modified(|known| {
        if known.stalled.is_some() {
            return false;
        }
        let error = error.map_or_else(
            || "no answer in time".to_owned(),
            |error| in_one_line(error),
        );
        tracing::warn!(%poll, error, "tally refresh failed, viewers see the last value");
        known.stalled = Some(Stalled::new(clock));
        true
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

    use async_trait::async_trait;
    use tracing::{Event, Level, Metadata, span};
    use voting_core::{
        PollOption, PollStore, Receipt, ReceiptState,
        backends::memory::Memory,
        model::{moment::Moment, new_voters::NewVoters, tally::Recount, vote_history::VoteHistory},
    };

    use super::*;

    #[test]
    fn the_pause_between_two_reads_follows_the_load() {
        let ms = Duration::from_millis;
        let pause = |viewers, polls, took, quiet| {
            let (took, quiet) = (ms(took), ms(quiet));
            Load {
                viewers,
                polls,
                took,
                quiet,
            }
            .pause()
        };
        assert_eq!(pause(1, 1, 0, 0), MIN_PAUSE);
        assert_eq!(pause(2_000, 10, 2, 800), MIN_PAUSE);
        for [viewers, polls, took, quiet] in [
            [4_000, 0, 0, 0],
            [0, 20, 0, 0],
            [0, 0, 5, 0],
            [0, 0, 0, 1_600],
        ] {
            let found = pause(viewers, polls, took as u64, quiet as u64);
            assert_eq!(found, ms(100), "{viewers} {polls} {took} {quiet}");
        }
        assert_eq!(pause(usize::MAX, 0, 0, 0), TICK);
        assert_eq!(pause(0, 0, 0, 3_600_000), QUIET);
    }

    /// A store that can be made to stop answering.
    struct Broken(Memory, AtomicBool);

    #[async_trait]
    impl TallyStore for Broken {
        async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
            match self.1.load(Relaxed) {
                true => Err(StoreError::unavailable("no such table")),
                false => self.0.tally(poll).await,
            }
        }

        async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
            self.0.receipt_state(receipt).await
        }

        async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
            self.0.recount(poll).await
        }

        async fn new_voters(
            &self,
            poll: &PollId,
            before: Option<Moment>,
            limit: usize,
        ) -> Result<Option<Vec<NewVoters>>, StoreError> {
            self.0.new_voters(poll, before, limit).await
        }

        async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
            self.0.vote_history(poll).await
        }

        async fn ready_to_read(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Counts log lines of level error, and the other lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<[AtomicUsize; 2]>);

    impl tracing::Subscriber for Lines {
        fn enabled(&self, of: &Metadata<'_>) -> bool {
            of.is_event() && of.target().starts_with("voting_http")
        }

        fn event(&self, event: &Event<'_>) {
            let is_other = usize::from(*event.metadata().level() != Level::ERROR);
            self.0[is_other].fetch_add(1, Relaxed);
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_store_that_fails_again_and_again_is_logged_once_and_once_more_when_it_works() {
        let lines = Lines::default();
        let _logged = tracing::subscriber::set_default(lines.clone());
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = Memory::default();
            let option = |id: &str| PollOption {
                id: id.parse().unwrap(),
                label: id.to_owned(),
            };
            let id: PollId = "p".parse().unwrap();
            let poll = Poll::new(id.clone(), "t", vec![option("a"), option("b")], 1).unwrap();
            memory.put_poll(&poll).await.unwrap();
            let store = Arc::new(Broken(memory.clone(), AtomicBool::new(true)));
            let live = LiveTallies::new(store.clone(), Polls::new(Arc::new(memory), None));
            for _ in 0..4 {
                assert!(live.current(&id).await.is_err());
                tokio::time::sleep(TICK).await;
            }
            let counts = || [0, 1].map(|of: usize| lines.0[of].load(Relaxed));
            assert_eq!(counts(), [1, 0]);
            // Another test may have reached this line before this subscriber was set. The callsite is then cached as
            // disabled.
            tracing::callsite::rebuild_interest_cache();
            store.1.store(false, Relaxed);
            for _ in 0..2 {
                assert!(live.current(&id).await.is_ok());
                tokio::time::sleep(TICK).await;
            }
            assert_eq!(counts(), [1, 1]);
            store.1.store(true, Relaxed);
            assert!(live.current(&id).await.is_err());
            assert_eq!(counts(), [2, 1], "a new trouble is told at once");
        });
    }
}
