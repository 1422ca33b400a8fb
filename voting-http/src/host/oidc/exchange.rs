//! The way to the provider, and back with a person.

use data_encoding::BASE64;
use form_urlencoded::Serializer;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use voting_core::store::tokens::Role;

use super::{Attempt, Provider, discovery::Document};
use crate::{
    edge::callers::LOGIN,
    vote::jwt::{Claims, TokenFault},
};

/// The longest answer to a code, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The longest code.
const MAX_CODE: usize = 4 * 1024;

/// What the provider has sent back with the browser.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    issuer: Option<String>,
}

/// Somebody who has signed in and has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) struct Person {
    /// Stands in the audit log. No token has such a name.
    pub(in crate::host) name: String,
    pub(in crate::host) role: Role,
}

/// Why somebody is not signed in.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::host) enum Fault {
    /// The answer is not for this browser, or for no try that goes on.
    OtherTry,
    /// The answer is not of this provider, or cannot be read.
    OtherProvider,
    /// The provider has signed nobody in.
    Refused,
    /// The provider cannot be reached. The text says why; it is for the log.
    Away(String),
    /// Too many people sign in now.
    Busy,
    /// The provider does not take the code. The text is for the log.
    Code(String),
    /// The ID token is not valid.
    Token(&'static str),
    /// The person has no role. This is their name.
    NoRole(String),
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

impl Answer {
    /// Reads a query. `None` if it names something twice.
    pub(in crate::host) fn read(query: &str) -> Option<Self> {
        let mut answer = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "state" => &mut answer.state,
                "code" => &mut answer.code,
                "error" => &mut answer.error,
                "iss" => &mut answer.issuer,
                _ => continue,
            };
            if field.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(answer)
    }
}

/// Whether two texts are the same. How long it takes does not say where they differ.
fn is_same(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

impl Provider {
    /// The provider's page where somebody signs in, for this try.
    ///
    /// # Errors
    /// The provider cannot be reached.
    pub(in crate::host) async fn page(
        &self,
        attempt: &Attempt,
        prefix: &str,
    ) -> Result<String, Fault> {
        let document = self.document().await?;
        let mut query = Serializer::new(String::new());
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.back(prefix)),
            ("scope", "openid profile"),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &attempt.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        let page = document.authorization_endpoint;
        let mark = if page.contains('?') { '&' } else { '?' };
        Ok(format!("{page}{mark}{}", query.finish()))
    }

    /// Who has signed in, by what the provider has sent back for this try.
    ///
    /// # Errors
    /// Nobody has, or nobody with a role.
    pub(in crate::host) async fn person(
        &self,
        answer: Answer,
        attempt: &Attempt,
        prefix: &str,
    ) -> Result<Person, Fault> {
        let state = answer.state.unwrap_or_default();
        if !is_same(&state, &attempt.state) {
            return Err(Fault::OtherTry);
        }
        let document = self.document().await?;
        // Another provider could have been asked in its place (RFC 9207).
        let is_ours = match &answer.issuer {
            Some(issuer) => *issuer == self.issuer,
            None => !document.names_issuer,
        };
        if !is_ours {
            return Err(Fault::OtherProvider);
        }
        if answer.error.is_some() {
            return Err(Fault::Refused);
        }
        let code = answer.code.filter(|code| code.len() <= MAX_CODE);
        let code = code.ok_or(Fault::OtherProvider)?;
        let token = self.exchange(&document, &code, attempt, prefix).await?;
        let claims = self.verifier.claims(&token).await;
        let claims = claims.map_err(|fault| match fault {
            TokenFault::Invalid(why) => Fault::Token(why),
            TokenFault::NoKeys(error) => Fault::Away(error.to_string()),
        })?;
        self.check(&claims, attempt).map_err(Fault::Token)?;
        let name = name(&claims).map_err(Fault::Token)?;
        match self.rule.role(&claims.rest) {
            Some(role) => Ok(Person { name, role }),
            None => Err(Fault::NoRole(name)),
        }
    }

    async fn document(&self) -> Result<Document, Fault> {
        self.discovery.get().await.map_err(Fault::Away)
    }

    /// The request for the ID token: its header `Authorization`, and its form.
    fn request(
        &self,
        document: &Document,
        code: &str,
        attempt: &Attempt,
        prefix: &str,
    ) -> (Option<String>, String) {
        let mut form = Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.back(prefix)),
            ("code_verifier", &attempt.verifier),
        ]);
        let secret = &self.client_secret.0;
        let authorization = if document.wants_secret_in_form() {
            form.extend_pairs([("client_id", &self.client_id), ("client_secret", secret)]);
            None
        } else {
            // RFC 6749, 2.3.1: both are encoded as in a form first.
            let encoded = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let both = format!("{}:{}", encoded(&self.client_id), encoded(secret));
            Some(format!("Basic {}", BASE64.encode(both.as_bytes())))
        };
        (authorization, form.finish())
    }

    /// The ID token for a code.
    async fn exchange(
        &self,
        document: &Document,
        code: &str,
        attempt: &Attempt,
        prefix: &str,
    ) -> Result<String, Fault> {
        let _permit = self.requests.try_acquire().map_err(|_| Fault::Busy)?;
        let (authorization, form) = self.request(document, code, attempt, prefix);
        let token_endpoint = &document.token_endpoint;
        let sent = self
            .client
            .post(token_endpoint, authorization.as_deref(), form);
        let (status, text) = sent.await.map_err(|error| Fault::Away(error.to_string()))?;
        if status >= 500 || text.len() > MAX_ANSWER {
            return Err(Fault::Away(format!("it answered {status}")));
        }
        if status != 200 {
            // Only what the standard has: the rest of the answer could contain anything.
            let error = serde_json::from_str::<TokenError>(&text);
            let error = error.map_or_else(|_| "no reason".to_owned(), |told| told.error);
            let error: String = error.chars().take(64).collect();
            return Err(Fault::Code(format!("{status}, {error}")));
        }
        let answer: Result<TokenAnswer, _> = serde_json::from_str(&text);
        let answer = answer.map_err(|_| Fault::Token("the provider has sent none"))?;
        Ok(answer.id_token)
    }

    /// OpenID Connect Core 1.0, 3.1.3.7: what is not checked for other tokens.
    fn check(&self, claims: &Claims, attempt: &Attempt) -> Result<(), &'static str> {
        let text = |name: &str| claims.rest.get(name).and_then(Value::as_str);
        let nonce = text("nonce").unwrap_or_default();
        if !is_same(nonce, &attempt.nonce) {
            return Err("it is of another try to sign in");
        }
        let has_others = matches!(claims.rest.get("aud"), Some(Value::Array(all)) if all.len() > 1);
        match claims.rest.get("azp") {
            None if has_others => {
                Err("it is for several audiences, and does not say for whom it was made")
            }
            Some(azp) if azp.as_str() != Some(&self.client_id) => {
                Err("it was made for another client")
            }
            _ => Ok(()),
        }
    }
}

/// The name of a person in the audit log: `login:`, then the `sub`, which stays the same, then what people call them.
fn name(claims: &Claims) -> Result<String, &'static str> {
    let subject = &claims.sub;
    if !subject.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its sub has other characters than visible ASCII");
    }
    let called = called(&claims.rest).map_or_else(String::new, |name| format!(" ({name})"));
    Ok(format!("{LOGIN}{subject}{called}"))
}

/// What people call somebody, if it is short and plain. It may change, and somebody may have chosen it to mislead, so it
/// never stands alone.
fn called(claims: &Map<String, Value>) -> Option<&str> {
    let name = claims.get("preferred_username").and_then(Value::as_str)?;
    let is_plain = |c: char| c.is_alphanumeric() || " .-_@+'".contains(c);
    let fits = !name.trim().is_empty() && name.chars().count() <= 64 && name.chars().all(is_plain);
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_names_nothing_twice() {
        let answer = Answer::read("state=s&code=a%20b&iss=https%3A%2F%2Fi&session_state=1");
        let expected = Answer {
            state: Some("s".to_owned()),
            code: Some("a b".to_owned()),
            error: None,
            issuer: Some("https://i".to_owned()),
        };
        assert_eq!(answer, Some(expected));
        for twice in ["code=a&code=a", "state=a&code=b&state=c", "iss=&iss="] {
            assert_eq!(Answer::read(twice), None, "{twice}");
        }
    }

    #[test]
    fn a_person_has_a_name_that_no_token_has() {
        let named = |sub: &str, username: Value| {
            let claims = json!({"iss": "i", "sub": sub, "exp": 1, "preferred_username": username});
            name(&serde_json::from_value(claims).unwrap())
        };
        assert_eq!(named("7", json!("anna")), Ok("login:7 (anna)".to_owned()));
        for odd in [
            json!(null),
            json!("a\nb"),
            json!(""),
            json!("x".repeat(65)),
            json!("(root)"),
        ] {
            assert_eq!(named("auth0|7", odd), Ok("login:auth0|7".to_owned()));
        }
        for bad in ["a b", "a\nb", "a\u{202e}b", "é"] {
            assert!(named(bad, json!("anna")).is_err(), "{bad:?}");
        }
        assert!(
            "login:7"
                .parse::<voting_core::model::id::TokenName>()
                .is_err()
        );
    }
}
