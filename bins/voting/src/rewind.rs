//! `voting rewind`: what follows when Postgres was restored from a backup.

use clap::Args;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use voting_core::{StoreError, position::EntryId, redis::RewindError};
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
    Postgres(#[source] StoreError),
    #[error("cannot rewind the log")]
    Rewind(#[from] RewindError),
}

impl Rewind {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotRewind> {
        let postgres = config.postgres()?;
        let newest = postgres.newest_applied().await;
        let newest = newest.map_err(CannotRewind::Postgres)?;
        let rewound = config.redis()?.rewind().await?;
        announce(&format!(
            "{} ballots are handed out again. Start the workers now.\n",
            rewound.ballots
        ));
        match rewound.complete_from {
            Some(first) if newest < first => {
                announce(&format!(
                    "Ballots may be missing: the backup goes up to {}, and Redis has all of them \
                     from {} on only.\n",
                    moment(newest),
                    moment(first)
                ));
                Ok(Exit::Failed)
            }
            _ => Ok(Exit::Clean),
        }
    }
}

/// When an entry came, for people.
fn moment(entry: EntryId) -> String {
    let nanoseconds = i128::from(entry.ms()) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok();
    moment
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| entry.to_string())
}
