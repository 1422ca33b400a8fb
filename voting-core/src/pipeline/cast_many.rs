//! Casting many ballots, such as a file of them: as fast as the log takes them, with bounded memory.

use futures_util::{
    FutureExt, Stream, StreamExt,
    future::{BoxFuture, Either, ready},
};

use crate::{
    error::CastError,
    log::VoteSink,
    model::{ballot::Ballot, receipt::Receipt},
};

/// What became of a ballot.
pub type Outcome = Result<Receipt, CastError>;

/// Casts ballots, and returns the outcome of each in the same order. At most `at_once` of them (at least one) are on their
/// way to the log at a time: the next one is taken from `ballots` when the oldest one is answered.
///
/// The casts are begun in the order of the ballots. A sink that
/// [makes them wait](crate::GroupCommit::for_trusted_server) keeps this order for each voter, so of two ballots of a voter
/// that are both acknowledged the later one is newer. Ballots of different voters have no order.
///
/// A ballot that was not acknowledged does not stop the others. To cast all of them again is safe: the voter of each has
/// one ballot that counts. If the stream is dropped, ballots without an outcome may be cast or not.
///
/// The ballots are not checked against their polls, see [`VoteSink::cast`].
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use voting_core::{backends::memory::Memory, pipeline::cast_many::cast_many, prelude::*};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let voting = Voting::embedded(Memory::default()).start().await?;
/// let poll = Poll::builder("drinks", "Tea or coffee?").option("tea", "Tea").option("coffee", "Coffee");
/// voting.put_poll(&poll.build()?).await?;
/// let poll = voting.poll("drinks").await?;
/// let choices = poll.choose(["tea"])?;
/// let ballots = (0..1_000).map(|_| Ballot {
///     poll: poll.id().clone(),
///     voter: VoterId::issue(),
///     choices,
///     rules: poll.rules(),
/// });
/// let sink = voting.bulk_sink();
/// let outcomes = cast_many(&sink, stream::iter(ballots), 100);
/// assert!(outcomes.all(|outcome| async move { outcome.is_ok() }).await);
/// voting.counted().await?;
/// assert_eq!(voting.tally("drinks").await?.votes, [1_000, 0]);
/// # Ok(())
/// # }
/// ```
pub fn cast_many<'a, S: VoteSink + ?Sized>(
    sink: &'a S,
    ballots: impl Stream<Item = Ballot> + Send + 'a,
    at_once: usize,
) -> impl Stream<Item = Outcome> + Send + 'a {
    in_order(ballots.map(move |ballot| sink.cast(ballot)), at_once)
}

/// Runs futures side by side, at most `at_once` of them, and returns what they return, in their order. Each is begun before
/// the next one is asked for.
pub fn in_order<'a, T: Send + 'a>(
    futures: impl Stream<Item = BoxFuture<'a, T>> + Send + 'a,
    at_once: usize,
) -> impl Stream<Item = T> + Send + 'a {
    let begun = futures.map(|mut future| match (&mut future).now_or_never() {
        Some(done) => Either::Left(ready(done)),
        None => Either::Right(future),
    });
    begun.buffered(at_once.max(1))
}
