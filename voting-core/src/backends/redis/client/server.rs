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
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    Pipeline, RedisError, RedisFuture, ServerErrorKind, Value,
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
    redis::{
        client::{address::CONNECT_TIMEOUT, target::Target},
        durability::watch::Watch,
    },
};

/// This is less than a readiness check waits, so the check can tell the reason and not only that there is no answer.
const PATIENCE_APART: Duration = Duration::from_millis(1_500);

/// Ends with the connection, or with the reason why there is none. All tasks that wait for the connection share it.
type Connecting = Shared<BoxFuture<'static, Result<Connected, RedisError>>>;

/// A connection, and to where.
#[derive(Clone)]
struct Connected {
    connection: MultiplexedConnection,
    to: ConnectionAddr,
}

/// All users share it. It connects when it is first used. If the connection was lost or could not be made, it
/// connects again at the next use.
#[derive(Clone)]
pub(in crate::backends::redis) struct Server(Arc<Inner>);

struct Inner {
    /// The name of the server in messages.
    name: String,
    target: Target,
    response_timeout: Duration,
    /// The current connection, and the number of connections before it.
    current: Mutex<(u64, Connecting)>,
    watch: Watch,
    /// The turn of the connection on which the replicas were too slow when they were last waited for.
    slow: Mutex<Option<u64>>,
    /// A second connection, to ask whether the server takes writes. While writes are paused, Redis sends no more
    /// answers on a connection that has sent a write.
    apart: OnceLock<Server>,
}

impl Server {
    /// A server that may take `response_timeout` to answer.
    pub(in crate::backends::redis) fn new(
        name: String,
        target: Target,
        response_timeout: Duration,
    ) -> Self {
        let first = connect(target.clone(), response_timeout);
        Self(Arc::new(Inner {
            name,
            target,
            response_timeout,
            current: Mutex::new((0, first)),
            watch: Watch::default(),
            slow: Mutex::default(),
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
            Self::new(self.0.name.clone(), self.0.target.clone(), patience)
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

    /// How it connects.
    pub(in crate::backends::redis) fn info(&self) -> &ConnectionInfo {
        self.0.target.info()
    }

    /// Connects again at the next use, if the Sentinels say that the server is elsewhere by now.
    pub(in crate::backends::redis) async fn look_elsewhere(&self) {
        if !self.0.target.may_move() {
            return;
        }
        let (turn, connecting) = self.current();
        let Ok(Connected { to, .. }) = connecting.await else {
            return;
        };
        if let Ok(now) = self.0.target.client().await
            && *now.get_connection_info().addr() != to
        {
            self.renew(turn);
        }
    }

    /// Waits until everything that was written over the connection of this [turn](Self::turn) is on the disks of this server and of
    /// so many replicas. With `touch`, a command that always writes, also what was written over other connections before.
    pub(in crate::backends::redis) async fn kept_by(
        &self,
        turn: u64,
        touch: Option<&Cmd>,
        replicas: u16,
        patience: Duration,
    ) -> Result<(), NotKept> {
        let (now, mut connection) = self.connection().await?;
        // A new connection has sent nothing, so its answer would say nothing.
        if now != turn {
            return Err(NotKept::ConnectionLost);
        }
        if let Some(touch) = touch {
            // A connection is waited for up to its own last write, and a command that finds all done writes nothing.
            let touched = touch.query_async::<()>(&mut connection).await;
            self.note(turn, &touched);
            touched?;
        }
        let mut wait = ::redis::cmd("WAITAOF");
        let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        wait.arg(1).arg(replicas).arg(ms);
        let answer = wait.query_async::<(u16, u16)>(&mut connection).await;
        self.note(turn, &answer);
        // It answers also when its time is over.
        let kept = match answer? {
            (1.., kept) if kept >= replicas => Ok(()),
            (0, _) => Err(NotKept::ByMaster),
            (_, kept) => Err(NotKept::ByReplicas(kept, replicas)),
        };
        let mut slow = self.0.slow.lock().unwrap_or_else(PoisonError::into_inner);
        *slow = kept.is_err().then_some(turn);
        kept
    }

    /// Fails if the replicas were too slow when they were last waited for, and still are.
    pub(in crate::backends::redis) async fn is_kept_up(
        &self,
        replicas: u16,
        patience: Duration,
    ) -> Result<(), NotKept> {
        let slow = *self.0.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn();
        if slow != Some(turn) {
            return Ok(());
        }
        let kept = self.kept_by(turn, None, replicas, patience).await;
        if kept.is_err() {
            self.look_elsewhere().await;
        }
        kept
    }

    /// The number of connections before the current one. If it has grown, the server may have been restarted.
    pub(in crate::backends::redis) fn turn(&self) -> u64 {
        self.current().0
    }

    fn current(&self) -> (u64, Connecting) {
        let current = self.0.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisError> {
        let (turn, connecting) = self.current();
        match connecting.await {
            Ok(Connected { connection, .. }) => Ok((turn, connection)),
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
            let next = connect(self.0.target.clone(), self.0.response_timeout);
            *current = (turn + 1, next);
        }
    }

    fn note<T>(&self, turn: u64, answer: &Result<T, RedisError>) {
        let Err(error) = answer else { return };
        // A master that does not answer, or has become a replica, may have a successor.
        let is_left = || error.is_timeout() || is_read_only(error);
        if error.is_unrecoverable_error() || (self.0.target.may_move() && is_left()) {
            self.renew(turn);
        }
    }
}

pub(in crate::backends::redis) fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Why what was sent is not known to be on the disks of the replicas.
#[derive(Debug, thiserror::Error)]
pub(in crate::backends::redis) enum NotKept {
    #[error("the connection was lost before the replicas had it")]
    ConnectionLost,
    #[error("the master has not written it to its disk in time")]
    ByMaster,
    #[error("{0} of {1} replicas have written it to their disks in time")]
    ByReplicas(u16, u16),
    #[error("{CANNOT_WAIT}")]
    CannotWait,
    #[error("the server does not report whether its replicas have it")]
    Unknown(#[source] RedisError),
}

/// The error of a server without `WAITAOF`.
pub(in crate::backends::redis) const CANNOT_WAIT: &str =
    "it cannot wait for replicas (WAITAOF): that needs Redis 7.2 or later, or Valkey";

impl From<RedisError> for NotKept {
    fn from(error: RedisError) -> Self {
        let is_unknown_command = error
            .detail()
            .is_some_and(|reply| reply.starts_with("unknown command"));
        match is_unknown_command {
            true => Self::CannotWait,
            false => Self::Unknown(error),
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

fn connect(target: Target, response_timeout: Duration) -> Connecting {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(response_timeout));
    let connecting = async move {
        let client = target.client().await.map_err(never_sent)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        match connection.await {
            Err(error) if error.is_connection_dropped() && !error.is_connection_refusal() => {
                Err(turned_away(&client)
                    .await
                    .unwrap_or_else(|| never_sent(error)))
            }
            Err(error) => Err(never_sent(error)),
            Ok(mut connection) => {
                name_connection(&mut connection).await?;
                let to = client.get_connection_info().addr().clone();
                Ok(Connected { connection, to })
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
async fn name_connection(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
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
        self.0.target.info().redis_settings().db()
    }
}
