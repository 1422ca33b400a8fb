//! A [`VoteSink`] over any [`BallotLog`]: while one write of the log is in flight, the next
//! ballots gather and then go as one entry. Under load many casts share one commit; a lone cast
//! does not wait for company.
//!
//! What comes faster than the log takes it waits, up to a number and up to a time; one ballot more is
//! refused at once, so that its voter can come back, and those that were let in are stored soon.

mod admission;
mod entry_size;
mod refusals;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Span;

use self::{admission::Limit, entry_size::EntrySize, refusals::Refusals};
use crate::{
    error::{BoxError, CastError, StoreError, in_one_line},
    log::{
        BallotLog, VoteSink,
        entry::{self, EntryBuilder},
        entry_context,
    },
    model::{
        ballot::Ballot,
        id::PollId,
        position::{EntryId, Position, ShardId},
        receipt::Receipt,
        secret::Fingerprint,
    },
    trace,
};

/// How much a [`GroupCommit`] gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommitOptions {
    /// Ballots that may wait for a write, by shard, beside those in the write that is under way;
    /// one more is refused with [`CastError::Overloaded`].
    pub max_waiting: usize,
    /// While writes are so slow that a ballot would wait for longer than this until its own begins,
    /// further ones are refused as well.
    pub max_delay: Duration,
    /// Ballots in one entry, at most [`entry::MAX_BALLOTS`].
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

/// Longer than a voter waits. What is written later could come after a newer ballot.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// See the [module](self). Must be made inside a tokio runtime; what was cast before it is
/// dropped is still written.
pub struct GroupCommit {
    log: Arc<dyn BallotLog>,
    lanes: Vec<Entrance>,
    refusals: Arc<Refusals>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// Where ballots go into a lane.
struct Entrance {
    sender: mpsc::Sender<Waiting>,
    limit: Arc<Limit>,
}

struct Waiting {
    ballot: Ballot,
    since: Instant,
    /// None, unless the ballot is followed.
    span: Span,
    answer: oneshot::Sender<Result<Position, CastError>>,
}

impl GroupCommit {
    /// A sink that writes to `log`.
    pub fn new(log: Arc<dyn BallotLog>, options: GroupCommitOptions) -> Self {
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let refusals = Arc::new(Refusals::new(log.shards().max(1)));
        let lanes = (0..log.shards().max(1))
            .map(|shard| {
                let (sender, receiver) = mpsc::channel(options.max_waiting.max(1));
                let limit = Arc::new(Limit::new(options.max_delay));
                let lane = Lane {
                    log: Arc::clone(&log),
                    shard: ShardId(shard),
                    size: EntrySize::new(options.max_entry.clamp(1, entry::MAX_BALLOTS)),
                    limit: Arc::clone(&limit),
                    refusals: Arc::clone(&refusals),
                };
                tasks.spawn(lane.run(receiver, closing.clone()));
                Entrance { sender, limit }
            })
            .collect();
        tasks.close();
        Self {
            log,
            lanes,
            refusals,
            closing,
            tasks,
        }
    }

    /// Takes no more ballots, and returns once those that wait are written and the log is let
    /// go of.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for GroupCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupCommit")
            .field("shards", &self.lanes.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl VoteSink for GroupCommit {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        let shard = ShardId::of(ballot.voter, self.log.shards());
        let (poll, voter) = (ballot.poll.clone(), ballot.voter);
        let span = trace::send_span(shard);
        let cast = self.cast_in(shard, ballot, span.clone()).await;
        if let Err(error) = &cast
            && !span.is_disabled()
        {
            trace::failed(&span, error.kind());
        }
        Ok(Receipt {
            poll,
            voter,
            position: cast?,
        })
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        self.refusals.judge(self.log.ready_to_append().await)
    }

    async fn check_secret(&self, secret: Fingerprint) -> Result<(), StoreError> {
        self.log.check_secret(secret).await
    }
}

impl GroupCommit {
    async fn cast_in(
        &self,
        shard: ShardId,
        ballot: Ballot,
        span: Span,
    ) -> Result<Position, CastError> {
        let lane = &self.lanes[usize::from(shard.0)];
        let waiting = lane.sender.max_capacity() - lane.sender.capacity();
        if !lane.limit.admits(waiting) {
            return Err(CastError::Overloaded);
        }
        let (answer, answered) = oneshot::channel();
        lane.sender
            .try_send(Waiting {
                ballot,
                since: Instant::now(),
                span,
                answer,
            })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => CastError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => {
                    CastError::Refused("the writer stopped".into())
                }
            })?;
        answered
            .await
            .map_err(|_| CastError::Unknown("the writer stopped during a write".into()))?
    }
}

/// Writes the entries of one shard, one at a time.
struct Lane {
    log: Arc<dyn BallotLog>,
    shard: ShardId,
    size: EntrySize,
    limit: Arc<Limit>,
    refusals: Arc<Refusals>,
}

impl Lane {
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>, closing: CancellationToken) {
        let mut gathered = Vec::new();
        let mut failing = false;
        loop {
            let more = waiting.recv_many(&mut gathered, self.size.get());
            match closing.run_until_cancelled(more).await {
                Some(0) => return,
                Some(_) => {}
                // What waits is still received.
                None if !waiting.is_closed() => waiting.close(),
                None => {
                    if waiting.recv_many(&mut gathered, self.size.get()).await == 0 {
                        return;
                    }
                }
            }
            while !gathered.is_empty() {
                let written = self.write_some(&mut gathered).await;
                self.tell(&written, &mut failing);
            }
        }
    }

    /// Writes as many as one entry holds, and answers them.
    async fn write_some(&mut self, gathered: &mut Vec<Waiting>) -> Result<(), CastError> {
        // Whoever waits no more may have cast another ballot since, elsewhere; this one must not
        // come after it.
        gathered.retain(|waiting| !waiting.answer.is_closed());
        // They stand in the order in which they came.
        let late = gathered.partition_point(|waiting| waiting.since.elapsed() > MAX_WAIT);
        for waiting in gathered.drain(..late) {
            let _ = waiting.answer.send(Err(CastError::Overloaded));
        }
        if gathered.is_empty() {
            return Ok(());
        }
        let mut builder = EntryBuilder::default();
        let fitting = gathered
            .iter()
            .take(self.size.get())
            .take_while(|waiting| builder.push(&waiting.ballot).is_some())
            .count();
        let (log, shard) = (Arc::clone(&self.log), self.shard);
        let mut entry = builder.finish();
        entry.traces = traces(&gathered[..fitting]);
        let begun = Instant::now();
        // A task of its own: a log that panics must not take the lane with it.
        let write = tokio::spawn(async move { log.append(shard, entry).await });
        let written = write
            .await
            .unwrap_or_else(|error| Err(CastError::Unknown(error.into())));
        let took = begun.elapsed();
        self.refusals.wrote(self.shard, &written);
        self.size.wrote(fitting, took);
        // An entry may be full before that, as with ballots of very many polls.
        let is_full = fitting < gathered.len().min(self.size.get());
        let size = if is_full { fitting } else { self.size.get() };
        self.limit.set(size, took);
        if let Err(CastError::Closed(poll)) = &written {
            turn_away(gathered, poll);
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

    /// Logs when writes begin to fail and when they work again, not each of them.
    fn tell(&self, written: &Result<(), CastError>, failing: &mut bool) {
        match written {
            Ok(()) if *failing => tracing::info!(shard = %self.shard, "ballots are stored again"),
            Err(error) if !*failing => {
                tracing::error!(error = in_one_line(error), shard = %self.shard, "ballots are not stored");
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

/// What the entry of these ballots carries for those that are followed.
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

/// The ballots of a poll are not taken; the others stay, in their order.
fn turn_away(gathered: &mut Vec<Waiting>, poll: &PollId) {
    let closed = gathered.extract_if(.., |waiting| waiting.ballot.poll == *poll);
    for waiting in closed {
        let _ = waiting.answer.send(Err(CastError::Closed(poll.clone())));
    }
}

/// One failed write is the answer to many casts, and errors cannot be cloned.
fn share(error: &CastError) -> CastError {
    let text = |source: &BoxError| BoxError::from(in_one_line(source.as_ref()));
    match error {
        CastError::Overloaded => CastError::Overloaded,
        CastError::Closed(poll) => CastError::Closed(poll.clone()),
        CastError::Refused(source) => CastError::Refused(text(source)),
        CastError::Unknown(source) => CastError::Unknown(text(source)),
    }
}
