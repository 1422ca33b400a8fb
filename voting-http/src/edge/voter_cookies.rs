//! The names that a voter's cookie may have, and which of them a request carries.

use std::time::{Duration, SystemTime};

use poem::http::{HeaderMap, header};
use voting_core::model::secret::Fingerprint;

/// Over HTTPS, a cookie that any subdomain could have set is accepted until this moment, the end of 2027, in seconds
/// since 1970. Services of older versions set such cookies for 400 days at most.
const TAKEN_OVER_UNTIL: u64 = 1_830_297_600;

/// So many characters of the secret's fingerprint are in the cookie's name, so that systems on one host have
/// different names.
const MARK: usize = 6;

/// The current name of the cookie, and the names that older versions used.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) current: String,
    /// If a request has several of these, the first in this list counts.
    older: [Older; 3],
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Different values under one name.
    Several,
}

impl Names {
    /// With the prefix `__Host-`, browsers accept the cookie from this very host only.
    pub(crate) fn new(secret: Fingerprint, https: bool) -> Self {
        let mut mark = secret.to_string();
        mark.truncate(MARK);
        let (plain, bound) = (format!("voter-{mark}"), format!("__Host-voter-{mark}"));
        let older = |name: &str, until| Older {
            name: name.to_owned(),
            until,
        };
        let until = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(TAKEN_OVER_UNTIL));
        if https {
            Self {
                // The names that no subdomain can set come first.
                older: [
                    older("__Host-voter", None),
                    older(&plain, until),
                    older("voter", until),
                ],
                current: bound,
            }
        } else {
            Self {
                // While `public_url` is being changed, replicas may differ in it.
                older: [
                    older(&bound, None),
                    older("__Host-voter", None),
                    older("voter", None),
                ],
                current: plain,
            }
        }
    }

    /// The voter's cookie in a request. Other cookies are ignored, even if they are not text.
    pub(crate) fn find<'a>(
        &self,
        headers: &'a HeaderMap,
        now: impl FnOnce() -> SystemTime,
    ) -> Carried<'a> {
        let (mut current, mut older) = (Seen::Nothing, [Seen::Nothing; 3]);
        for header in headers.get_all(header::COOKIE) {
            for (name, value) in header.as_bytes().split(|byte| *byte == b';').map(split) {
                if name == self.current.as_bytes() {
                    current.note(value);
                    continue;
                }
                for (seen, Older { name: known, .. }) in older.iter_mut().zip(&self.older) {
                    if name == known.as_bytes() {
                        seen.note(value);
                    }
                }
            }
        }
        let found = |seen, is_older, is_over| match seen {
            Seen::Nothing => None,
            Seen::One(value) => Some(Carried::One {
                value,
                is_older,
                is_over,
            }),
            Seen::Several => Some(Carried::Several),
        };
        if let Some(found) = found(current, false, false) {
            return found;
        }
        let mut older = older.into_iter().zip(&self.older);
        let Some((seen, name)) = older.find(|(seen, _)| *seen != Seen::Nothing) else {
            return Carried::Nothing;
        };
        let is_over = name.until.is_some_and(|until| now() >= until);
        found(seen, true, is_over).unwrap_or(Carried::Nothing)
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
        let secret = SecretKey::new([7; 32]).unwrap();
        Names::new(secret.fingerprint(), https)
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
