//! Looks again and again whether the servers keep what they acknowledge, for as long as ballots are taken: an
//! operator, or a script, can change a Redis that runs.
//!
//! A ballot is sent to a server that was seen to keep what it acknowledges within the last second. Its voter
//! is thanked if a look that began within the second before the answer, or after the ballot was sent, has
//! found the same. While ballots come, a new look begins twice a second beside them, so that they hardly
//! ever wait for one. Who has not asked for a while looks first.

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

/// What was seen longer ago is not known any more.
const FRESH: Duration = Duration::from_secs(1);

/// While ballots come, the next look begins so long after the last one.
const RENEW: Duration = Duration::from_millis(500);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of one server.
#[derive(Default)]
pub(in crate::backends::redis) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    /// When it was last seen to keep what it acknowledges; nothing if the last look found otherwise.
    seen: Option<Seen>,
    /// The look that is under way.
    look: Option<Look>,
}

#[derive(Clone, Copy)]
struct Seen {
    duty: Duty,
    /// Over which connection: a new one may lead to a server that was started anew.
    turn: u64,
    begun: Instant,
    ended: Instant,
}

/// Ends with what was found, for all who wait for it.
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

    /// What a look has found; the next one may begin.
    fn note(&self, begun: Instant, seen: Option<Seen>) {
        let mut state = lock(&self.0);
        if state.look.as_ref().is_some_and(|look| look.begun == begun) {
            state.look = None;
            state.seen = seen;
        }
    }
}

/// The look at a server that is under way; a new one if there is none.
fn look(redis: &Redis, server: &Server, duty: Duty) -> Look {
    let mut state = lock(&server.watch().0);
    if let Some(look) = &state.look {
        return look.clone();
    }
    let begun = Instant::now();
    let (redis, server) = (redis.clone(), server.clone());
    let watched = server.clone();
    // A task of its own: it ends also when nobody waits for it.
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
            // Its runtime has ended before it.
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

/// Over which connection the server said that it keeps what it acknowledges.
async fn look_once(redis: &Redis, server: &Server, duty: Duty) -> Result<u64, Flaw> {
    let name = server.name();
    let asking = async {
        // All answers must come over one connection, or they may be of two servers. One that was lost is
        // made anew, once.
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

/// Done once a look that began at `since` or later has found that the server keeps what it acknowledges.
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
            // One that began earlier may have found what has been mended since.
            Err(Flaw::Told(_)) if look.begun < since => {}
            found => found?,
        }
    }
}

/// Of the whole log.
#[derive(Default)]
pub(in crate::backends::redis) struct Watched {
    /// The generation of the servers of which each was seen to keep what it acknowledges.
    generation: Mutex<Option<u64>>,
    /// When a look at all of them last began.
    round: Mutex<Option<Instant>>,
}

impl Watched {
    /// Whether it is time for the next round, which then counts as begun.
    fn is_due(&self) -> bool {
        let mut round = lock(&self.round);
        let is_due = round.is_none_or(|round| round.elapsed() >= RENEW);
        if is_due {
            *round = Some(Instant::now());
        }
        is_due
    }
}

/// Done if the server of a shard may be sent a ballot: it was seen to keep what it acknowledges, and no
/// other was seen not to.
pub(in crate::backends::redis) async fn before(
    redis: &Redis,
    shard: ShardId,
) -> Result<(), StoreError> {
    let (watched, connection) = (&redis.0.watched, &redis.0.connection);
    // As it is before the look: nodes that join meanwhile must not pass with it.
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
    let server = connection.server_of(&redis.log_key(shard)).await?;
    let is_recent = |seen: Seen| seen.ended.elapsed() <= FRESH;
    if server
        .watch()
        .is_seen(server.turn(), Duty::Master, is_recent)
    {
        return Ok(());
    }
    Ok(look(redis, &server, Duty::Master).end.await?)
}

/// Done if what the server has acknowledged, of what was sent at `sent`, may be told.
pub(in crate::backends::redis) async fn after(
    redis: &Redis,
    server: &Server,
    sent: Instant,
) -> Result<(), StoreError> {
    let fresh = Instant::now().checked_sub(FRESH);
    // If Redis is slow, a look may take longer than a second, too. One that is asked behind the ballot is
    // as good.
    let since = fresh.map_or(sent, |fresh| fresh.min(sent));
    Ok(seen_since(redis, server, Duty::Master, since).await?)
}

/// Looks at all servers, beside the ballots.
fn begin_round(redis: &Redis) {
    if let Connection::Server(server) = &redis.0.connection {
        look(redis, server, Duty::Master);
        return;
    }
    let redis = redis.clone();
    tokio::spawn(async move {
        if let Err(error) = round(&redis).await {
            tracing::debug!(error = in_one_line(&error), "cannot look at the cluster");
        }
    });
}

/// One of a cluster that does not answer takes no ballots either, and does not hold up those of the others.
/// One that says that it loses ballots does.
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
