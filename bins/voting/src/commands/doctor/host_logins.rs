//! The identity provider at which hosts sign in, if there is one.

use voting_service::Service;

use super::{Visit, count_of};
use crate::commands::report::Finding;

pub(super) async fn check(visit: &mut Visit<'_>) {
    let check = "host login";
    let hosts = visit.is_for(Service::Worker) || visit.is_for(Service::AllInOne);
    // Settings that do not fit together have a line of their own.
    let Ok(Some(logins)) = visit.config.host_logins() else {
        return;
    };
    if !hosts {
        return;
    }
    let advice =
        "check the provider, and host_login.issuer; until then hosts sign in with a token only";
    let finding = match tokio::time::timeout(visit.timeout, logins.check()).await {
        Ok(Ok((keys, remarks))) if remarks.is_empty() => Finding::ok(
            check,
            format!(
                "the identity provider of hosts answers, and has {}",
                count_of(keys as u64, "key")
            ),
        ),
        Ok(Ok((_, remarks))) => Finding::warn(
            check,
            format!(
                "the identity provider of hosts answers, but {}",
                remarks.join(", and ")
            ),
            "try to sign in; if that fails, check the provider's configuration",
        ),
        Ok(Err(why)) => Finding::fail(
            check,
            format!("the identity provider of hosts cannot be used: {why}"),
            advice,
        ),
        Err(_) => Finding::fail(
            check,
            "the identity provider of hosts did not answer in time",
            advice,
        ),
    };
    visit.add(finding);
}
