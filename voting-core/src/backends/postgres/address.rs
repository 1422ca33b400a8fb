//! Where a Postgres is, as an address says it.

use ::postgres::Config;

use crate::backends::endpoint::{ESCAPES, needs_escapes};

/// The text is no address of a Postgres. What is said of it has nothing of a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// A user name or a password in it is not written as it must be.
    #[error("{ESCAPES}")]
    Unescaped,
    /// It begins otherwise.
    #[error("it must be like postgres://user:password@host/database")]
    Scheme,
    /// How to encrypt is not one of the ways that there are.
    #[error(
        "sslmode={0:?} is not known here: write disable, require or verify-full; the last two verify the \
         server's certificate and its host name"
    )]
    Mode(String),
    /// The certificate is verified, and the name is not: that is not done here.
    #[error(
        "sslmode=verify-ca leaves the host name out, and here it is always verified: write verify-full, with a \
         certificate that is made out to the host"
    )]
    NameNotVerified,
    /// Files are settings of their own.
    #[error("sslrootcert is not taken in an address: set postgres.ca_file")]
    File,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads an address.
///
/// `sslmode=verify-full` means what `require` means here, and `allow` what `prefer` does: plain.
pub(super) fn parse(url: &str) -> Result<Config, InvalidAddress> {
    let is_url = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    // libpq's other form, `host=… user=…`, is taken as well.
    if !is_url && (!url.contains('=') || url.contains("://")) {
        return Err(InvalidAddress::Scheme);
    }
    if is_url && needs_escapes(url) {
        return Err(InvalidAddress::Unescaped);
    }
    with_known_mode(url, is_url)?.parse().map_err(|error| {
        // In the other form, the error may quote a part of the password.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        match cause.filter(|_| is_url) {
            Some(cause) => InvalidAddress::Unreadable(cause),
            None => InvalidAddress::Scheme,
        }
    })
}

/// The same address with a mode that the client knows.
fn with_known_mode(url: &str, is_url: bool) -> Result<String, InvalidAddress> {
    let Some((place, query)) = url.split_once('?').filter(|_| is_url) else {
        return Ok(url.to_owned());
    };
    let mut known = Vec::new();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        known.push(match (name, value) {
            ("sslmode", "verify-full") => "sslmode=require",
            ("sslmode", "allow") => "sslmode=prefer",
            ("sslmode", "verify-ca") => return Err(InvalidAddress::NameNotVerified),
            ("sslmode", "disable" | "prefer" | "require") => parameter,
            ("sslmode", mode) => {
                return Err(InvalidAddress::Mode(mode.chars().take(32).collect()));
            }
            ("sslrootcert" | "sslcert" | "sslkey", _) => return Err(InvalidAddress::File),
            _ => parameter,
        });
    }
    Ok(format!("{place}?{}", known.join("&")))
}

#[cfg(test)]
mod tests {
    use ::postgres::config::SslMode;

    use super::*;

    fn wrong(url: &str) -> String {
        let error = parse(url).expect_err(url).to_string();
        assert!(!error.contains("hunter"), "{error}");
        error
    }

    #[test]
    fn each_mode_means_what_it_says_or_is_refused() {
        let mode = |mode: &str| {
            let url = format!("postgres://u:p@h/d?sslmode={mode}&connect_timeout=3");
            parse(&url).expect(mode).get_ssl_mode()
        };
        assert_eq!(mode("verify-full"), SslMode::Require);
        assert_eq!(mode("require"), SslMode::Require);
        assert_eq!(mode("disable"), SslMode::Disable);
        assert_eq!(mode("allow"), mode("prefer"));
        let refused = wrong("postgres://u:p@h/d?sslmode=verify-ca");
        assert!(refused.contains("write verify-full"), "{refused}");
        let refused = wrong("postgres://u:p@h/d?sslmode=Require");
        assert!(refused.contains("\"Require\""), "{refused}");
        let refused = wrong("postgres://u:p@h/d?sslrootcert=/ca.pem");
        assert!(refused.contains("postgres.ca_file"), "{refused}");
    }

    #[test]
    fn a_password_that_must_be_escaped_is_reported_without_it() {
        for url in [
            "postgres://u:hunter@2@h/d",
            "postgres://u:hunter/2@h/d",
            "postgres://u:hunter#2@h/d",
            "postgres://u:hunter?2@h/d",
        ] {
            assert!(wrong(url).contains("%40"), "{url}");
        }
        let config = parse("postgres://u:hunter%402%3A@h/d").expect("an address");
        assert_eq!(config.get_password(), Some(&b"hunter@2:"[..]));
    }

    #[test]
    fn what_is_no_address_is_reported_without_it() {
        for url in [
            "h",
            "u:hunter2@h/d",
            "http://u:hunter2@h/d",
            "hunter2=x",
            "postgres://u:hunter2@h:hunter2/d",
            "postgres://u:hunter2@h:99999/d",
        ] {
            wrong(url);
        }
        assert!(wrong("postgres://u:p@h:99999/d").contains("port"));
        assert!(wrong("postgres://u:p@h/d?colour=red").contains("colour"));
        parse("host=h user=u password=p dbname=d").expect("an address");
    }
}
