//! What is acknowledged only once the replicas that may take over have it on their disks.
//!
//! A replica that takes over then lacks nothing that anybody was told of, and nothing that a worker has had. So its ids go on above
//! all ids that the store knows.

use std::time::Duration;

use ::redis::{FromRedisValue, ScriptInvocation};

use crate::{
    backends::redis::{
        Redis,
        client::connection::{Connection, Ran},
    },
    error::StoreError,
    model::position::ShardId,
};

impl Redis {
    /// The connection for the entries of a shard.
    pub(super) fn lane(&self, shard: ShardId) -> &Connection {
        let lane = self.0.lanes.get(usize::from(shard.0));
        lane.unwrap_or(&self.0.connection)
    }

    /// How long the replicas may take: less than an answer may take, so that the answer says how many have it.
    fn patience_with_replicas(&self) -> Duration {
        self.0.options.response_timeout * 3 / 5
    }

    /// Waits until the replicas have what a server has carried out. Returns at once if no replica may take over.
    ///
    /// # Errors
    /// It is not known that they have it. The server has carried it out all the same.
    pub(super) async fn kept<T>(&self, ran: &Ran<T>) -> Result<(), StoreError> {
        let replicas = self.0.options.replicas;
        if replicas == 0 {
            return Ok(());
        }
        let kept = ran
            .server
            .kept_by(ran.turn, None, replicas, self.patience_with_replicas());
        kept.await.map_err(StoreError::unavailable)
    }

    /// As [`kept`](Self::kept), also if the server had nothing to do, since it had done it before for somebody else who may
    /// still wait for the replicas. What was done is in this shard.
    pub(super) async fn kept_also_before<T>(
        &self,
        ran: &Ran<T>,
        shard: ShardId,
    ) -> Result<(), StoreError> {
        let replicas = self.0.options.replicas;
        if replicas == 0 {
            return Ok(());
        }
        let mut touch = ::redis::cmd("HINCRBY");
        touch.arg(self.stats_key(shard)).arg("touched").arg(0);
        let kept = ran.server.kept_by(
            ran.turn,
            Some(&touch),
            replicas,
            self.patience_with_replicas(),
        );
        kept.await.map_err(StoreError::unavailable)
    }

    /// Looks whether the Sentinels name another master than the one to which these connections are.
    pub(super) async fn look_elsewhere(&self, further: Option<&Connection>) {
        for connection in [Some(&self.0.connection), further].into_iter().flatten() {
            if let Connection::Server(server) = connection {
                server.look_elsewhere().await;
            }
        }
    }

    /// Fails if the replicas are known to be too slow for another entry of the shard. So voters hear that their
    /// ballots are not stored, and not that this is unknown.
    pub(super) async fn replicas_keep_up(&self, shard: ShardId) -> Result<(), StoreError> {
        let replicas = self.0.options.replicas;
        if replicas == 0 {
            return Ok(());
        }
        let server = self.lane(shard).server_of(&self.log_key(shard)).await?;
        let kept_up = server.is_kept_up(replicas, self.patience_with_replicas());
        kept_up.await.map_err(StoreError::unavailable)
    }

    /// Runs a script in a shard, and waits until the replicas have what it has written.
    pub(super) async fn run_kept<T: FromRedisValue>(
        &self,
        shard: ShardId,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let ran = self.0.connection.run_on(script).await?;
        self.kept_also_before(&ran, shard).await?;
        Ok(ran.answer)
    }
}
