//! Encryption towards the stores: whom to trust, and the cryptography that does it.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why a file holds no authorities.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoAuthorities {
    /// It is not in the PEM format.
    #[error("not in PEM format: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// Something in it is no certificate.
    #[error("a certificate cannot be read: {0}")]
    Certificate(rustls::Error),
    /// It contains no certificate.
    #[error("there is no certificate in it")]
    Empty,
}

/// The certificate authorities, one or several, that vouch for a store. They take the place of those that
/// the system trusts.
#[derive(Clone)]
pub struct Authorities {
    pem: Arc<[u8]>,
    roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Reads them from the text of a PEM file.
    ///
    /// # Errors
    /// [`NoAuthorities`] says what is wrong with it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NoAuthorities> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(NoAuthorities::Pem)?;
            let added = roots.add(certificate);
            added.map_err(NoAuthorities::Certificate)?;
        }
        if roots.is_empty() {
            return Err(NoAuthorities::Empty);
        }
        Ok(Self {
            pem: pem.into(),
            roots: Arc::new(roots),
        })
    }

    /// The text that they were read from.
    #[cfg(feature = "redis")]
    pub(crate) fn pem(&self) -> &[u8] {
        &self.pem
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, bytes) = (self.roots.len(), self.pem.len());
        write!(f, "Authorities({count} in {bytes} bytes)")
    }
}

/// Those whom the system trusts.
pub(crate) fn trusted_by_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read some of the certificates that the system trusts");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::error!("the system trusts no certificate authority, so no server can be verified");
    }
    roots
}

/// The cryptography: that which the program has chosen for the whole process, else ring.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let chosen = CryptoProvider::get_default().cloned();
    chosen.unwrap_or_else(|| Arc::new(ring::default_provider()))
}

/// Sees to it that the process has chosen its cryptography. The Redis client cannot be given one, and
/// rustls panics when it has to choose by itself and another dependency has brought a second one.
#[cfg(feature = "redis")]
pub(crate) fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as well.
        let _ = ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_named() {
        let wrong = |pem: &str| {
            let wrong = Authorities::from_pem(pem.as_bytes());
            wrong.unwrap_err().to_string()
        };
        assert!(wrong("").contains("no certificate"));
        assert!(wrong("a text").contains("no certificate"));
        let begun = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(wrong(begun).contains("PEM"));
        let bad = format!("{begun}-----END CERTIFICATE-----\n");
        assert!(wrong(&bad).contains("cannot be read"));
    }
}
