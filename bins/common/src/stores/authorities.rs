//! Reads the certificate authorities to trust from a file.

use std::{fs, path::Path};

use voting_core::backends::tls::Authorities;

use super::StoreSettings;

pub(super) fn authorities(file: Option<&Path>) -> Result<Option<Authorities>, StoreSettings> {
    let Some(file) = file else {
        return Ok(None);
    };
    let pem = fs::read(file).map_err(|error| StoreSettings::CaFile(file.to_owned(), error))?;
    let read = Authorities::from_pem(&pem);
    read.map(Some)
        .map_err(|error| StoreSettings::NoAuthorities(file.to_owned(), error.into()))
}
