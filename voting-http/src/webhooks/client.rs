//! What sends requests. The library has no client of its own, so that an application can use the one that it has.

use async_trait::async_trait;

use super::{Allowed, Target};

/// A request to a receiver: a POST with a JSON body.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WebhookRequest {
    /// Where it goes to.
    pub target: Target,
    /// Which addresses may be used that are not public, for [`Target::permitted`].
    pub allowed: Allowed,
    /// The headers, with their names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// What a receiver answered. The body of the answer is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
}

/// Sends requests to receivers of webhooks.
///
/// It must connect only to addresses that [`Target::permitted`] returns, follow no redirect, use no proxy, check certificates, and
/// give up after at most 20 seconds.
#[async_trait]
pub trait WebhookClient: Send + Sync {
    /// Sends a request.
    ///
    /// # Errors
    /// There is no answer. The text says why, in a sentence for the host, such as `the receiver did not answer within 15 s`.
    async fn send(&self, request: &WebhookRequest) -> Result<WebhookAnswer, String>;
}
