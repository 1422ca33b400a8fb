//! Bulk casts: a trusted server hands in ballots for its voters, such as those of a kiosk, of a telephone service or on paper.
//!
//! Lines come in and answers go out at the same time, in the same order. What is on its way is limited, so a file may have any
//! length. While the log takes no more ballots, no more lines are read.

mod api;
mod lines;
mod voter;

use std::{io, pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::{BoxFuture, ready},
    stream,
};
use poem::Body;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
};
use tokio_util::sync::CancellationToken;
use voting_core::{
    Ballot, PollDirectory, StoreError, VoteSink, VoterId,
    model::{poll_key::PollKeyWrap, secrets::Secrets},
    pipeline::cast_many::in_order,
};

pub(super) use self::api::{Api, OPERATIONS};
use self::{
    lines::{Line, Lines, MAX_LINE},
    voter::{KeyedPoll, Named, PollKeys},
};
use crate::{
    cache::polls::Polls,
    edge::strict_json,
    problem::{Problem, kind::ProblemKind, seldom::Seldom},
    tokens::receipt_key::ReceiptKey,
};

type Bytestream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// How many ballots of a request are on their way to the log at a time. Several entries of the log can be full.
const AT_ONCE: usize = 8_192;

/// After this many lines, other requests have their turn.
const WITHOUT_BREAK: u64 = 64;

/// How many answers are sent as one piece.
const PIECE: usize = 256;

/// How many requests there are at a time. Each has its own [`AT_ONCE`].
const REQUESTS: usize = 8;

/// Takes bulk casts.
pub(super) struct BulkCasts {
    sink: Arc<dyn VoteSink>,
    secrets: Secrets,
    receipts: ReceiptKey,
    polls: Polls,
    keys: PollKeys,
    turns: Arc<Semaphore>,
}

/// A line of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BallotLine {
    voter: Named,
    /// Not there if the ballot takes the voter's ballot back.
    choices: Option<Vec<String>>,
    #[serde(default)]
    withdraw: bool,
}

/// A line of the answer.
#[derive(Debug, Serialize)]
struct Answer {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Answer {
    fn new(line: u64, outcome: Result<String, Problem>) -> Self {
        let (receipt, problem) = match outcome {
            Ok(receipt) => (Some(receipt), None),
            Err(problem) => (None, Some(problem)),
        };
        Self {
            line,
            receipt,
            kind: problem.as_ref().map(|problem| problem.kind().urn()),
            detail: problem.map(|problem| problem.detail().to_owned()),
        }
    }
}

impl BulkCasts {
    pub(super) fn new(
        sink: Arc<dyn VoteSink>,
        secrets: Secrets,
        directory: Arc<dyn PollDirectory>,
        wrap: Option<PollKeyWrap>,
    ) -> Self {
        Self {
            sink,
            receipts: ReceiptKey::new(secrets.clone()),
            secrets,
            polls: Polls::new(directory, None),
            keys: PollKeys {
                wrap,
                warnings: Arc::new(Seldom::default()),
            },
            turns: Arc::new(Semaphore::new(REQUESTS)),
        }
    }

    /// Finds out whether ballots can be cast in this poll, before any is read.
    async fn begin(&self, name: &str) -> Result<(KeyedPoll, OwnedSemaphorePermit), Problem> {
        let poll = self.polls.get(name).await?;
        if !poll.state().is_open() {
            return Err(Problem::poll_closed());
        }
        let poll = self.keys.open(poll, None)?;
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| {
            Problem::new(
                ProblemKind::Overloaded,
                "Other requests cast ballots already. Please try again when one of them has ended.",
            )
        })?;
        // The result service must be able to read the receipts.
        let checked = self.sink.check_secrets(&self.secrets.known()).await;
        checked.map_err(|error| match error {
            StoreError::ForeignSecret { .. } => Problem::foreign_secret(),
            error => error.into(),
        })?;
        Ok((poll, turn))
    }
}

/// A request whose lines are read.
struct Intake {
    bulk: Arc<BulkCasts>,
    lines: Lines,
    poll: KeyedPoll,
    /// The number of the last line, from 1.
    number: u64,
    stop: CancellationToken,
    is_over: bool,
    _turn: OwnedSemaphorePermit,
}

/// What becomes of a line; an error ends the answer.
type Pending = BoxFuture<'static, io::Result<Answer>>;

impl Intake {
    /// The next line, whose ballot is then on its way.
    async fn next(mut self) -> Option<(Pending, Self)> {
        if self.is_over {
            return None;
        }
        if self.number.is_multiple_of(WITHOUT_BREAK) {
            yield_now().await;
        }
        loop {
            let stop = self.stop.clone();
            let line = match stop.run_until_cancelled(self.lines.next()).await {
                Some(Line::End) => return None,
                // The answer must not look whole.
                None => {
                    let error = io::Error::other("the service stops");
                    return Some((self.ended(error), self));
                }
                Some(Line::Broken) => {
                    let error = io::Error::other("the request has ended early");
                    return Some((self.ended(error), self));
                }
                Some(line) => line,
            };
            self.number += 1;
            let number = self.number;
            let read = match &line {
                Line::Text(text) if text.trim_ascii().is_empty() => continue,
                Line::Text(text) => self.ballot(text).await,
                _ => Err(Problem::new(
                    ProblemKind::TooLarge,
                    format!("The line has more than {MAX_LINE} bytes."),
                )),
            };
            let pending = match read {
                Ok(ballot) => self.cast(number, ballot),
                Err(problem) => ready(Ok(Answer::new(number, Err(problem)))).boxed(),
            };
            return Some((pending, self));
        }
    }

    fn ended(&mut self, error: io::Error) -> Pending {
        self.is_over = true;
        ready(Err(error)).boxed()
    }

    /// The ballot in a line, checked as the vote service does.
    async fn ballot(&mut self, line: &[u8]) -> Result<Ballot, Problem> {
        let read: BallotLine = strict_json::read(line)
            .map_err(|why| Problem::bad_request(why.replace("The body", "The line")))?;
        // Mostly the poll that is known; a code that is revoked meanwhile is not taken.
        let poll = self.bulk.polls.get(self.poll.poll.id().as_str()).await?;
        if !Arc::ptr_eq(&poll, &self.poll.poll) {
            self.poll = self.bulk.keys.open(poll, Some(&self.poll))?;
        }
        let poll = &self.poll.poll;
        if !poll.state().is_open() {
            return Err(Problem::poll_closed());
        }
        let voter: VoterId = self.poll.voter(&read.voter)?;
        let choices = match (&read.choices, read.withdraw) {
            (Some(choices), false) if choices.is_empty() => poll.blank()?,
            (Some(choices), false) => poll.choose(choices.iter().map(String::as_str))?,
            (None, true) if poll.keeps_ballots() => return Err(Problem::empty_ballots_not_taken()),
            (None, true) => poll.withdraw()?,
            _ => {
                return Err(Problem::bad_request(
                    "The line must have either choices, or withdraw with the value true.",
                ));
            }
        };
        if choices.is_empty() && !self.bulk.sink.takes_empty_ballots() {
            return Err(Problem::empty_ballots_not_taken());
        }
        Ok(Ballot {
            poll: poll.id().clone(),
            voter,
            choices,
            rules: poll.rules(),
        })
    }

    fn cast(&self, number: u64, ballot: Ballot) -> Pending {
        let bulk = Arc::clone(&self.bulk);
        async move {
            let cast = bulk.sink.cast(ballot).await;
            let outcome = cast.map(|receipt| bulk.receipts.seal(&receipt));
            Ok(Answer::new(number, outcome.map_err(Problem::from)))
        }
        .boxed()
    }

    /// The answers, in pieces.
    fn into_body(self) -> Body {
        let pending = stream::unfold(self, Self::next);
        let answers = in_order(pending.boxed(), AT_ONCE).boxed();
        let pieces = answers.ready_chunks(PIECE).flat_map(|answers| {
            let mut piece = Vec::with_capacity(answers.len() * 160);
            let mut failed = None;
            for answer in answers {
                match answer {
                    Ok(answer) => {
                        // A number and texts can be written.
                        let _ = serde_json::to_writer(&mut piece, &answer);
                        piece.push(b'\n');
                    }
                    Err(error) => failed = Some(Err(error)),
                }
            }
            let piece = (!piece.is_empty()).then(|| Ok(Bytes::from(piece)));
            stream::iter(piece.into_iter().chain(failed))
        });
        Body::from_bytes_stream(pieces)
    }
}
