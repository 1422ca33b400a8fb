//! To which secrets a log is held. A log that accepts every secret need not pass this part.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Backend, scene::ballot};
use crate::{
    error::StoreError,
    model::{
        secret::{Fingerprint, SecretKey},
        secrets::{KnownSecrets, Secrets},
    },
};

fn secret(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("long enough")
}

fn print(byte: u8) -> Fingerprint {
    secret(byte).fingerprint()
}

fn known(current: u8, others: &[u8]) -> KnownSecrets {
    let others = others.iter().map(|byte| secret(*byte));
    let secrets = others.fold(Secrets::new(secret(current)), Secrets::reading);
    secrets.known()
}

impl Backend {
    /// The secrets that are not accepted any more, if a service with these is accepted.
    async fn admits(&self, current: u8, others: &[u8]) -> Option<Vec<Fingerprint>> {
        match self.log.check_secrets(&known(current, others)).await {
            Ok(dropped) => Some(dropped),
            Err(StoreError::ForeignSecret { .. }) => None,
            Err(other) => panic!("{other}"),
        }
    }
}

pub async fn a_log_is_held_to_the_secret_of_its_first_ballot(backend: &Backend) {
    assert_eq!(backend.admits(1, &[]).await, Some(vec![]));
    backend.append(&ballot("p", 1, 1)).await;
    assert_eq!(backend.admits(1, &[]).await, Some(vec![]));
    assert_eq!(backend.admits(2, &[]).await, None);
    assert_eq!(backend.admits(2, &[3]).await, None);
}

pub async fn another_secret_takes_its_place_in_three_steps(backend: &Backend) {
    assert_eq!(backend.admits(1, &[]).await, Some(vec![]));
    backend.append(&ballot("p", 1, 1)).await;
    // Services of two steps are there at a time.
    for (current, others) in [(1, [2].as_slice()), (1, &[]), (1, &[2])] {
        assert_eq!(backend.admits(current, others).await, Some(vec![]));
    }
    for (current, others) in [(2, [1]), (1, [2]), (2, [1])] {
        assert_eq!(backend.admits(current, &others).await, Some(vec![]));
    }
    // From now on there are cookies that this one cannot read.
    assert_eq!(backend.admits(1, &[]).await, None);
    for (current, others) in [(2, [].as_slice()), (2, &[1]), (2, &[])] {
        let dropped = backend.admits(current, others).await;
        assert_eq!(dropped, Some(vec![print(1)]));
    }
    assert_eq!(backend.admits(1, &[]).await, None);
    // And back.
    assert_eq!(backend.admits(1, &[2]).await, Some(vec![]));
    assert_eq!(backend.admits(2, &[]).await, None);
    assert_eq!(backend.admits(1, &[]).await, Some(vec![print(2)]));
}

pub async fn services_that_come_at_once_agree_on_the_secrets(backend: &Backend) {
    assert_eq!(backend.admits(1, &[]).await, Some(vec![]));
    backend.append(&ballot("p", 1, 1)).await;
    for (others, dropped) in [([1].as_slice(), vec![]), (&[], vec![print(1)])] {
        let mut asking = JoinSet::new();
        for _ in 0..8 {
            let (log, ours) = (Arc::clone(&backend.log), known(2, others));
            asking.spawn(async move { log.check_secrets(&ours).await });
        }
        for answer in asking.join_all().await {
            assert_eq!(answer.expect("accepted"), dropped);
        }
    }
}

pub async fn the_secrets_of_a_log_stay(backend: Backend) {
    assert_eq!(backend.admits(1, &[]).await, Some(vec![]));
    backend.append(&ballot("p", 1, 1)).await;
    assert_eq!(backend.admits(2, &[1]).await, Some(vec![]));
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(backend.admits(1, &[]).await, None);
    assert_eq!(backend.admits(1, &[2]).await, Some(vec![]));
    assert_eq!(backend.admits(2, &[]).await, Some(vec![print(1)]));
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(backend.admits(1, &[]).await, None);
    assert_eq!(backend.admits(2, &[]).await, Some(vec![print(1)]));
}
