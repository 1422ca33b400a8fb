//! The writing end.

use ::redis::{ErrorKind, RedisError};
use async_trait::async_trait;
use tokio::time::Instant;

use crate::backends::redis::{
    Redis,
    clock::Deadline,
    durability::{self, watch},
};
use crate::{
    error::{CastError, StoreError},
    log::{
        BallotLog, ShardWindows,
        entry::{LateEntry, NewEntry},
    },
    model::{
        id::PollId,
        poll::PollWindow,
        position::{EntryId, ShardId},
        secret::Fingerprint,
        secrets::KnownSecrets,
    },
};

/// Whether a command that failed so was certainly not carried out, and never will be.
fn certainly_not_done(error: &RedisError) -> bool {
    // The server said no, or there was no connection to send it on. A time-out or a connection
    // that broke leaves it open: the server may have carried it out, or may be about to.
    error.is_connection_refusal()
        || matches!(
            error.kind(),
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed
        )
}

/// Why the script did not append the entry.
fn refusal(error: RedisError) -> CastError {
    if error.code() == Some("LATE") {
        return CastError::Refused(LateEntry.into());
    }
    let why: Option<fn(PollId) -> CastError> = match error.code() {
        Some("SEALED") => Some(CastError::Closed),
        Some("NOTOPEN") => Some(CastError::NotOpen),
        Some("CHANGED") => Some(CastError::Changed),
        Some("NOTIMES") => Some(CastError::TimesUnknown),
        _ => None,
    };
    if let Some(why) = why {
        // In a script's error Redis may say more behind it.
        let poll = error.detail().unwrap_or_default();
        let poll = poll.split_whitespace().next().unwrap_or_default();
        if let Ok(poll) = poll.parse() {
            return why(poll);
        }
    }
    if certainly_not_done(&error) {
        CastError::Refused(error.into())
    } else {
        CastError::Unknown(error.into())
    }
}

impl Redis {
    /// The moment on the shard's server after which it must not append any more.
    async fn deadline(&self, shard: ShardId) -> Result<Deadline, StoreError> {
        let (clocks, patience) = (&self.0.clocks, self.0.options.response_timeout);
        let index = usize::from(shard.0);
        if let Some(deadline) = clocks.deadline(index, patience) {
            return Ok(deadline);
        }
        let ask = self.0.scripts.time.key(self.log_key(shard));
        let (now_ms, last_ms): (i64, u64) = self.lane(shard).look(&ask).await?;
        clocks.learn(index, now_ms, last_ms);
        Ok(clocks.deadline(index, patience).unwrap_or(Deadline {
            server_ms: now_ms,
            log_ms: now_ms,
        }))
    }
}

#[async_trait]
impl BallotLog for Redis {
    fn shards(&self) -> u16 {
        self.0.options.shards
    }

    fn keeps_windows(&self) -> bool {
        true
    }

    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        if shard.0 >= self.0.options.shards {
            return Err(CastError::Refused(
                format!("there is no shard {shard}").into(),
            ));
        }
        let fit = async {
            self.prepare().await?;
            // Checked here too: the health check may not be called by anybody.
            watch::before(self, shard).await?;
            self.replicas_keep_up(shard).await?;
            self.deadline(shard).await
        };
        let deadline = fit
            .await
            .map_err(|error| CastError::Refused(error.into()))?;
        let mut append = self.0.scripts.append.key(self.log_key(shard));
        append
            .key(self.stats_key(shard))
            .key(self.sealed_key(shard))
            .key(self.windows_key(shard))
            .arg(entry.payload)
            .arg(entry.ballots)
            .arg(deadline.server_ms)
            .arg(entry.traces)
            .arg(
                entry
                    .deadline_ms
                    .map_or_else(String::new, |ms| ms.to_string()),
            );
        for poll in &entry.polls {
            let rules = poll
                .rules
                .map_or_else(String::new, |rules| rules.to_string());
            append.arg(poll.id.as_str()).arg(rules);
        }
        let sent = Instant::now();
        let appended = self.lane(shard).run_on::<(String, i64)>(&append).await;
        let appended = appended.map_err(|error| {
            // The next one may come to another server, or to one whose clock was set.
            self.0.clocks.forget(shard.0.into());
            refusal(error)
        })?;
        let unknown = |error: StoreError| CastError::Unknown(error.into());
        let (id, now_ms) = &appended.answer;
        let id = parse_id(id).map_err(unknown)?;
        self.0.clocks.learn(shard.0.into(), *now_ms, id.ms());
        // It is in the log, but may not stay there.
        self.kept(&appended).await.map_err(unknown)?;
        let kept = watch::after(self, &appended.server, sent).await;
        kept.map_err(unknown)?;
        Ok(id)
    }

    async fn deadline_ms(&self, shard: ShardId) -> Result<u64, StoreError> {
        self.prepare().await?;
        let deadline = self.deadline(shard).await?;
        Ok(u64::try_from(deadline.log_ms).unwrap_or(0))
    }

    async fn seal(&self, shard: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        self.prepare().await?;
        let mut seal = self.0.scripts.seal.key(self.log_key(shard));
        seal.key(self.sealed_key(shard));
        for poll in polls {
            seal.arg(poll.as_str());
        }
        // A seal that is forgotten would let ballots into a poll that is final.
        watch::before(self, shard).await?;
        let sent = Instant::now();
        let sealed = self.lane(shard).run_on::<String>(&seal).await?;
        self.kept_also_before(&sealed, shard).await?;
        watch::after(self, &sealed.server, sent).await?;
        parse_id(&sealed.answer)
    }

    async fn set_windows(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        self.windows_of(shard, windows).await
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        self.prepare().await?;
        durability::check(self).await?;
        self.takes_ballots().await
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        self.hold_to_secrets(secrets).await
    }
}

/// An id as Redis writes it.
pub(super) fn parse_id(text: &str) -> Result<EntryId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("stream entry id {text:?}")))
}

#[cfg(test)]
mod tests {
    use std::io;

    use ::redis::ServerErrorKind;

    use super::*;

    #[test]
    fn only_a_no_leaves_no_doubt() {
        let of = |kind| certainly_not_done(&RedisError::from((kind, "test")));
        assert!(of(ErrorKind::Server(ServerErrorKind::ResponseError)));
        assert!(of(ErrorKind::Server(ServerErrorKind::ReadOnly)));
        assert!(of(ErrorKind::Server(ServerErrorKind::ExecAbort)));
        assert!(of(ErrorKind::Extension), "OOM and MISCONF among them");
        let io = |kind: io::ErrorKind| certainly_not_done(&RedisError::from(io::Error::from(kind)));
        assert!(io(io::ErrorKind::ConnectionRefused));
        assert!(!io(io::ErrorKind::TimedOut));
        assert!(!io(io::ErrorKind::ConnectionReset));
        assert!(!io(io::ErrorKind::BrokenPipe));
        assert!(!of(ErrorKind::Parse));
    }
}
