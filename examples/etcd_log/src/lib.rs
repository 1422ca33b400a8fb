#![doc = include_str!("../README.md")]

mod gateway;
mod keys;
mod log;
mod queue;
mod txn;

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Mutex;
use voting_core::{BallotQueue, Log, StoreError, model::position::ShardId};

pub use self::queue::EtcdQueue;
use self::{gateway::Gateway, keys::Keys, log::Known};

/// The only shard: each append is conditional on the one before, so a second one would be a second log.
const SHARD: ShardId = ShardId(0);

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub struct EtcdLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gateway: Gateway,
    keys: Keys,
    claim_seconds: u64,
    known: Mutex<Option<Known>>,
}

impl EtcdLog {
    /// The log whose keys begin with `prefix`, in the etcd at this address, such as `http://127.0.0.1:2379`. Whoever uses
    /// the same prefix uses the same log. An entry that is not acknowledged within `claim_timeout` is handed out again.
    /// The time-out is rounded up to seconds, and etcd may make it longer: see its `--election-timeout`.
    ///
    /// It does not connect yet.
    pub fn new(url: &str, prefix: &str, claim_timeout: Duration) -> Self {
        let seconds = claim_timeout.as_millis().div_ceil(1_000).max(1);
        Self(Arc::new(Inner {
            gateway: Gateway::new(url),
            keys: Keys::new(prefix),
            claim_seconds: u64::try_from(seconds).unwrap_or(u64::MAX),
            known: Mutex::new(None),
        }))
    }
}

impl Log for EtcdLog {
    fn reader(&self) -> Arc<dyn BallotQueue> {
        Arc::new(EtcdQueue(self.clone()))
    }
}

/// Somebody else wrote what is stored.
fn corrupt(error: impl fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
