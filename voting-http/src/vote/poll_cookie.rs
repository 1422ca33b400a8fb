//! A cookie for one poll that only the services can read. It ends with the browser.

use cookie::Cookie;
use data_encoding::BASE64URL_NOPAD;
use poem::{Request, http::header};
use voting_core::{
    PollId, SecretKey,
    model::{secret::MacKey, secrets::Secrets},
};

use crate::{edge::set_cookies::SetCookies, tokens::sealed::SealingKey};

/// Bytes of a tag in the name, for the poll.
const NAME_LEN: usize = 9;

/// Reads and writes the cookies of one kind.
pub(super) struct PollCookies {
    current: Keys,
    /// Those of secrets that are only read.
    others: Vec<Keys>,
    /// What a name begins with.
    prefix: String,
    secure: bool,
}

/// Of one secret.
struct Keys {
    sealing: SealingKey,
    names: MacKey,
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
    pub(super) fn new(secrets: &Secrets, kind: &str, secure: bool) -> Self {
        let keys = |secret: &SecretKey| Keys {
            sealing: SealingKey::new(secret, &format!("{kind} cookie 1")),
            names: secret.derive(&format!("{kind} cookie name 1")),
        };
        Self {
            current: keys(secrets.current()),
            others: secrets.others().iter().map(keys).collect(),
            prefix: format!("{}{kind}-", if secure { "__Host-" } else { "" }),
            secure,
        }
    }

    #[cfg(test)]
    pub(super) fn name(&self, poll: &PollId) -> String {
        self.name_by(&self.current, poll)
    }

    fn name_by(&self, keys: &Keys, poll: &PollId) -> String {
        let tag = keys.names.tag(poll.as_str().as_bytes());
        let mark = BASE64URL_NOPAD.encode(&tag[..NAME_LEN]);
        format!("{}{mark}", self.prefix)
    }

    /// The cookie with this content, as the value of `Set-Cookie`.
    pub(super) fn set(&self, poll: &PollId, content: &[u8]) -> String {
        let name = self.name_by(&self.current, poll);
        let mut cookie = format!("{name}=");
        let context = [name.as_bytes(), poll.as_str().as_bytes()];
        let write = |message: &mut Vec<u8>| message.extend(content);
        let sealing = &self.current.sealing;
        sealing.seal(&context, content.len(), write, &mut cookie);
        cookie.push_str(self.attributes());
        cookie
    }

    /// Drops the cookie for this poll.
    pub(super) fn drop(&self, poll: &PollId) -> String {
        self.drop_by(&self.current, poll)
    }

    fn drop_by(&self, keys: &Keys, poll: &PollId) -> String {
        let name = self.name_by(keys, poll);
        format!("{name}={}; Max-Age=0", self.attributes())
    }

    /// Drops the request's cookies of other secrets for this poll: the answer sets a new one, or drops that of the current
    /// secret.
    pub(super) fn drop_others(&self, request: &Request, poll: &PollId) {
        for keys in &self.others {
            if !self.values(request, &self.name_by(keys, poll)).is_empty() {
                SetCookies::add(request, self.drop_by(keys, poll));
            }
        }
    }

    fn attributes(&self) -> &'static str {
        match self.secure {
            true => "; HttpOnly; SameSite=Lax; Secure; Path=/",
            false => "; HttpOnly; SameSite=Lax; Path=/",
        }
    }

    /// What the cookie for this poll says. While a secret is exchanged there may be one of each secret. `choose` says which of
    /// two different contents counts; `None` if that is not known. A browser that has the cookie under another secret only is
    /// given it under the current one.
    pub(super) fn read(
        &self,
        request: &Request,
        poll: &PollId,
        choose: impl Fn(Vec<u8>, Vec<u8>) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Unread> {
        let current = self.read_by(&self.current, request, poll)?;
        let is_renewed = current.is_none();
        let mut content = current;
        for keys in &self.others {
            content = match (content, self.read_by(keys, request, poll)?) {
                (Some(one), Some(other)) if one != other => {
                    Some(choose(one, other).ok_or(Unread::Unreadable)?)
                }
                (one, other) => one.or(other),
            };
        }
        let content = content.ok_or(Unread::Missing)?;
        if is_renewed {
            SetCookies::add(request, self.set(poll, &content));
        }
        Ok(content)
    }

    fn read_by(
        &self,
        keys: &Keys,
        request: &Request,
        poll: &PollId,
    ) -> Result<Option<Vec<u8>>, Unread> {
        let name = self.name_by(keys, poll);
        let values = self.values(request, &name);
        let value = match values.as_slice() {
            [] => return Ok(None),
            [value] => value,
            _ => return Err(Unread::Unreadable),
        };
        let context = [name.as_bytes(), poll.as_str().as_bytes()];
        let opened = keys.sealing.open(&context, value.as_bytes());
        opened.map(Some).map_err(|_| Unread::Unreadable)
    }

    /// The different values of the cookie with this name.
    fn values(&self, request: &Request, name: &str) -> Vec<String> {
        let headers = request.headers().get_all(header::COOKIE).into_iter();
        // A cookie that is not text is another site's.
        let mut values: Vec<_> = headers
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
            .collect();
        values.dedup();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).unwrap()
    }

    fn cookies(current: u8, others: &[u8]) -> PollCookies {
        let others = others.iter().map(|byte| secret(*byte));
        let secrets = others.fold(Secrets::new(secret(current)), Secrets::reading);
        PollCookies::new(&secrets, "code", true)
    }

    fn poll() -> PollId {
        "p".parse().unwrap()
    }

    fn back(set: &str) -> String {
        set.split(';').next().unwrap().to_owned()
    }

    /// What is read, and which cookies the answer sets beside its own.
    fn read(
        by: &PollCookies,
        cookies: &[&String],
        choose: fn(Vec<u8>, Vec<u8>) -> Option<Vec<u8>>,
    ) -> (Result<Vec<u8>, Unread>, Vec<String>) {
        let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.as_str()).collect();
        let request = Request::builder().header("cookie", cookies.join("; "));
        let mut request = request.finish();
        let set = SetCookies::default();
        request.set_data(set.clone());
        let content = by.read(&request, &poll(), choose);
        let mut answer = poem::Response::default();
        set.put_on(&mut answer);
        let set = answer.headers().get_all("set-cookie").iter();
        let set = set.map(|set| back(set.to_str().unwrap()));
        (content, set.collect())
    }

    #[test]
    fn while_a_secret_is_exchanged_the_cookie_is_read_everywhere_and_renewed() {
        let (signs_old, signs_new) = (cookies(1, &[2]), cookies(2, &[1]));
        let (old, new) = (cookies(1, &[]), cookies(2, &[]));
        let [by_old, by_new] = [&old, &new].map(|by| back(&by.set(&poll(), b"x")));
        assert_ne!(by_old, by_new);
        let same = Ok(b"x".to_vec());
        for (by, cookies, set) in [
            (&signs_old, [&by_old].as_slice(), None),
            (&signs_new, &[&by_old], Some(&by_new)),
            (&signs_old, &[&by_new], Some(&by_old)),
            (&signs_new, &[&by_new, &by_old], None),
            (&signs_old, &[&by_new, &by_old], None),
            (&new, &[&by_new, &by_old], None),
        ] {
            let set: Vec<_> = set.into_iter().cloned().collect();
            assert_eq!(read(by, cookies, |_, _| None), (same.clone(), set));
        }
        let missing = (Err(Unread::Missing), vec![]);
        assert_eq!(read(&new, &[&by_old], |_, _| None), missing);
    }

    #[test]
    fn two_that_differ_or_a_damaged_one_are_not_guessed() {
        let (signs_old, signs_new) = (cookies(1, &[2]), cookies(2, &[1]));
        let by_old = back(&signs_old.set(&poll(), b"x"));
        let by_new = back(&signs_new.set(&poll(), b"y"));
        let damaged = by_old.replace("=", "=A");
        for by in [&signs_old, &signs_new] {
            let two = [&by_old, &by_new];
            assert_eq!(read(by, &two, |_, _| None).0, Err(Unread::Unreadable));
            let later = |one: Vec<u8>, other| Some(one.max(other));
            assert_eq!(read(by, &two, later).0, Ok(b"y".to_vec()));
            let two = [&damaged, &by_new];
            assert_eq!(read(by, &two, later).0, Err(Unread::Unreadable));
        }
    }

    #[test]
    fn a_new_cookie_drops_that_of_the_other_secret() {
        let (signs_old, signs_new) = (cookies(1, &[2]), cookies(2, &[1]));
        let by_old = back(&signs_old.set(&poll(), b"x"));
        let mut request = Request::builder().header("cookie", &by_old).finish();
        let set = SetCookies::default();
        request.set_data(set.clone());
        signs_new.drop_others(&request, &poll());
        signs_old.drop_others(&request, &poll());
        let mut answer = poem::Response::default();
        set.put_on(&mut answer);
        let set: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
        assert_eq!(set, [signs_old.drop(&poll()).as_str()]);
    }
}
