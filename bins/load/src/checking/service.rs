//! Asks a service, over a few connections. If it does not answer, it is asked again.

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
    checking::{error::CheckError, voter_check::State, waiting::pauses},
    http::{Connection, Place, body_of, get},
};

/// The number of requests at a time.
const AT_A_TIME: usize = 16;

/// The pause before pending receipts are asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one answer may take.
const ONE_ANSWER: Duration = Duration::from_secs(10);

/// The shortest and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A tally in an answer of the result service.
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

/// A service. If it does not answer, it is asked again for a limited time.
pub(crate) struct Service {
    place: Place,
    patience: Duration,
}

impl Service {
    pub(crate) fn at(url: &str, patience: Duration) -> Result<Self, CheckError> {
        let place = Place::parse(url);
        let place = place.map_err(|error| CheckError::Service(error.to_string()))?;
        Ok(Self { place, patience })
    }

    /// Asks for something that must exist.
    pub(crate) async fn look_up<T: DeserializeOwned>(&self, path: &str) -> Result<T, CheckError> {
        let found = self.find(path).await?;
        found.ok_or_else(|| CheckError::Service(format!("there is no {path}")))
    }

    /// Asks for something that may exist.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, CheckError> {
        let body = Asking::of(self).ask(path).await?;
        body.map(|body| read(&body)).transpose()
    }

    pub(crate) async fn tally(&self, poll: &str) -> Result<Tally, CheckError> {
        self.look_up(&format!("/v1/polls/{poll}/tally")).await
    }

    /// The states of this many receipts. It ends once all are done, or once none has become done for as long as
    /// `patience`. A receipt that the service does not know is pending. `on_step` gets the number of receipts that are
    /// not done.
    pub(crate) async fn states(
        &self,
        receipts: usize,
        text: impl Fn(usize) -> String,
        is_done: impl Fn(State) -> bool,
        patience: Duration,
        on_step: impl Fn(usize),
    ) -> Result<Vec<State>, CheckError> {
        let mut states = vec![State::Pending; receipts];
        let mut waiting: Vec<usize> = (0..receipts).collect();
        let mut moved = Instant::now();
        loop {
            let open = Mutex::new(waiting.iter());
            let one = async || -> Result<Vec<(usize, State)>, CheckError> {
                let mut asking = Asking::of(self);
                let mut reported = Vec::new();
                loop {
                    let next = open.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(&index) = next else {
                        return Ok(reported);
                    };
                    let path = format!("/v1/receipts/{}", text(index));
                    let Some(body) = asking.ask(&path).await? else {
                        continue;
                    };
                    reported.push((index, read::<Receipt>(&body)?.state));
                }
            };
            let reported = join_all((0..AT_A_TIME.min(waiting.len())).map(|_| one())).await;
            for reported in reported {
                for (index, state) in reported? {
                    states[index] = state;
                }
            }
            let before = waiting.len();
            waiting.retain(|index| !is_done(states[*index]));
            on_step(waiting.len());
            if waiting.len() < before {
                moved = Instant::now();
            }
            if waiting.is_empty() || moved.elapsed() >= patience {
                return Ok(states);
            }
            sleep(PAUSE).await;
        }
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, CheckError> {
    serde_json::from_slice(body).map_err(|error| CheckError::Service(error.to_string()))
}

/// A connection, which is opened again when it is lost.
struct Asking<'a> {
    service: &'a Service,
    open: Option<Connection>,
}

impl<'a> Asking<'a> {
    fn of(service: &'a Service) -> Self {
        Self {
            service,
            open: None,
        }
    }

    /// The body of the answer; `None` if there is no such resource.
    async fn ask(&mut self, path: &str) -> Result<Option<Bytes>, CheckError> {
        let begun = Instant::now();
        let mut pauses = pauses(PAUSES.0, PAUSES.1);
        loop {
            let last = match timeout(ONE_ANSWER, self.try_ask(path)).await {
                Ok(Ok((StatusCode::OK, body))) => return Ok(Some(body)),
                Ok(Ok((StatusCode::NOT_FOUND, _))) => return Ok(None),
                Ok(Ok((status, body))) => {
                    format!("{status}: {}", String::from_utf8_lossy(&body))
                }
                Ok(Err(error)) => error,
                Err(_) => "no answer in time".to_owned(),
            };
            self.open = None;
            if begun.elapsed() >= self.service.patience {
                return Err(CheckError::Service(last));
            }
            sleep(pauses.next().unwrap_or(PAUSES.1)).await;
        }
    }

    async fn try_ask(&mut self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let place = &self.service.place;
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => Connection::open(place)
                .await
                .map_err(|error| error.to_string())?,
        };
        let _ = connection.is_ready().await;
        let answer = connection.send(get(place, path)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = body_of(answer).await.map_err(|error| error.to_string())?;
        self.open = Some(connection);
        Ok((status, body))
    }
}
