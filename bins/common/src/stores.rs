//! The stores and surroundings that the settings speak of.

use std::{
    fs, io,
    num::NonZeroU16,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use voting_core::{
    SecretKey,
    postgres::{Postgres, PostgresOptions},
    redis::{Redis, RedisOptions},
    tls::{Authorities, NoAuthorities},
};
use voting_http::{Gate, PeerLink, Site};

use crate::{
    config::{Config, Web},
    secrets::{self, SecretError},
};

/// Why there is no store to use.
#[derive(Debug, thiserror::Error)]
pub enum StoreSettings {
    /// The address is not given as it should be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The address cannot be read.
    #[error("redis.url is not a valid Redis URL")]
    Redis(#[source] voting_core::error::BoxError),
    /// The address cannot be read.
    #[error("postgres.url is not a valid Postgres URL")]
    Postgres(#[source] voting_core::error::BoxError),
    /// The file of the authorities cannot be read.
    #[error("cannot read {}", .0.display())]
    CaFile(PathBuf, #[source] io::Error),
    /// The file of the authorities holds none.
    #[error("{} holds no certificate authorities", .0.display())]
    NoAuthorities(PathBuf, #[source] NoAuthorities),
}

fn authorities(file: Option<&Path>) -> Result<Option<Authorities>, StoreSettings> {
    let Some(file) = file else {
        return Ok(None);
    };
    let pem = fs::read(file).map_err(|error| StoreSettings::CaFile(file.to_owned(), error))?;
    let read = Authorities::from_pem(&pem);
    read.map(Some)
        .map_err(|error| StoreSettings::NoAuthorities(file.to_owned(), error))
}

impl Config {
    /// The log. It need not answer yet. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The settings do not say where it is.
    pub fn redis(&self) -> Result<Redis, StoreSettings> {
        let settings = &self.redis;
        let url = secrets::given(
            "redis.url",
            settings.url.as_ref(),
            settings.url_file.as_deref(),
        )?;
        let url = url.ok_or(SecretError::NotGiven("redis.url"))?;
        let options = RedisOptions {
            prefix: settings.prefix.clone(),
            shards: settings.shards,
            claim_timeout: Duration::from_millis(settings.claim_timeout_ms),
            retention: Duration::from_secs(settings.retention_hours.saturating_mul(3600)),
            accept_loss: settings.accept_loss,
            cluster: settings.cluster,
            ca: authorities(settings.ca_file.as_deref())?,
            ..RedisOptions::default()
        };
        Redis::new(&url, options).map_err(|error| StoreSettings::Redis(error.into()))
    }

    /// The store. It need not answer yet.
    ///
    /// # Errors
    /// The settings do not say where it is.
    pub fn postgres(&self) -> Result<Postgres, StoreSettings> {
        let settings = &self.postgres;
        let url = secrets::given(
            "postgres.url",
            settings.url.as_ref(),
            settings.url_file.as_deref(),
        )?;
        let url = url.ok_or(SecretError::NotGiven("postgres.url"))?;
        let options = PostgresOptions {
            connections: settings.connections,
            ca: authorities(settings.ca_file.as_deref())?,
            ..PostgresOptions::default()
        };
        Postgres::new(&url, options).map_err(|error| StoreSettings::Postgres(error.into()))
    }

    /// What pages call the replica that answered, if they are to say so.
    pub fn served_by(&self) -> Option<String> {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        self.show_served_by.then(host)
    }

    /// The secret that all services share.
    ///
    /// # Errors
    /// It is not given.
    pub fn secret(&self) -> Result<SecretKey, SecretError> {
        let (value, file) = (self.secret.as_ref(), self.secret_file.as_deref());
        secrets::find("secret", value, file, None).map(|found| found.key)
    }
}

/// The surroundings of a service with pages, beside one that listens on `peer_port`. The pages do not name
/// the replica; see [`Config::served_by`].
pub fn site(own: &Web, peer: &Web, peer_port: u16, gate: &Gate, stop: &CancellationToken) -> Site {
    let peer_port = peer.public_port.map_or(peer_port, NonZeroU16::get);
    Site {
        public_url: own.public_url.clone(),
        gate: gate.clone(),
        peer: match (&own.public_url, &peer.public_url) {
            (_, Some(url)) => PeerLink::Url(url.clone()),
            (None, None) => match own.public_port {
                Some(own) => PeerLink::MappedPort {
                    own: own.get(),
                    peer: peer_port,
                },
                None => PeerLink::Port(peer_port),
            },
            // Behind a proxy the peer's port is not for voters.
            (Some(_), None) => PeerLink::None,
        },
        default_poll: None,
        served_by: None,
        stop: stop.clone(),
    }
}
