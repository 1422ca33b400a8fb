//! A connection that mends itself.

use std::time::Duration;

use ::redis::{
    Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// After so long without a word, the peer is asked for one.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A peer that takes in nothing for so long is gone. Less than an answer may take: what the caller has
/// been told is unknown must not be sent again after that.
#[cfg(target_os = "linux")]
const GONE_AFTER: Duration = Duration::from_secs(4);

/// Shared by all who use it at a time; connects when first used.
#[derive(Clone)]
pub(super) struct Connection(ConnectionManager);

pub(super) fn client(url: &str) -> Result<Client, RedisError> {
    let info: ConnectionInfo = url.into_connection_info()?;
    // Small requests must not wait to fill a packet, and a peer that is gone must be noticed.
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(GONE_AFTER);
    Client::open(info.set_tcp_settings(tcp))
}

impl Connection {
    pub(super) fn new(client: &Client, response_timeout: Duration) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // The callers try again; here it would only make them wait.
            .set_number_of_retries(0);
        ConnectionManager::new_lazy_with_config(client.clone(), config).map(Self)
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.0.clone()).await
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &::redis::ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        script.invoke_async(&mut self.0.clone()).await
    }
}
