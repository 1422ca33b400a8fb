//! A cookie for one poll that only the services can read. It ends with the browser.

use cookie::Cookie;
use data_encoding::BASE64URL_NOPAD;
use poem::{Request, http::header};
use voting_core::{PollId, SecretKey, model::secret::MacKey};

use crate::tokens::sealed::SealingKey;

/// Bytes of a tag in the name, for the poll.
const NAME_LEN: usize = 9;

/// Reads and writes the cookies of one kind.
pub(super) struct PollCookies {
    key: SealingKey,
    names: MacKey,
    /// What a name begins with.
    prefix: String,
    secure: bool,
}

/// Why there is nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// There is no such cookie.
    Missing,
    /// It is damaged, or was not set here, or there are several, and which of them is this person's is not known.
    Unreadable,
}

impl PollCookies {
    /// Cookies of this kind, such as `code`.
    pub(super) fn new(secret: &SecretKey, kind: &str, secure: bool) -> Self {
        Self {
            key: SealingKey::new(secret, &format!("{kind} cookie 1")),
            names: secret.derive(&format!("{kind} cookie name 1")),
            prefix: format!("{}{kind}-", if secure { "__Host-" } else { "" }),
            secure,
        }
    }

    pub(super) fn name(&self, poll: &PollId) -> String {
        let tag = self.names.tag(poll.as_str().as_bytes());
        let mark = BASE64URL_NOPAD.encode(&tag[..NAME_LEN]);
        format!("{}{mark}", self.prefix)
    }

    /// The cookie with this content, as the value of `Set-Cookie`.
    pub(super) fn set(&self, poll: &PollId, content: &[u8]) -> String {
        let name = self.name(poll);
        let mut cookie = format!("{name}=");
        let context = [name.as_bytes(), poll.as_str().as_bytes()];
        let write = |message: &mut Vec<u8>| message.extend(content);
        self.key.seal(&context, content.len(), write, &mut cookie);
        cookie.push_str(self.attributes());
        cookie
    }

    /// Drops the cookie for this poll.
    pub(super) fn drop(&self, poll: &PollId) -> String {
        format!("{}={}; Max-Age=0", self.name(poll), self.attributes())
    }

    fn attributes(&self) -> &'static str {
        match self.secure {
            true => "; HttpOnly; SameSite=Lax; Secure; Path=/",
            false => "; HttpOnly; SameSite=Lax; Path=/",
        }
    }

    /// The content of the cookie for this poll.
    pub(super) fn read(&self, request: &Request, poll: &PollId) -> Result<Vec<u8>, Unread> {
        let name = self.name(poll);
        let headers = request.headers().get_all(header::COOKIE).into_iter();
        // A cookie that is not text is another site's.
        let mut found: Vec<Cookie<'_>> = headers
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == name)
            .collect();
        found.dedup_by(|one, other| one.value() == other.value());
        let cookie = match found.as_slice() {
            [] => return Err(Unread::Missing),
            [cookie] => cookie,
            _ => return Err(Unread::Unreadable),
        };
        let context = [name.as_bytes(), poll.as_str().as_bytes()];
        let opened = self.key.open(&context, cookie.value().as_bytes());
        opened.map_err(|_| Unread::Unreadable)
    }
}
