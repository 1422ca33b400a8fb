//! The address of a Redis, and the settings of connections to it: time-outs, keepalive, encryption.

use std::time::Duration;

use ::redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    TlsCertificates,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    parse_redis_url,
};

use crate::backends::{
    endpoint::{ESCAPES, needs_escapes},
    tls::{self, Authorities},
};

/// How long it may take to connect, with the handshake of TLS and the password. A server that is up answers at once.
/// A server that is down must not delay a voter for longer than this.
pub(in crate::backends::redis) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// After this time without any data, the peer is asked for a sign of life. So a connection that a firewall or a load
/// balancer has forgotten is noticed before a ballot needs it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A peer that receives nothing for this time is considered gone. This is less than the time for an answer: a ballot
/// whose outcome the caller was told is unknown must not be sent again after that.
#[cfg(target_os = "linux")]
const GONE_AFTER: Duration = Duration::from_secs(4);

/// The text is not a valid address of a Redis, or the address would not give the encryption that it asks for. The
/// error contains no part of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAddress(String);

impl InvalidAddress {
    /// Not `From`, since the client library is no part of the public API.
    pub(in crate::backends::redis) fn of(error: &RedisError) -> Self {
        // The kind is left out, since it is a term of the client library.
        let kind = format!(" - {:?}", error.kind());
        Self(error.to_string().replacen(&kind, "", 1))
    }
}

/// The server at `url`.
pub(in crate::backends::redis) fn client(
    url: &str,
    ca: Option<&Authorities>,
) -> Result<Client, RedisError> {
    let wrong = |text| Err((ErrorKind::InvalidClientConfig, text).into());
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        return wrong(
            "it must be like redis://user:password@host:6379/, or rediss:// if it is encrypted",
        );
    }
    let is_socket = url
        .split(':')
        .next()
        .is_some_and(|scheme| scheme.ends_with("unix"));
    if !is_socket && needs_escapes(url) {
        return wrong(ESCAPES);
    }
    if parse_redis_url(url).is_none() {
        return wrong(
            "its host or its port is not valid; write it like redis://user:password@host:6379/",
        );
    }
    build(url.into_connection_info()?.set_tcp_settings(tcp()), ca)
}

const SCHEMES: [&str; 7] = [
    "redis://",
    "rediss://",
    "valkey://",
    "valkeys://",
    "redis+unix://",
    "valkey+unix://",
    "unix://",
];

/// Whether the address asks for an encrypted connection.
pub(in crate::backends::redis) fn is_encrypted(url: &str) -> bool {
    url.starts_with("rediss://") || url.starts_with("valkeys://")
}

/// A client for another server of the same cluster, with the same user, password and encryption.
pub(in crate::backends::redis) fn sibling(
    of: &ConnectionInfo,
    host: &str,
    port: u16,
    ca: Option<&Authorities>,
) -> Result<Client, RedisError> {
    let host = host.to_owned();
    let address = match of.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: None,
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    build(of.clone().set_addr(address), ca)
}

fn build(info: ConnectionInfo, ca: Option<&Authorities>) -> Result<Client, RedisError> {
    let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else {
        if ca.is_some() {
            let text = "a ca_file is given, but the address is not encrypted: it needs rediss://";
            return Err((ErrorKind::InvalidClientConfig, text).into());
        }
        return Client::open(info);
    };
    if *insecure {
        let text = "an encrypted connection whose server is not verified protects nothing";
        return Err((ErrorKind::InvalidClientConfig, text).into());
    }
    tls::choose_provider();
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: ca.map(|ca| ca.pem().to_vec()),
    };
    Client::build_with_tls(info, certificates)
}

fn tcp() -> TcpSettings {
    // Small requests must not wait until a packet is full, and a peer that is gone must be noticed.
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(GONE_AFTER);
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_not_protect_is_none() {
        let wrong = |url: &str| client(url, None).unwrap_err().to_string();
        assert!(wrong("rediss://localhost/#insecure").contains("not verified"));
        assert!(wrong("http://localhost/").contains("like redis://"));
        assert!(wrong("localhost:6379").contains("like redis://"));
    }

    #[test]
    fn a_password_that_must_be_escaped_is_reported_without_it() {
        for (url, hint) in [
            ("redis://u:hunter/2@h:6379", "%40"),
            ("redis://u:hunter#2@h:6379", "%40"),
            ("redis://u:6379#hunter@h", "%40"),
            ("redis://:hunter?2@h", "%40"),
            ("redis://u:hunter@2@h:1/", "%40"),
            ("rediss://:hunter@@h", "%40"),
            ("redis://u:hunter2@h:port", "port"),
            ("redis://u:hunter2@", "host"),
            ("u:hunter2@h", "like redis://"),
            ("redis://u:hunter2@h/zero", "database number"),
        ] {
            let reply = client(url, None).expect_err(url).to_string();
            assert!(reply.contains(hint) && !reply.contains("hunter"), "{reply}");
        }
        // These have no port, or contain characters that need no escape.
        for url in [
            "redis://localhost",
            "redis://:hunter:2@localhost/0",
            "redis://u:hunter%402@localhost",
        ] {
            client(url, None).expect(url);
        }
    }
}
