//! The writing end: entries and seals.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voting_core::{
    BallotLog, CastError, ErrorKind, PollId, StoreError,
    log::entry::{EntryPoll, NewEntry},
    model::{
        moment::Moment,
        poll::PollWindow,
        position::{EntryId, ShardId},
        secret::Fingerprint,
        secrets::{KnownSecrets, LogSecrets},
    },
};

use crate::{
    EtcdLog, SHARD, corrupt,
    gateway::Failure,
    keys::EntryName,
    txn::{Answer, Stored, Txn},
};

/// How often something is tried that other writers were faster with.
const ATTEMPTS: usize = 100;

/// Where the log ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// The newest id that was given. It stays when its entry has left the log.
    last: String,
    /// How many ballots were ever appended.
    pub(crate) accepted: u64,
}

impl Tail {
    pub(crate) fn of(stored: Option<&Stored>) -> Result<Self, StoreError> {
        stored.map_or_else(
            || Ok(Self::at(EntryId::MIN, 0)),
            |stored| serde_json::from_slice(&stored.value).map_err(corrupt),
        )
    }

    fn at(last: EntryId, accepted: u64) -> Self {
        Self {
            last: last.to_string(),
            accepted,
        }
    }

    pub(crate) fn last(&self) -> Result<EntryId, StoreError> {
        self.last.parse().map_err(corrupt)
    }
}

/// What a writer knows of the log. etcd says whether it is still so.
#[derive(Debug)]
pub(crate) struct Known {
    tail: Tail,
    tail_revision: i64,
    sealed: BTreeSet<String>,
    sealed_revision: i64,
}

fn revision(stored: Option<&Stored>) -> i64 {
    stored.map_or(0, |stored| stored.revision)
}

fn set_of(stored: Option<&Stored>) -> Result<BTreeSet<String>, StoreError> {
    stored.map_or_else(
        || Ok(BTreeSet::new()),
        |stored| serde_json::from_slice(&stored.value).map_err(corrupt),
    )
}

impl Known {
    /// Of an answer to reads of the tail and of what is sealed.
    fn of(answer: &Answer) -> Result<Self, StoreError> {
        let (tail, sealed) = (answer.one(0), answer.one(1));
        Ok(Self {
            tail: Tail::of(tail)?,
            tail_revision: revision(tail),
            sealed: set_of(sealed)?,
            sealed_revision: revision(sealed),
        })
    }

    /// The poll of the entry that is sealed, as far as this writer knows. What is sealed stays sealed.
    fn closed<'a>(&self, entry: &'a NewEntry) -> Option<&'a PollId> {
        let mut polls = entry.polls.iter().map(|poll| &poll.id);
        polls.find(|poll| self.sealed.contains(poll.as_str()))
    }
}

/// An entry's value: how long its traces are, the traces, the payload.
fn value_of(entry: &NewEntry) -> Vec<u8> {
    let traces = u32::try_from(entry.traces.len()).unwrap_or_default();
    // A log may drop traces, such as those that are too long.
    let kept = if traces == 0 { &[][..] } else { &entry.traces };
    [&traces.to_be_bytes(), kept, &entry.payload].concat()
}

/// The traces and the payload.
pub(crate) fn parts_of(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (length, rest) = value.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (traces, payload) = rest.split_at_checked(length)?;
    Some((traces.to_vec(), payload.to_vec()))
}

fn overtaken() -> StoreError {
    StoreError::of_kind(ErrorKind::TimedOut, "other writers were always faster")
}

impl EtcdLog {
    async fn look(&self) -> Result<Known, StoreError> {
        let keys = &self.0.keys;
        let read = Txn::default().get(&keys.tail()).get(&keys.sealed());
        Known::of(&self.0.gateway.commit(&read).await?)
    }
}

#[async_trait]
impl BallotLog for EtcdLog {
    fn shards(&self) -> u16 {
        1
    }

    /// Gives the entry its id, and writes it on the condition that the log is still as this writer knows it: no other
    /// entry has come, and no other poll is sealed. If it is not, the answer says how the log is, for another attempt.
    async fn append(&self, shard: ShardId, entry: NewEntry) -> Result<EntryId, CastError> {
        if shard != SHARD {
            return Err(CastError::Refused("there is one shard only".into()));
        }
        let refused = |error: StoreError| CastError::Refused(error.into());
        let (keys, value) = (&self.0.keys, value_of(&entry));
        // One at a time, so that the entries of one process do not overtake each other.
        let mut known = self.0.known.lock().await;
        for _ in 0..ATTEMPTS {
            // What is known is gone if this future is dropped, or fails below.
            let now = match known.take() {
                Some(now) => now,
                None => self.look().await.map_err(refused)?,
            };
            if let Some(poll) = now.closed(&entry) {
                let closed = CastError::Closed(poll.clone());
                *known = Some(now);
                return Err(closed);
            }
            let last = now.tail.last().map_err(refused)?;
            // The clock of this process: see the README for what follows from that.
            let id = last.following(Moment::now().unix_ms());
            for EntryPoll { id: poll, rules } in &entry.polls {
                PollWindow::admit(None, poll, *rules, id.ms())?;
            }
            let tail = Tail::at(id, now.tail.accepted + u64::from(entry.ballots));
            let name = EntryName {
                id,
                ballots: entry.ballots,
            };
            let append = Txn::default()
                .if_unchanged(&keys.tail(), now.tail_revision)
                .if_unchanged(&keys.sealed(), now.sealed_revision)
                .put(&keys.entry(name), &value)
                .put(&keys.tail(), serde_json::to_vec(&tail).map_err(not_json)?)
                .or_get(&keys.tail())
                .or_get(&keys.sealed());
            let answer = self.0.gateway.commit(&append).await?;
            if answer.done {
                *known = Some(Known {
                    tail,
                    tail_revision: answer.revision,
                    ..now
                });
                return Ok(id);
            }
            *known = Some(Known::of(&answer).map_err(refused)?);
        }
        Err(refused(overtaken()))
    }

    /// No program before version 0.2 knows this log.
    fn has_one_program(&self) -> bool {
        true
    }

    async fn seal(&self, _: ShardId, polls: &[PollId]) -> Result<EntryId, StoreError> {
        let keys = &self.0.keys;
        let mut known = self.0.known.lock().await;
        for _ in 0..ATTEMPTS {
            let now = match known.take() {
                Some(now) => now,
                None => self.look().await?,
            };
            let mut sealed = now.sealed;
            sealed.extend(polls.iter().map(|poll| poll.as_str().to_owned()));
            // The tail is read in the same step: what is appended later knows the seal.
            let seal = Txn::default()
                .if_unchanged(&keys.sealed(), now.sealed_revision)
                .put(
                    &keys.sealed(),
                    serde_json::to_vec(&sealed).map_err(corrupt)?,
                )
                .get(&keys.tail())
                .or_get(&keys.tail())
                .or_get(&keys.sealed());
            let answer = self.0.gateway.commit(&seal).await?;
            if answer.done {
                let tail = Tail::of(answer.one(0))?;
                let last = tail.last()?;
                *known = Some(Known {
                    tail,
                    tail_revision: revision(answer.one(0)),
                    sealed,
                    sealed_revision: answer.revision,
                });
                return Ok(last);
            }
            *known = Some(Known::of(&answer)?);
        }
        Err(overtaken())
    }

    async fn ready_to_append(&self) -> Result<(), StoreError> {
        if self.0.gateway.is_alarmed().await? {
            let alarm = "etcd raises an alarm: `etcdctl alarm list` says which";
            return Err(StoreError::of_kind(ErrorKind::Full, alarm));
        }
        // Is answered only while most members of etcd agree.
        self.look().await.map(|_| ())
    }

    async fn check_secrets(&self, secrets: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        let key = self.0.keys.secrets();
        for _ in 0..ATTEMPTS {
            let answer = self.0.gateway.commit(&Txn::default().get(&key)).await?;
            let stored = answer.one(0);
            let held = secrets_of(stored)?;
            let Some(next) = held.admit(secrets)? else {
                return Ok(held.no_longer_accepted());
            };
            let texts = [&next.accepted, &next.dropped]
                .map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
            let change = Txn::default()
                .if_unchanged(&key, revision(stored))
                .put(&key, serde_json::to_vec(&texts).map_err(corrupt)?);
            if self.0.gateway.commit(&change).await?.done {
                return Ok(next.no_longer_accepted());
            }
        }
        Err(overtaken())
    }
}

fn secrets_of(stored: Option<&Stored>) -> Result<LogSecrets, StoreError> {
    let Some(stored) = stored else {
        return Ok(LogSecrets::default());
    };
    let texts: [Vec<String>; 2] = serde_json::from_slice(&stored.value).map_err(corrupt)?;
    let read = |texts: &[String]| {
        let list = texts.iter().map(|text| text.parse().map_err(corrupt));
        list.collect::<Result<Vec<Fingerprint>, _>>()
    };
    Ok(LogSecrets {
        accepted: read(&texts[0])?,
        dropped: read(&texts[1])?,
    })
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::NotConnected(error.into())
}
