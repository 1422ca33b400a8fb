//! Which viewers have a grant: a header of this request, or the cookie that a browser got for a grant.
//!
//! The vote service sends a browser here with a grant in the address. The answer sets the cookie and redirects to the
//! address without the grant, so no page, history or referrer has it.

use std::{iter, time::Duration};

use cookie::Cookie;
use data_encoding::BASE64URL_NOPAD;
use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use voting_core::{
    Poll, PollId, SecretKey,
    model::{moment::Moment, poll::Viewer, secret::MacKey, secrets::Secrets},
};

use crate::{
    edge::{set_cookies::SetCookies, single},
    pages::site::Prefix,
    tokens::{grant::GrantKey, sealed::SealingKey},
};

/// The header in which a program sends its grant.
pub(super) const HEADER: &str = "Result-Grant";

/// The field of an address that has the grant.
pub(crate) const FIELD: &str = "grant";

/// How long a cookie is valid, even if the browser keeps it longer.
const COOKIE_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A browser keeps cookies for so many polls; beyond that, the oldest is dropped.
const MOST: usize = 20;

/// Over HTTPS, browsers accept a cookie with the first prefix from this very host only.
const PREFIXES: [&str; 2] = ["__Host-result-", "result-"];

/// How many bytes of the poll's hash are in the cookie's name.
const NAME_LEN: usize = 9;

/// Recognises who may see the result of a poll after a vote.
pub(super) struct Granted {
    grants: GrantKey,
    current: Keys,
    /// Those of secrets that are only read.
    others: Vec<Keys>,
    secure: bool,
}

/// Of one secret.
struct Keys {
    sealing: SealingKey,
    names: MacKey,
}

impl Keys {
    fn new(secret: &SecretKey) -> Self {
        Self {
            sealing: SealingKey::new(secret, "result cookie 1"),
            names: secret.derive("result cookie name 1"),
        }
    }

    /// The name depends on the secret, so that systems on one host do not overwrite each other's cookies.
    fn name(&self, poll: &PollId, secure: bool) -> String {
        let tag = self.names.tag(poll.as_str().as_bytes());
        let mark = BASE64URL_NOPAD.encode(&tag[..NAME_LEN]);
        format!("{}{mark}", PREFIXES[usize::from(!secure)])
    }

    fn until(&self, cookie: &Cookie<'_>) -> Option<Moment> {
        let context = [cookie.name().as_bytes()];
        let opened = self.sealing.open(&context, cookie.value().as_bytes());
        Moment::from_unix_ms(u64::from_be_bytes(opened.ok()?.try_into().ok()?))
    }
}

impl Granted {
    pub(super) fn new(secrets: &Secrets, secure: bool) -> Self {
        Self {
            grants: GrantKey::new(secrets),
            current: Keys::new(secrets.current()),
            others: secrets.others().iter().map(Keys::new).collect(),
            secure,
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Keys> {
        iter::once(&self.current).chain(&self.others)
    }

    /// Who sent this request for the result of a poll.
    pub(super) fn viewer(&self, request: &Request, poll: &PollId) -> Viewer {
        let now = Moment::now();
        let header = single::only(request.headers(), HEADER);
        let is_granted = header.is_some_and(|grant| self.grants.is_valid(grant, poll, now))
            || self.cookie_of(request, poll, now).is_some();
        match is_granted {
            true => Viewer::Voted,
            false => Viewer::Public,
        }
    }

    /// Until when the request's cookie is valid, and whether it is of the current secret.
    fn cookie_of(&self, request: &Request, poll: &PollId, now: Moment) -> Option<(Moment, bool)> {
        self.keys().enumerate().find_map(|(number, keys)| {
            let name = keys.name(poll, self.secure);
            let mut found = cookies(request).filter(|cookie| cookie.name() == name);
            let until =
                found.find_map(|cookie| keys.until(&cookie).filter(|until| now < *until))?;
            Some((until, number == 0))
        })
    }

    /// Gives a browser its cookie under the current secret, if it has it under another one only.
    pub(super) fn renew(&self, request: &Request, poll: &PollId) {
        if let Some((until, false)) = self.cookie_of(request, poll, Moment::now()) {
            SetCookies::add(request, self.cookie(poll, until));
        }
    }

    /// If the address has a grant: the answer that takes the grant in exchange for a cookie, and redirects to the
    /// address without it. A grant that is not valid is only taken out of the address.
    pub(super) fn exchange(&self, request: &Request, poll: &Poll) -> Option<Response> {
        let query = request.uri().query()?;
        let grant = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == FIELD)?
            .1;
        let id = poll.id();
        let clean = format!("{}/polls/{id}", Prefix::of(request).as_str());
        let mut answer = Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, clean)
            .finish();
        let now = Moment::now();
        let mut set = Vec::new();
        if self.grants.is_valid(&grant, id, now) {
            set.push(self.cookie(id, now.plus(COOKIE_LIFE)));
            set.extend(self.surplus(request, id));
        }
        let headers = answer.headers_mut();
        for cookie in set {
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                headers.append(header::SET_COOKIE, cookie);
            }
        }
        headers.insert(
            HeaderName::from_static("referrer-policy"),
            HeaderValue::from_static("no-referrer"),
        );
        Some(answer)
    }

    fn name(&self, poll: &PollId) -> String {
        self.current.name(poll, self.secure)
    }

    fn cookie(&self, poll: &PollId, until: Moment) -> String {
        let name = self.name(poll);
        let until = until.unix_ms().to_be_bytes();
        let mut cookie = format!("{name}=");
        let message = |message: &mut Vec<u8>| message.extend(until);
        let sealing = &self.current.sealing;
        sealing.seal(&[name.as_bytes()], until.len(), message, &mut cookie);
        cookie.push_str(self.attributes());
        cookie
    }

    /// Values of `Set-Cookie` that drop the oldest cookies, if there are too many beside that of this poll.
    fn surplus(&self, request: &Request, poll: &PollId) -> Vec<String> {
        let this = self.name(poll);
        let others = cookies(request).filter(|cookie| {
            cookie.name() != this
                && cookie
                    .name()
                    .starts_with(PREFIXES[usize::from(!self.secure)])
        });
        let mut known: Vec<_> = others
            .filter_map(|cookie| Some((self.current.until(&cookie)?, cookie.name().to_owned())))
            .collect();
        known.sort_unstable();
        known.truncate((known.len() + 1).saturating_sub(MOST));
        let drop = |(_, name)| format!("{name}={}; Max-Age=0", self.attributes());
        known.into_iter().map(drop).collect()
    }

    /// A cookie of the browser's session, as the cookie that shows the vote is.
    fn attributes(&self) -> &'static str {
        match self.secure {
            true => "; HttpOnly; SameSite=Lax; Secure; Path=/",
            false => "; HttpOnly; SameSite=Lax; Path=/",
        }
    }
}

fn cookies(request: &Request) -> impl Iterator<Item = Cookie<'_>> {
    let headers = request.headers().get_all(header::COOKIE).into_iter();
    let texts = headers.filter_map(|value| value.to_str().ok());
    texts.flat_map(Cookie::split_parse).filter_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(byte: u8, secure: bool) -> Granted {
        Granted::new(&Secrets::new(SecretKey::new([byte; 32]).unwrap()), secure)
    }

    impl Granted {
        fn has_cookie(&self, request: &Request, poll: &PollId, now: Moment) -> bool {
            self.cookie_of(request, poll, now).is_some()
        }
    }

    #[test]
    fn while_a_secret_is_exchanged_the_cookie_is_read_everywhere_and_renewed() {
        let [old, new] = [1, 2].map(|byte| SecretKey::new([byte; 32]).unwrap());
        let both = |current: &SecretKey, other: &SecretKey| {
            Granted::new(&Secrets::from(current).reading(other.clone()), true)
        };
        let (signs_old, signs_new) = (both(&old, &new), both(&new, &old));
        let five = poll("five");
        let until = Moment::now().plus(COOKIE_LIFE);
        let [by_old, by_new] = [1, 2].map(|byte| {
            let set = granted(byte, true).cookie(&five, until);
            set.split(';').next().unwrap().to_owned()
        });
        let two = format!("{by_old}; {by_new}");
        for (keys, jar, renewed) in [
            (&signs_old, &by_old, None),
            (&signs_new, &by_old, Some(&by_new)),
            (&signs_old, &by_new, Some(&by_old)),
            (&signs_new, &two, None),
            (&signs_old, &two, None),
            (&granted(2, true), &two, None),
        ] {
            let mut request = with(jar);
            let set = SetCookies::default();
            request.set_data(set.clone());
            assert!(keys.viewer(&request, &five) == Viewer::Voted);
            keys.renew(&request, &five);
            let mut answer = Response::default();
            set.put_on(&mut answer);
            let set = answer.headers().get("set-cookie");
            let set = set.map(|set| set.to_str().unwrap().split(';').next().unwrap());
            assert_eq!(set, renewed.map(String::as_str));
        }
        assert!(granted(2, true).viewer(&with(&by_old), &five) == Viewer::Public);
    }

    fn poll(name: &str) -> PollId {
        name.parse().unwrap()
    }

    fn with(cookie: &str) -> Request {
        Request::builder().header("cookie", cookie).finish()
    }

    fn at(ms: u64) -> Moment {
        Moment::from_unix_ms(1_790_000_000_000 + ms).unwrap()
    }

    #[test]
    fn a_cookie_is_for_its_poll_and_its_deployment_and_ends() {
        let (keys, five) = (granted(1, true), poll("five"));
        let set = keys.cookie(&five, at(10));
        assert!(set.starts_with("__Host-result-"), "{set}");
        let back = set.split(';').next().unwrap();
        assert!(keys.has_cookie(&with(back), &five, at(9)));
        assert!(!keys.has_cookie(&with(back), &five, at(10)));
        assert!(!keys.has_cookie(&with(back), &poll("six"), at(9)));
        let renamed = back.replace(&keys.name(&five), &keys.name(&poll("six")));
        assert!(!keys.has_cookie(&with(&renamed), &poll("six"), at(9)));
        assert!(!granted(2, true).has_cookie(&with(back), &five, at(9)));
    }

    #[test]
    fn of_many_polls_the_oldest_cookies_are_dropped() {
        let keys = granted(1, false);
        let jar: Vec<_> = (0..MOST + 3)
            .map(|number| {
                let set = keys.cookie(&poll(&format!("p{number}")), at(number as u64));
                set.split(';').next().unwrap().to_owned()
            })
            .collect();
        let dropped = keys.surplus(&with(&jar.join("; ")), &poll("new"));
        assert_eq!(dropped.len(), 4);
        assert!(dropped[0].starts_with(&format!("{}=;", keys.name(&poll("p0")))));
        assert_eq!(
            keys.surplus(&with(&jar[..MOST - 1].join("; ")), &poll("new"))
                .len(),
            0
        );
    }
}
