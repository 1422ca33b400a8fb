//! Checks JSON Web Tokens (RFC 7519), as RFC 8725 advises: the key decides the algorithm, and nothing in a token says where
//! keys are.

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use voting_core::StoreError;

use super::{Person, TokenLogins, keys::Keys};

/// The longest token that is read, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// The longest `sub`, as OpenID Connect has it.
const MAX_SUBJECT: usize = 255;

/// How far the clocks of the provider and of this service may differ, in seconds.
const LEEWAY_S: u64 = 60;

pub(crate) struct Verifier {
    issuer: String,
    audience: String,
    groups: String,
    keys: Keys,
}

/// Why a token is not taken.
#[derive(Debug)]
pub(crate) enum TokenFault {
    /// The token is not valid. The text says why; it contains nothing of the token.
    Invalid(&'static str),
    /// The keys of the provider cannot be had.
    NoKeys(StoreError),
}

/// What a token says that is signed, is not over and is for us.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    pub(crate) sub: String,
    /// In seconds since 1970; a number in any case, so that no other kind of value is taken for a missing one.
    #[serde(rename = "exp")]
    _exp: f64,
    #[serde(rename = "nbf", default)]
    _nbf: Option<f64>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Verifier {
    pub(crate) fn new(logins: TokenLogins) -> Self {
        Self {
            issuer: logins.issuer,
            audience: logins.audience,
            groups: logins.groups,
            keys: Keys::new(logins.keys),
        }
    }

    /// The person for whom the provider has issued this token.
    pub(in crate::vote) async fn person(&self, token: &str) -> Result<Person, TokenFault> {
        Ok(self.read(self.claims(token).await?))
    }

    /// What a token of the provider for us says.
    ///
    /// # Errors
    /// It is no such token, or it has expired.
    pub(crate) async fn claims(&self, token: &str) -> Result<Claims, TokenFault> {
        let invalid = TokenFault::Invalid;
        if token.len() > MAX_LEN {
            return Err(invalid("it is too long"));
        }
        let (key_id, algorithm) = header(token).map_err(invalid)?;
        let keys = self.keys.of(key_id.as_deref(), algorithm).await;
        let keys = keys.map_err(TokenFault::NoKeys)?;
        if keys.is_empty() {
            return Err(invalid("no key of the identity provider has signed it"));
        }
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let mut why = "";
        for key in keys {
            match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
                Ok(decoded) => return checked(decoded.claims).map_err(invalid),
                Err(error) => why = why_not(&error),
            }
        }
        Err(invalid(why))
    }

    /// How many keys the provider publishes now that can be used.
    pub(crate) async fn count_keys(&self) -> Result<usize, String> {
        Ok(self.keys.fetch().await?.len())
    }

    fn read(&self, claims: Claims) -> Person {
        let groups = texts(&claims.rest, &self.groups);
        let is_verified = match claims.rest.get("email_verified") {
            Some(Value::Bool(is)) => *is,
            // Some providers write it as a text.
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        let email = claims.rest.get("email").and_then(Value::as_str);
        Person {
            groups: groups.into_iter().map(str::to_owned).collect(),
            email: email.filter(|_| is_verified).map(str::to_owned),
            issuer: claims.iss,
            subject: claims.sub,
        }
    }
}

fn checked(claims: Claims) -> Result<Claims, &'static str> {
    match claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT {
        true => Err("its sub is empty or too long"),
        false => Ok(claims),
    }
}

/// The texts of a claim: a list of texts, or one text. Dots lead into objects, unless there is a claim of just this name.
pub(crate) fn texts<'a>(claims: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let found = claims.get(name).or_else(|| {
        let mut path = name.split('.');
        let first = path.next().and_then(|name| claims.get(name));
        path.fold(first, |value, name| value?.get(name))
    });
    match found {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    }
}

/// The id of the key and the algorithm. Nothing else in the header counts; what must be understood to be ignored is
/// refused.
fn header(token: &str) -> Result<(Option<String>, Algorithm), &'static str> {
    let read = || {
        let (header, rest) = token.split_once('.')?;
        let (_, signature) = rest.split_once('.')?;
        let header = data_encoding::BASE64URL_NOPAD.decode(header.as_bytes());
        let header: Map<String, Value> = serde_json::from_slice(&header.ok()?).ok()?;
        (!signature.contains('.')).then_some(header)
    };
    let header = read().ok_or("it is not a JSON Web Token")?;
    if header.contains_key("crit") {
        return Err("its header asks for something that is not known here");
    }
    let algorithm = match header.get("alg").and_then(Value::as_str) {
        Some("RS256") => Algorithm::RS256,
        Some("ES256") => Algorithm::ES256,
        Some("EdDSA") => Algorithm::EdDSA,
        _ => return Err("its algorithm is not RS256, ES256 or EdDSA"),
    };
    match header.get("kid") {
        None => Ok((None, algorithm)),
        Some(Value::String(id)) => Ok((Some(id.clone()), algorithm)),
        Some(_) => Err("the id of its key is not a text"),
    }
}

fn why_not(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it is over",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidSignature => "its signature is not right",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss, aud or sub",
        _ => "it cannot be read",
    }
}
