//! The names that a voter's cookie may have, and which of them a request carries.

use std::{
    iter,
    time::{Duration, SystemTime},
};

use poem::http::{HeaderMap, header};
use voting_core::model::{secret::Fingerprint, secrets::KnownSecrets};

/// Over HTTPS, a cookie that any subdomain could have set is accepted until this moment, the end of 2027, in seconds
/// since 1970. Services of older versions set such cookies for 400 days at most.
const TAKEN_OVER_UNTIL: u64 = 1_830_297_600;

/// The number of characters of the secret's fingerprint in the cookie's name, so that systems on one host have
/// different names.
const MARK: usize = 6;

/// The names of the cookie under the secrets of the service, and the names that older versions used.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) current: String,
    /// Under the secrets that are only read.
    others: Vec<String>,
    /// If a request has several of these, the first in this list counts.
    older: Vec<Older>,
    https: bool,
}

#[derive(Debug, Clone)]
struct Older {
    name: String,
    until: Option<SystemTime>,
}

/// The values of one cookie in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen<'a> {
    Nothing,
    One(&'a [u8]),
    /// There are different values.
    Several,
}

impl<'a> Seen<'a> {
    fn note(&mut self, value: &'a [u8]) {
        *self = match *self {
            Seen::Nothing => Seen::One(value),
            Seen::One(there) if there == value => Seen::One(there),
            _ => Seen::Several,
        };
    }
}

/// The voter's cookie in a request, under any of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried<'a> {
    /// The request has no such cookie.
    Nothing,
    /// The cookie has this value.
    One {
        value: &'a [u8],
        is_older: bool,
        /// The name is no longer accepted.
        is_over: bool,
    },
    /// There is one value under each of several secrets.
    EachSecret {
        values: Vec<&'a [u8]>,
        /// Whether the first of them is that of the current secret.
        has_current: bool,
    },
    /// There are different values under one name.
    Several,
}

/// The names under one secret: that for the scheme that browsers use, and that for the other scheme.
fn of_secret(secret: Fingerprint, https: bool) -> (String, String) {
    let mark = mark(secret);
    let (plain, bound) = (format!("voter-{mark}"), format!("__Host-voter-{mark}"));
    match https {
        true => (bound, plain),
        false => (plain, bound),
    }
}

fn mark(secret: Fingerprint) -> String {
    let mut mark = secret.to_string();
    mark.truncate(MARK);
    mark
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let headers = headers.get_all(header::COOKIE).into_iter();
    headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';').map(split))
}

fn seen<'a>(headers: &'a HeaderMap, name: &str) -> Seen<'a> {
    let mut seen = Seen::Nothing;
    for (other, value) in pairs(headers) {
        if other == name.as_bytes() {
            seen.note(value);
        }
    }
    seen
}

impl Names {
    pub(crate) fn new(secrets: &KnownSecrets, https: bool) -> Self {
        let until = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(TAKEN_OVER_UNTIL));
        // While `public_url` is being changed, replicas may differ in it. Over HTTPS, the names that no subdomain can set
        // come first.
        let until = until.filter(|_| https);
        let older = |name: String, until| Older { name, until };
        let bound = older("__Host-voter".to_owned(), None);
        let plain = older("voter".to_owned(), until);
        let all = iter::once(secrets.current).chain(secrets.others.iter().copied());
        let (mut names, scheme): (Vec<_>, Vec<_>) =
            all.map(|secret| of_secret(secret, https)).unzip();
        let scheme = scheme.into_iter().map(|name| older(name, until));
        let older = match https {
            true => iter::once(bound).chain(scheme).chain([plain]).collect(),
            false => scheme.chain([bound, plain]).collect(),
        };
        Self {
            current: names.remove(0),
            others: names,
            older,
            https,
        }
    }

    /// The names under the secrets that are only read, if a request has a cookie with such a name.
    pub(crate) fn others_in<'a>(&'a self, headers: &HeaderMap) -> impl Iterator<Item = &'a str> {
        let others = self.others.iter().map(String::as_str);
        others.filter(|name| seen(headers, name) != Seen::Nothing)
    }

    /// The voter's cookie in a request. Other cookies are ignored, even if they are not text.
    pub(crate) fn find<'a>(
        &self,
        headers: &'a HeaderMap,
        now: impl FnOnce() -> SystemTime,
    ) -> Carried<'a> {
        let one = |value, is_older, is_over| Carried::One {
            value,
            is_older,
            is_over,
        };
        let current = seen(headers, &self.current);
        let others = self.others.iter().map(|name| seen(headers, name));
        let others: Vec<_> = others.filter(|seen| *seen != Seen::Nothing).collect();
        match (current, others.as_slice()) {
            (Seen::Several, _) => return Carried::Several,
            (Seen::One(value), []) => return one(value, false, false),
            (Seen::Nothing, [Seen::One(value)]) => return one(value, true, false),
            (Seen::Nothing, []) => {}
            (current, _) => {
                let has_current = current != Seen::Nothing;
                let all = iter::once(current).filter(|_| has_current).chain(others);
                let values = all.map(|seen| match seen {
                    Seen::One(value) => Some(value),
                    Seen::Nothing | Seen::Several => None,
                });
                return match values.collect() {
                    Some(values) => Carried::EachSecret {
                        values,
                        has_current,
                    },
                    None => Carried::Several,
                };
            }
        }
        for older in &self.older {
            let is_over = |now: SystemTime| older.until.is_some_and(|until| now >= until);
            match seen(headers, &older.name) {
                Seen::Nothing => {}
                Seen::One(value) => return one(value, true, is_over(now())),
                Seen::Several => return Carried::Several,
            }
        }
        Carried::Nothing
    }

    /// Whether a request has no cookie that this service may read, and one with the name of another secret: that of
    /// another system on this host, or one that this system has used before.
    pub(crate) fn has_foreign(&self, headers: &HeaderMap) -> bool {
        self.has_none(headers)
            && pairs(headers).any(|(name, _)| {
                let name = name.strip_prefix(b"__Host-").unwrap_or(name);
                let mark = name.strip_prefix(b"voter-").unwrap_or_default();
                mark.len() == MARK && mark.iter().all(u8::is_ascii_hexdigit)
            })
    }

    /// Whether a request has no cookie that this service may read, and one under one of these secrets.
    pub(crate) fn has_dropped(&self, headers: &HeaderMap, dropped: &[Fingerprint]) -> bool {
        let mut names = dropped.iter().map(|secret| of_secret(*secret, self.https));
        !dropped.is_empty()
            && self.has_none(headers)
            && names.any(|(name, other)| {
                seen(headers, &name) != Seen::Nothing || seen(headers, &other) != Seen::Nothing
            })
    }

    fn has_none(&self, headers: &HeaderMap) -> bool {
        let older = self.older.iter().map(|older| &older.name);
        let mut names = iter::once(&self.current).chain(&self.others).chain(older);
        names.all(|name| seen(headers, name) == Seen::Nothing)
    }
}

/// The name and the value of a cookie. A cookie without `=` has a name and an empty value, and still counts as
/// present.
fn split(cookie: &[u8]) -> (&[u8], &[u8]) {
    let cookie = cookie.trim_ascii();
    let Some(at) = cookie.iter().position(|byte| *byte == b'=') else {
        return (cookie, b"");
    };
    let (name, value) = (cookie[..at].trim_ascii(), cookie[at + 1..].trim_ascii());
    let unquoted = value.strip_prefix(b"\"");
    let unquoted = unquoted.and_then(|value| value.strip_suffix(b"\""));
    (name, unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use voting_core::SecretKey;

    use super::*;

    fn names(https: bool) -> Names {
        Names::new(&print(7).into(), https)
    }

    fn print(byte: u8) -> Fingerprint {
        SecretKey::new([byte; 32]).unwrap().fingerprint()
    }

    /// Under the secret of the other tests, beside one that is only read.
    fn both(https: bool) -> Names {
        let secrets = KnownSecrets {
            current: print(7),
            others: vec![print(8)],
        };
        Names::new(&secrets, https)
    }

    #[test]
    fn a_cookie_of_each_secret_is_found() {
        let names = both(false);
        let other = format!("voter-{}", mark(print(8)));
        let find = |cookies: &str| {
            let headers = headers(&[cookies.as_bytes()]);
            let carried = names.find(&headers, at(0));
            // The values do not live longer than the headers.
            match carried {
                Carried::EachSecret {
                    values,
                    has_current,
                } => {
                    let values: Vec<_> = values.into_iter().map(<[u8]>::to_vec).collect();
                    (values, Some(has_current))
                }
                Carried::One {
                    value, is_older, ..
                } => (vec![value.to_vec()], Some(!is_older)),
                Carried::Several => (vec![], None),
                Carried::Nothing => (vec![], Some(false)),
            }
        };
        let value = |text: &str| text.as_bytes().to_vec();
        assert_eq!(find("voter-721edc=v"), (vec![value("v")], Some(true)));
        assert_eq!(find(&format!("{other}=w")), (vec![value("w")], Some(false)));
        assert_eq!(
            find(&format!("{other}=w; voter=x; voter-721edc=v")),
            (vec![value("v"), value("w")], Some(true))
        );
        for several in [
            format!("{other}=w; {other}=x"),
            format!("{other}=w; {other}=x; voter-721edc=v"),
            format!("{other}=w; voter-721edc=x; voter-721edc=v"),
        ] {
            assert_eq!(find(&several), (vec![], None), "{several}");
        }
    }

    #[test]
    fn a_cookie_of_a_secret_that_was_dropped_is_recognised_where_no_other_is_there() {
        let old = mark(print(9));
        for https in [false, true] {
            let names = both(https);
            for (name, foreign, dropped) in [
                (format!("voter-{old}"), true, true),
                (format!("__Host-voter-{old}"), true, true),
                ("voter-000000".to_owned(), true, false),
                ("voter-00000g".to_owned(), false, false),
                ("voter".to_owned(), false, false),
            ] {
                let has = |headers: &HeaderMap| {
                    let dropped = names.has_dropped(headers, &[print(9)]);
                    (names.has_foreign(headers), dropped)
                };
                let alone = headers(&[format!("a=b; {name}=v").as_bytes()]);
                assert_eq!(has(&alone), (foreign, dropped), "{name}");
                for ours in [&names.current, &names.others[0], &names.older[0].name] {
                    let beside = headers(&[format!("{name}=v; {ours}=w").as_bytes()]);
                    assert_eq!(has(&beside), (false, false), "{name}");
                }
            }
        }
    }

    fn headers(cookies: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            let value = HeaderValue::from_bytes(cookie).unwrap();
            headers.append(header::COOKIE, value);
        }
        headers
    }

    fn at(seconds: u64) -> impl FnOnce() -> SystemTime {
        move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn one(value: &[u8]) -> Carried<'_> {
        Carried::One {
            value,
            is_older: false,
            is_over: false,
        }
    }

    fn older(value: &[u8]) -> Carried<'_> {
        Carried::One {
            value,
            is_older: true,
            is_over: false,
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_whatever_those_are() {
        let names = names(false);
        assert_eq!(names.current, "voter-721edc");
        for cookies in [
            &["voter-721edc=v".as_bytes()] as &[&[u8]],
            &[b"a=b; voter-721edc=v; c"],
            &[b"name=J\xfcrgen; voter-721edc=v"],
            &["name=Jürgen;voter-721edc=v;;=".as_bytes()],
            &[b"a=b", b" voter-721edc = \"v\" "],
            &[b"voter-721edc=v", b"voter-721edc=v"],
            &[b"voter-721edc=v; voter=w; voter-000000=x; Voter-721edc=y"],
        ] {
            let headers = headers(cookies);
            assert_eq!(names.find(&headers, at(0)), one(b"v"), "{cookies:?}");
        }
        for cookies in [
            &[] as &[&[u8]],
            &[b"voter-000000=x"],
            &[b"xvoter=x; voter_=x; x=voter"],
        ] {
            let headers = headers(cookies);
            assert_eq!(names.find(&headers, at(0)), Carried::Nothing, "{cookies:?}");
        }
    }

    #[test]
    fn one_that_is_there_without_a_value_is_there() {
        for cookie in [
            b"voter-721edc" as &[u8],
            b"voter-721edc=",
            b"voter-721edc=\"\"",
        ] {
            let headers = headers(&[cookie]);
            assert_eq!(names(false).find(&headers, at(0)), one(b""), "{cookie:?}");
        }
    }

    #[test]
    fn different_values_under_one_name_are_several() {
        for cookies in [
            &[b"voter-721edc=v; voter-721edc=w" as &[u8]] as &[&[u8]],
            &[b"voter-721edc=v", b"voter-721edc=w"],
            &[b"voter-721edc=v; voter-721edc=w; voter-721edc=v"],
            &[b"voter=v; voter=w"],
        ] {
            let headers = headers(cookies);
            let found = names(false).find(&headers, at(0));
            assert_eq!(found, Carried::Several, "{cookies:?}");
        }
    }

    #[test]
    fn an_older_name_counts_where_the_current_one_is_not_there() {
        for (https, cookies, found) in [
            (false, "voter=a", b"a"),
            (false, "voter=a; __Host-voter=b", b"b"),
            (false, "__Host-voter=b; __Host-voter-721edc=c", b"c"),
            (true, "voter=a", b"a"),
            (true, "voter=a; voter-721edc=b", b"b"),
            (true, "voter-721edc=b; __Host-voter=c", b"c"),
        ] {
            let headers = headers(&[cookies.as_bytes()]);
            let names = names(https);
            assert_eq!(names.find(&headers, at(0)), older(found), "{cookies}");
        }
    }

    #[test]
    fn over_https_what_a_subdomain_could_set_is_taken_over_for_a_time() {
        let is_over = |https, cookie: &str, now| {
            let headers = headers(&[cookie.as_bytes()]);
            match names(https).find(&headers, at(now)) {
                Carried::One { is_over, .. } => is_over,
                other => panic!("{other:?}"),
            }
        };
        let last = TAKEN_OVER_UNTIL - 1;
        for cookie in ["voter=v", "voter-721edc=v"] {
            assert!(!is_over(true, cookie, last), "{cookie}");
            assert!(is_over(true, cookie, TAKEN_OVER_UNTIL), "{cookie}");
            assert!(!is_over(false, cookie, TAKEN_OVER_UNTIL), "{cookie}");
        }
        for cookie in ["__Host-voter=v", "__Host-voter-721edc=v"] {
            assert!(!is_over(true, cookie, TAKEN_OVER_UNTIL), "{cookie}");
        }
    }
}
