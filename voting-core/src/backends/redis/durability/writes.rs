//! Checks whether Redis would accept the writes of the services. It is not enough that a server answers reads: a
//! replica does too, and so does a server whose disk or memory is full.

use ::redis::{ErrorKind, RedisError, Script, ScriptInvocation, ServerErrorKind};
use futures_util::future::try_join_all;

use crate::backends::redis::{
    GROUP, Redis,
    client::server::{Server, once_more},
};
use crate::{
    error::{self, StoreError},
    model::position::ShardId,
};

impl Redis {
    /// Succeeds if each shard would take a ballot.
    pub(in crate::backends::redis) async fn takes_ballots(&self) -> Result<(), StoreError> {
        self.would_write(&self.0.scripts.writable).await
    }

    /// Succeeds if entries of each shard could be acknowledged.
    pub(in crate::backends::redis) async fn takes_acknowledgements(
        &self,
    ) -> Result<(), StoreError> {
        self.would_write(&self.0.scripts.acknowledgeable).await
    }

    async fn would_write(&self, script: &Script) -> Result<(), StoreError> {
        // On a single server, the answer for one shard holds for all.
        let shards = match self.0.options.cluster {
            true => self.0.options.shards,
            false => 1,
        };
        let asked = (0..shards).map(ShardId).map(|shard| async move {
            let key = self.log_key(shard);
            let server = self.0.connection.server_of(&key).await?;
            let mut ask = script.key(key);
            ask.arg(GROUP);
            answer(&server, &ask).await
        });
        try_join_all(asked).await.map(|_| ())
    }

    /// Succeeds if a server would take a ballot from a user who has the right.
    pub(in crate::backends::redis) async fn server_takes_ballots(
        &self,
        server: &Server,
    ) -> Result<(), StoreError> {
        let ask = self.0.scripts.writable.prepare_invoke();
        match answer(server, &ask).await {
            // The rights of the user are checked elsewhere.
            Err(error) if error.kind() == error::ErrorKind::Forbidden => Ok(()),
            answer => answer,
        }
    }
}

async fn answer(server: &Server, ask: &ScriptInvocation<'_>) -> Result<(), StoreError> {
    let answer = once_more(|| async { ask.invoke_async::<()>(&mut server.apart()).await }).await;
    answer.or_else(|error| match error.kind() {
        // The server takes ballots of its own shards. A ballot for this shard is redirected.
        ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain,
        ) => Ok(()),
        _ => Err(explained(server.name(), error)),
    })
}

/// The error with an explanation, if there is one.
fn explained(name: &str, error: RedisError) -> StoreError {
    match why(&error) {
        Some(why) => StoreError::unavailable(format!("{name} takes no writes: {why} ({error})")),
        None => error.into(),
    }
}

/// The meaning of the error with which Redis refused a write; `None` if the error has no known meaning.
pub(in crate::backends::redis) fn why(error: &RedisError) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Some("it is a replica"),
        ErrorKind::Server(ServerErrorKind::MasterDown) => {
            Some("it is a replica whose master is away")
        }
        ErrorKind::Server(ServerErrorKind::BusyLoading) => {
            Some("it still reads its log after a start")
        }
        ErrorKind::Server(ServerErrorKind::ClusterDown) => Some("the cluster lacks nodes"),
        _ if error.is_timeout() => Some("they are paused, or it is too busy"),
        _ => match error.code()? {
            "OOM" => Some("its memory is full"),
            "MISCONF" => Some("it cannot write to its disk"),
            "NOREPLICAS" => Some("it has too few replicas"),
            _ => None,
        },
    }
}
