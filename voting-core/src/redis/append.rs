//! The writing end.

use async_trait::async_trait;

use super::{Redis, durability};
use crate::{
    error::{CastError, StoreError},
    position::{EntryId, ShardId},
    traits::BallotLog,
};

/// Whether a command that failed so was certainly not carried out, and never will be.
fn certainly_not_done(error: &::redis::RedisError) -> bool {
    // The server said no, or there was no connection to send it on. A time-out or a connection
    // that broke leaves it open: the server may have carried it out, or may be about to.
    error.is_connection_refusal()
        || matches!(
            error.kind(),
            ::redis::ErrorKind::Server(_)
                | ::redis::ErrorKind::Extension
                | ::redis::ErrorKind::AuthenticationFailed
        )
}

#[async_trait]
impl BallotLog for Redis {
    fn shards(&self) -> u16 {
        self.0.options.shards
    }

    async fn append(
        &self,
        shard: ShardId,
        payload: Vec<u8>,
        ballots: u16,
    ) -> Result<EntryId, CastError> {
        if shard.0 >= self.0.options.shards {
            return Err(CastError::Refused(
                format!("there is no shard {shard}").into(),
            ));
        }
        let fit = async {
            self.prepare().await?;
            // Not only a matter of readiness: nobody may ask.
            let durable = self.0.durable.get_or_try_init(|| durability::check(self));
            durable.await.copied()
        };
        fit.await
            .map_err(|error| CastError::Refused(error.into()))?;
        let mut append = ::redis::pipe();
        append
            .atomic()
            .cmd("XADD")
            .arg(self.log_key(shard))
            .arg("*")
            .arg("b")
            .arg(payload)
            .arg("n")
            .arg(ballots)
            .hincr(self.stats_key(shard), "accepted", ballots)
            .ignore();
        let appended: Result<(String,), _> = self.0.connection.ask_all(&append).await;
        let (id,) = appended.map_err(|error| {
            if certainly_not_done(&error) {
                CastError::Refused(error.into())
            } else {
                CastError::Unknown(error.into())
            }
        })?;
        parse_id(&id).map_err(|error| CastError::Unknown(error.into()))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.prepare().await?;
        durability::check(self).await
    }
}

/// An id as Redis writes it, `ms-seq`.
pub(super) fn parse_id(text: &str) -> Result<EntryId, StoreError> {
    let parts = text.split_once('-');
    let numbers = parts.and_then(|(ms, seq)| Some((ms.parse().ok()?, seq.parse().ok()?)));
    numbers
        .and_then(|(ms, seq)| EntryId::new(ms, seq))
        .ok_or_else(|| StoreError::Corrupt(format!("stream entry id {text:?}")))
}

#[cfg(test)]
mod tests {
    use std::io;

    use ::redis::{ErrorKind, RedisError, ServerErrorKind};

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

    #[test]
    fn ids_are_read_as_redis_writes_them() {
        assert_eq!(
            parse_id("1700000000000-5").unwrap(),
            EntryId::new(1_700_000_000_000, 5).unwrap()
        );
        for bad in ["", "1", "1-", "-1", "1-2-3", "x-1", "1-140737488355328"] {
            assert!(parse_id(bad).is_err(), "{bad}");
        }
    }
}
