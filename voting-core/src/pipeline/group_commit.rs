//! A [`VoteSink`] over any [`BallotLog`]. While the log writes one entry, the ballots that arrive are gathered, and
//! then written as the next entry. So many casts share one commit under load, and a single cast does not wait for
//! others.
//!
//! If ballots come faster than the log writes them, they wait. The number of waiting ballots and their time are
//! limited. A ballot above a limit is refused at once. So its voter can try again later, and the waiting ballots are
//! stored soon.
//!
//! Each shard of the log has a lane, which writes one entry at a time. A process that serves voters on several runtimes
//! has such lanes on each of them, see [`GroupCommit::on_runtimes`]. So no ballot wakes the thread of another runtime. The
//! lanes of two runtimes are like two processes: the log puts their ballots in order.
//!
//! A sink [for a trusted server](GroupCommit::for_trusted_server) does not refuse the ballots above these limits. They wait
//! in the order in which their casts were begun. So a file of ballots is cast as fast as the log writes it.

mod admission;
mod entry_size;
mod refusals;
mod signed;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::{
    runtime::{self, Handle},
    sync::{mpsc, oneshot},
    task::yield_now,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Span;

use self::{admission::Limit, entry_size::EntrySize, refusals::Refusals};
use crate::{
    error::{CastError, StoreError, copy, in_one_line},
    log::{
        BallotLog, VoteSink,
        entry::{self, EntryBuilder},
        entry_context,
        entry_keys::EntryKeys,
        signed_entry::Source,
    },
    model::{
        ballot::Ballot,
        id::PollId,
        position::{EntryId, Position, ShardId},
        receipt::Receipt,
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
    trace,
};

/// The limits of a [`GroupCommit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommitOptions {
    /// How many ballots of each lane may wait for a write, in addition to those that are being written. Further
    /// ballots are refused with [`CastError::Overloaded`]. Default: 16,384.
    pub max_waiting: usize,
    /// How long a ballot may wait until its write begins. While writes are so slow that a further ballot would wait
    /// longer, it is refused as well. Default: 1 s.
    pub max_delay: Duration,
    /// How many ballots one entry may have: at most [`entry::MAX_BALLOTS`]. Default: 4,096.
    pub max_entry: usize,
}

impl Default for GroupCommitOptions {
    fn default() -> Self {
        Self {
            max_waiting: 16_384,
            max_delay: Duration::from_secs(1),
            max_entry: 4_096,
        }
    }
}

/// The longest time that a ballot waits; it is longer than a voter waits. A voter may then have cast a newer ballot
/// elsewhere, and a ballot that is written later would count in its place.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How many ballots of a trusted server may wait in a lane: twice as many as all requests of the operator's API may have on
/// their way. They are in the queue from the beginning of the cast, since a cast that waited for room in it could be overtaken
/// by a later one. There are more only if requests end early again and again while the log takes nothing.
const MOST_HANDED_IN: usize = 131_072;

/// The most times that a lane lets the other tasks of its runtime run before it writes.
const MAX_TURNS: usize = 4;

/// A [`VoteSink`] over a [`BallotLog`], see the [module](self). Create it inside a tokio runtime. Ballots that were
/// cast before the `GroupCommit` is dropped are still written.
pub struct GroupCommit {
    log: Arc<dyn BallotLog>,
    /// The lanes of each runtime. There is at least one.
    groups: Vec<Group>,
    refusals: Arc<Refusals>,
    takes_empty: bool,
    source: Source,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// The lanes on one runtime.
struct Group {
    runtime: runtime::Id,
    /// One for each shard.
    lanes: Vec<Entrance>,
}

/// The sending side of a [`Lane`].
struct Entrance {
    sender: mpsc::Sender<Waiting>,
    limit: Arc<Limit>,
}

struct Waiting {
    ballot: Ballot,
    since: Instant,
    /// Disabled, unless the ballot is followed.
    span: Span,
    answer: oneshot::Sender<Result<Position, CastError>>,
}

impl GroupCommit {
    /// A sink that writes to `log`.
    pub fn new(log: Arc<dyn BallotLog>, options: GroupCommitOptions) -> Self {
        Self::signing(log, options, EntryKeys::default())
    }

    /// A sink that writes to `log`, and signs the entries if these keys [sign](EntryKeys::signs).
    pub fn signing(log: Arc<dyn BallotLog>, options: GroupCommitOptions, keys: EntryKeys) -> Self {
        Self::on_runtimes(
            Arc::clone(&log),
            vec![(Handle::current(), log)],
            options,
            keys,
        )
    }

    /// A sink for the ballots that a trusted server hands in for its voters, such as a kiosk or a telephone service. Its
    /// entries, if they are signed, say so ([`Source::TrustedServer`]).
    ///
    /// Ballots wait in the order in which the casts were begun, for as long as the log takes no ballots. Limit how many are cast
    /// at a time, see [`cast_many`](crate::pipeline::cast_many): above 131,072 in a lane they are refused with
    /// [`CastError::Overloaded`].
    pub fn for_trusted_server(
        log: Arc<dyn BallotLog>,
        options: GroupCommitOptions,
        keys: EntryKeys,
    ) -> Self {
        let runtimes = vec![(Handle::current(), Arc::clone(&log))];
        Self::start(log, runtimes, options, keys, Source::TrustedServer)
    }

    /// The same with lanes on each of these runtimes, which write to the log that is beside the runtime. All of them are
    /// the same log; each may have a connection of its own. `log` is asked whether it is ready.
    ///
    /// A ballot goes to the lanes of the runtime on which it is cast; from elsewhere, to those of the first.
    ///
    /// # Panics
    /// There is no runtime.
    pub fn on_runtimes(
        log: Arc<dyn BallotLog>,
        runtimes: Vec<(Handle, Arc<dyn BallotLog>)>,
        options: GroupCommitOptions,
        keys: EntryKeys,
    ) -> Self {
        Self::start(log, runtimes, options, keys, Source::Voters)
    }

    fn start(
        log: Arc<dyn BallotLog>,
        runtimes: Vec<(Handle, Arc<dyn BallotLog>)>,
        options: GroupCommitOptions,
        keys: EntryKeys,
        source: Source,
    ) -> Self {
        assert!(!runtimes.is_empty(), "lanes need a runtime");
        let takes_empty = keys.signs() || log.has_one_program();
        let shards = log.shards().max(1);
        let mut start = Start {
            options,
            keys: Arc::new(keys),
            source,
            refusals: Arc::new(Refusals::new(usize::from(shards) * runtimes.len())),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            lanes: 0,
        };
        let groups = runtimes.into_iter().map(|(runtime, log)| Group {
            runtime: runtime.id(),
            lanes: (0..shards)
                .map(|shard| start.lane(&runtime, &log, ShardId(shard)))
                .collect(),
        });
        let groups = groups.collect();
        let Start {
            refusals,
            closing,
            tasks,
            ..
        } = start;
        tasks.close();
        Self {
            log,
            groups,
            refusals,
            takes_empty,
            source,
            closing,
            tasks,
        }
    }

    /// Takes no more ballots. Returns once the waiting ballots are written and this sink no longer uses the log.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for GroupCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupCommit")
            .field("runtimes", &self.groups.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl VoteSink for GroupCommit {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        if ballot.choices.is_empty() && !self.takes_empty {
            return Err(CastError::Refused(
                "a ballot that chooses nothing needs entries that are signed".into(),
            ));
        }
        let shard = ShardId::of(ballot.voter, self.log.shards());
        let (poll, voter) = (ballot.poll.clone(), ballot.voter);
        let span = trace::send_span(shard);
        let cast = self.cast_in(shard, ballot, span.clone()).await;
        if let Err(error) = &cast
            && !span.is_disabled()
        {
            trace::failed(&span, error.variant());
        }
        Ok(Receipt {
            poll,
            voter,
            position: cast?,
        })
    }

    fn takes_empty_ballots(&self) -> bool {
        self.takes_empty
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        self.refusals.judge(self.log.ready_to_append().await)
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        self.log.check_secrets(secrets).await
    }
}

impl GroupCommit {
    /// The lanes of the current runtime.
    fn lanes(&self) -> &[Entrance] {
        let [first, others @ ..] = self.groups.as_slice() else {
            return &[];
        };
        if others.is_empty() {
            return &first.lanes;
        }
        let here = Handle::try_current().map(|runtime| runtime.id()).ok();
        let here = self.groups.iter().find(|group| Some(group.runtime) == here);
        &here.unwrap_or(first).lanes
    }

    async fn cast_in(
        &self,
        shard: ShardId,
        ballot: Ballot,
        span: Span,
    ) -> Result<Position, CastError> {
        let lane = &self.lanes()[usize::from(shard.0)];
        let stopped = || CastError::Refused("the writer stopped".into());
        if self.source == Source::Voters {
            let waiting = lane.sender.max_capacity() - lane.sender.capacity();
            if !lane.limit.admits(waiting) {
                return Err(CastError::Overloaded);
            }
        }
        let place = lane.sender.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => CastError::Overloaded,
            mpsc::error::TrySendError::Closed(()) => stopped(),
        })?;
        let (answer, answered) = oneshot::channel();
        place.send(Waiting {
            ballot,
            since: Instant::now(),
            span,
            answer,
        });
        answered
            .await
            .map_err(|_| CastError::Unknown("the writer stopped during a write".into()))?
    }
}

/// What all lanes of a sink have in common, while they are started.
struct Start {
    options: GroupCommitOptions,
    keys: Arc<EntryKeys>,
    source: Source,
    refusals: Arc<Refusals>,
    closing: CancellationToken,
    tasks: TaskTracker,
    /// How many were started.
    lanes: usize,
}

impl Start {
    fn lane(&mut self, runtime: &Handle, log: &Arc<dyn BallotLog>, shard: ShardId) -> Entrance {
        let options = self.options;
        let room = match self.source {
            Source::Voters => options.max_waiting.max(1),
            Source::TrustedServer => options.max_waiting.max(MOST_HANDED_IN),
        };
        let (sender, receiver) = mpsc::channel(room);
        let limit = Arc::new(Limit::new(options.max_delay));
        let lane = Lane {
            log: Arc::clone(log),
            keys: Arc::clone(&self.keys),
            source: self.source,
            shard,
            size: EntrySize::new(options.max_entry.clamp(1, entry::MAX_BALLOTS)),
            limit: Arc::clone(&limit),
            refusals: Arc::clone(&self.refusals),
            number: self.lanes,
        };
        self.lanes += 1;
        let lane = lane.run(receiver, self.closing.clone());
        self.tasks.spawn_on(lane, runtime);
        Entrance { sender, limit }
    }
}

/// Writes the entries of one shard, one at a time.
struct Lane {
    log: Arc<dyn BallotLog>,
    keys: Arc<EntryKeys>,
    source: Source,
    shard: ShardId,
    size: EntrySize,
    limit: Arc<Limit>,
    refusals: Arc<Refusals>,
    /// Each lane of the sink has another number.
    number: usize,
}

impl Lane {
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>, closing: CancellationToken) {
        let mut gathered = Vec::new();
        let mut failing = false;
        loop {
            let more = waiting.recv_many(&mut gathered, self.size.get());
            match closing.run_until_cancelled(more).await {
                Some(0) => return,
                Some(_) => {
                    self.take_along(&mut waiting, &mut gathered).await;
                }
                // A closed channel still returns the ballots that wait in it.
                None if !waiting.is_closed() => waiting.close(),
                None => {
                    if waiting.recv_many(&mut gathered, self.size.get()).await == 0 {
                        return;
                    }
                }
            }
            while !gathered.is_empty() {
                let written = self.write_some(&mut gathered).await;
                self.log_change(&written, &mut failing);
            }
        }
    }

    /// Takes the ballots along whose requests have arrived by now. Under load, the log then writes fewer entries.
    async fn take_along(&self, waiting: &mut mpsc::Receiver<Waiting>, gathered: &mut Vec<Waiting>) {
        let mut before = 0;
        for _ in 0..MAX_TURNS {
            if gathered.len() == before || gathered.len() >= self.size.get() {
                return;
            }
            before = gathered.len();
            // The runtime reads its sockets in between, and runs what has to be run.
            yield_now().await;
            while gathered.len() < self.size.get()
                && let Ok(more) = waiting.try_recv()
            {
                gathered.push(more);
            }
        }
    }

    /// Writes as many ballots as fit in one entry, and answers their casts.
    async fn write_some(&mut self, gathered: &mut Vec<Waiting>) -> Result<(), CastError> {
        // A caller that no longer waits may have cast a newer ballot elsewhere. The older ballot must not be written
        // after the newer one.
        gathered.retain(|waiting| !waiting.answer.is_closed());
        // The ballots are in the order in which they came. A trusted server waits for as long as it likes.
        let is_late =
            |waiting: &Waiting| self.source == Source::Voters && waiting.since.elapsed() > MAX_WAIT;
        let late = gathered.partition_point(is_late);
        for waiting in gathered.drain(..late) {
            let _ = waiting.answer.send(Err(CastError::Overloaded));
        }
        if gathered.is_empty() {
            return Ok(());
        }
        let mut builder = EntryBuilder::from_source(self.source);
        let fitting = gathered
            .iter()
            .take(self.size.get())
            .take_while(|waiting| builder.push(&waiting.ballot).is_some())
            .count();
        let (log, keys, shard) = (&self.log, &self.keys, self.shard);
        let traces = traces(&gathered[..fitting]);
        let begun = Instant::now();
        let write = async {
            if keys.signs() {
                return signed::append(&**log, keys, shard, &builder, &traces).await;
            }
            let mut entry = builder.finish();
            entry.traces = traces;
            log.append(shard, entry).await
        };
        // If the log panics, the lane must continue.
        let written = AssertUnwindSafe(write).catch_unwind().await;
        let written =
            written.unwrap_or_else(|_| Err(CastError::Unknown("the log has panicked".into())));
        let took = begun.elapsed();
        self.refusals.wrote(self.number, &written);
        self.size.wrote(fitting, took);
        // An entry may be full with fewer ballots, for example if they are in very many polls.
        let is_full = fitting < gathered.len().min(self.size.get());
        let size = if is_full { fitting } else { self.size.get() };
        self.limit.set(size, took);
        if let Err(error) = &written
            && let Some(poll) = error.poll()
        {
            turn_away(gathered, poll, error);
            return Ok(());
        }
        for (index, waiting) in (0..u16::MAX).zip(gathered.drain(..fitting)) {
            if let Ok(entry) = &written
                && !waiting.span.is_disabled()
            {
                let id = format!("{shard}-{entry}");
                waiting.span.record("messaging.message.id", id);
                waiting.span.record("voting.entry.ballots", fitting);
            }
            let _ = waiting.answer.send(self.answer(&written, index));
        }
        written.map(|_| ())
    }

    /// Logs when writes begin to fail and when they work again, but not each failure.
    fn log_change(&self, written: &Result<(), CastError>, failing: &mut bool) {
        match written {
            Ok(()) if *failing => {
                tracing::info!(shard = %self.shard, "appending ballots works again")
            }
            Err(error) if !*failing => {
                tracing::error!(error = in_one_line(error), shard = %self.shard, "appending ballots failed");
            }
            _ => {}
        }
        *failing = written.is_err();
    }

    fn answer(
        &self,
        written: &Result<EntryId, CastError>,
        index: u16,
    ) -> Result<Position, CastError> {
        match written {
            Ok(entry) => Ok(Position::new(self.shard, *entry, index)),
            Err(error) => Err(share(error)),
        }
    }
}

/// The trace contexts of those ballots of an entry that are followed.
fn traces(ballots: &[Waiting]) -> Vec<u8> {
    let Some(tracer) = trace::installed() else {
        return Vec::new();
    };
    let followed = (0..u16::MAX).zip(ballots);
    let followed = followed.filter(|(_, waiting)| !waiting.span.is_disabled());
    entry_context::encode(followed.filter_map(|(index, waiting)| {
        let context = tracer.context_of(&waiting.span)?;
        Some((index, context))
    }))
}

/// Refuses the ballots of this poll. The other ballots stay, in their order.
fn turn_away(gathered: &mut Vec<Waiting>, poll: &PollId, why: &CastError) {
    let refused = gathered.extract_if(.., |waiting| waiting.ballot.poll == *poll);
    for waiting in refused {
        let _ = waiting.answer.send(Err(share(why)));
    }
}

/// A copy of the error for one of the casts of a failed write: errors cannot be cloned.
fn share(error: &CastError) -> CastError {
    match error {
        CastError::Overloaded => CastError::Overloaded,
        CastError::Closed(poll) => CastError::Closed(poll.clone()),
        CastError::NotOpen(poll) => CastError::NotOpen(poll.clone()),
        CastError::Changed(poll) => CastError::Changed(poll.clone()),
        CastError::TimesUnknown(poll) => CastError::TimesUnknown(poll.clone()),
        CastError::Refused(source) => CastError::Refused(copy(source.as_ref())),
        CastError::Unknown(source) => CastError::Unknown(copy(source.as_ref())),
    }
}
