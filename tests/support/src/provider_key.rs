//! A key of an identity provider, and the tokens that it signs.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

/// How long a token can be used, in s.
const LASTS: u64 = 300;

/// A key for EdDSA.
#[derive(Debug)]
pub struct ProviderKey {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl ProviderKey {
    /// A new key, under this `kid`.
    ///
    /// # Panics
    /// The system gives no random bytes.
    pub fn new(id: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a key");
        Self { id, pair }
    }

    /// A key set with these keys.
    pub fn set(keys: &[&Self]) -> Value {
        let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
        json!({"keys": keys})
    }

    fn public(&self) -> Value {
        let x = BASE64URL_NOPAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x})
    }

    /// A token of this issuer for this audience that names a person.
    ///
    /// # Panics
    /// It is before 1970.
    pub fn token(&self, issuer: &str, audience: &str, person: &str) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time");
        let header = json!({"alg": "EdDSA", "kid": self.id});
        let ends = now.as_secs() + LASTS;
        let claims = json!({"iss": issuer, "aud": audience, "sub": person, "exp": ends});
        let encoded = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}
