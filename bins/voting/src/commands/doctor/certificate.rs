//! The certificates of Redis and Postgres: why one is refused, and how long the others are valid.

use std::{
    io,
    time::{Duration, SystemTime},
};

use voting_core::backends::{certificate::Certificate, endpoint::Endpoint};

use super::{Visit, for_people};
use crate::commands::report::Finding;

/// A certificate that is valid for longer than this, or for a third of its life, causes no warning.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// For each server, its certificate, or why it is not known.
type Seen = Vec<(Endpoint, io::Result<Certificate>)>;

/// Reports a certificate that prevents the connection. Returns whether there is one.
pub(super) async fn refused(
    visit: &mut Visit<'_>,
    check: &'static str,
    look: impl Future<Output = Seen>,
) -> bool {
    let Ok(seen) = tokio::time::timeout(visit.timeout, look).await else {
        return false;
    };
    let mut is_refused = false;
    for (place, certificate) in seen {
        let reported = certificate
            .ok()
            .and_then(|found| refusal(check, &place, &found));
        if let Some(finding) = reported {
            is_refused = true;
            visit.add(finding);
        }
    }
    is_refused
}

/// Checks how long the certificates are valid, if the services connect with encryption.
pub(super) async fn check(
    visit: &mut Visit<'_>,
    store: &'static str,
    look: impl Future<Output = Seen>,
) {
    let check = match store {
        "redis" => "redis certificate",
        _ => "postgres certificate",
    };
    let seen = tokio::time::timeout(visit.timeout, look).await;
    let Ok(seen) = seen else {
        visit.add(Finding::unknown(
            check,
            "the server presented no certificate in time",
        ));
        return;
    };
    for (place, certificate) in seen {
        visit.add(match certificate {
            Ok(found) => refusal(check, &place, &found)
                .unwrap_or_else(|| term(check, &place, &found, SystemTime::now())),
            Err(error) => Finding::unknown(
                check,
                format!("the certificate at {place} could not be read: {error}"),
            ),
        });
    }
}

fn refusal(check: &'static str, place: &Endpoint, certificate: &Certificate) -> Option<Finding> {
    let now = SystemTime::now();
    let since = |moment: &Option<SystemTime>| {
        let moment = moment.and_then(|moment| now.duration_since(moment).ok());
        moment.map_or(String::new(), |time| format!(" {} ago", for_people(time)))
    };
    let until = |moment: &Option<SystemTime>| {
        let moment = moment.and_then(|moment| moment.duration_since(now).ok());
        moment.map_or("later".to_owned(), |time| {
            format!("in {}", for_people(time))
        })
    };
    let (why, todo) = match certificate {
        Certificate::Good { .. } => return None,
        Certificate::Expired { not_after } => (
            format!("expired{}", since(not_after)),
            "renew it and have the server load it; see that the clock of this machine is right",
        ),
        Certificate::NotYetValid { not_before } => (
            format!("begins {}", until(not_before)),
            "see that the clock of this machine is right; else wait, or make another one",
        ),
        Certificate::OtherName { presented } => (
            match presented.as_slice() {
                [] => "is for another host name".to_owned(),
                names => format!("is for {}", names.join(", ")),
            },
            "use that name in the address, or make a certificate for the name in the address",
        ),
        Certificate::UnknownAuthority => (
            "is not signed by a trusted authority".to_owned(),
            "set ca_file to the certificate of the authority that signed it; the server must send the \
             intermediate ones, too",
        ),
        Certificate::Refused(why) => (
            format!("is refused: {why}"),
            "make a certificate that is valid for servers",
        ),
        other => (
            format!("is refused: {other:?}"),
            "make a certificate that is valid for servers",
        ),
    };
    let found = format!("no service connects to {place}: its certificate {why}");
    Some(Finding::fail(check, found, todo))
}

/// How long a certificate is still valid.
fn term(
    check: &'static str,
    place: &Endpoint,
    certificate: &Certificate,
    now: SystemTime,
) -> Finding {
    let Certificate::Good {
        not_before,
        not_after: Some(not_after),
    } = certificate
    else {
        return Finding::ok(check, format!("the certificate of {place} does not expire"));
    };
    let left = not_after.duration_since(now).unwrap_or_default();
    let life = not_before.and_then(|begin| not_after.duration_since(begin).ok());
    let soon = life.map_or(SOON, |life| SOON.min(life / 3));
    let found = format!("the certificate of {place} expires in {}", for_people(left));
    if left <= soon {
        let todo = "renew it and have the server load it; once it has expired, no service connects";
        return Finding::warn(check, found, todo);
    }
    Finding::ok(check, found)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::commands::report::Level;

    #[test]
    fn a_certificate_that_ends_soon_is_reported_in_days() {
        let place = Endpoint {
            host: "store".to_owned(),
            port: Some(1),
        };
        let day = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 24 * 3600);
        let reported = |first, last, now| {
            let certificate = Certificate::Good {
                not_before: Some(day(first)),
                not_after: Some(day(last)),
            };
            term("x", &place, &certificate, day(now))
        };
        assert_eq!(reported(0, 90, 75).level, Level::Ok);
        let soon = reported(0, 90, 76);
        assert_eq!(soon.level, Level::Warn);
        assert!(
            soon.found.contains("store:1 expires in 14 days"),
            "{soon:?}"
        );
        assert_eq!(
            reported(0, 6, 3).level,
            Level::Ok,
            "it never holds for a fortnight"
        );
        assert_eq!(reported(0, 6, 4).level, Level::Warn);
        let endless = Certificate::Good {
            not_before: None,
            not_after: None,
        };
        assert_eq!(term("x", &place, &endless, day(0)).level, Level::Ok);
    }
}
