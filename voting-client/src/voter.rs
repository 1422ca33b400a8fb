//! Who votes.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::connection::Headers;

/// A voter.
///
/// A ballot takes the voter by `&mut`, so that only one of its ballots is on its way: of two, the older one could arrive
/// last, and count.
pub struct Voter {
    known: Known,
    key: Option<String>,
}

/// How the services know a voter.
enum Known {
    /// By a header.
    By(Headers),
    /// By the sessions that this token opens.
    SignedIn {
        token: HeaderValue,
        /// The cookie of the session in each poll.
        sessions: Mutex<HashMap<String, HeaderValue>>,
    },
}

/// The key, code or token has characters that cannot be sent, or is no key.
#[derive(Debug, thiserror::Error)]
#[error("not a valid key, code or token of a voter")]
pub struct InvalidVoter;

impl Voter {
    /// A new voter, for polls that everybody may vote in. Keep its [key](Self::key): another key is another voter.
    ///
    /// # Panics
    /// The system has no random bytes.
    #[expect(clippy::new_without_default, reason = "each voter is another one")]
    pub fn new() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("random bytes");
        match Self::from_key(&HEXLOWER.encode(&bytes)) {
            Ok(voter) => voter,
            Err(InvalidVoter) => unreachable!("hexadecimal digits are a key"),
        }
    }

    /// The voter with a key that [`new`](Self::new) made.
    ///
    /// # Errors
    /// The key is not one of 32 to 128 hexadecimal digits, or 22 to 128 letters, digits, `-` and `_`.
    pub fn from_key(key: &str) -> Result<Self, InvalidVoter> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(22..=128).contains(&key.len()) || !key.bytes().all(allowed) {
            return Err(InvalidVoter);
        }
        let mut voter = Self::by("idempotency-key", key)?;
        voter.key = Some(key.to_owned());
        Ok(voter)
    }

    /// The holder of a code, for polls with codes.
    ///
    /// # Errors
    /// The code cannot be sent. Whether it is valid, the vote service says.
    pub fn with_code(code: &str) -> Result<Self, InvalidVoter> {
        Self::by("voter-code", code)
    }

    /// A person who signs in by a JSON Web Token of the deployment's identity provider, for polls whose voters sign in. The
    /// token opens a session in each poll, and another one when that has ended.
    ///
    /// # Errors
    /// The token cannot be sent. Whether it is valid, the vote service says.
    pub fn with_token(token: &str) -> Result<Self, InvalidVoter> {
        let token = secret(&format!("Bearer {token}"))?;
        let sessions = Mutex::default();
        Ok(Self {
            known: Known::SignedIn { token, sessions },
            key: None,
        })
    }

    fn by(name: &'static str, value: &str) -> Result<Self, InvalidVoter> {
        let header = (HeaderName::from_static(name), secret(value)?);
        Ok(Self {
            known: Known::By(vec![header]),
            key: None,
        })
    }

    /// The key of this voter; `None` for the holder of a code or a token. Whoever has it can change the vote, so keep it as secret
    /// as a password.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The headers that name the voter in a poll; `None` if the voter has to [sign in](Self::token) first.
    pub(crate) fn headers(&self, poll: &str) -> Option<Headers> {
        match &self.known {
            Known::By(headers) => Some(headers.clone()),
            Known::SignedIn { sessions, .. } => {
                let cookie = open(sessions).get(poll)?.clone();
                Some(vec![(header::COOKIE, cookie)])
            }
        }
    }

    /// The headers that open a session; `None` if the voter is known without one.
    pub(crate) fn token(&self) -> Option<Headers> {
        match &self.known {
            Known::By(_) => None,
            Known::SignedIn { token, .. } => Some(vec![(header::AUTHORIZATION, token.clone())]),
        }
    }

    /// Keeps the session that this answer has opened, if it has opened one.
    pub(crate) fn signed_in(&self, poll: &str, answer: &HeaderMap) {
        let Known::SignedIn { sessions, .. } = &self.known else {
            return;
        };
        let set = answer.get_all(header::SET_COOKIE).into_iter();
        let cookies = set.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookies: Vec<_> = cookies.collect();
        if let Ok(cookie) = secret(&cookies.join("; "))
            && !cookie.is_empty()
        {
            open(sessions).insert(poll.to_owned(), cookie);
        }
    }

    /// The session in this poll has ended.
    pub(crate) fn signed_out(&self, poll: &str) {
        if let Known::SignedIn { sessions, .. } = &self.known {
            open(sessions).remove(poll);
        }
    }
}

fn open(
    sessions: &Mutex<HashMap<String, HeaderValue>>,
) -> MutexGuard<'_, HashMap<String, HeaderValue>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A header that nobody reads in a log.
fn secret(value: &str) -> Result<HeaderValue, InvalidVoter> {
    let mut value = HeaderValue::from_str(value).map_err(|_| InvalidVoter)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_shown_to_nobody() {
        let voter = Voter::new();
        let key = voter.key().unwrap();
        assert_eq!(key.len(), 32);
        assert_ne!(Voter::new().key(), Some(key));
        assert_eq!(Voter::from_key(key).unwrap().key(), Some(key));
        assert!(!format!("{voter:?} {:?}", voter.headers("lunch")).contains(key));
        assert!(Voter::from_key("short").is_err());
        assert!(Voter::from_key(&format!("{key}\n")).is_err());
    }
}
