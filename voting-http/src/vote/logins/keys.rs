//! The public keys of an identity provider.

use std::{
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwkUtils, JwtSigner, JwtVerifier},
    errors::{ErrorKind, new_error},
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
    signature::{self, Verifier},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::Value;
use tokio::sync::Mutex;
use voting_core::StoreError;

use super::KeySource;

/// If no newer keys can be had, the last ones are taken for so long.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The longest key set, in bytes.
const MAX_LEN: usize = 256 * 1024;

pub(super) struct Keys {
    source: Arc<dyn KeySource>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Vec<Key>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Keys {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        install_ring();
        Self {
            source,
            state: Mutex::default(),
        }
    }

    /// The keys that may have signed a token with this key id: those with the id, or all of the algorithm if the token has
    /// none.
    ///
    /// # Errors
    /// No keys can be had.
    pub(super) async fn of(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<DecodingKey>, StoreError> {
        // One fetch at a time; the others wait for it.
        let mut state = self.state.lock().await;
        let is_fresh = state
            .fetched
            .is_some_and(|at| at.elapsed() < self.source.keep());
        let may_try = state
            .tried
            .is_none_or(|at| at.elapsed() >= self.source.pause());
        let found = state.find(id, algorithm);
        if (is_fresh && !found.is_empty()) || !may_try {
            return state.checked(found);
        }
        state.tried = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                state.keys = keys;
                state.fetched = Some(Instant::now());
            }
            Err(error) => tracing::warn!(
                error,
                "could not get the keys of the identity provider; those from before are used"
            ),
        }
        let found = state.find(id, algorithm);
        state.checked(found)
    }

    pub(super) async fn fetch(&self) -> Result<Vec<Key>, String> {
        let text = self.source.fetch().await;
        read(&text.map_err(|error| error.to_string())?)
    }
}

impl State {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let keys = self.keys.iter().filter(|key| key.algorithm == algorithm);
        let keys = keys.filter(|key| id.is_none() || key.id.as_deref() == id);
        keys.map(|key| key.key.clone()).collect()
    }

    fn checked(&self, found: Vec<DecodingKey>) -> Result<Vec<DecodingKey>, StoreError> {
        match self.fetched {
            Some(at) if at.elapsed() < KEPT => Ok(found),
            _ => Err(StoreError::unavailable(
                "cannot get the keys of the identity provider",
            )),
        }
    }
}

/// The keys of a set that can sign tokens here. Others are left out, as RFC 7517 has it.
fn read(text: &str) -> Result<Vec<Key>, String> {
    if text.len() > MAX_LEN {
        return Err("the key set is too long".to_owned());
    }
    let set: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("it is not a key set: it has no list \"keys\"")?;
    let keys: Vec<_> = keys
        .iter()
        .filter_map(|key| usable(&serde_json::from_value(key.clone()).ok()?))
        .collect();
    if keys.is_empty() {
        return Err("the key set has no key for RS256, ES256 or EdDSA".to_owned());
    }
    Ok(keys)
}

fn usable(jwk: &Jwk) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let common = &jwk.common;
    let is_for_signing = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let fits = common
        .key_algorithm
        .is_none_or(|of| of.to_string() == format!("{algorithm:?}"));
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (is_for_signing && fits).then(|| Key {
        id: common.key_id.clone(),
        algorithm,
        key,
    })
}

/// Signatures are checked by *ring*, which TLS uses here, too. If the application has chosen another library for its own
/// tokens, that one checks ours.
fn install_ring() {
    static ONCE: Once = Once::new();
    static RING: CryptoProvider = CryptoProvider {
        signer_factory: no_signer,
        verifier_factory: verifier,
        jwk_utils: JwkUtils::new_unimplemented(),
    };
    ONCE.call_once(|| {
        let _ = RING.install_default();
    });
}

fn no_signer(
    _: &Algorithm,
    _: &EncodingKey,
) -> Result<Box<dyn JwtSigner>, jsonwebtoken::errors::Error> {
    Err(new_error(ErrorKind::InvalidAlgorithm))
}

fn verifier(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, jsonwebtoken::errors::Error> {
    let family = match algorithm {
        Algorithm::RS256 => AlgorithmFamily::Rsa,
        Algorithm::ES256 => AlgorithmFamily::Ec,
        Algorithm::EdDSA => AlgorithmFamily::Ed,
        _ => return Err(new_error(ErrorKind::InvalidAlgorithm)),
    };
    if key.family() != family {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        key: key.kind().clone(),
    }))
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKeyKind,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match (&self.key, self.algorithm) {
            (DecodingKeyKind::RsaModulusExponent { n, e }, Algorithm::RS256) => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, given)
            }
            (DecodingKeyKind::SecretOrDer(key), Algorithm::ES256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, given)
            }
            (DecodingKeyKind::SecretOrDer(key), Algorithm::EdDSA) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, given)
            }
            _ => return Err(signature::Error::new()),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use async_trait::async_trait;

    use super::*;

    /// Key sets, one after the other, of which the last one stays.
    struct Sets {
        left: StdMutex<Vec<String>>,
        fetched: AtomicUsize,
        pause: Duration,
        keep: Duration,
    }

    #[async_trait]
    impl KeySource for Arc<Sets> {
        async fn fetch(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
            self.fetched.fetch_add(1, Relaxed);
            let mut left = self.left.lock().unwrap();
            Ok(if left.len() > 1 {
                left.remove(0)
            } else {
                left[0].clone()
            })
        }

        fn pause(&self) -> Duration {
            self.pause
        }

        fn keep(&self) -> Duration {
            self.keep
        }
    }

    fn set(ids: &[&str]) -> String {
        let keys = ids.iter().map(|id| {
            serde_json::json!({"kty": "OKP", "crv": "Ed25519", "kid": id,
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
        });
        serde_json::json!({"keys": keys.collect::<Vec<_>>()}).to_string()
    }

    fn keys(sets: &[&str], pause: Duration) -> (Keys, Arc<Sets>) {
        keys_kept(sets, pause, Duration::from_secs(600))
    }

    fn keys_kept(sets: &[&str], pause: Duration, keep: Duration) -> (Keys, Arc<Sets>) {
        let sets = Arc::new(Sets {
            left: StdMutex::new(sets.iter().map(|&set| set.to_owned()).collect()),
            fetched: AtomicUsize::new(0),
            pause,
            keep,
        });
        (Keys::new(Arc::new(Arc::clone(&sets))), sets)
    }

    async fn count(keys: &Keys, id: Option<&str>) -> Option<usize> {
        let found = keys.of(id, Algorithm::EdDSA).await;
        found.ok().map(|found| found.len())
    }

    #[tokio::test]
    async fn an_unknown_key_is_asked_for_once_and_then_not_for_a_while() {
        let (keys, sets) = keys(&[&set(&["a"]), &set(&["a", "b"])], Duration::from_secs(60));
        for (id, found) in [(Some("a"), 1), (Some("b"), 0), (Some("c"), 0), (None, 1)] {
            assert_eq!(count(&keys, id).await, Some(found));
        }
        assert_eq!(sets.fetched.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn a_new_key_is_found_and_one_that_was_withdrawn_is_dropped() {
        let (keys, sets) = keys(&[&set(&["a"]), &set(&["b"])], Duration::ZERO);
        assert_eq!(count(&keys, Some("a")).await, Some(1));
        assert_eq!(count(&keys, Some("b")).await, Some(1));
        assert_eq!(count(&keys, Some("a")).await, Some(0));
        assert_eq!(sets.fetched.load(Relaxed), 3);
    }

    #[tokio::test]
    async fn a_key_that_was_withdrawn_is_dropped_while_only_the_others_are_asked_for() {
        let (keys, sets) = keys_kept(
            &[&set(&["a", "b"]), &set(&["b"])],
            Duration::ZERO,
            Duration::ZERO,
        );
        assert_eq!(count(&keys, Some("a")).await, Some(1));
        assert_eq!(count(&keys, Some("a")).await, Some(0));
        assert_eq!(sets.fetched.load(Relaxed), 2);
    }

    #[tokio::test]
    async fn a_set_that_cannot_be_read_leaves_the_last_keys_and_is_no_set_of_none() {
        for bad in [
            "",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"oct","k":"AA"}]}"#,
        ] {
            let (keys, _) = keys(&[bad], Duration::ZERO);
            assert_eq!(count(&keys, Some("a")).await, None, "{bad}");
            let (keys, _) = self::keys(&[&set(&["a"]), bad], Duration::ZERO);
            assert_eq!(count(&keys, Some("a")).await, Some(1));
            assert_eq!(count(&keys, Some("b")).await, Some(0));
            assert_eq!(count(&keys, Some("a")).await, Some(1));
        }
    }

    /// The examples of RFC 7515, A.2 and A.3, and of RFC 8037, A.4: key, signed text, signature.
    const VECTORS: [(Algorithm, &str, &str, &str); 3] = [
        (
            Algorithm::RS256,
            r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            Algorithm::ES256,
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDSA,
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];

    #[test]
    fn signatures_of_the_standards_are_right_and_changed_ones_are_wrong() {
        for (algorithm, key, text, signature) in VECTORS {
            let key = read(&format!(r#"{{"keys":[{key}]}}"#)).unwrap().remove(0);
            assert_eq!(key.algorithm, algorithm);
            let right = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes());
            let right = right.unwrap();
            let verifier = verifier(&algorithm, &key.key).unwrap();
            assert!(
                verifier.verify(text.as_bytes(), &right).is_ok(),
                "{algorithm:?}"
            );
            let mut wrong = right.clone();
            wrong[20] ^= 1;
            assert!(verifier.verify(text.as_bytes(), &wrong).is_err());
            assert!(verifier.verify(b"x", &right).is_err());
            for other in [
                Algorithm::RS256,
                Algorithm::ES256,
                Algorithm::EdDSA,
                Algorithm::HS256,
            ] {
                let fits = self::verifier(&other, &key.key).is_ok();
                assert_eq!(fits, other == algorithm);
            }
        }
    }
}
