//! The log in Redis that the settings name.

use std::time::Duration;

use voting_core::backends::redis::{Redis, RedisOptions};

use super::{StoreSettings, authorities::authorities};
use crate::{
    secrets::{self, SecretError},
    settings::config::Config,
};

impl Config {
    /// The log. It does not connect yet. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The settings do not name a valid log.
    pub fn redis(&self) -> Result<Redis, StoreSettings> {
        let settings = &self.redis;
        let url = secrets::given(
            "redis.url",
            settings.url.as_ref(),
            settings.url_file.as_deref(),
        )?;
        let url = url.ok_or(SecretError::NotGiven("redis.url"))?;
        let sentinels = secrets::given(
            "redis.sentinels",
            settings.sentinels.as_ref(),
            settings.sentinels_file.as_deref(),
        )?;
        let options = RedisOptions {
            prefix: settings.prefix.clone(),
            shards: settings.shards,
            claim_timeout: Duration::from_millis(settings.claim_timeout_ms),
            retention: Duration::from_secs(settings.retention_hours.saturating_mul(3600)),
            accept_loss: settings.accept_loss,
            cluster: settings.cluster,
            replicas: settings.replicas,
            sentinels,
            ca: authorities(settings.ca_file.as_deref())?,
            entry_keys: self.entry_keys()?,
            accept_unsigned_polls: self.accept_unsigned_entries,
            ..RedisOptions::default()
        };
        Redis::new(&url, options).map_err(|error| StoreSettings::Redis(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::config::RedisSettings;

    #[test]
    fn what_is_not_set_is_as_the_library_has_it() {
        let (settings, options) = (RedisSettings::default(), RedisOptions::default());
        assert_eq!(settings.cluster, options.cluster);
        assert_eq!(settings.replicas, options.replicas);
        assert_eq!(settings.prefix, options.prefix);
        assert_eq!(settings.shards, options.shards);
        assert_eq!(
            Duration::from_millis(settings.claim_timeout_ms),
            options.claim_timeout
        );
        assert_eq!(
            Duration::from_secs(settings.retention_hours * 3600),
            options.retention
        );
        assert_eq!(settings.accept_loss, options.accept_loss);
    }
}
