//! A certificate authority for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that nobody trusts who is not told to. Servers that it vouches for are so at `localhost`
/// only, not at `127.0.0.1`.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
    /// Whether its servers' certificates have expired.
    has_expired: bool,
}

/// The files of a server.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authority: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut authority = CertificateParams::default();
        // A name of its own, or one that is not trusted would be taken for a forged one that is.
        let name = folder.path().to_string_lossy();
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(authority, key).expect("an authority");
        let this = Self {
            issuer,
            folder,
            has_expired: false,
        };
        fs::write(this.file(), this.pem()).expect("written");
        this
    }

    /// A new one whose servers have certificates that have expired.
    pub fn of_expired() -> Self {
        Self {
            has_expired: true,
            ..Self::new()
        }
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Makes a certificate for a server, in this folder.
    pub(crate) fn vouch(&self, folder: &Path) -> Identity {
        let names = vec!["localhost".to_owned()];
        let key = KeyPair::generate().expect("a key");
        let mut certificate = CertificateParams::new(names).expect("a name");
        if self.has_expired {
            certificate.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = certificate.signed_by(&key, &self.issuer);
        let certificate = certificate.expect("a certificate");
        let identity = Identity {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            authority: folder.join("ca.pem"),
        };
        fs::write(&identity.certificate, certificate.pem()).expect("written");
        fs::write(&identity.key, key.serialize_pem()).expect("written");
        fs::write(&identity.authority, self.pem()).expect("written");
        identity
    }
}
