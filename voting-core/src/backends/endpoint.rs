//! Where a store is, as an operator may see it: without user and password.

use std::fmt;

/// A server that an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name or address; of a Unix socket its path, or its folder.
    pub host: String,
    /// `None` for a Unix socket.
    pub port: Option<u16>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// How to write what an address cannot hold as it is.
pub(crate) const ESCAPES: &str = "its user name or password contains a reserved character: write @ as %40, \
    : as %3A, / as %2F, # as %23, ? as %3F, % as %25";

/// Whether a user name or a password in an address has a character that must be written otherwise: there is an
/// `@` where there is none in a good one. Some readers take such an address: of two the first, or the last, and
/// show part of the password as the host.
pub(crate) fn needs_escapes(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    // In a query it may be part of a value, unless what is before it is no place: `user:pass?word@host`.
    let is_place = || {
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        port.is_empty() || host.ends_with(']') || port.chars().all(|c| c.is_ascii_digit())
    };
    let in_path = match after.split_once('?') {
        Some((path, _)) if !after.starts_with('#') && is_place() => path,
        _ => after,
    };
    in_path.contains('@') || authority.matches('@').count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_ends_an_address_early_is_noticed() {
        for good in [
            "redis://host:6379/",
            "redis://user:p%40ss@host",
            "redis://:p:a:s:s@host:6379/0",
            "redis://host",
            "postgres://user:pass@[::1]:5432/db?options=a@b",
            "postgres://user:pass@h1:1,h2:2/db",
            "host=h user=u",
        ] {
            assert!(!needs_escapes(good), "{good}");
        }
        for bad in [
            "redis://user:pa/ss@host",
            "redis://user:pa#ss@host:1/",
            "redis://user:12#ss@host",
            "redis://user:p@ss@host:1/",
            "redis://:@@host",
            "postgres://user:p@ss@host/db",
            "redis://user:pa?ss@host",
            "postgres://user:pa/s?s@host/db",
        ] {
            assert!(needs_escapes(bad), "{bad}");
        }
    }
}
