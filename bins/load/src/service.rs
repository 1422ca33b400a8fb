//! Asks a service, over a few connections, again where it does not answer.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use hyper::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

use crate::{
    check::CheckError,
    http::{Connection, Place, body_of, get},
    judge::State,
};

/// Requests at a time.
const AT_A_TIME: usize = 16;

/// Before what is pending is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one answer may take.
const ONE_ANSWER: Duration = Duration::from_secs(10);

/// How often a request is tried, with a pause between that adds up to some ten seconds.
const ATTEMPTS: u32 = 10;

/// A tally, as the result service tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Tally {
    pub(crate) version: u64,
    pub(crate) voters: u64,
    options: Vec<OptionTally>,
}

#[derive(Debug, Deserialize)]
struct OptionTally {
    votes: u64,
}

impl Tally {
    pub(crate) fn votes(&self) -> Vec<u64> {
        self.options.iter().map(|option| option.votes).collect()
    }
}

#[derive(Deserialize)]
struct Receipt {
    state: State,
}

/// A service that is asked.
pub(crate) struct Service(Place);

impl Service {
    pub(crate) fn at(url: &str) -> Result<Self, CheckError> {
        let place = Place::parse(url);
        let place = place.map_err(|error| CheckError::Service(error.to_string()))?;
        Ok(Self(place))
    }

    /// Asks for what must be there.
    pub(crate) async fn look_up<T: DeserializeOwned>(&self, path: &str) -> Result<T, CheckError> {
        let body = Asking::of(&self.0).ask(path).await?;
        let body = body.ok_or_else(|| CheckError::Service(format!("there is no {path}")))?;
        read(&body)
    }

    pub(crate) async fn tally(&self, poll: &str) -> Result<Tally, CheckError> {
        self.look_up(&format!("/v1/polls/{poll}/tally")).await
    }

    /// The states of this many receipts, once none is pending, or none has come to be counted for as
    /// long as `patience`. One that the service does not know is pending.
    pub(crate) async fn states(
        &self,
        receipts: usize,
        text: impl Fn(usize) -> String,
        patience: Duration,
    ) -> Result<Vec<State>, CheckError> {
        let mut states = vec![State::Pending; receipts];
        let mut pending: Vec<usize> = (0..receipts).collect();
        let mut moved = Instant::now();
        loop {
            let open = Mutex::new(pending.iter());
            let one = async || -> Result<Vec<(usize, State)>, CheckError> {
                let mut asking = Asking::of(&self.0);
                let mut told = Vec::new();
                loop {
                    let next = open.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(&index) = next else { return Ok(told) };
                    let path = format!("/v1/receipts/{}", text(index));
                    let Some(body) = asking.ask(&path).await? else {
                        continue;
                    };
                    told.push((index, read::<Receipt>(&body)?.state));
                }
            };
            let told = join_all((0..AT_A_TIME.min(pending.len())).map(|_| one())).await;
            for told in told {
                for (index, state) in told? {
                    states[index] = state;
                }
            }
            let before = pending.len();
            pending.retain(|index| states[*index] == State::Pending);
            if pending.len() < before {
                moved = Instant::now();
            }
            if pending.is_empty() || moved.elapsed() >= patience {
                return Ok(states);
            }
            sleep(PAUSE).await;
        }
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, CheckError> {
    serde_json::from_slice(body).map_err(|error| CheckError::Service(error.to_string()))
}

/// A connection, opened anew when it is gone.
struct Asking<'a> {
    place: &'a Place,
    open: Option<Connection>,
}

impl<'a> Asking<'a> {
    fn of(place: &'a Place) -> Self {
        Self { place, open: None }
    }

    /// The answer's body; `None` if there is no such thing.
    async fn ask(&mut self, path: &str) -> Result<Option<Bytes>, CheckError> {
        let mut pause = Duration::from_millis(20);
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match timeout(ONE_ANSWER, self.try_ask(path)).await {
                Ok(Ok((StatusCode::OK, body))) => return Ok(Some(body)),
                Ok(Ok((StatusCode::NOT_FOUND, _))) => return Ok(None),
                Ok(Ok((status, body))) => {
                    last = format!("{status}: {}", String::from_utf8_lossy(&body));
                }
                Ok(Err(error)) => last = error,
                Err(_) => "no answer in time".clone_into(&mut last),
            }
            self.open = None;
            sleep(pause).await;
            pause *= 2;
        }
        Err(CheckError::Service(last))
    }

    async fn try_ask(&mut self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => Connection::open(self.place)
                .await
                .map_err(|error| error.to_string())?,
        };
        let _ = connection.is_ready().await;
        let answer = connection.send(get(self.place, path)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = body_of(answer).await.map_err(|error| error.to_string())?;
        self.open = Some(connection);
        Ok((status, body))
    }
}
