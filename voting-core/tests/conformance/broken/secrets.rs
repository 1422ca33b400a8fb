//! Logs that are held to a secret wrongly.

use async_trait::async_trait;
use voting_core::{
    BallotLog, StoreError,
    model::{secret::Fingerprint, secrets::KnownSecrets},
};

use super::{does_not_pass, log::BrokenLog, memory_of, sqlite_backend, with_log};

/// Accepts a service by its own secret alone, whatever others it has.
#[derive(Default)]
struct AsksForOneSecret;

#[async_trait]
impl BrokenLog for AsksForOneSecret {
    async fn check_secrets(
        &self,
        log: &dyn BallotLog,
        secrets: &KnownSecrets,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        log.check_secrets(&secrets.current.into()).await
    }
}

/// Does not look at whose secret it is.
#[derive(Default)]
struct AcceptsEverySecret;

#[async_trait]
impl BrokenLog for AcceptsEverySecret {
    async fn check_secrets(
        &self,
        _: &dyn BallotLog,
        _: &KnownSecrets,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        Ok(Vec::new())
    }
}

/// Forgets its secrets when it is opened anew.
#[derive(Default)]
struct Forgetful(bool);

#[async_trait]
impl BrokenLog for Forgetful {
    fn reopened() -> Self {
        Self(true)
    }

    async fn check_secrets(
        &self,
        log: &dyn BallotLog,
        secrets: &KnownSecrets,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        match self.0 {
            true => Ok(Vec::new()),
            false => log.check_secrets(secrets).await,
        }
    }
}

does_not_pass! {
    one_secret_alone: with_log::<AsksForOneSecret>(memory_of(1))
        => of secrets::another_secret_takes_its_place_in_three_steps;
    any_secret: with_log::<AcceptsEverySecret>(memory_of(1))
        => of secrets::a_log_is_held_to_the_secret_of_its_first_ballot;
    secrets_that_are_forgotten: with_log::<Forgetful>(sqlite_backend().await)
        => after secrets::the_secrets_of_a_log_stay;
}
