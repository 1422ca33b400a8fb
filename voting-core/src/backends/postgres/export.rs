//! Exports: the choices of a final poll's ballots in random order.
//!
//! An export has a connection of its own, so it never takes one from a flush or from a reader of tallies. The server
//! sorts by a random number, on its disk if memory does not suffice, and hands the ballots out through a portal, a
//! chunk at a time.

use std::{sync::Arc, time::Duration};

use ::postgres::{CancelToken, IsolationLevel, Transaction};
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Inner, Postgres, from_column, prepared::Connection, read::read_tally, rows::read_poll,
};
use crate::{
    error::StoreError,
    model::{ballot::Choices, id::PollId, poll::Poll, tally::Tally},
    store::{
        ExportStore,
        export::{BallotExport, CHUNK, ExportHead, ExportSender, FEW, check_exportable},
    },
};

/// How long the server may sort. An export whose reader goes away is cancelled before that.
const SORTED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// A poll has rows in one of the two tables only; in the second one a row stands for many ballots.
const SHUFFLED: &str = "
    SELECT choices FROM (
        SELECT choices FROM ballots WHERE poll = $1 AND choices >= 0
        UNION ALL
        SELECT choices FROM ballots_without_voters, generate_series(1, ballots)
        WHERE poll = $1 AND choices >= 0
    ) AS counted ORDER BY random()";

/// Where the export, or the reason why there is none, is awaited.
type Answer = oneshot::Sender<Result<BallotExport, StoreError>>;

impl Inner {
    fn export(&self, id: &PollId, gone: &CancellationToken, answer: Answer) {
        let mut answer = Some(answer);
        let done = CancellationToken::new();
        let _done = done.clone().drop_guard();
        let mut sender = None;
        let exported = self.try_export(id, gone, &done, &mut answer, &mut sender);
        let Err(error) = exported else { return };
        match (answer, sender) {
            (Some(answer), _) => {
                // Nobody waits any more.
                let _ = answer.send(Err(error));
            }
            (None, Some(sender)) => sender.fail(error),
            (None, None) => {}
        }
    }

    fn try_export(
        &self,
        id: &PollId,
        gone: &CancellationToken,
        done: &CancellationToken,
        answer: &mut Option<Answer>,
        sent: &mut Option<ExportSender>,
    ) -> Result<(), StoreError> {
        let client = self.connector.connect(SORTED_WITHIN)?;
        let mut connection = Connection::alone(client);
        self.check_schema(&mut connection)?;
        self.cancel_when_gone(connection.cancel_token(), gone, done);
        let mut snapshot = connection
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()?;
        // Behind a pooler the session may be another one than that which was set up.
        snapshot.batch_execute(&format!(
            "SET LOCAL statement_timeout = {}",
            SORTED_WITHIN.as_millis()
        ))?;
        let (key, head) = head(&mut snapshot, id)?;
        let shuffled = snapshot.prepare(SHUFFLED)?;
        let portal = snapshot.bind(&shuffled, &[&key])?;
        let (sender, export) = BallotExport::new(head, gone.clone());
        let sender = sent.insert(sender);
        if let Some(answer) = answer.take() {
            // If nobody waits, `gone` is cancelled with the export.
            let _ = answer.send(Ok(export));
        }
        let rows_at_a_time = i32::try_from(CHUNK).unwrap_or(i32::MAX);
        loop {
            let rows = snapshot.query_portal(&portal, rows_at_a_time)?;
            if rows.is_empty() {
                break;
            }
            let chunk = rows.iter().map(|row| choices(id, row.get(0)));
            let chunk = chunk.collect::<Result<_, _>>()?;
            // The server ends a transaction in which nothing happens for 10 s.
            sender.send(chunk, || Ok(snapshot.batch_execute("SELECT 1")?))?;
        }
        Ok(snapshot.commit()?)
    }

    /// Stops what the server does for an export as soon as its reader is gone.
    fn cancel_when_gone(
        &self,
        running: CancelToken,
        gone: &CancellationToken,
        done: &CancellationToken,
    ) {
        let (gone, done, connector) = (gone.clone(), done.clone(), self.connector.clone());
        tokio::runtime::Handle::current().spawn(async move {
            tokio::select! {
                biased;
                () = done.cancelled() => {}
                () = gone.cancelled() => {
                    let cancelled = tokio::task::spawn_blocking(move || connector.cancel(&running));
                    if let Ok(Err(error)) = cancelled.await {
                        tracing::warn!(%error, "cannot stop an export that nobody reads any more");
                    }
                }
            }
        });
    }
}

/// What comes before the ballots, and the poll's key.
fn head(snapshot: &mut Transaction<'_>, id: &PollId) -> Result<(i32, ExportHead), StoreError> {
    let found = read_poll(snapshot, id)?;
    check_exportable(id, found.as_ref().map(|(_, poll)| poll))?;
    let (key, poll) = found.ok_or_else(|| StoreError::NoPoll(id.clone()))?;
    let few = i64::try_from(FEW).unwrap_or(i64::MAX);
    let row = snapshot.query_one(
        "SELECT COALESCE(SUM(voters), 0)::bigint, COALESCE(SUM(voters) FILTER (WHERE voters < $2), 0)::bigint
         FROM (SELECT COUNT(*) AS voters FROM ballots WHERE poll = $1 AND choices >= 0 GROUP BY choices
               UNION ALL SELECT ballots FROM ballots_without_voters WHERE poll = $1 AND choices >= 0)
               AS alike",
        &[&key, &few],
    )?;
    let head = ExportHead {
        poll,
        ballots: from_column(row.get(0))?,
        few_alike: from_column(row.get(1))?,
    };
    Ok((key, head))
}

fn choices(id: &PollId, column: i64) -> Result<Choices, StoreError> {
    let choices = Choices::from_column(column);
    choices.ok_or_else(|| StoreError::Corrupt(format!("choices {column} in poll {id}")))
}

#[async_trait]
impl ExportStore for Postgres {
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError> {
        let poll = poll.clone();
        self.call(move |inner| {
            inner.read(|snapshot| {
                let Some((_, tally)) = read_tally(snapshot, &poll)? else {
                    return Ok(None);
                };
                Ok(read_poll(snapshot, &poll)?.map(|(_, poll)| (poll, tally)))
            })
        })
        .await
    }

    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError> {
        let poll = poll.clone();
        self.call(move |inner| {
            inner.read(|snapshot| {
                let found = read_poll(snapshot, &poll)?;
                let found = found.filter(|(_, poll)| !poll.voters_are_forgotten());
                let Some((key, _)) = found else {
                    return Ok(None);
                };
                // Ballots that are taken back or voided are negative.
                let row = snapshot.query_one(
                    "SELECT COUNT(*) FROM ballots WHERE poll = $1 AND source = 1 AND choices >= 0",
                    &[&key],
                )?;
                from_column(row.get(0)).map(Some)
            })
        })
        .await
    }

    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError> {
        let gone = CancellationToken::new();
        // If the caller no longer waits, nothing of it goes on.
        let waiting = gone.clone().drop_guard();
        let (answer, answered) = oneshot::channel();
        let (inner, poll) = (Arc::clone(&self.0), poll.clone());
        tokio::task::spawn_blocking(move || inner.export(&poll, &gone, answer));
        let export = answered.await.map_err(StoreError::unavailable)??;
        waiting.disarm();
        Ok(export)
    }
}
