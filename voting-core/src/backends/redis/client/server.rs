//! A connection to one server, which connects again after it was lost.
//!
//! This is our own client, and not `ConnectionManager` of the crate redis. That client never recovers after the
//! server has once refused the password. It also does not distinguish a failure to connect, after which a ballot is
//! certainly not stored, from a failure that leaves the outcome unknown.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, Pipeline,
    RedisError, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::backends::{
    PROGRAM_VERSION,
    redis::{client::address::CONNECT_TIMEOUT, durability::watch::Watch},
};

/// This is less than a readiness check waits, so the check can tell the reason and not only that there is no answer.
const PATIENCE_APART: Duration = Duration::from_millis(1_500);

/// Ends with the connection, or with the reason why there is none. All tasks that wait for the connection share it.
type Connecting = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// All users share it. It connects when it is first used. If the connection was lost or could not be made, it
/// connects again at the next use.
#[derive(Clone)]
pub(in crate::backends::redis) struct Server(Arc<Inner>);

struct Inner {
    /// The name of the server in messages.
    name: String,
    client: Client,
    response_timeout: Duration,
    /// The current connection, and the number of connections before it.
    current: Mutex<(u64, Connecting)>,
    watch: Watch,
    /// A second connection, to ask whether the server takes writes. While writes are paused, Redis sends no more
    /// answers on a connection that has sent a write.
    apart: OnceLock<Server>,
}

impl Server {
    /// A server that may take `response_timeout` to answer.
    pub(in crate::backends::redis) fn new(
        name: String,
        client: Client,
        response_timeout: Duration,
    ) -> Self {
        let first = connect(client.clone(), response_timeout);
        Self(Arc::new(Inner {
            name,
            client,
            response_timeout,
            current: Mutex::new((0, first)),
            watch: Watch::default(),
            apart: OnceLock::new(),
        }))
    }

    /// The name of the server in messages.
    pub(in crate::backends::redis) fn name(&self) -> &str {
        &self.0.name
    }

    /// What was last found about the durability of this server.
    pub(in crate::backends::redis) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// The same server over a second connection with a short time-out.
    pub(in crate::backends::redis) fn apart(&self) -> Self {
        let apart = self.0.apart.get_or_init(|| {
            let patience = self.0.response_timeout.min(PATIENCE_APART);
            Self::new(self.0.name.clone(), self.0.client.clone(), patience)
        });
        apart.clone()
    }

    /// Sends a command that changes nothing, or that may be carried out twice. If the connection was lost, it sends
    /// the command once more on a new one.
    pub(in crate::backends::redis) async fn read<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<T, RedisError> {
        once_more(|| async { command.query_async(&mut self.clone()).await }).await
    }

    /// The client that makes the connections.
    pub(in crate::backends::redis) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The number of connections before the current one. If it has grown, the server may have been restarted.
    pub(in crate::backends::redis) fn turn(&self) -> u64 {
        let current = self.0.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).0
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisError> {
        let (turn, connecting) = {
            let current = self.0.current.lock();
            current.unwrap_or_else(PoisonError::into_inner).clone()
        };
        match connecting.await {
            Ok(connection) => Ok((turn, connection)),
            Err(error) => {
                self.renew(turn);
                Err(error)
            }
        }
    }

    /// Prepares a new connection for the next user, unless another task has done so.
    fn renew(&self, turn: u64) {
        let current = self.0.current.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if current.0 == turn {
            let next = connect(self.0.client.clone(), self.0.response_timeout);
            *current = (turn + 1, next);
        }
    }

    fn note<T>(&self, turn: u64, answer: &Result<T, RedisError>) {
        if let Err(error) = answer
            && error.is_unrecoverable_error()
        {
            self.renew(turn);
        }
    }
}

/// Reads, and reads once more if the connection was lost, for example because the server was restarted while nothing
/// was sent. It does not read again if the server does not answer or cannot be reached: that would only take twice as
/// long.
pub(in crate::backends::redis) async fn once_more<T, F: Future<Output = Result<T, RedisError>>>(
    read: impl Fn() -> F,
) -> Result<T, RedisError> {
    match read().await {
        Err(error) if error.is_connection_dropped() && !error.is_connection_refusal() => {
            read().await
        }
        answer => answer,
    }
}

fn connect(client: Client, response_timeout: Duration) -> Connecting {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(response_timeout));
    let connecting = async move {
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        match connection.await {
            Err(error) if error.is_connection_dropped() && !error.is_connection_refusal() => {
                Err(turned_away(&client)
                    .await
                    .unwrap_or_else(|| never_sent(error)))
            }
            Err(error) => Err(never_sent(error)),
            Ok(mut connection) => {
                tell_version(&mut connection).await?;
                Ok(connection)
            }
        }
    };
    // This is a task of its own, so it continues even if the first user stops waiting. A half-made connection that is
    // continued later would exceed its time-out.
    let connecting = async { tokio::spawn(connecting).await };
    let connecting = connecting.map(|ended| {
        ended.unwrap_or_else(|error| {
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, error).into())
        })
    });
    connecting.boxed().shared()
}

/// Names the connection after the version of this program, see [`Node::earlier_programs`](super::node::Node::earlier_programs).
/// A user that may not do so is served all the same.
async fn tell_version(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let mut name = ::redis::cmd("CLIENT");
    name.arg("SETNAME").arg(format!("voting/{PROGRAM_VERSION}"));
    match connection.req_packed_command(&name).await {
        Err(error) if error.is_unrecoverable_error() => Err(never_sent(error)),
        _ => Ok(()),
    }
}

/// How long a server may take to turn a client away, and, below, the most bytes of its reason.
const TURNED_AWAY_WITHIN: Duration = Duration::from_millis(500);
const TURNED_AWAY_IN: u64 = 1_024;

/// Says why the server closes connections at once: it has too many clients, or is in protected mode. The server sends
/// the reason first. But the client sends at the same time, and mostly sees only a broken connection. So this
/// function makes another connection, which sends nothing. A server with TLS sends no reason.
async fn turned_away(client: &Client) -> Option<RedisError> {
    let ConnectionAddr::Tcp(host, port) = client.get_connection_info().addr() else {
        return None;
    };
    let said = async {
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        let mut said = String::new();
        let mut stream = BufReader::new(stream.take(TURNED_AWAY_IN));
        stream.read_line(&mut said).await?;
        Ok::<_, io::Error>(said)
    };
    let said = timeout(TURNED_AWAY_WITHIN, said).await.ok()?.ok()?;
    let reason = said.trim_end().strip_prefix('-')?;
    let text = format!("cannot connect: {reason}");
    Some(io::Error::new(io::ErrorKind::ConnectionRefused, text).into())
}

/// If connecting fails, no command was sent. So this error must differ from errors after which a command may have
/// been carried out.
fn never_sent(error: RedisError) -> RedisError {
    let is_told = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(_) | ErrorKind::Extension
    );
    if is_told || error.is_connection_refusal() {
        return error;
    }
    let text = format!("cannot connect: {error}");
    io::Error::new(io::ErrorKind::ConnectionRefused, text).into()
}

impl ConnectionLike for Server {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let (turn, mut connection) = self.connection().await?;
            let answer = connection.req_packed_command(command).await;
            self.note(turn, &answer);
            answer
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let (turn, mut connection) = self.connection().await?;
            let answers = connection.req_packed_commands(pipeline, offset, count);
            let answers = answers.await;
            self.note(turn, &answers);
            answers
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }
}
