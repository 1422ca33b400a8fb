//! Checks regularly, while ballots come in, whether the servers keep what they acknowledge: an operator or a script
//! can change a running Redis.
//!
//! A ballot is sent only to a server that a check in the last second found durable. Its voter gets the receipt if a
//! second condition holds too: a check that began within the second before the answer, or after the ballot was sent,
//! must have found the server durable. While ballots come in, a new check begins twice a second beside them, so a
//! ballot hardly ever waits for a check. After a pause, the first ballot waits for one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::time::{Instant, timeout};

use crate::backends::redis::{
    Redis,
    client::{
        connection::{Connection, Servers},
        server::Server,
    },
    durability::{self, Duty, Flaw},
};
use crate::{
    error::{StoreError, in_one_line},
    model::position::ShardId,
};

/// The result of a check is valid for this long.
const FRESH: Duration = Duration::from_secs(1);

/// While ballots come in, the time between the beginnings of two checks.
const RENEW: Duration = Duration::from_millis(500);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last check of one server.
#[derive(Default)]
pub(in crate::backends::redis) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    /// The last check, if it found the server durable; `None` if it did not.
    seen: Option<Seen>,
    /// The check that is running.
    look: Option<Look>,
}

#[derive(Clone, Copy)]
struct Seen {
    duty: Duty,
    /// The number of the connection. A new connection may lead to a server that was restarted.
    turn: u64,
    begun: Instant,
    ended: Instant,
}

/// A check that is running. All tasks that wait for its result share it.
#[derive(Clone)]
struct Look {
    begun: Instant,
    end: Shared<BoxFuture<'static, Result<(), Flaw>>>,
}

impl Watch {
    fn is_seen(&self, turn: u64, duty: Duty, is_recent: impl FnOnce(Seen) -> bool) -> bool {
        let seen = lock(&self.0).seen;
        seen.is_some_and(|seen| (seen.turn, seen.duty) == (turn, duty) && is_recent(seen))
    }

    /// Notes the result of a check. After that, the next check may begin.
    fn note(&self, begun: Instant, seen: Option<Seen>) {
        let mut state = lock(&self.0);
        if state.look.as_ref().is_some_and(|look| look.begun == begun) {
            state.look = None;
            state.seen = seen;
        }
    }
}

/// The running check of a server; if there is none, a new one.
fn look(redis: &Redis, server: &Server, duty: Duty) -> Look {
    let mut state = lock(&server.watch().0);
    if let Some(look) = &state.look {
        return look.clone();
    }
    let begun = Instant::now();
    let (redis, server) = (redis.clone(), server.clone());
    let watched = server.clone();
    // The check is a task of its own, so it ends even if nobody waits for it.
    let looking = tokio::spawn(async move {
        let found = look_once(&redis, &server, duty).await;
        let seen = found.as_ref().ok().map(|turn| Seen {
            duty,
            turn: *turn,
            begun,
            ended: Instant::now(),
        });
        server.watch().note(begun, seen);
        found.map(|_| ())
    });
    let end = async move {
        looking.await.unwrap_or_else(|error| {
            // The task was cancelled, because its runtime has ended.
            watched.watch().note(begun, None);
            Err(Flaw::unknown(error.to_string()))
        })
    };
    let look = Look {
        begun,
        end: end.boxed().shared(),
    };
    state.look = Some(look.clone());
    look
}

/// Asks the server. Returns the number of the connection over which it answered.
async fn look_once(redis: &Redis, server: &Server, duty: Duty) -> Result<u64, Flaw> {
    let name = server.name();
    let asking = async {
        // All answers must come over one connection. Otherwise they may be from two servers. If the connection was
        // lost, the server is asked once more.
        for _ in 0..2 {
            let turn = server.turn();
            durability::ask(redis, server, duty).await?;
            if server.turn() == turn {
                return Ok(turn);
            }
        }
        let text = format!("the connection to {name} is lost again and again");
        Err(Flaw::unknown(text))
    };
    let patience = redis.0.options.response_timeout;
    timeout(patience, asking).await.unwrap_or_else(|_| {
        let text = format!("{name} does not answer, so it is not known whether it keeps ballots");
        Err(Flaw::unknown(text))
    })
}

/// Waits for a check that began at `since` or later, and that found the server durable.
pub(in crate::backends::redis) async fn seen_since(
    redis: &Redis,
    server: &Server,
    duty: Duty,
    since: Instant,
) -> Result<(), Flaw> {
    loop {
        let is_recent = |seen: Seen| seen.begun >= since;
        if server.watch().is_seen(server.turn(), duty, is_recent) {
            return Ok(());
        }
        let look = look(redis, server, duty);
        match look.end.await {
            // A check that began earlier may have found a flaw that has been corrected since.
            Err(Flaw::Told(_)) if look.begun < since => {}
            found => found?,
        }
    }
}

/// The checks of all servers of the log.
#[derive(Default)]
pub(in crate::backends::redis) struct Watched {
    /// The generation of the servers at the last time when all of them were found durable.
    generation: Mutex<Option<u64>>,
    /// When a check of all servers last began.
    round: Mutex<Option<Instant>>,
}

impl Watched {
    /// Whether the next check of all servers is due. If it is, the check counts as begun.
    fn is_due(&self) -> bool {
        let mut round = lock(&self.round);
        let is_due = round.is_none_or(|round| round.elapsed() >= RENEW);
        if is_due {
            *round = Some(Instant::now());
        }
        is_due
    }
}

/// Succeeds if a ballot may be sent to the server of a shard: the server was found durable, and no other server was
/// found to lose ballots.
pub(in crate::backends::redis) async fn before(
    redis: &Redis,
    shard: ShardId,
) -> Result<(), StoreError> {
    let (watched, connection) = (&redis.0.watched, &redis.0.connection);
    // The generation is read before the check, so that a node that joins during the check does not pass unchecked.
    let generation = Some(connection.generation());
    let is_due = watched.is_due();
    if *lock(&watched.generation) != generation {
        durability::check(redis).await?;
        *lock(&watched.generation) = generation;
        return Ok(());
    }
    if is_due {
        begin_round(redis);
    }
    let server = redis.lane(shard).server_of(&redis.log_key(shard)).await?;
    let is_recent = |seen: Seen| seen.ended.elapsed() <= FRESH;
    if server
        .watch()
        .is_seen(server.turn(), Duty::Master, is_recent)
    {
        return Ok(());
    }
    Ok(look(redis, &server, Duty::Master).end.await?)
}

/// Succeeds if the acknowledgement of a server, for a ballot that was sent at `sent`, may be passed on.
pub(in crate::backends::redis) async fn after(
    redis: &Redis,
    server: &Server,
    sent: Instant,
) -> Result<(), StoreError> {
    let fresh = Instant::now().checked_sub(FRESH);
    // If Redis is slow, a check may take longer than a second. A check that began after the ballot was sent is
    // equally good.
    let since = fresh.map_or(sent, |fresh| fresh.min(sent));
    Ok(seen_since(redis, server, Duty::Master, since).await?)
}

/// Begins a check of all servers, in a task of its own.
fn begin_round(redis: &Redis) {
    if let Connection::Server(server) = &redis.0.connection {
        look(redis, server, Duty::Master);
        return;
    }
    let redis = redis.clone();
    tokio::spawn(async move {
        if let Err(error) = round(&redis).await {
            tracing::debug!(
                error = in_one_line(&error),
                "cannot read the layout of the cluster"
            );
        }
    });
}

/// Checks all servers of a cluster. A server that does not answer takes no ballots, and must not stop ballots for the
/// other servers. A server that may lose ballots stops them all.
async fn round(redis: &Redis) -> Result<(), StoreError> {
    let Servers { masters, replicas } = redis.0.connection.each().await?;
    let masters = masters.iter().map(|master| (master, Duty::Master));
    let replicas = replicas.iter().map(|replica| (replica, Duty::Replica));
    let looks = masters.chain(replicas);
    let looks = looks.map(|(server, duty)| async move {
        let found = look(redis, server, duty).end.await;
        if let Err(Flaw::Told(_)) = found {
            *lock(&redis.0.watched.generation) = None;
        }
    });
    futures_util::future::join_all(looks).await;
    Ok(())
}
