//! One try to sign in at the provider. All of it is in a sealed cookie, so that no process has to remember it.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use poem::{
    Request, Response,
    http::{HeaderValue, header},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use voting_core::{SecretKey, model::moment::Moment, store::tokens::TokenHash};

use crate::{
    host::session::{random_text, values},
    problem::Problem,
    tokens::sealed::SealingKey,
};

/// How long a person may take to sign in at the provider.
const LASTS: Duration = Duration::from_secs(10 * 60);

/// The longest address to go to afterwards. A longer one is forgotten.
const MAX_NEXT: usize = 1_024;

/// What a cookie of this kind is sealed with, beside the key.
const CONTEXT: &[&[u8]] = &[b"host login 1"];

/// A try to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) struct Attempt {
    /// The provider sends it back: so the answer is for this browser.
    pub(super) state: String,
    /// The provider puts it into the ID token: so the token is of this try.
    pub(super) nonce: String,
    /// Only whoever has it can use the code (RFC 7636).
    pub(super) verifier: String,
    /// The address to go to afterwards.
    pub(in crate::host) next: Option<String>,
    /// The hash of the session that the browser had. Its cookie is not sent on the way back, from another site.
    #[serde(default)]
    before: Option<[u8; 32]>,
    until: Moment,
}

/// Makes and reads the cookies.
pub(in crate::host) struct Attempts {
    key: SealingKey,
    https: bool,
}

impl Attempt {
    /// # Errors
    /// There are no random numbers.
    pub(in crate::host) fn new(next: Option<&str>, now: Moment) -> Result<Self, Problem> {
        Ok(Self {
            state: random_text()?,
            nonce: random_text()?,
            verifier: random_text()?,
            next: next
                .filter(|next| next.len() <= MAX_NEXT)
                .map(str::to_owned),
            before: None,
            until: now.plus(LASTS),
        })
    }

    /// The same try in a browser with a session, which ends if the try succeeds.
    pub(in crate::host) fn replacing(mut self, session: Option<TokenHash>) -> Self {
        self.before = session.map(|hash| *hash.as_bytes());
        self
    }

    /// The session that the browser had.
    pub(in crate::host) fn replaced(&self) -> Option<TokenHash> {
        self.before.map(TokenHash::from_bytes)
    }

    /// What the provider compares the verifier with later.
    pub(super) fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(&self.verifier))
    }
}

impl Attempts {
    pub(super) fn new(token: &SecretKey, https: bool) -> Self {
        Self {
            key: SealingKey::new(token, "host login 1"),
            https,
        }
    }

    fn name(&self) -> &'static str {
        if self.https {
            "__Host-host-login"
        } else {
            "host-login"
        }
    }

    /// The try that this browser has begun.
    pub(in crate::host) fn of(&self, request: &Request, now: Moment) -> Option<Attempt> {
        let mut all = values(request.headers(), self.name());
        let attempt = all.find_map(|value| {
            let bytes = self.key.open(CONTEXT, value).ok()?;
            serde_json::from_slice::<Attempt>(&bytes).ok()
        });
        attempt.filter(|attempt| attempt.until > now)
    }

    pub(in crate::host) fn begin(&self, answer: &mut Response, attempt: &Attempt) {
        let bytes = serde_json::to_vec(attempt).unwrap_or_default();
        let mut value = String::new();
        self.key.seal(
            CONTEXT,
            bytes.len(),
            |to| to.extend_from_slice(&bytes),
            &mut value,
        );
        self.set(answer, &value, LASTS.as_secs());
    }

    pub(in crate::host) fn end(&self, answer: &mut Response) {
        self.set(answer, "", 0);
    }

    /// The way back is from the provider's site, so the cookie must be sent from there: `Lax`.
    fn set(&self, answer: &mut Response, value: &str, seconds: u64) {
        let name = self.name();
        let secure = if self.https { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_unix_ms(seconds * 1_000).unwrap()
    }

    #[test]
    fn a_try_is_of_one_browser_and_deployment_and_takes_ten_minutes_at_most() {
        let attempts = |byte, https| Attempts::new(&SecretKey::new([byte; 32]).unwrap(), https);
        let attempt = Attempt::new(Some("/polls/x"), at(0)).unwrap();
        let mut answer = Response::default();
        attempts(1, true).begin(&mut answer, &attempt);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        for part in [
            "__Host-host-login=",
            "; Secure",
            "; HttpOnly",
            "; SameSite=Lax",
            "; Path=/",
        ] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert!(!cookie.contains(&attempt.state));
        let request = Request::builder().header("cookie", cookie).finish();
        let of = |byte, second| attempts(byte, true).of(&request, at(second));
        assert_eq!(of(1, 599), Some(attempt));
        assert_eq!(of(1, 600), None);
        assert_eq!(of(2, 0), None);
        let long = "/".repeat(2_000);
        assert_eq!(Attempt::new(Some(&long), at(0)).unwrap().next, None);
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let mut attempt = Attempt::new(None, at(0)).unwrap();
        // RFC 7636, appendix B.
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".clone_into(&mut attempt.verifier);
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(attempt.challenge(), expected);
    }
}
