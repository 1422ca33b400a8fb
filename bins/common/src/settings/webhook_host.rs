//! A receiver of webhooks that need not be on the public internet.

use std::str::FromStr;

use serde::Serialize;
use voting_http::webhooks::{Allowed, InvalidAllowed};

/// A host, an address or a network to which webhooks may be sent although it is not public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WebhookHost(pub(super) String);

impl FromStr for WebhookHost {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Allowed::new([text])?;
        Ok(Self(text.to_owned()))
    }
}
