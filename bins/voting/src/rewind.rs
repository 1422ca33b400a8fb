//! `voting rewind`: what follows when Postgres was restored from a backup.

use clap::Args;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use voting_core::{
    PollDirectory, PollId, PollStore, StoreError,
    position::EntryId,
    postgres::Postgres,
    redis::{Redis, RewindError},
};
use voting_service::{Config, Exit, StoreSettings, announce};

/// After Postgres was restored from a backup: count what it lacks
///
/// Hands out all ballots again that Redis still has, those of redis.retention_hours. What the backup
/// has already does not count twice. Stop all workers before you restore; start them afterwards.
#[derive(Debug, Args)]
pub(crate) struct Rewind {}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotRewind {
    #[error(transparent)]
    Settings(#[from] StoreSettings),
    #[error("cannot read how far the backup goes")]
    Backup(#[source] StoreError),
    #[error("cannot read the polls that the vote services know")]
    Published(#[source] StoreError),
    #[error("cannot store poll {0}, which the backup lacks")]
    Poll(PollId, #[source] StoreError),
    #[error("cannot rewind the log")]
    Rewind(#[from] RewindError),
}

impl Rewind {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotRewind> {
        let (redis, postgres) = (config.redis()?, config.postgres()?);
        let backup = postgres.newest_applied_by_shard().await;
        let backup = backup.map_err(CannotRewind::Backup)?;
        bring_back_polls(&redis, &postgres).await?;
        let rewound = redis.rewind().await?;
        announce(&format!(
            "{} ballots are handed out again. Start the workers now.\n",
            rewound.ballots
        ));
        let mut exit = Exit::Clean;
        for (shard, first) in rewound.complete_from {
            let newest = backup.get(&shard).copied().unwrap_or(EntryId::MIN);
            if newest < first {
                exit = Exit::Failed;
                announce(&format!(
                    "Ballots of shard {shard} may be missing, if any came between {} and {}: so far \
                     goes the backup, and from there on Redis has all of them.\n",
                    moment(newest),
                    moment(first)
                ));
            }
        }
        Ok(exit)
    }
}

/// Polls that were made after the backup are known to the vote services, and to nobody else once a worker
/// has told them what the backup has.
async fn bring_back_polls(redis: &Redis, postgres: &Postgres) -> Result<(), CannotRewind> {
    for poll in redis.polls().await.map_err(CannotRewind::Published)? {
        let id = poll.id();
        let failed = |error| CannotRewind::Poll(id.clone(), error);
        if postgres.poll(id).await.map_err(failed)?.is_none() {
            postgres.put_poll(&poll).await.map_err(failed)?;
            announce(&format!(
                "Poll {id} was made after the backup; it is there again.\n"
            ));
        }
    }
    Ok(())
}

/// When an entry came, for people.
fn moment(entry: EntryId) -> String {
    let nanoseconds = i128::from(entry.ms()) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok();
    moment
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| entry.to_string())
}
