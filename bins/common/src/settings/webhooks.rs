//! Webhooks: to whom they may be sent beside public addresses, and the client that sends them.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use ureq::{
    Agent, Error,
    config::Config as AgentConfig,
    http::Uri,
    tls::TlsConfig,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};
use voting_core::{model::poll_key::PollKeyWrap, store::WebhookStore};
use voting_http::webhooks::{
    Allowed, Target, WebhookAnswer, WebhookClient, WebhookRequest, Webhooks,
};

use super::{config::Config, provider};

/// How long a receiver may take to answer.
const WITHIN: Duration = Duration::from_secs(15);

impl Config {
    /// Webhooks in this store, whose secrets are wrapped under these keys.
    pub fn webhooks(&self, store: Arc<dyn WebhookStore>, keys: PollKeyWrap) -> Webhooks {
        let hosts = self.worker.webhook_hosts.iter().map(|host| &host.0);
        let allowed = Allowed::new(hosts).unwrap_or_default();
        Webhooks::new(store, keys, allowed, Arc::<Client>::default())
    }
}

/// Sends requests. Each has a connection of its own, to an address that was checked for it.
#[derive(Default)]
struct Client(
    /// Made for the first request: to read the authorities takes time, and few deployments have webhooks.
    Arc<OnceLock<TlsConfig>>,
);

/// Resolves the host of one target, to the addresses that may be connected to.
struct Checked {
    target: Target,
    allowed: Allowed,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").finish_non_exhaustive()
    }
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &AgentConfig,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let resolved = DefaultResolver::default().resolve(uri, config, timeout)?;
        let permitted = self
            .target
            .permitted(resolved.iter().copied(), &self.allowed)
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        let mut addresses = self.empty();
        for address in permitted {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

/// Why there is no answer, for the host.
fn in_words(error: &Error) -> String {
    match error {
        Error::Timeout(_) => format!("the receiver did not answer within {} s", WITHIN.as_secs()),
        Error::HostNotFound => "the name of the host is not known".to_owned(),
        Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => error.to_string(),
        Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe => {
                "the receiver closed the connection without an answer".to_owned()
            }
            _ => format!("no connection: {error}"),
        },
        error => format!("no answer: {error}"),
    }
}

fn send(request: &WebhookRequest, tls: TlsConfig) -> Result<WebhookAnswer, Error> {
    let config = Agent::config_builder()
        .timeout_global(Some(WITHIN))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .max_idle_connections(0)
        .tls_config(tls)
        .build();
    let resolver = Checked {
        target: request.target.clone(),
        allowed: request.allowed.clone(),
    };
    let agent = Agent::with_parts(config, DefaultConnector::new(), resolver);
    let mut post = agent.post(request.target.as_str());
    for (name, value) in &request.headers {
        post = post.header(*name, value);
    }
    let answer = post.send(&request.body)?;
    let retry_after = answer.headers().get("retry-after");
    Ok(WebhookAnswer {
        status: answer.status().as_u16(),
        retry_after: retry_after.and_then(|value| value.to_str().ok().map(str::to_owned)),
    })
}

#[async_trait]
impl WebhookClient for Client {
    async fn send(&self, request: &WebhookRequest) -> Result<WebhookAnswer, String> {
        let (request, tls) = (request.clone(), Arc::clone(&self.0));
        let sent = tokio::task::spawn_blocking(move || {
            // Without a file of authorities there is nothing that could be unreadable.
            let tls = tls.get_or_init(|| provider::tls(None).unwrap_or_default());
            send(&request, tls.clone())
        })
        .await;
        match sent {
            Ok(sent) => sent.map_err(|error| in_words(&error)),
            Err(_) => Err("the attempt was broken off".to_owned()),
        }
    }
}
