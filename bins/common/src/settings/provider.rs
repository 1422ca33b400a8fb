//! Requests to identity providers.

use std::{error::Error, fs, io, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use poem::http::Uri;
use rustls::crypto::ring;
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};
use voting_http::ProviderClient;

/// How long a provider may take to answer.
const WITHIN: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
pub(super) const MAX_LEN: u64 = 256 * 1024;

/// The certificate authorities cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAuthorities {
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("it has no certificate")]
    None,
}

/// Whether nobody on the network reads what is sent to this address: HTTPS, or this machine.
pub(super) fn is_private(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_local(host),
        _ => false,
    })
}

/// TLS that trusts the authorities in this file, or else those that the system trusts.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<TlsConfig, NoAuthorities> {
    let authorities: Vec<_> = match ca_file {
        Some(file) => {
            let pem = fs::read(file).map_err(NoAuthorities::Unreadable)?;
            let items = parse_pem(&pem).filter_map(Result::ok);
            let certificates = items.filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            certificates.collect()
        }
        None => {
            let trusted = rustls_native_certs::load_native_certs().certs;
            let trusted = trusted.iter();
            trusted
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect()
        }
    };
    if authorities.is_empty() && ca_file.is_some() {
        return Err(NoAuthorities::None);
    }
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(authorities)))
        .build())
}

/// A client with such a TLS. It follows no redirects.
pub(super) fn agent(ca_file: Option<&Path>) -> Result<Agent, NoAuthorities> {
    Ok(Agent::config_builder()
        .timeout_global(Some(WITHIN))
        .max_redirects(0)
        .tls_config(tls(ca_file)?)
        .build()
        .new_agent())
}

/// Sends requests to one provider.
#[derive(Debug, Clone)]
pub(super) struct Client(pub(super) Agent);

#[async_trait]
impl ProviderClient for Client {
    async fn get(&self, url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
        let (agent, url) = (self.0.clone(), url.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = agent.get(&url).call()?;
            let body = answer.body_mut().with_config().limit(MAX_LEN);
            body.read_to_string()
        });
        Ok(asked.await??)
    }

    async fn post(
        &self,
        url: &str,
        authorization: Option<&str>,
        form: String,
    ) -> Result<(u16, String), Box<dyn Error + Send + Sync>> {
        let mut request = self.0.post(url);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let request = request
            .content_type("application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .config()
            .http_status_as_error(false)
            .max_redirects_will_error(false)
            .build();
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = request.send(form)?;
            let body = answer.body_mut().with_config().limit(MAX_LEN);
            let text = body.read_to_string()?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), text))
        });
        Ok(asked.await??)
    }
}
