//! Where a command finds the polls that it reads or changes: in Postgres if the settings name it, else in the file of the
//! all-in-one.

use std::path::{Path, PathBuf};

use voting_core::backends::{
    postgres::Postgres,
    sqlite::{OpenError, Sqlite, SqliteOptions},
};
use voting_service::{Config, Service, StoreSettings};

/// Where the polls are.
pub(crate) enum Target<'a> {
    /// In Postgres, also while the services run.
    Postgres,
    /// In this file, which is there.
    File(&'a Path),
}

/// Why a command cannot open the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotOpen {
    #[error(transparent)]
    Settings(#[from] StoreSettings),
    #[error("there is no file {}; set sqlite.path, or postgres.url", .0.display())]
    NoFile(PathBuf),
    #[error("stop the all-in-one first, or use its API or its pages")]
    InUse(#[from] OpenError),
}

impl<'a> Target<'a> {
    /// # Errors
    /// The settings are those of the all-in-one, and its file is not there.
    pub(crate) fn of(config: &'a Config) -> Result<Self, CannotOpen> {
        let path = &config.sqlite.path;
        match (is_all_in_one(config), path.exists()) {
            (false, _) => Ok(Self::Postgres),
            (true, true) => Ok(Self::File(path)),
            (true, false) => Err(CannotOpen::NoFile(path.clone())),
        }
    }
}

/// Whether the settings are those of the all-in-one.
pub(crate) fn is_all_in_one(config: &Config) -> bool {
    config.services() == [Service::AllInOne]
}

/// The store in Postgres.
pub(crate) fn postgres(config: &Config) -> Result<Postgres, CannotOpen> {
    Ok(config.postgres()?)
}

/// The store in the file of the all-in-one, which must be stopped.
pub(crate) fn file(path: &Path) -> Result<Sqlite, CannotOpen> {
    Ok(Sqlite::open(path, SqliteOptions::default())?)
}
