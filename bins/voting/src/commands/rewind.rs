//! `voting rewind`: counts again the ballots that Postgres lacks after it was restored from a backup.

use clap::Args;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use voting_core::{
    BatchFlusher, PollDirectory, PollStore, StoreError,
    backends::{
        postgres::Postgres,
        redis::{LookBack, Redis, RewindError},
    },
    log::SeparateLog,
    model::position::{EntryId, ShardId},
    pipeline::put_back,
    store::{AppliedStore, applied::Applied, outcome::Totals},
};
use voting_service::{Config, Exit, StoreSettings, announce};

/// Count the ballots that Postgres lacks after it was restored from a backup
///
/// Redis hands out again all ballots that it still has: those of the last redis.retention_hours. What the backup has
/// does not count twice. Stop all workers before you restore; start them after this command.
#[derive(Debug, Args)]
pub(crate) struct Rewind {
    /// Continue although a worker has run on the restored database
    ///
    /// For when the backup cannot be restored once more. The tallies become right; ballots that a newer
    /// one has replaced stay missing in the counters, and voting doctor goes on saying so.
    #[arg(long)]
    anyway: bool,
    /// After Redis was set up again or restored from a copy: count the ballots that the database holds, and that this
    /// log never accepted, as accepted earlier
    ///
    /// Otherwise voting doctor says that the database holds more than the log. Stop the vote services first.
    #[arg(long)]
    new_log: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotRewind {
    #[error(transparent)]
    Settings(#[from] StoreSettings),
    #[error("cannot read how far the backup goes")]
    Backup(#[source] StoreError),
    #[error("cannot restore the polls that the backup lacks")]
    Polls(#[source] StoreError),
    #[error("cannot rewind the log")]
    Rewind(#[from] RewindError),
    #[error(
        "nothing was done: a worker has run since the backup was restored, so the database marks {0} \
         ballots as counted that it does not have. Stop all workers, restore the backup once more, run \
         `voting rewind`, and only then start the workers. If the backup is lost: `voting rewind --anyway`"
    )]
    WorkerHasRun(u64),
    #[error("ballots are still coming in; stop the vote services before you use --new-log")]
    VotesComeIn,
    #[error("cannot record which ballots were accepted before this log was made")]
    NewLog(#[source] StoreError),
}

impl Rewind {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotRewind> {
        let (redis, postgres) = (config.redis()?, config.postgres()?);
        let applied = postgres.applied().await.map_err(CannotRewind::Backup)?;
        let totals = postgres.totals().await.map_err(CannotRewind::Backup)?;
        let back = redis.look_back(&applied).await?;
        let gaps = gaps(&back, &applied);
        let hidden = hidden(&back, totals, gaps.is_empty());
        if hidden > 0 && !self.anyway {
            return Err(CannotRewind::WorkerHasRun(hidden));
        }
        let polls = bring_back_polls(&redis, &postgres).await;
        polls.map_err(CannotRewind::Polls)?;
        let ballots = redis.rewind(&back).await?;
        announce(&format!(
            "{ballots} ballots are handed out again; the database lacks {} of them. Start the workers \
             now.\n",
            back.lacking
        ));
        self.compare_counts(&redis, &back, totals).await?;
        let mut exit = Exit::Clean;
        for (shard, newest, first) in gaps {
            exit = Exit::Failed;
            announce(&format!(
                "Ballots of shard {shard} may be missing, if any came between {} and {}: the backup ends at \
                 the first of these moments, and Redis has all ballots from the second one on.\n",
                moment(newest),
                moment(first)
            ));
        }
        if hidden > 0 {
            exit = Exit::Failed;
            announce(&format!(
                "A worker has run since the backup was restored: {hidden} ballots will be missing in the \
                 counters. The tallies will be right.\n"
            ));
        }
        Ok(exit)
    }

    /// Handles a database with more ballots than this log has accepted: they may be from an earlier log.
    async fn compare_counts(
        &self,
        redis: &Redis,
        back: &LookBack,
        totals: Totals,
    ) -> Result<(), CannotRewind> {
        let more = ballots_in_store(back, totals).saturating_sub(back.accepted);
        let accepted = redis.accepted().await.map_err(CannotRewind::NewLog)?;
        if accepted != back.accepted {
            // The two numbers are from different moments.
            return if self.new_log {
                Err(CannotRewind::VotesComeIn)
            } else {
                Ok(())
            };
        }
        if more == 0 {
            return Ok(());
        }
        if !self.new_log {
            announce(&format!(
                "The database holds {more} ballots that this log has not accepted. If Redis was made \
                 anew, stop the vote services and run `voting rewind --new-log`.\n"
            ));
            return Ok(());
        }
        let done = redis.take_over_count(more).await;
        done.map_err(CannotRewind::NewLog)?;
        announce(&format!(
            "{more} ballots of the database count as accepted before this log was made.\n"
        ));
        Ok(())
    }
}

/// The shards in which Redis has trimmed entries that came after the backup: the newest id in the backup, and the id
/// from which on Redis has all entries.
fn gaps(back: &LookBack, applied: &Applied) -> Vec<(ShardId, EntryId, EntryId)> {
    let complete_from = back.complete_from.iter();
    let gaps = complete_from.map(|(shard, first)| (*shard, applied.end(*shard), *first));
    let mut gaps: Vec<_> = gaps.filter(|(_, end, first)| end < first).collect();
    gaps.sort_unstable();
    gaps
}

/// The number of ballots in entries that count as applied although the store does not have them. They are not in its
/// totals, and will not be counted when they are handed out again. They exist only if a worker ran on a restored
/// database.
fn hidden(back: &LookBack, totals: Totals, log_is_whole: bool) -> u64 {
    // Entries that Redis no longer has are no evidence.
    if !log_is_whole || back.lost > 0 {
        return 0;
    }
    back.accepted.saturating_sub(ballots_in_store(back, totals))
}

/// The ballots that the store has counted, and those that it will count when they are handed out again.
fn ballots_in_store(back: &LookBack, totals: Totals) -> u64 {
    let Totals {
        counted,
        superseded,
        rejected,
    } = totals;
    counted + superseded + rejected + back.lacking
}

/// The copy of the polls for the vote services is newer than the backup, until a worker publishes the polls of the
/// backup. Takes the changes from this copy.
async fn bring_back_polls(redis: &Redis, postgres: &Postgres) -> Result<(), StoreError> {
    let stored = postgres.polls().await?;
    for published in redis.published().await?.unwrap_or_default() {
        let Some(poll) = stored.iter().find(|poll| poll.id() == published.id()) else {
            continue;
        };
        let has_other_texts = published.clone().in_state(poll.state().clone()) != *poll;
        // The texts are changed before the poll is closed, since a closed poll keeps its texts.
        if has_other_texts && poll.state().is_open() && published.counts_like(poll) {
            postgres.put_poll(&published).await?;
            announce(&format!(
                "Poll {} was given other texts after the backup; it has them again.\n",
                poll.id()
            ));
        }
    }
    let back = put_back::bring_back_polls(redis, postgres).await?;
    for id in &back.polls {
        announce(&format!(
            "Poll {id} was made after the backup; it is there again.\n"
        ));
    }
    for id in &back.closed {
        announce(&format!(
            "Poll {id} was closed after the backup; it is closed again.\n"
        ));
    }
    Ok(())
}

/// The time of an entry, for people.
fn moment(entry: EntryId) -> String {
    let nanoseconds = i128::from(entry.ms()) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok();
    moment
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| entry.to_string())
}
