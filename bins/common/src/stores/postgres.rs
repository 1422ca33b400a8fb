//! The store in Postgres that the settings name.

use voting_core::backends::postgres::{Postgres, PostgresOptions};

use super::{StoreSettings, authorities::authorities};
use crate::{
    secrets::{self, SecretError},
    settings::config::Config,
};

impl Config {
    /// The store. It does not connect yet.
    ///
    /// # Errors
    /// The settings do not name a valid store.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::config::PostgresSettings;

    #[test]
    fn what_is_not_set_is_as_the_library_has_it() {
        let options = PostgresOptions::default();
        assert_eq!(PostgresSettings::default().connections, options.connections);
    }
}
