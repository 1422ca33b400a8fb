//! The settings that each service needs, and which of them are missing.

use std::path::{Path, PathBuf};

use voting_core::error::in_one_line;

use crate::{
    secrets::{self, Hidden, Kept, SecretError, is_weak, resolve_secret},
    settings::{config::Config, listen, service::Service},
};

/// A secret of a service.
#[derive(Debug)]
pub struct SecretUse {
    /// The name of the setting.
    pub name: &'static str,
    /// The file that it was read from, if any.
    pub file: Option<PathBuf>,
    /// Whether it is set, readable and long enough. `None` if it is made at the first start.
    pub state: Option<Result<(), SecretError>>,
}

impl Config {
    /// The services that these settings are for, by the stores that they name. Settings with both stores and the
    /// operator's token but without the secret are for a worker, which should not have the secret.
    pub fn services(&self) -> Vec<Service> {
        let redis = self.redis.url.is_some() || self.redis.url_file.is_some();
        let postgres = self.postgres.url.is_some() || self.postgres.url_file.is_some();
        let secret = self.secret.is_some() || self.secret_file.is_some();
        let token = self.worker.token.is_some() || self.worker.token_file.is_some();
        match (redis, postgres) {
            (true, true) if token && !secret => vec![Service::Worker],
            (true, true) => vec![Service::Vote, Service::Worker, Service::Result],
            (true, false) => vec![Service::Vote],
            (false, true) => vec![Service::Result],
            (false, false) => vec![Service::AllInOne],
        }
    }

    /// A file beside the database of the all-in-one.
    pub fn beside_database(&self, name: &str) -> PathBuf {
        let folder = self.sqlite.path.parent();
        folder.unwrap_or(Path::new("")).join(name)
    }

    /// The secrets of these services, without duplicates.
    pub fn secrets_of(&self, services: &[Service]) -> Vec<SecretUse> {
        let any = |uses: fn(Service) -> bool| services.iter().any(|service| uses(*service));
        let makes = services == [Service::AllInOne];
        let mut secrets = Vec::new();
        let keyed = [
            (
                any(Service::uses_secret),
                "secret",
                (&self.secret, &self.secret_file),
                "secret",
            ),
            (
                any(Service::uses_token),
                "worker.token",
                (&self.worker.token, &self.worker.token_file),
                "operator-token",
            ),
        ];
        for (is_used, name, (value, file), kept) in keyed {
            if is_used {
                let kept = makes.then(|| self.beside_database(kept));
                let mut found = long_secret(name, value.as_ref(), file.as_deref(), kept);
                if name == "worker.token"
                    && let Some(Ok(())) = &found.state
                {
                    found.state = Some(self.check_token());
                }
                secrets.push(found);
                if name == "secret" {
                    secrets.extend(self.other_secret_uses());
                }
            }
        }
        if any(Service::uses_entry_keys) {
            secrets.extend(self.entry_key_uses());
        }
        if any(Service::uses_token) && self.host_login.client_secret_file.is_some() {
            let name = "host_login.client_secret";
            let (value, file) = (
                &self.host_login.client_secret,
                &self.host_login.client_secret_file,
            );
            let given = secrets::given(name, value.as_ref(), file.as_deref());
            secrets.push(SecretUse {
                name,
                file: file.clone(),
                state: Some(given.map(drop)),
            });
        }
        let addresses = [
            (
                any(Service::uses_redis),
                "redis.url",
                (&self.redis.url, &self.redis.url_file),
            ),
            (
                any(Service::uses_postgres),
                "postgres.url",
                (&self.postgres.url, &self.postgres.url_file),
            ),
        ];
        for (is_used, name, (value, file)) in addresses {
            if is_used {
                let given = secrets::given(name, value.as_ref(), file.as_deref());
                let state = given.and_then(|text| match text {
                    Some(_) => Ok(()),
                    None => Err(SecretError::NotGiven(name)),
                });
                secrets.push(SecretUse {
                    name,
                    file: file.clone(),
                    state: Some(state),
                });
            }
        }
        let (value, file) = (&self.redis.sentinels, &self.redis.sentinels_file);
        if any(Service::uses_redis) && (value.is_some() || file.is_some()) {
            let name = "redis.sentinels";
            let given = secrets::given(name, value.as_ref(), file.as_deref());
            secrets.push(SecretUse {
                name,
                file: file.clone(),
                state: Some(given.map(drop)),
            });
        }
        secrets
    }

    /// Why a service would not start with these settings, even if its stores answer. Call it within a tokio runtime.
    pub fn faults_for(&self, service: Service) -> Vec<String> {
        let mut faults = Vec::new();
        let mut note = |error: &(dyn std::error::Error + 'static)| {
            let line = in_one_line(error);
            if !faults.contains(&line) {
                faults.push(line);
            }
        };
        for secret in self.secrets_of(&[service]) {
            if let Some(Err(error)) = &secret.state {
                note(error);
            }
        }
        if service.uses_secret()
            && let Err(error @ SecretError::SameSecret) = self.secrets()
        {
            note(&error);
        }
        if service == Service::Worker
            && let Err(error) = self.bulk_secrets()
        {
            note(&error);
        }
        if service.uses_entry_keys()
            && let Err(error) = self.entry_secrets()
        {
            note(&error);
        }
        if matches!(service, Service::Vote | Service::AllInOne)
            && let Err(error) = self.logins()
        {
            note(&error);
        }
        if service != Service::Worker
            && let Err(error) = self.theme()
        {
            note(&error);
        }
        if service.uses_token()
            && let Err(error) = self.host_logins()
        {
            note(&error);
        }
        // A program that is built without a store never runs a service that uses the store.
        #[cfg(feature = "redis")]
        if service.uses_redis()
            && let Err(error) = self.redis()
        {
            note(&error);
        }
        #[cfg(feature = "postgres")]
        if service.uses_postgres()
            && let Err(error) = self.postgres()
        {
            note(&error);
        }
        if service == Service::AllInOne {
            faults.extend(self.clashes());
        }
        if service == Service::AllInOne && self.sqlite.path.is_dir() {
            faults.push(format!(
                "sqlite.path is a folder, {}; it must be a file",
                self.sqlite.path.display()
            ));
        }
        faults
    }

    /// The services of the all-in-one that cannot listen because another one has the same address.
    fn clashes(&self) -> impl Iterator<Item = String> {
        let listen = [
            ("vote.listen", self.vote.listen),
            ("result.listen", self.result.listen),
            ("worker.listen", self.worker.listen),
        ];
        let pairs = [(0, 1), (0, 2), (1, 2)].map(|(one, other)| (listen[one], listen[other]));
        pairs
            .into_iter()
            .filter(|((_, one), (_, other))| listen::clash(*one, *other))
            .map(|((name, one), (beside, other))| match one == other {
                true => format!("{name} and {beside} are both {one}: give each a port of its own"),
                false => format!(
                    "{name} and {beside} clash, as {one} and {other} have an address in common: give each a \
                     port of its own"
                ),
            })
    }

    /// Warns in the log about settings that are valid and probably not intended.
    pub fn warn_of_remarks(&self, service: Service) {
        for remark in self.remarks_for(&[service]) {
            tracing::warn!("{remark}");
        }
    }

    /// Returns a message for each setting of these services that is valid and probably not intended.
    pub fn remarks_for(&self, services: &[Service]) -> Vec<String> {
        let any = |is: fn(Service) -> bool| services.iter().any(|service| is(*service));
        let mut remarks = Vec::new();
        if any(|service| service != Service::Worker)
            && self.vote.public_url.is_some() != self.result.public_url.is_some()
        {
            remarks.push(
                "only one of vote.public_url and result.public_url is set: its pages have no link to the other service"
                    .to_owned(),
            );
        }
        if any(Service::uses_token)
            && self.worker.public_url.is_some()
            && self.vote.public_url.is_none()
        {
            remarks.push(
                "worker.public_url is set and vote.public_url is not: the host's pages have no address for voters"
                    .to_owned(),
            );
        }
        if let (Some(default), Some(polls)) = (&self.default_poll, &self.polls)
            && polls.iter().all(|poll| poll.id() != default)
        {
            remarks.push(format!(
                "default_poll is {default}, which is not among polls: it must be stored already"
            ));
        }
        let secret = (self.secret.as_ref(), self.secret_file.as_deref());
        if any(Service::uses_secret)
            && let Ok(found) = resolve_secret("secret", secret.0, secret.1, None)
            && is_weak(found.key.as_bytes())
        {
            // This is only a remark: services that do not start would help nobody.
            remarks.push(
                "secret is weak: whoever guesses it can vote for everybody; change it, as docs/operations.md says"
                    .to_owned(),
            );
        }
        if any(Service::uses_entry_keys)
            && let Ok(found) = self.entry_secrets()
            && found.all().any(|secret| is_weak(secret.key.as_bytes()))
        {
            remarks.push(
                "an entry key is weak: whoever guesses it and can write to Redis can vote for everybody; change it"
                    .to_owned(),
            );
        }
        if self.trusted_proxies.names_everybody() {
            remarks.push(
                "trusted_proxies names every address: any client can pretend to have another one, so no limit by address works"
                    .to_owned(),
            );
        }
        let labels = self.option_a.is_some() || self.option_b.is_some();
        if labels && !any(Service::makes_polls) {
            remarks.push(
                "OPTION_A and OPTION_B change nothing here: set them for voting-worker, which makes the poll"
                    .to_owned(),
            );
        } else if labels && self.polls.is_some() {
            remarks.push(
                "OPTION_A and OPTION_B are not used, since polls are configured: the labels are those of polls"
                    .to_owned(),
            );
        }
        if any(Service::uses_redis) && self.redis.accept_loss {
            remarks.push(
                "redis.accept_loss is true: the services go on with a Redis that can lose \
                 acknowledged ballots"
                    .to_owned(),
            );
        }
        remarks
    }
}

pub(super) fn long_secret(
    name: &'static str,
    value: Option<&Hidden>,
    file: Option<&Path>,
    kept: Option<PathBuf>,
) -> SecretUse {
    // A secret that is set takes precedence over a kept one.
    let kept = kept.filter(|_| value.is_none() && file.is_none());
    let state = match &kept {
        Some(path) if !path.exists() => None,
        kept => {
            let kept = kept.as_deref().map(|path| Kept {
                path,
                may_make: false,
            });
            Some(resolve_secret(name, value, file, kept).map(drop))
        }
    };
    SecretUse {
        name,
        file: file.map(Path::to_owned).or(kept),
        state,
    }
}
