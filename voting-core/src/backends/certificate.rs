//! How it stands with the certificate of a store's server: looked at with the rules by which the services
//! connect, now and at later moments, so that one that is about to expire is known before it does.
#![cfg_attr(
    not(all(feature = "redis", feature = "postgres")),
    allow(
        dead_code,
        unused_variables,
        unused_mut,
        unused_imports,
        reason = "each server's part is used by its back end"
    )
)]

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::backends::{endpoint::Endpoint, tls};

/// The result of the check of a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// The services connect.
    Good {
        /// Since when it is valid.
        not_before: Option<SystemTime>,
        /// When the first of the chain expires; `None` if not within a thousand years.
        not_after: Option<SystemTime>,
    },
    /// It, or one of its chain, has expired.
    Expired {
        /// When.
        not_after: Option<SystemTime>,
    },
    /// It, or one of its chain, begins later, by the clock of this machine.
    NotYetValid {
        /// When.
        not_before: Option<SystemTime>,
    },
    /// It is made out to other names than the one in the address.
    OtherName {
        /// To which.
        presented: Vec<String>,
    },
    /// None of those who are trusted vouches for it.
    UnknownAuthority,
    /// It is refused for another reason.
    Refused(String),
}

/// How a conversation that is encrypted later begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the encryption.
    #[cfg(feature = "redis")]
    Encrypted,
    /// With Postgres' question whether it can be.
    #[cfg(feature = "postgres")]
    AskPostgres,
}

/// Longer than any certificate is valid.
const FAR: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// Asks each server for its certificate, one after another.
pub(crate) async fn look_at_each(
    endpoints: Vec<Endpoint>,
    begin: Begin,
    roots: Arc<RootCertStore>,
    patience: Duration,
) -> Vec<(Endpoint, io::Result<Certificate>)> {
    let mut seen = Vec::new();
    for endpoint in endpoints {
        let (asked, roots) = (endpoint.clone(), Arc::clone(&roots));
        let look = move || look(&asked, begin, roots, patience);
        let found = tokio::task::spawn_blocking(look).await;
        seen.push((
            endpoint,
            found.unwrap_or_else(|error| Err(io::Error::other(error))),
        ));
    }
    seen
}

/// Asks a server for its certificate. Waits for it, so not on a thread of a runtime.
fn look(
    endpoint: &Endpoint,
    begin: Begin,
    roots: Arc<RootCertStore>,
    patience: Duration,
) -> io::Result<Certificate> {
    let stream = connect(endpoint, begin, patience)?;
    let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
    let provider = tls::provider();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
    let verifier = Arc::new(Witness {
        verifier: verifier.map_err(io::Error::other)?,
        chain: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), name.clone());
    let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
    // If the certificate is refused this fails, after it was seen.
    let greeted = stream.conn.complete_io(&mut stream.sock);
    let chain = verifier
        .chain
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match chain.as_slice() {
        [] => Err(greeted
            .err()
            .unwrap_or_else(|| io::ErrorKind::InvalidData.into())),
        chain => Ok(judge(&verifier.verifier, chain, &name)),
    }
}

fn connect(endpoint: &Endpoint, begin: Begin, patience: Duration) -> io::Result<TcpStream> {
    let port = endpoint.port.ok_or(io::ErrorKind::Unsupported)?;
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in (endpoint.host.as_str(), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                begin.on(&mut stream)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Begin {
    fn on(self, stream: &mut TcpStream) -> io::Result<()> {
        match self {
            #[cfg(feature = "redis")]
            Self::Encrypted => Ok(()),
            #[cfg(feature = "postgres")]
            Self::AskPostgres => {
                // The message SSLRequest of Postgres' protocol: its length, and its code.
                stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
                let mut answer = [0];
                stream.read_exact(&mut answer)?;
                match &answer {
                    b"S" => Ok(()),
                    _ => Err(io::Error::other("the server does not encrypt")),
                }
            }
        }
    }
}

/// Verifies as usual, and keeps what it was shown.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let all = all.map(|one| one.clone().into_owned()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all;
        self.verifier
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// By the verifier itself, at several moments: so no second reading of certificates is needed, and an
/// intermediate one that expires first is found as well.
fn judge(
    verifier: &WebPkiServerVerifier,
    chain: &[CertificateDer<'static>],
    name: &ServerName<'_>,
) -> Certificate {
    let at = |moment: Duration| {
        let moment = UnixTime::since_unix_epoch(moment);
        let [end_entity, intermediates @ ..] = chain else {
            return Err(CertificateError::UnknownIssuer);
        };
        match verifier.verify_server_cert(end_entity, intermediates, name, &[], moment) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(error)) => Err(error),
            Err(other) => Err(CertificateError::Other(rustls::OtherError(Arc::new(other)))),
        }
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    if let Err(error) = at(now) {
        return refused(error);
    }
    // The leaf's end is told first; at that moment another of the chain may have ended before.
    let mut last = now + FAR;
    while let Err(CertificateError::ExpiredContext { not_after, .. }) = at(last) {
        let earlier = Duration::from_secs(not_after.as_secs());
        if earlier >= last {
            break;
        }
        last = earlier;
    }
    let not_before = match at(Duration::ZERO) {
        Err(CertificateError::NotValidYetContext { not_before, .. }) => Some(moment(not_before)),
        _ => None,
    };
    Certificate::Good {
        not_before,
        not_after: (last < now + FAR).then(|| UNIX_EPOCH + last),
    }
}

fn moment(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

fn refused(error: CertificateError) -> Certificate {
    match error {
        CertificateError::Expired => Certificate::Expired { not_after: None },
        CertificateError::ExpiredContext { not_after, .. } => Certificate::Expired {
            not_after: Some(moment(not_after)),
        },
        CertificateError::NotValidYet => Certificate::NotYetValid { not_before: None },
        CertificateError::NotValidYetContext { not_before, .. } => Certificate::NotYetValid {
            not_before: Some(moment(not_before)),
        },
        CertificateError::NotValidForName => Certificate::OtherName {
            presented: Vec::new(),
        },
        CertificateError::NotValidForNameContext { presented, .. } => {
            Certificate::OtherName { presented }
        }
        CertificateError::UnknownIssuer => Certificate::UnknownAuthority,
        other => Certificate::Refused(other.to_string()),
    }
}
