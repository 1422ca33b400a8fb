//! What the provider says of itself: OpenID Connect Discovery 1.0.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use poem::http::Uri;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::ProviderClient;
use crate::vote::KeySource;

/// The document is fetched again after this time.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// If no newer document can be had, the last one is used for so long.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The least time between two fetches.
const PAUSE: Duration = Duration::from_secs(5);

/// The parts of the document that are used here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Document {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether each answer names its issuer (RFC 9207).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) names_issuer: bool,
}

impl Document {
    /// Whether the client's secret belongs in the form: only if the provider takes it nowhere else.
    pub(super) fn wants_secret_in_form(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_some_and(|methods| {
            let has = |name: &str| methods.iter().any(|method| method == name);
            has("client_secret_post") && !has("client_secret_basic")
        })
    }

    /// What is probably wrong, for people.
    pub(super) fn remarks(&self) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        let methods = self.code_challenge_methods_supported.as_ref();
        if !methods.is_some_and(|methods| methods.iter().any(|method| method == "S256")) {
            remarks.push("it does not say that it checks PKCE by S256");
        }
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        let ours = ["client_secret_basic", "client_secret_post"];
        if methods.is_some_and(|methods| !methods.iter().any(|method| ours.contains(&&**method))) {
            remarks.push("it does not say that it takes a client's secret");
        }
        remarks
    }

    fn read(text: &str, issuer: &str) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.issuer != issuer {
            return Err("the document is of another issuer".to_owned());
        }
        let addresses = [
            &document.authorization_endpoint,
            &document.token_endpoint,
            &document.jwks_uri,
        ];
        match addresses.iter().all(|url| is_private(url)) {
            true => Ok(document),
            false => Err("an address in the document is not https://".to_owned()),
        }
    }
}

/// Whether nobody on the network reads what is sent to this address: HTTPS, or this machine.
fn is_private(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_local(host),
        _ => false,
    })
}

/// Fetches the document when it is needed, and keeps it for some time.
pub(super) struct Discovery {
    issuer: String,
    client: Arc<dyn ProviderClient>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    document: Option<(Instant, Document)>,
    /// When the last fetch that failed was begun, and why it failed.
    failed: Option<(Instant, String)>,
}

impl Discovery {
    pub(super) fn new(issuer: &str, client: Arc<dyn ProviderClient>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client,
            state: Mutex::default(),
        }
    }

    /// The document.
    ///
    /// # Errors
    /// It cannot be had. The text says why.
    pub(super) async fn get(&self) -> Result<Document, String> {
        // One fetch at a time; the others wait for it.
        let mut state = self.state.lock().await;
        if let Some((at, document)) = &state.document
            && at.elapsed() < FRESH
        {
            return Ok(document.clone());
        }
        let now = Instant::now();
        let is_paused = state
            .failed
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < PAUSE);
        if !is_paused {
            match self.fetch().await {
                Ok(document) => {
                    *state = State {
                        document: Some((now, document.clone())),
                        failed: None,
                    };
                    return Ok(document);
                }
                Err(why) => {
                    tracing::warn!(
                        error = why,
                        "could not get the document of the identity provider of hosts"
                    );
                    // The pause begins when the failure is known: those who waited must not wait again.
                    state.failed = Some((Instant::now(), why));
                }
            }
        }
        match (&state.document, &state.failed) {
            (Some((at, document)), _) if at.elapsed() < KEPT => Ok(document.clone()),
            (_, Some((_, why))) => Err(why.clone()),
            _ => Err("it cannot be fetched".to_owned()),
        }
    }

    async fn fetch(&self) -> Result<Document, String> {
        let issuer = self.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let text = self.client.get(&url).await;
        Document::read(&text.map_err(|error| error.to_string())?, &self.issuer)
    }
}

/// The keys that the document names.
pub(super) struct Keys(pub(super) Arc<Discovery>);

#[async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let document = self.0.get().await?;
        self.0.client.get(&document.jwks_uri).await
    }

    fn pause(&self) -> Duration {
        PAUSE
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.test/club/";

    fn document(more: &Value) -> Result<Document, String> {
        let mut document = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://id.test/a?p=1",
            "token_endpoint": "https://id.test/t", "jwks_uri": "https://id.test/k",
        });
        for (name, value) in more.as_object().unwrap() {
            document[name] = value.clone();
        }
        Document::read(&document.to_string(), ISSUER)
    }

    #[test]
    fn a_document_is_of_the_issuer_and_has_private_addresses() {
        assert!(document(&json!({"what": "comes later"})).is_ok());
        assert!(document(&json!({"token_endpoint": "http://127.0.0.1:1/t"})).is_ok());
        for bad in [
            json!({"issuer": "https://id.test/club"}),
            json!({"issuer": "https://evil.test"}),
            json!({"token_endpoint": "http://id.test/t"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"jwks_uri": "/k"}),
            json!({"jwks_uri": "http://localhost.evil.test/k"}),
            json!({"jwks_uri": null}),
        ] {
            assert!(document(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_probably_wrong_is_told() {
        let remarks = |more: Value| document(&more).unwrap().remarks().len();
        assert_eq!(remarks(json!({})), 1);
        assert_eq!(
            remarks(json!({"code_challenge_methods_supported": ["plain"]})),
            1
        );
        let methods = |list: Value| {
            let more = json!({
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": list,
            });
            let document = document(&more).unwrap();
            (document.remarks().len(), document.wants_secret_in_form())
        };
        assert_eq!(methods(json!(null)), (0, false));
        assert_eq!(methods(json!(["private_key_jwt"])), (1, false));
        assert_eq!(methods(json!(["client_secret_post"])), (0, true));
        let both = json!(["client_secret_post", "client_secret_basic"]);
        assert_eq!(methods(both), (0, false));
    }
}
