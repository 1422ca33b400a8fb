//! How a message is signed.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Secret;

/// The value of the header `webhook-signature`: a signature by each secret, with a space between.
///
/// `id` is the header `webhook-id` and has no dot; `timestamp` is the header `webhook-timestamp`, in seconds since 1970.
/// While a secret is exchanged, the old and the new one sign, so a receiver may know either.
#[must_use]
pub fn sign<'a>(
    id: &str,
    timestamp: u64,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'a Secret>,
) -> String {
    let signatures = secrets.into_iter().map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("a key of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use poem::http::HeaderMap;
    use standardwebhooks::Webhook;

    use super::*;

    const ID: &str = "0192f0c1-2d3e-7f00-8a00-000000000001";
    const BODY: &[u8] = br#"{"type":"webhook.test","timestamp":"2026-01-01T00:00:00Z","data":{}}"#;

    /// Whether the verifier of Standard Webhooks takes what these secrets sign, with this body.
    fn verifies(verifier: &Secret, signers: &[&Secret], body: &[u8]) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let signature = sign(ID, now, BODY, signers.iter().copied());
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", ID.parse().expect("a value"));
        headers.insert("webhook-timestamp", now.into());
        headers.insert("webhook-signature", signature.parse().expect("a value"));
        let verifier = Webhook::new(&verifier.expose()).expect("a secret");
        verifier.verify(body, &headers).is_ok()
    }

    #[test]
    fn the_verifier_of_standard_webhooks_takes_the_signature() {
        let (old, new) = (Secret::generate(), Secret::generate());
        assert!(verifies(&new, &[&new], BODY));
        assert!(verifies(&new, &[&old, &new], BODY));
        assert!(verifies(&old, &[&old, &new], BODY));
        assert!(!verifies(&new, &[&old], BODY));
        assert!(!verifies(&new, &[&new], b"{}"));
    }

    /// The clients for Python and TypeScript are tested against the same signature.
    #[test]
    fn the_signature_of_a_given_message_stays_the_same() {
        let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse::<Secret>();
        let signature = sign(ID, 1_767_225_600, BODY, &[secret.expect("a secret")]);
        assert_eq!(signature, "v1,flqjOCJPJqkLeXRqdeU3CAD9zWP4ey4lN3vmu0J6qrs=");
    }
}
