//! A certificate authority for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// An authority that nobody trusts who is not told to. Servers that it vouches for are so at `localhost`
/// only, not at `127.0.0.1`.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
    name: String,
    /// When what it vouches for begins and ends, in days from now.
    days: Option<[i64; 2]>,
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
            name: "localhost".to_owned(),
            days: None,
        };
        fs::write(this.file(), this.pem()).expect("written");
        this
    }

    /// What it vouches for from now on begins and ends so many days from now.
    #[must_use]
    pub fn with_days(mut self, first: i64, last: i64) -> Self {
        self.days = Some([first, last]);
        self
    }

    /// What it vouches for from now on is so by this name instead.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
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
        let names = vec![self.name.clone()];
        let key = KeyPair::generate().expect("a key");
        let mut certificate = CertificateParams::new(names).expect("a name");
        if let Some(days) = self.days {
            let [first, last] = days.map(|days| OffsetDateTime::now_utc() + Duration::days(days));
            (certificate.not_before, certificate.not_after) = (first, last);
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
