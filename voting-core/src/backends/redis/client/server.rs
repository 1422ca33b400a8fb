//! A connection to one server that mends itself.
//!
//! A client of its own for this, and not redis' `ConnectionManager`: that one is stuck for good when the
//! server has refused the password once, and does not tell a failure to connect, after which a
//! ballot is certainly not stored, from one that leaves it open.

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

use crate::backends::redis::{client::address::CONNECT_TIMEOUT, durability::watch::Watch};

/// Less than whoever asks for readiness waits: the reason is to be told, not only that there is no answer.
const PATIENCE_APART: Duration = Duration::from_millis(1_500);

/// Ends with the connection, or with why there is none; for all who wait for it.
type Connecting = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// Shared by all who use it at a time; connects when first used, and anew when it is used after it was
/// lost or could not be made.
#[derive(Clone)]
pub(in crate::backends::redis) struct Server(Arc<Inner>);

struct Inner {
    /// What messages call it.
    name: String,
    client: Client,
    response_timeout: Duration,
    /// The connection, and how many there were before it.
    current: Mutex<(u64, Connecting)>,
    watch: Watch,
    /// To ask whether writes are taken. While they are paused, Redis answers nothing any more on a connection
    /// that has sent one.
    apart: OnceLock<Server>,
}

impl Server {
    /// A server whose answers may take `response_timeout`.
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

    /// What messages call it.
    pub(in crate::backends::redis) fn name(&self) -> &str {
        &self.0.name
    }

    /// When it was last seen to keep what it acknowledges.
    pub(in crate::backends::redis) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// The same server over a connection of its own, which does not wait long.
    pub(in crate::backends::redis) fn apart(&self) -> Self {
        let apart = self.0.apart.get_or_init(|| {
            let patience = self.0.response_timeout.min(PATIENCE_APART);
            Self::new(self.0.name.clone(), self.0.client.clone(), patience)
        });
        apart.clone()
    }

    /// Asks something that changes nothing, or may be done twice. If the connection turns out to be lost, it is
    /// asked once more on a new one.
    pub(in crate::backends::redis) async fn read<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<T, RedisError> {
        once_more(|| async { command.query_async(&mut self.clone()).await }).await
    }

    /// How it is connected to.
    pub(in crate::backends::redis) fn client(&self) -> &Client {
        &self.0.client
    }

    /// How many connections there were before this one: the server may have been started anew.
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

    /// Whoever comes next connects anew, unless somebody else has seen to it.
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

/// Reads, and reads once more if the connection was lost, as to a server that was started anew while nobody
/// asked it anything. Not if it does not answer, or cannot be reached: that would only take twice as long.
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
            connection => connection.map_err(never_sent),
        }
    };
    // It goes on also when whoever asked first does not wait for it: half a connection that is taken up
    // again later would be out of time.
    let connecting = async { tokio::spawn(connecting).await };
    let connecting = connecting.map(|ended| {
        ended.unwrap_or_else(|error| {
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, error).into())
        })
    });
    connecting.boxed().shared()
}

/// How long a server may take to turn somebody away, and the longest that it says then.
const TURNED_AWAY_WITHIN: Duration = Duration::from_millis(500);
const TURNED_AWAY_IN: u64 = 1_024;

/// Why the server closes connections at once: it has no room for more clients, or is in protected mode. It says so
/// first, and the client, which sends at the same time, mostly sees no more than a broken connection. So another
/// one is made that sends nothing. An encrypted server says nothing.
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

/// Whatever failed while connecting, no command was sent: the error must not look like one that leaves
/// it open whether one was carried out.
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
