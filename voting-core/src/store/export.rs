//! Ballots that are taken out of the store, to be published or kept elsewhere: only what was chosen, in random order.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    error::{ErrorKind, StoreError},
    model::{ballot::Choices, id::PollId, poll::Poll},
};

/// The most ballots in one chunk of an export.
pub const CHUNK: usize = 8_192;

/// The chunks that wait for the reader of an export at a time.
const CHUNKS_AHEAD: usize = 4;

/// An export ends with an error if it is not read within this time: it holds a connection.
pub const READ_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Fewer voters than this with the same choices are few alike, see [`ExportHead::few_alike`].
pub const FEW: u64 = 3;

/// What is known of an export before its ballots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHead {
    /// The poll, which is final.
    pub poll: Poll,
    /// The number of ballots that follow.
    pub ballots: u64,
    /// Of these, the ballots with choices that fewer than [`FEW`] voters made: who knows that somebody voted so may
    /// recognise the ballot.
    pub few_alike: u64,
}

/// The choices of all counted ballots of a poll, also of blank ones, in random order. Neither their voters nor their positions are in it.
/// Reading it costs the same memory for any number of ballots. If it is dropped, the store stops working on it.
#[derive(Debug)]
pub struct BallotExport {
    head: ExportHead,
    /// The ballots that were not read yet.
    left: u64,
    chunks: mpsc::Receiver<Result<Vec<Choices>, StoreError>>,
    is_over: bool,
    _reader: DropGuard,
}

/// The store's end of an export.
#[derive(Debug)]
pub struct ExportSender {
    chunks: mpsc::Sender<Result<Vec<Choices>, StoreError>>,
    gone: CancellationToken,
    until: Instant,
}

/// The reader of an export no longer waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the export is gone")]
pub struct ReaderGone;

/// Checks that a poll can be exported.
///
/// # Errors
/// [`StoreError::NoPoll`], [`StoreError::NotFinal`].
pub fn check_exportable(id: &PollId, poll: Option<&Poll>) -> Result<(), StoreError> {
    match poll {
        None => Err(StoreError::NoPoll(id.clone())),
        Some(poll) if !poll.state().is_final() => Err(StoreError::NotFinal(id.clone())),
        Some(_) => Ok(()),
    }
}

impl BallotExport {
    /// An export whose ballots the store sends while they are read. It must send as many as `head` says. `gone` is
    /// cancelled when the export is dropped.
    pub fn new(head: ExportHead, gone: CancellationToken) -> (ExportSender, Self) {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let sender = ExportSender {
            chunks: sender,
            gone: gone.clone(),
            until: Instant::now() + READ_WITHIN,
        };
        let export = Self {
            left: head.ballots,
            head,
            chunks,
            is_over: false,
            _reader: gone.drop_guard(),
        };
        (sender, export)
    }

    /// An export of ballots that are in memory, in any order: it shuffles them. It leaves out those that are taken back or
    /// voided. Call it within a tokio runtime.
    pub fn of(poll: Poll, mut ballots: Vec<Choices>) -> Self {
        ballots.retain(|choices| ![Choices::WITHDRAWN, Choices::VOIDED].contains(choices));
        // By a function of the index that nobody knows.
        let keys = RandomState::new();
        let mut index = 0_u64;
        ballots.sort_by_cached_key(|_| {
            index += 1;
            keys.hash_one(index)
        });
        let mut alike = HashMap::<Choices, u64>::new();
        for choices in &ballots {
            *alike.entry(*choices).or_default() += 1;
        }
        let head = ExportHead {
            poll,
            ballots: ballots.len() as u64,
            few_alike: alike.into_values().filter(|alike| *alike < FEW).sum(),
        };
        let (sender, export) = Self::new(head, CancellationToken::new());
        tokio::spawn(async move {
            for chunk in ballots.chunks(CHUNK) {
                if sender.chunks.send(Ok(chunk.to_vec())).await.is_err() {
                    return;
                }
            }
        });
        export
    }

    /// What is known before the ballots.
    pub fn head(&self) -> &ExportHead {
        &self.head
    }

    /// The next ballots, at most [`CHUNK`]; `None` at the end, which is also after an error.
    ///
    /// # Errors
    /// The store failed, or ended early: what was read is not the whole.
    pub async fn next(&mut self) -> Option<Result<Vec<Choices>, StoreError>> {
        if self.is_over {
            return None;
        }
        let chunk = match self.chunks.recv().await {
            Some(chunk) => Some(chunk.and_then(|ballots| self.counted(ballots))),
            // Also when the thread that reads the store has panicked.
            None if self.left > 0 => Some(Err(self.miscounted())),
            None => None,
        };
        self.is_over = !matches!(chunk, Some(Ok(_)));
        chunk
    }

    fn counted(&mut self, ballots: Vec<Choices>) -> Result<Vec<Choices>, StoreError> {
        let left = self.left.checked_sub(ballots.len() as u64);
        self.left = left.ok_or_else(|| self.miscounted())?;
        Ok(ballots)
    }

    fn miscounted(&self) -> StoreError {
        let id = self.head.poll.id();
        StoreError::unavailable(format!(
            "the export of poll {id} has not the {} ballots that it said",
            self.head.ballots
        ))
    }
}

impl ExportSender {
    /// Sends the next ballots. Waits while the reader has enough, and calls `meanwhile` every few seconds. For threads
    /// that may block, of a tokio runtime.
    ///
    /// # Errors
    /// The reader is gone, or takes longer than [`READ_WITHIN`]; or `meanwhile` failed.
    pub fn send(
        &self,
        ballots: Vec<Choices>,
        mut meanwhile: impl FnMut() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        /// Shorter than the time after which Postgres ends an idle transaction.
        const EVERY: Duration = Duration::from_secs(3);
        let runtime = tokio::runtime::Handle::current();
        loop {
            // Within the runtime, since the time is kept there.
            let room = runtime
                .block_on(async { tokio::time::timeout(EVERY, self.chunks.reserve()).await });
            match room {
                Ok(Ok(room)) => {
                    room.send(Ok(ballots));
                    return Ok(());
                }
                Ok(Err(_)) => return Err(StoreError::unavailable(ReaderGone)),
                Err(_) if self.until <= Instant::now() => {
                    let late = "the export was not read within an hour";
                    return Err(StoreError::of_kind(ErrorKind::TimedOut, late));
                }
                Err(_) => meanwhile()?,
            }
        }
    }

    /// Ends the export with an error, which the reader is told if it still waits.
    pub fn fail(self, error: StoreError) {
        /// A reader that takes longer learns only that the export ended early.
        const PATIENCE: Duration = Duration::from_secs(10);
        if self.gone.is_cancelled() {
            return;
        }
        let runtime = tokio::runtime::Handle::current();
        let reported = self.chunks.send(Err(error));
        let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, reported).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll() -> Poll {
        let poll = Poll::builder("p", "Which?").option("a", "A");
        poll.option("b", "B").build().unwrap()
    }

    fn choices(bits: u64) -> Choices {
        Choices::from_bits(bits).unwrap()
    }

    async fn all(mut export: BallotExport) -> Result<Vec<u64>, StoreError> {
        let mut read = Vec::new();
        while let Some(chunk) = export.next().await {
            read.extend(chunk?.into_iter().map(Choices::bits));
        }
        Ok(read)
    }

    #[tokio::test]
    async fn the_order_is_another_one_each_time_and_nothing_is_lost() {
        let ballots: Vec<_> = (1..=30_000).map(choices).collect();
        let read = async || {
            let export = BallotExport::of(poll(), ballots.clone());
            assert_eq!(export.head().few_alike, 30_000);
            all(export).await.unwrap()
        };
        let (one, other) = (read().await, read().await);
        assert_ne!(one, other);
        let sorted = |mut list: Vec<u64>| {
            list.sort_unstable();
            list
        };
        assert_eq!(sorted(one), (1..=30_000).collect::<Vec<_>>());
        assert_eq!(sorted(other), (1..=30_000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn few_alike_are_those_that_fewer_than_three_chose() {
        let ballots = [1, 1, 1, 2, 2, 3].map(choices).to_vec();
        let export = BallotExport::of(poll(), ballots);
        assert_eq!((export.head().ballots, export.head().few_alike), (6, 3));
    }

    #[tokio::test]
    async fn an_export_that_ends_early_or_late_is_an_error() {
        for sent in [1, 3] {
            let head = ExportHead {
                poll: poll(),
                ballots: 2,
                few_alike: 0,
            };
            let (sender, export) = BallotExport::new(head, CancellationToken::new());
            tokio::task::spawn_blocking(move || sender.send(vec![choices(1); sent], || Ok(())))
                .await
                .unwrap()
                .unwrap();
            assert!(all(export).await.is_err(), "{sent}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_the_export() {
        let gone = CancellationToken::new();
        let head = ExportHead {
            poll: poll(),
            ballots: 100,
            few_alike: 0,
        };
        let (sender, export) = BallotExport::new(head, gone.clone());
        let sending = tokio::task::spawn_blocking(move || {
            (0..100).try_for_each(|_| sender.send(vec![choices(1)], || Ok(())))
        });
        drop(export);
        assert!(gone.is_cancelled());
        assert!(sending.await.unwrap().is_err());
    }
}
